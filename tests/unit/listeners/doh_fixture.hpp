#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "listeners/doh_sessions.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// What the tests of the HTTP sessions share: a channel in memory, a pipeline without zones, a stage that holds
/// queries.
namespace sallyport::listeners::testing {

using Octets = std::vector<std::uint8_t>;

/// Remembers what is written; while `stuck`, nothing of it leaves.
class MemoryChannel final : public StreamChannel {
public:
    MemoryChannel(net::Worker& worker, pipeline::Pipeline& pipeline) : worker_(worker), pipeline_(pipeline)
    {
        peer.address = base::IpAddress::v4({127, 0, 0, 1});
        peer.port = 4711;
        client_.peer = client_.local = peer;
    }

    void write(base::Bytes octets) noexcept override
    {
        if (!ended && !aborted) out.insert(out.end(), octets.begin(), octets.end());
    }
    std::size_t backlog() const noexcept override { return stuck ? out.size() : 0; }
    void end() noexcept override { ended = true; }
    void abort() noexcept override { aborted = true; }
    const pipeline::Client& client() const noexcept override { return client_; }
    net::Worker& worker() noexcept override { return worker_; }
    pipeline::Pipeline& pipeline() noexcept override { return pipeline_; }
    void pause_reading() noexcept override { paused = true; }
    void resume_reading() noexcept override { paused = false; }

    [[nodiscard]] Octets take() { return std::exchange(out, {}); }
    [[nodiscard]] std::string take_text()
    {
        const Octets octets = take();
        return {octets.begin(), octets.end()};
    }
    [[nodiscard]] bool over() const { return ended || aborted; }

    Octets out;
    base::Endpoint peer;
    bool ended = false;
    bool aborted = false;
    bool paused = false;
    bool stuck = false;

private:
    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    pipeline::Client client_;
};

/// Answers NOERROR with a TXT record of `size` octets, or holds the query until the test lets it go.
class TestStage final : public pipeline::Stage {
public:
    pipeline::Step handle(pipeline::Query& query) noexcept override
    {
        peers.push_back(query.client.peer);
        paths.emplace_back(query.client.path);
        transports.push_back(query.client.transport);
        if (hold) {
            held.push_back(&query);
            return pipeline::Step::suspended;
        }
        return answer(query);
    }

    pipeline::Step answer(pipeline::Query& query) const noexcept
    {
        if (drop) return pipeline::Step::drop;
        if (size == 0) return pipeline::Step::next;
        Octets text;
        for (std::size_t left = size; left > 0;) {
            const std::size_t piece = std::min<std::size_t>(left, 200);
            text.push_back(static_cast<std::uint8_t>(piece));
            text.insert(text.end(), piece, 'x');
            left -= piece;
        }
        if (!add_record(query, text)) return pipeline::Step::next;
        return pipeline::Step::answered;
    }

    bool hold = false;
    bool drop = false;
    std::size_t size = 0;
    std::vector<pipeline::Query*> held;
    std::vector<base::Endpoint> peers;
    std::vector<std::string> paths;
    std::vector<base::Transport> transports;

private:
    static bool add_record(pipeline::Query& query, const Octets& rdata) noexcept
    {
        return query.answer->record(wire::Section::answer, query.qname, wire::RrType::TXT, wire::RrClass::IN,
                                    wire::Ttl{300}, rdata);
    }
};

/// A query for `name` (one label of letters), type A, recursion desired.
inline Octets dns_query(std::uint16_t id = 0, const std::string& label = "example")
{
    Octets query{static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    query.push_back(static_cast<std::uint8_t>(label.size()));
    query.insert(query.end(), label.begin(), label.end());
    for (const int octet : {4, int{'t'}, int{'e'}, int{'s'}, int{'t'}, 0, 0, 1, 0, 1})
        query.push_back(static_cast<std::uint8_t>(octet));
    return query;
}

inline std::string base64url(const Octets& octets)
{
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const std::uint8_t octet : octets) {
        bits = (bits << 8U) | octet;
        for (count += 8; count >= 6; count -= 6) text += kAlphabet[(bits >> (count - 6)) & 63U];
    }
    if (count > 0) text += kAlphabet[(bits << (6 - count)) & 63U];
    return text;
}

inline std::string get_path(const Octets& query) { return "/dns-query?dns=" + base64url(query); }

/// Everything a session needs, with a clock that the test moves.
class DohTest : public ::testing::Test {
protected:
    DohTest()
    {
        context.options = &options;
        context.limits = &limits;
        context.stats = &stats;
        remake_pipeline();
    }

    void remake_pipeline()
    {
        pipeline = std::make_unique<pipeline::Pipeline>(pipeline_options, clock, random);
        auto made = std::make_unique<TestStage>();
        stage = made.get();
        pipeline->append_stage(std::move(made));
        channel = std::make_unique<MemoryChannel>(worker, *pipeline);
        budget = std::make_unique<HttpBudget>(limits.answers_in_all);
        context.budget = budget.get();
    }

    /// Lets the oldest held query have its answer.
    void release_one()
    {
        pipeline::Query* const query = stage->held.front();
        stage->held.erase(stage->held.begin());
        pipeline->resume(*query, pipeline::Step::next, clock.now());
        run_flushes();
    }

    void run_flushes() { worker.run_for(std::chrono::milliseconds{1}); }

    base::ManualClock clock;
    base::SystemRandom random;
    net::Worker worker{0, clock};
    DohOptions options;
    HttpLimits limits;
    HttpStats stats;
    DohContext context;
    pipeline::Options pipeline_options;
    std::unique_ptr<pipeline::Pipeline> pipeline;
    TestStage* stage = nullptr;
    std::unique_ptr<MemoryChannel> channel;
    std::unique_ptr<HttpBudget> budget;
};

} // namespace sallyport::listeners::testing
