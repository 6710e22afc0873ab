#include "apps/explain.hpp"

#include "apps/gateway.hpp"
#include "net/worker.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

// Longer than the resolver's own patience, so that its verdict is heard.
constexpr auto kPatience = 12s;
constexpr auto kLook = 300ms;

/// A walk that one thread waits for and a worker goes.
struct Shared {
    explicit Shared(ExplainQuestion question) : walk(std::move(question)) {}
    ExplainWalk walk;
    std::mutex lock;
    std::condition_variable ended;
    bool done = false;
};

void start(const std::shared_ptr<Shared>& shared, const LaneView& lane)
{
    // The walk holds no owner of itself: the worker's task and whoever waits do.
    Shared* const self = shared.get();
    const AskQuestion& asked = self->walk.question().question;
    lane.resolver.watch(asked.qname.lower(), asked.qtype, [self](std::string_view what, std::string_view why) {
        self->walk.step("resolver", what, why);
    });
    self->walk.begin(lane.pipeline, lane.worker.clock(), [self] {
        const std::lock_guard guard{self->lock};
        self->done = true;
        self->ended.notify_all();
    });
}

/// Looks around now and then: a gateway that is ending waits for this route.
void wait_for_end(const Gateway& gateway, Shared& shared)
{
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::unique_lock guard{shared.lock};
    while (!shared.ended.wait_for(guard, kLook, [&] { return shared.done; })) {
        if (std::chrono::steady_clock::now() >= deadline) return;
        guard.unlock();
        const bool serving = gateway.on_worker(0, [](const LaneView&) {});
        guard.lock();
        if (!serving) return;
    }
}

/// A worker that is ending may still hold the query: what it points at must not go before.
void keep_for_good(std::shared_ptr<Shared> shared)
{
    static std::mutex lock;
    static std::vector<std::shared_ptr<Shared>> kept;
    const std::lock_guard guard{lock};
    kept.push_back(std::move(shared));
}

} // namespace

admin::Response explain_on(const Gateway& gateway, const admin::Request& request)
{
    const auto asked = read_explain_request(request.body);
    if (!asked) return admin::error_response(400, asked.error().message);
    auto question = understand(*asked);
    if (!question) return admin::error_response(400, question.error().message);

    const auto shared = std::make_shared<Shared>(std::move(*question));
    gateway.post_to_worker(0, [shared](const LaneView& lane) { start(shared, lane); });
    wait_for_end(gateway, *shared);
    // On its thread, so that nothing is being written while it is read here.
    Explanation explanation;
    const bool let_go = gateway.on_worker(0, [shared, &explanation](const LaneView& lane) {
        shared->walk.abandon(lane.pipeline);
        lane.resolver.watch({}, {}, nullptr);
        add_trust(lane.resolver, shared->walk.question().question.qname.lower(), shared->walk.result());
        explanation = shared->walk.result();
    });
    if (!let_go) {
        keep_for_good(shared);
        return admin::error_response(503, "the gateway is ending, or a worker is stuck");
    }
    return {200, "application/json", to_json(explanation)};
}

} // namespace sallyport::apps
