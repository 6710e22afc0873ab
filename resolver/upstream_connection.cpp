#include "resolver/upstream_connection.hpp"

#include "resolver/upstream.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

Trouble trouble_of(const net::client::Failure& failure) noexcept
{
    using net::client::FailureKind;
    switch (failure.kind) {
    case FailureKind::none: return Trouble::none;
    case FailureKind::refused:
    case FailureKind::unreachable:
    case FailureKind::idle: return Trouble::unreachable;
    case FailureKind::closed: return Trouble::closed;
    case FailureKind::not_trusted:
    case FailureKind::wrong_name:
    case FailureKind::certificate:
    case FailureKind::tls: return Trouble::insecure;
    case FailureKind::protocol: return Trouble::broken;
    case FailureKind::system: return Trouble::system;
    }
    return Trouble::system;
}

} // namespace

UpstreamConnection::UpstreamConnection(net::Worker& worker, Upstream& upstream, base::Transport transport,
                                       unsigned most)
    : worker_(worker), upstream_(upstream), transport_(transport), most_(most)
{
}

UpstreamConnection::~UpstreamConnection()
{
    for (auto& [tag, query] : in_flight_)
        if (query != nullptr) query->connection_ = nullptr;
    for (Try& query : waiting_) query.connection_ = nullptr;
}

bool UpstreamConnection::open(std::shared_ptr<const net::client::SessionFactory> factory,
                              std::shared_ptr<net::client::Memory> memory, const base::Endpoint& server,
                              base::Instant now)
{
    factory_ = std::move(factory);
    memory_ = std::move(memory);
    server_ = server;
    opened_ = used_ = now;
    auto session = factory_->session(*this, memory_->get());
    if (!session) return false;
    auto opened = net::client::Connection::open(server, std::move(session), now);
    if (!opened) return false;
    connection_ = std::move(*opened);
    if (connection_->failure()) return false;
    if (!watch_.start(worker_, connection_->fd(), connection_->wanted_events())) return false;
    worker_.flush_later(flush_); // what a session says first, and its timers
    return true;
}

bool UpstreamConnection::has_room() const noexcept
{
    return !ended_ && !doubtful_ && !retiring_ && load() < most_ && !connection_->session().draining();
}

std::uint16_t UpstreamConnection::free_tag() noexcept
{
    std::uint16_t tag = 0;
    do {
        tag = static_cast<std::uint16_t>(worker_.random().number());
    } while (in_flight_.contains(tag)); // far fewer are in flight than there are
    return tag;
}

void UpstreamConnection::ask(Try& query, base::Instant now)
{
    query.connection_ = this;
    ++live_;
    if (waiting_count_ > 0 || !ready_ || !send(query, now)) {
        waiting_.push_back(query);
        ++waiting_count_;
    }
    worker_.flush_later(flush_);
}

bool UpstreamConnection::send(Try& query, base::Instant now)
{
    if (connection_->session().room() == 0) return false;
    const std::uint16_t tag = free_tag();
    QueryBuffer room;
    // RFC 8484 §4.1 and RFC 9250 §4.2.1: the id is 0 where the transport tells the answers apart.
    const bool by_id = transport_ == base::Transport::tcp || transport_ == base::Transport::dot;
    query.form_.id = by_id ? tag : std::uint16_t{0};
    const base::Bytes octets = upstream_.write_stream_query(query, room);
    if (!connection_->session().ask(tag, octets)) return false;
    query.tag_ = tag;
    query.sent_at_ = now;
    used_ = now;
    in_flight_.emplace(tag, &query);
    return true;
}

void UpstreamConnection::send_waiting(base::Instant now)
{
    while (ready_ && !waiting_.empty()) {
        Try& query = waiting_.front();
        if (!send(query, now)) return;
        waiting_.pop_front();
        --waiting_count_;
    }
}

void UpstreamConnection::forget(Try& query) noexcept
{
    query.connection_ = nullptr;
    --live_;
    if (query.is_linked()) {
        query.unlink();
        --waiting_count_;
    } else {
        in_flight_[query.tag_] = nullptr;
        // What it never answers takes up room: when that is half of it, no other query follows.
        if (in_flight_.size() - (live_ - waiting_count_) >= std::max(2U, most_ / 2)) doubtful_ = true;
    }
    if (live_ == 0 && (doubtful_ || retiring_)) worker_.flush_later(flush_);
}

