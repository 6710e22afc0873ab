#include "resolver/recurse.hpp"

#include "base/thread_clock.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sallyport::resolver {
namespace {

// Beside those of `RecurseLimits::sockets`.
constexpr std::size_t kLateSockets = 32;
// Between two queries, of each family; within `RecurseLimits::sockets`.
constexpr std::size_t kRestingSockets = 128;

std::unique_ptr<net::client::SessionFactory> make_tcp_factory()
{
    net::client::PeerOptions peer;
    peer.transport = base::Transport::tcp;
    auto made = net::client::SessionFactory::make(peer);
    return made ? std::move(*made) : nullptr;
}

const base::ThreadClock kProcessorTime;

} // namespace

Recursor::Recursor(net::Worker& worker, const RecurseOptions& options, RecurseStats& stats, GroupAsker* groups)
    : worker_(worker),
      limits_(options.limits),
      encrypted_limits_(options.limits),
      stats_(stats),
      groups_(groups),
      store_(options.store),
      streams_made_by_(make_tcp_factory()),
      engine_(new iterate::Engine{worker.clock(), worker.random(), static_cast<iterate::Upstream&>(*this), *store_,
                                  options.engine, &kProcessorTime})
{
    local_root_ = options.local_root;
    prepare_encrypted(options);
}

Recursor::~Recursor()
{
    engine_.reset(); // it may cancel what it waits for
    stats_.sockets.sub(sockets_.size());
    stats_.connections.sub(streams_.size());
    encrypted_.reset();
    tell_speaking();
    stats_.encrypted_sessions.sub(sessions_.size());
}

void Recursor::resolve(const iterate::Question& question, iterate::Done done, iterate::Watcher watcher)
{
    ++unfinished_;
    engine_->resolve(
        question,
        [this, told = std::move(done)](const iterate::Answer& answer) {
            --unfinished_;
            told(answer);
        },
        std::move(watcher));
    touched();
}

void Recursor::resolve_anew(const iterate::Question& question, iterate::Done done)
{
    ++unfinished_;
    engine_->resolve_anew(question, [this, told = std::move(done)](const iterate::Answer& answer) {
        --unfinished_;
        told(answer);
    });
    touched();
}

// ---- what the engine wants

void Recursor::send(const iterate::Ask& ask) noexcept
{
    if (!ask.group.empty()) {
        if (groups_ == nullptr || !groups_->ask_group(*this, ask)) fail_later(ask.token);
        return;
    }
    if (local_root_ && ask_copy(ask)) return;
    if (encrypted_ && ask_encrypted(ask)) return;
    send_plain(ask.token, ask.server, ask.tcp, ask.message);
}

void Recursor::send_plain(iterate::Token token, const base::Endpoint& server, bool tcp, base::Bytes message)
{
    if (tcp) {
        if (!ask_stream(token, server, base::Transport::tcp, {message.begin(), message.end()})) fail_later(token);
    } else if (has_free_socket()) {
        open_socket(token, server, message);
    } else if (waiting_.size() < limits_.waiting) {
        stats_.sockets_waited.add();
        waiting_.emplace(token, Waiting{server, {message.begin(), message.end()}});
    } else {
        stats_.sockets_full.add();
        fail_later(token);
    }
}

/// The root's servers are asked only where the copy has nothing to say.
bool Recursor::ask_copy(const iterate::Ask& ask)
{
    if (ask.zone == nullptr || !ask.zone->is_root() || !local_root_->is_good(worker_.clock().wall())) return false;
    copy_room_.resize(wire::kMaxMessageSize); // not the worker's: what led here may stand in that
    const std::size_t size = local_root_->answer(ask.message, copy_room_);
    if (size == 0) return false;
    stats_.root_copy.add();
    copied_.emplace_back(ask.token, std::vector<std::uint8_t>{copy_room_.data(), copy_room_.data() + size});
    touched();
    return true;
}

void Recursor::cancel(iterate::Token token) noexcept
{
    keep_for_late(token);
    waiting_.erase(token);
    if (groups_ != nullptr) groups_->forget_asked(*this, token);
    const auto carried = carried_.find(token);
    if (carried == carried_.end()) return;
    RecurseStream* const stream = carried->second.stream;
    note_unanswered(carried->second);
    carried_.erase(carried);
    if (stream != nullptr) stream->forget(token);
}

void Recursor::fail_later(iterate::Token token)
{
    failed_.push_back(token);
    touched();
}

// ---- groups of upstreams

void Recursor::group_answered(iterate::Token token, base::Bytes message) noexcept
{
    touched();
    // All that a forger would have to guess was looked at where it came in; what does not fit here is no answer.
    if (!engine_->answer(token, message)) fail_later(token);
}

// ---- datagrams

