#include "resolver/recurse.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sallyport::resolver {
namespace {

// Beside those of `RecurseLimits::sockets`.
constexpr std::size_t kLateSockets = 32;

std::unique_ptr<net::client::SessionFactory> make_factory()
{
    net::client::PeerOptions peer;
    peer.transport = base::Transport::tcp;
    auto made = net::client::SessionFactory::make(peer);
    return made ? std::move(*made) : nullptr;
}

} // namespace

Recursor::Recursor(net::Worker& worker, const RecurseOptions& options, RecurseStats& stats)
    : worker_(worker),
      limits_(options.limits),
      stats_(stats),
      store_(options.store),
      streams_made_by_(make_factory()),
      engine_(new iterate::Engine{worker.clock(), worker.random(), static_cast<iterate::Upstream&>(*this), *store_,
                                  options.engine})
{
}

Recursor::~Recursor()
{
    engine_.reset(); // it may cancel what it waits for
    stats_.sockets.sub(sockets_.size());
    stats_.connections.sub(streams_.size());
}

void Recursor::resolve(const iterate::Question& question, iterate::Done done)
{
    ++unfinished_;
    engine_->resolve(question, [this, told = std::move(done)](const iterate::Answer& answer) {
        --unfinished_;
        told(answer);
    });
    touched();
}

// ---- what the engine wants

void Recursor::send(const iterate::Ask& ask) noexcept
{
    if (ask.tcp) {
        if (!ask_stream(ask.token, ask.server, {ask.message.begin(), ask.message.end()})) fail_later(ask.token);
        return;
    }
    if (has_free_socket()) {
        open_socket(ask.token, ask.server, ask.message);
    } else if (waiting_.size() < limits_.waiting) {
        stats_.sockets_waited.add();
        waiting_.emplace(ask.token, Waiting{ask.server, {ask.message.begin(), ask.message.end()}});
    } else {
        stats_.sockets_full.add();
        fail_later(ask.token);
    }
}

void Recursor::cancel(iterate::Token token) noexcept
{
    keep_for_late(token);
    waiting_.erase(token);
    const auto carried = carried_.find(token);
    if (carried == carried_.end()) return;
    RecurseStream* const stream = carried->second.stream;
    carried_.erase(carried);
    if (stream != nullptr) stream->forget(token);
}

void Recursor::fail_later(iterate::Token token)
{
    failed_.push_back(token);
    touched();
}

// ---- datagrams

bool Recursor::has_free_socket() const noexcept { return sockets_.size() + streams_.size() < limits_.sockets; }

void Recursor::open_socket(iterate::Token token, const base::Endpoint& server, base::Bytes message)
{
    auto made = std::make_unique<RecurseSocket>(static_cast<RecurseSocketUser&>(*this), token);
    if (!made->start(worker_, server, message)) {
        stats_.send_failures.add();
        fail_later(token);
        return;
    }
    sockets_.emplace(token, std::move(made));
    stats_.sockets.add();
}

void Recursor::close_socket(iterate::Token token) noexcept
{
    if (sockets_.erase(token) == 0) return;
    stats_.sockets.sub();
    if (!waiting_.empty()) touched();
}

/// A few sockets stay open past their time, to tell late answers from lost ones; the first thing that comes ends them.
void Recursor::keep_for_late(iterate::Token token) noexcept
{
    const auto found = sockets_.find(token);
    if (found == sockets_.end()) return;
    late_.emplace(token, std::move(found->second));
    close_socket(token);
    if (late_.size() > kLateSockets) late_.erase(late_.begin());
}

bool Recursor::datagram_arrived(iterate::Token token, base::Bytes message) noexcept
{
    if (late_.erase(token) > 0) {
        stats_.late_answers.add();
        return false;
    }
    touched();
    if (engine_->answer(token, message)) {
        close_socket(token);
        return false;
    }
    // It may have gone all the same: two near misses, and the engine asks elsewhere.
    return sockets_.contains(token);
}

