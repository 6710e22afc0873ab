#include "resolver/recurse_stream.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace sallyport::resolver {

bool RecurseStream::open(const net::client::SessionFactory& factory, base::Instant now)
{
    opened_ = used_ = now;
    auto session = factory.session(*this, memory_ ? memory_->get() : nullptr);
    if (!session) return false;
    auto opened = net::client::Connection::open(server_, std::move(session), now);
    if (!opened) return false;
    connection_ = std::move(*opened);
    if (connection_->failure()) return false;
    if (!watch_.start(worker_, connection_->fd(), connection_->wanted_events())) return false;
    worker_.flush_later(flush_);
    return true;
}

bool RecurseStream::has_room(std::uint16_t id) const noexcept
{
    return !ended_ && !doubtful_ && !released_ && !broken_ && in_flight_.size() < limits_.pipeline &&
           !in_flight_.contains(id);
}

void RecurseStream::ask(iterate::Token token, std::vector<std::uint8_t> message)
{
    const std::uint16_t id = base::load_be16(message, 0);
    in_flight_.emplace(id, Waiting{token, std::move(message), {}, false, has_answered_});
    used_ = worker_.now();
    worker_.flush_later(flush_);
}

void RecurseStream::forget(iterate::Token token) noexcept
{
    const auto found = std::find_if(in_flight_.begin(), in_flight_.end(),
                                    [token](const auto& entry) { return entry.second.token == token; });
    if (found == in_flight_.end()) return;
    // TLS and QUIC need some round trips to begin with; their own timeout decides then.
    const bool begins = !ready_ && transport_ != base::Transport::tcp;
    if (!begins && (!found->second.is_sent || received_ < found->second.sent)) doubtful_ = true;
    in_flight_.erase(found);
    worker_.flush_later(flush_);
}

void RecurseStream::release() noexcept
{
    released_ = true;
    worker_.flush_later(flush_);
}

void RecurseStream::send_waiting(base::Instant now)
{
    if (!ready_) return;
    for (auto& [id, query] : in_flight_) {
        if (query.is_sent || !connection_->session().ask(id, query.message)) continue;
        query.is_sent = true;
        query.sent = now;
    }
}

void RecurseStream::answered(const net::client::Answer& answer) noexcept
{
    if (transport_ != base::Transport::doq) return answered(answer.tag, answer.message);
    // RFC 9250 §4.2.1: the stream tells which query it is for; the id is 0, and another one ends the connection
    // (§4.3.3).
    if (broken_ || base::load_be16(answer.message, 0) != 0) {
        broken_ = true;
        return;
    }
    std::vector<std::uint8_t> message{answer.message.begin(), answer.message.end()};
    base::store_be16(message, 0, answer.tag);
    answered(answer.tag, message);
}

void RecurseStream::answered(std::uint16_t id, base::Bytes message) noexcept
{
    received_ = used_ = worker_.now();
    has_answered_ = true;
    doubtful_ = false;
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end()) {
        user_.stream_unexpected();
        return;
    }
    const iterate::Token token = found->second.token;
    if (!user_.stream_answered(token, message)) return;
    // What it led to may have taken others away, or this one.
    const auto still = in_flight_.find(id);
    if (still != in_flight_.end() && still->second.token == token) in_flight_.erase(still);
}

void RecurseStream::unanswered(std::uint16_t tag, unsigned, std::string_view) noexcept
{
    const auto found = in_flight_.find(tag);
    if (found == in_flight_.end()) return;
    Waiting query = std::move(found->second);
    in_flight_.erase(found);
    user_.stream_failed(query.token, std::move(query.message), false);
}

void RecurseStream::readable(std::uint32_t events, base::Instant now) noexcept
{
    connection_->serve(events, now);
    settle(now);
}

void RecurseStream::timer_expired(base::Instant now) noexcept
{
    if (connection_->due() <= now) connection_->expire(now);
    settle(now);
}

void RecurseStream::flush(base::Instant now) noexcept { settle(now); }

bool RecurseStream::is_spent(base::Instant now) const noexcept
{
    if (broken_ || (!ready_ && now >= opened_ + limits_.connect)) return true;
    return in_flight_.empty() && (released_ || doubtful_ || (ready_ && now >= used_ + limits_.idle));
}

void RecurseStream::settle(base::Instant now)
{
    if (ended_) return;
    if (!connection_->failure()) {
        send_waiting(now);
        connection_->flush(now);
    }
    const bool spent = is_spent(now);
    if (connection_->failure() || spent) {
        if (spent) connection_->close(now);
        end();
        return;
    }
    watch_.change(connection_->wanted_events());
    base::Instant due = connection_->due();
    if (!ready_) due = std::min(due, opened_ + limits_.connect);
    if (ready_ && in_flight_.empty()) due = std::min(due, used_ + limits_.idle);
    if (due != base::Instant::max()) worker_.arm(timer_, std::max(due, now));
}

void RecurseStream::end()
{
    ended_ = true;
    watch_.stop();
    timer_.cancel();
    auto queries = std::move(in_flight_);
    in_flight_.clear();
    user_.stream_ended(*this, !queries.empty());
    for (auto& [id, query] : queries) user_.stream_failed(query.token, std::move(query.message), query.on_used);
}

} // namespace sallyport::resolver