bool Recursor::has_free_socket() const noexcept { return sockets_.size() + streams_.size() < limits_.sockets; }

void Recursor::open_socket(iterate::Token token, const base::Endpoint& server, base::Bytes message)
{
    auto made = take_socket(server.address.is_v4());
    if (!made->start(worker_, token, server, message)) {
        stats_.send_failures.add();
        fail_later(token);
        return;
    }
    sockets_.emplace(token, std::move(made));
    stats_.sockets.add();
}

std::unique_ptr<RecurseSocket> Recursor::take_socket(bool v4)
{
    auto& resting = resting_[v4 ? 0 : 1];
    if (resting.empty()) {
        auto& others = resting_[v4 ? 1 : 0];
        if (sockets_.size() + streams_.size() + others.size() >= limits_.sockets) others.clear();
        return std::make_unique<RecurseSocket>(static_cast<RecurseSocketUser&>(*this));
    }
    auto taken = std::move(resting.back());
    resting.pop_back();
    return taken;
}

void Recursor::let_rest(std::unique_ptr<RecurseSocket> socket) noexcept
{
    auto& resting = resting_[socket->is_v4() ? 0 : 1];
    const std::size_t open = sockets_.size() + streams_.size() + resting_[0].size() + resting_[1].size();
    if (resting.size() >= kRestingSockets || open > limits_.sockets || !socket->rest()) return;
    resting.push_back(std::move(socket));
}

void Recursor::close_socket(iterate::Token token) noexcept
{
    const auto found = sockets_.find(token);
    if (found == sockets_.end()) return;
    if (found->second) let_rest(std::move(found->second));
    sockets_.erase(found);
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

RecurseStream* Recursor::find_stream(const base::Endpoint& server, base::Transport transport, std::uint16_t id,
                                     unsigned& count) noexcept
{
    RecurseStream* best = nullptr;
    for (const auto& stream : streams_) {
        if (stream->server() != server || stream->transport() != transport) continue;
        ++count;
        if (stream->has_room(id) && (best == nullptr || stream->load() < best->load())) best = stream.get();
    }
    return best;
}

RecurseStream* Recursor::open_stream(const base::Endpoint& server, base::Transport transport)
{
    if (streams_.size() >= limits_.connections || !has_free_socket()) {
        const auto unused =
            std::find_if(streams_.begin(), streams_.end(), [](const auto& s) { return s->load() == 0; });
        if (unused != streams_.end()) (*unused)->release(); // room for the next one
        stats_.connections_full.add();
        return nullptr;
    }
    const auto which = encryption_of(transport);
    const auto& factory = which ? encrypted_made_by_[index_of(*which)] : streams_made_by_;
    if (!factory) return nullptr;
    auto made = std::make_unique<RecurseStream>(static_cast<RecurseStreamUser&>(*this), worker_,
                                                which ? encrypted_limits_ : limits_, server, transport,
                                                which ? session_of(server.address, *which) : nullptr);
    if (!made->open(*factory, worker_.now())) {
        stats_.send_failures.add();
        return nullptr;
    }
    stats_.connections_opened.add();
    stats_.connections.add();
    streams_.push_back(std::move(made));
    return streams_.back().get();
}

bool Recursor::ask_stream(iterate::Token token, const base::Endpoint& server, base::Transport transport,
                          std::vector<std::uint8_t> message)
{
    unsigned count = 0;
    RecurseStream* stream = find_stream(server, transport, base::load_be16(message, 0), count);
    if (stream == nullptr && count >= limits_.connections_per_server) stats_.connections_full.add();
    if (stream == nullptr && count < limits_.connections_per_server) stream = open_stream(server, transport);
    if (stream == nullptr) return false;
    carried_[token].stream = stream;
    stream->ask(token, std::move(message));
    return true;
}

bool Recursor::stream_answered(iterate::Token token, base::Bytes message) noexcept
{
    touched();
    const auto carried = carried_.find(token);
    const auto hidden = carried == carried_.end() ? std::nullopt : carried->second.hidden;
    if (hidden) note_answered(*hidden);
    if (!engine_->answer(token, message)) return false;
    if (carried_.erase(token) > 0 && hidden) stats_.over[index_of(hidden->way)].answers.add();
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
        if (ask_stream(token, ended->server(), ended->transport(), message)) return;
    }
    const auto hidden = carried_.at(token).hidden;
    carried_.erase(token);
    if (hidden)
        fall_back(token, *hidden, std::move(message));
    else
        fail_later(token);
}

void Recursor::stream_ended(RecurseStream& stream, bool with_queries) noexcept
{
    if (with_queries) stats_.connections_lost.add();
    note_end_of_encrypted(stream, with_queries);
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
    for (const auto& [token, message] : std::exchange(copied_, {})) engine_->answer(token, message);
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