void Recursor::socket_failed(iterate::Token token) noexcept
{
    if (late_.erase(token) > 0) return;
    close_socket(token);
    fail_later(token);
}

// ---- connections

RecurseStream* Recursor::find_stream(const base::Endpoint& server, std::uint16_t id, unsigned& count) noexcept
{
    RecurseStream* best = nullptr;
    for (const auto& stream : streams_) {
        if (stream->server() != server) continue;
        ++count;
        if (stream->has_room(id) && (best == nullptr || stream->load() < best->load())) best = stream.get();
    }
    return best;
}

RecurseStream* Recursor::open_stream(const base::Endpoint& server)
{
    if (streams_.size() >= limits_.connections || !has_free_socket()) {
        const auto unused =
            std::find_if(streams_.begin(), streams_.end(), [](const auto& s) { return s->load() == 0; });
        if (unused != streams_.end()) (*unused)->release(); // room for the next one
        stats_.connections_full.add();
        return nullptr;
    }
    if (!streams_made_by_) return nullptr;
    auto made = std::make_unique<RecurseStream>(static_cast<RecurseStreamUser&>(*this), worker_, limits_, server);
    if (!made->open(*streams_made_by_, worker_.now())) {
        stats_.send_failures.add();
        return nullptr;
    }
    stats_.connections_opened.add();
    stats_.connections.add();
    streams_.push_back(std::move(made));
    return streams_.back().get();
}

bool Recursor::ask_stream(iterate::Token token, const base::Endpoint& server, std::vector<std::uint8_t> message)
{
    unsigned count = 0;
    RecurseStream* stream = find_stream(server, base::load_be16(message, 0), count);
    if (stream == nullptr && count >= limits_.connections_per_server) stats_.connections_full.add();
    if (stream == nullptr && count < limits_.connections_per_server) stream = open_stream(server);
    if (stream == nullptr) return false;
    carried_[token].stream = stream;
    stream->ask(token, std::move(message));
    return true;
}

bool Recursor::stream_answered(iterate::Token token, base::Bytes message) noexcept
{
    touched();
    if (!engine_->answer(token, message)) return false;
    carried_.erase(token);
    return true;
}

void Recursor::stream_failed(iterate::Token token, std::vector<std::uint8_t> message, bool again) noexcept
{
    const auto carried = carried_.find(token);
    if (carried == carried_.end()) return;
    const RecurseStream* const ended = carried->second.stream;
    if (again && !carried->second.again && ended != nullptr) {
        carried->second.again = true;
        stats_.asked_again.add();
        if (ask_stream(token, ended->server(), std::move(message))) return;
    }
    carried_.erase(token);
    fail_later(token);
}

void Recursor::stream_ended(RecurseStream& stream, bool with_queries) noexcept
{
    if (with_queries) stats_.connections_lost.add();
    const auto found =
        std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s.get() == &stream; });
    if (found == streams_.end()) return;
    ended_streams_.push_back(std::move(*found));
    streams_.erase(found);
    stats_.connections.sub();
    touched();
}

// ---- time

void Recursor::flush(base::Instant now) noexcept
{
    ended_streams_.clear();
    const auto failed = std::exchange(failed_, {});
    for (const iterate::Token token : failed) engine_->failed(token);
    while (!waiting_.empty() && has_free_socket()) {
        auto next = waiting_.extract(waiting_.begin());
        open_socket(next.key(), next.mapped().server, next.mapped().message);
    }
    const auto due = engine_->due();
    if (!due) {
        timer_.cancel();
        return;
    }
    // Never at once: others get their turn between two parts of heavy work.
    worker_.arm(timer_, std::max(*due, now + std::chrono::nanoseconds{1}));
}

void Recursor::expired(base::Instant now) noexcept
{
    engine_->expire(now);
    touched();
}

} // namespace sallyport::resolver