void UpstreamConnection::doubt(const Try& query) noexcept
{
    if (!ready_ || received_ < query.sent_at_) doubtful_ = true;
}

Try* UpstreamConnection::take(std::uint16_t tag) noexcept
{
    const auto found = in_flight_.find(tag);
    if (found == in_flight_.end()) {
        upstream_.stats().unexpected.add();
        return nullptr;
    }
    Try* const query = found->second;
    in_flight_.erase(found);
    if (query == nullptr) return nullptr;
    query->connection_ = nullptr;
    --live_;
    return query;
}

void UpstreamConnection::session_ready() noexcept
{
    ready_ = true;
    doubtful_ = false;
}

void UpstreamConnection::answered(const net::client::Answer& answer) noexcept
{
    const base::Instant now = worker_.now();
    received_ = used_ = now;
    has_answered_ = true;
    doubtful_ = false;
    if (Try* query = take(answer.tag); query != nullptr) upstream_.stream_received(*query, answer.message, now);
}

void UpstreamConnection::unanswered(std::uint16_t tag, unsigned http_status, std::string_view) noexcept
{
    const base::Instant now = worker_.now();
    received_ = used_ = now;
    Try* const query = take(tag);
    if (query == nullptr) return;
    // Requests behind a GOAWAY were never worked on (RFC 9113 §6.8): nobody's failure, as where a connection ends.
    if (http_status == 0 && connection_->session().draining())
        upstream_.connection_lost(*query, *this, Trouble::closed, now);
    else
        upstream_.stream_failed(*query, Trouble::broken, now);
}

void UpstreamConnection::readable(std::uint32_t events, base::Instant now) noexcept
{
    connection_->serve(events, now);
    settle(now);
}

void UpstreamConnection::timer_expired(base::Instant now) noexcept
{
    if (connection_->due() <= now) connection_->expire(now);
    settle(now);
}

void UpstreamConnection::flush(base::Instant now) noexcept
{
    if (ended_) return;
    settle(now);
}

base::Instant UpstreamConnection::next_deadline() const noexcept
{
    const Limits& limits = upstream_.limits();
    base::Instant due = connection_->due();
    if (!ready_) due = std::min(due, opened_ + limits.budget);
    if (ready_ && live_ == 0) due = std::min(due, used_ + limits.idle);
    return due;
}

void UpstreamConnection::settle(base::Instant now)
{
    if (ended_) return;
    if (!connection_->failure()) {
        send_waiting(now);
        connection_->flush(now);
    }
    if (ready_ && !announced_) {
        announced_ = true;
        upstream_.connection_ready(connection_->session().security().resumed);
    }
    if (connection_->failure()) {
        end(trouble_of(connection_->failure()), now);
        return;
    }
    const Limits& limits = upstream_.limits();
    if (!ready_ && now >= opened_ + limits.budget) {
        end(Trouble::unreachable, now);
        return;
    }
    const bool spent = doubtful_ || retiring_ || connection_->session().draining() || now >= used_ + limits.idle;
    if (ready_ && live_ == 0 && spent) {
        close(now);
        end(Trouble::none, now);
        return;
    }
    watch_.change(connection_->wanted_events());
    const base::Instant due = next_deadline();
    if (due != base::Instant::max()) worker_.arm(timer_, std::max(due, now));
}

void UpstreamConnection::retire() noexcept
{
    retiring_ = true;
    worker_.flush_later(flush_);
}

void UpstreamConnection::close(base::Instant now) noexcept
{
    if (connection_) connection_->close(now);
}

/// Tells everyone who waits, then goes: nothing of it is touched afterwards.
void UpstreamConnection::end(Trouble trouble, base::Instant now)
{
    ended_ = true;
    watch_.stop();
    timer_.cancel();
    upstream_.connection_ended(*this, trouble, now);
    upstream_.bury(*this); // its place is free for the queries that begin again below
    // One after the other: what one of them does may take others of them away.
    while (!waiting_.empty()) {
        Try& query = waiting_.front();
        waiting_.pop_front();
        --waiting_count_;
        query.connection_ = nullptr;
        --live_;
        upstream_.connection_lost(query, *this, trouble, now);
    }
    while (!in_flight_.empty()) {
        const auto first = in_flight_.begin();
        Try* const query = first->second;
        in_flight_.erase(first);
        if (query == nullptr) continue;
        query->connection_ = nullptr;
        --live_;
        upstream_.connection_lost(*query, *this, trouble, now);
    }
}

} // namespace sallyport::resolver
