#include "listeners/dns_stream_session.hpp"

#include "wire/framing.hpp"

#include <array>

namespace sallyport::listeners {

DnsStreamSession::~DnsStreamSession() { channel_.pipeline().abandon(waiting_); }

std::size_t DnsStreamSession::received(base::Bytes octets, base::Instant now) noexcept
{
    partial_ = false;
    if (draining_ || ended_) return octets.size();
    wire::FrameReader reader{octets};
    for (std::uint32_t taken = 0;; ++taken) {
        const base::Bytes rest = reader.rest();
        const auto message = reader.next();
        if (!message) break;
        if (must_wait() || taken == limits_.messages_per_turn) {
            if (taken == limits_.messages_per_turn) channel_.resume_reading(); // another turn, for what is left
            if (must_wait()) pause();
            return octets.size() - rest.size();
        }
        if (!take(*message, now)) return octets.size();
    }
    partial_ = !reader.rest().empty();
    return octets.size() - reader.rest().size();
}

bool DnsStreamSession::take(base::Bytes message, base::Instant now) noexcept
{
    ++stats_.messages;
    ++in_work_;
    const auto intake = channel_.pipeline().receive({message, channel_.client(), *this, 0, waiting_, now});
    if (intake == pipeline::Intake::taken) return !ended_;
    // A response, or too short for a header: who sends that does not speak DNS to us (RFC 7766 §8).
    --in_work_;
    ++stats_.bad_messages;
    end();
    return false;
}

bool DnsStreamSession::must_wait() const noexcept
{
    return in_work_ >= limits_.queries_in_work || answers_waiting_ >= limits_.backlog_answers ||
           channel_.backlog() >= limits_.backlog_bytes;
}

void DnsStreamSession::pause() noexcept
{
    ++(in_work_ >= limits_.queries_in_work ? stats_.work_pauses : stats_.backlog_pauses);
    paused_ = true;
    channel_.pause_reading();
}

void DnsStreamSession::resume() noexcept
{
    // At half of the limit, so that a slow reader does not make us turn back and forth.
    if (!paused_ || must_wait() || channel_.backlog() > limits_.backlog_bytes / 2) return;
    paused_ = false;
    channel_.resume_reading();
}

void DnsStreamSession::progressed(base::Instant) noexcept
{
    if (channel_.backlog() == 0) answers_waiting_ = 0;
    resume();
}

Activity DnsStreamSession::activity() const noexcept
{
    if (in_work_ > 0 || paused_ || channel_.backlog() > 0) return Activity::answering;
    return partial_ ? Activity::receiving : Activity::idle;
}

void DnsStreamSession::drain() noexcept
{
    draining_ = true;
    partial_ = false;
    if (in_work_ == 0) end();
}

void DnsStreamSession::reply(const pipeline::Reply& reply) noexcept
{
    if (!ended_) channel_.write(reply.framed());
    ++answers_waiting_;
    work_done();
}

void DnsStreamSession::dropped(std::uint64_t) noexcept
{
    work_done();
    resume();
}

void DnsStreamSession::work_done() noexcept
{
    --in_work_;
    if (draining_ && in_work_ == 0) end();
}

void DnsStreamSession::end() noexcept
{
    if (ended_) return;
    ended_ = true;
    channel_.end();
}

} // namespace sallyport::listeners
