#include "net/client/stream_session.hpp"

#include "wire/framing.hpp"
#include "wire/types.hpp"

namespace sallyport::net::client {

void StreamSession::start(const base::Endpoint&, const base::Endpoint&, base::Instant)
{
    if (tls_) {
        tls_->advance();
        return;
    }
    open_ = true;
    opened();
}

void StreamSession::receive(base::Bytes bytes, base::Instant)
{
    if (failure()) return;
    if (!tls_) {
        take_plain(bytes);
        return;
    }
    tls_->feed(bytes);
    if (!tls_->open()) tls_->advance();
    if (tls_->open() && !open_) {
        open_ = true;
        opened();
    }
    read_tls();
}

void StreamSession::read_tls()
{
    tls_->read(incoming_);
    const std::size_t used = consume(incoming_);
    incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(used));
    if (tls_->failure()) fail(tls_->failure().kind, tls_->failure().detail);
    if (tls_->peer_finished()) peer_closed();
}

void StreamSession::take_plain(base::Bytes plain)
{
    // Mostly whole messages arrive: then nothing is copied.
    if (incoming_.empty()) {
        const std::size_t used = consume(plain);
        incoming_.assign(plain.begin() + static_cast<std::ptrdiff_t>(used), plain.end());
        return;
    }
    incoming_.insert(incoming_.end(), plain.begin(), plain.end());
    const std::size_t used = consume(incoming_);
    incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(used));
}

void StreamSession::peer_closed() noexcept
{
    if (closing_) return;
    const bool early = tls_ && !tls_->open();
    fail(FailureKind::closed,
         early ? "the server closed the connection during the TLS handshake" : "the server closed the connection");
}

void StreamSession::flush(Output& output, base::Instant)
{
    if (open_ && !failure()) produce(outgoing_);
    if (!tls_) {
        if (!outgoing_.empty()) output.send(outgoing_);
        outgoing_.clear();
        return;
    }
    if (!outgoing_.empty()) tls_->write(outgoing_);
    outgoing_.clear();
    if (closing_) tls_->close();
    tls_->flush(output);
    if (tls_->failure()) fail(tls_->failure().kind, tls_->failure().detail);
}

void StreamSession::close(base::Instant) noexcept { closing_ = true; }

unsigned DnsStreamSession::room() const noexcept { return is_open() ? 65'535U : 0U; }

bool DnsStreamSession::ask(std::uint16_t, base::Bytes query)
{
    if (room() == 0 || query.size() > wire::kMaxMessageSize) return false;
    queries_.push_back(static_cast<std::uint8_t>(query.size() >> 8U));
    queries_.push_back(static_cast<std::uint8_t>(query.size() & 0xFFU));
    queries_.insert(queries_.end(), query.begin(), query.end());
    return true;
}

std::size_t DnsStreamSession::consume(base::Bytes plain)
{
    wire::FrameReader frames{plain};
    while (const auto message = frames.next()) {
        if (message->size() < wire::kHeaderSize) {
            fail(FailureKind::protocol, "the server sent a message shorter than a DNS header");
            break;
        }
        Answer answer;
        answer.tag = base::load_be16(*message, 0);
        answer.message = *message;
        user().answered(answer);
    }
    return plain.size() - frames.rest().size();
}

void DnsStreamSession::produce(std::vector<std::uint8_t>& plain)
{
    if (plain.empty()) {
        plain.swap(queries_);
    } else {
        plain.insert(plain.end(), queries_.begin(), queries_.end());
    }
    queries_.clear();
}

} // namespace sallyport::net::client
