#include "zones/transfer_client.hpp"

#include "net/socket.hpp"
#include "wire/framing.hpp"
#include "wire/rdata.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace sallyport::zones {

using Kind = TransferFailure::Kind;
using std::chrono::milliseconds;

namespace {

using Failed = std::optional<TransferFailure>;

TransferFailure broken(int reason) { return {Kind::unreachable, {}, std::strerror(reason)}; }

TransferFailure bad_content(TransferError error, wire::Rcode rcode = {})
{
    std::string text{to_string(error)};
    if (error == TransferError::refused) text += " (" + wire::to_string(rcode) + ")";
    return {Kind::bad_content, error, std::move(text)};
}

/// One connection with its times.
class Exchange {
public:
    Exchange(const TransferTimes& times, const base::Clock& clock, int cancelled)
        : times_(times), clock_(clock), end_(clock.now() + times.whole), cancelled_(cancelled)
    {
    }

    [[nodiscard]] Failed connect(const base::Endpoint& server)
    {
        sockaddr_storage target{};
        const socklen_t size = server.to_sockaddr(target);
        socket_.reset(::socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket_) return broken(errno);
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target), size) == 0) return std::nullopt;
        if (errno != EINPROGRESS) return broken(errno);
        if (Failed failed = wait(POLLOUT, times_.connect)) return failed;
        int reason = 0;
        socklen_t length = sizeof reason;
        if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &reason, &length) != 0) reason = errno;
        return reason == 0 ? std::nullopt : Failed{broken(reason)};
    }

    [[nodiscard]] Failed send(base::Bytes message)
    {
        std::vector<std::uint8_t> framed(2);
        base::store_be16(framed, 0, static_cast<std::uint16_t>(message.size()));
        framed.insert(framed.end(), message.begin(), message.end());
        base::Bytes rest{framed};
        while (!rest.empty()) {
            const auto size = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
            if (size > 0) {
                rest = rest.subspan(static_cast<std::size_t>(size));
            } else if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                if (Failed failed = wait(POLLOUT, times_.idle)) return failed;
            } else if (size == 0 || errno != EINTR) {
                return broken(size == 0 ? EPIPE : errno);
            }
        }
        return std::nullopt;
    }

    /// `take` gets message after message until it wants no more (false).
    template <class Take>
    [[nodiscard]] Failed receive(Take&& take)
    {
        for (;;) {
            wire::FrameReader frames{{buffer_.data(), held_}};
            while (const auto message = frames.next())
                if (!take(*message)) return std::nullopt;
            const base::Bytes rest = frames.rest();
            std::memmove(buffer_.data(), rest.data(), rest.size());
            held_ = rest.size();
            if (Failed failed = read_more()) return failed;
        }
    }

private:
    [[nodiscard]] Failed read_more()
    {
        for (;;) {
            // Also where there is always something to read.
            if (Failed failed = look()) return failed;
            const auto size = ::recv(socket_.get(), buffer_.data() + held_, buffer_.size() - held_, 0);
            if (size > 0) {
                held_ += static_cast<std::size_t>(size);
                return std::nullopt;
            }
            if (size == 0) return TransferFailure{Kind::cut_short, {}, "the server closed before the end"};
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                if (Failed failed = wait(POLLIN, times_.idle)) return failed;
            } else if (errno != EINTR) {
                return broken(errno);
            }
        }
    }

    /// Whether it is time to give up.
    [[nodiscard]] Failed look() const
    {
        if (clock_.now() >= end_) return TransferFailure{Kind::too_slow, {}, "took too long"};
        pollfd end{cancelled_, POLLIN, 0};
        if (::poll(&end, 1, 0) > 0) return TransferFailure{Kind::cancelled, {}, "given up"};
        return std::nullopt;
    }

    [[nodiscard]] Failed wait(short events, milliseconds patience) const
    {
        const auto until = std::min(clock_.now() + patience, end_);
        for (;;) {
            const auto left = std::chrono::ceil<milliseconds>(until - clock_.now());
            if (left.count() <= 0) {
                if (until == end_) return TransferFailure{Kind::too_slow, {}, "took too long"};
                return TransferFailure{Kind::silent, {}, "no answer in time"};
            }
            std::array<pollfd, 2> waiting{{{socket_.get(), events, 0}, {cancelled_, POLLIN, 0}}};
            const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left.count()));
            if (ready < 0 && errno != EINTR) return broken(errno);
            if (ready > 0 && waiting[1].revents != 0) return TransferFailure{Kind::cancelled, {}, "given up"};
            if (ready > 0) return std::nullopt;
        }
    }

    const TransferTimes& times_;
    const base::Clock& clock_;
    base::Instant end_;
    int cancelled_;
    net::Descriptor socket_;
    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(2 + wire::kMaxMessageSize);
    std::size_t held_ = 0;
};

/// The SOA out of the response to a query for it.
TransferResult<SoaNumbers> soa_of(base::Bytes message, const wire::Name& apex, std::uint16_t id)
{
    const auto view = wire::MessageView::parse(message);
    if (!view) return bad_content(TransferError::malformed);
    const wire::Header& header = view->header();
    if (header.id != id || !header.has(wire::flag::QR) || header.opcode() != wire::Opcode::QUERY)
        return bad_content(TransferError::not_a_response);
    if (view->rcode() != wire::Rcode::NOERROR) return bad_content(TransferError::refused, view->rcode());
    if (header.question_count != 1 || view->qtype() != wire::RrType::SOA || !view->qname().equals(apex))
        return bad_content(TransferError::not_a_response);
    if (!header.has(wire::flag::AA)) return bad_content(TransferError::not_authoritative);
    for (const wire::RecordView& record : view->answers()) {
        if (record.type != wire::RrType::SOA || !record.owner.equals(apex)) continue;
        std::vector<std::uint8_t> rdata;
        if (!wire::decompress_rdata(message, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                    record.type, rdata))
            return bad_content(TransferError::malformed);
        return read_soa(rdata);
    }
    return bad_content(TransferError::no_soa_first);
}

} // namespace

TransferResult<SoaNumbers> TransferClient::ask_soa(const base::Endpoint& server)
{
    const auto id = static_cast<std::uint16_t>(random_.number());
    Exchange exchange{options_.times, clock_, cancelled_};
    if (Failed failed = exchange.connect(server)) return *failed;
    if (Failed failed = exchange.send(write_zone_query(apex_, wire::RrType::SOA, id))) return *failed;
    TransferResult<SoaNumbers> result = TransferFailure{};
    if (Failed failed = exchange.receive([&](base::Bytes message) {
            result = soa_of(message, apex_, id);
            return false;
        }))
        return *failed;
    return result;
}

TransferResult<TransferredZone> TransferClient::transfer(const base::Endpoint& server)
{
    const auto id = static_cast<std::uint16_t>(random_.number());
    Exchange exchange{options_.times, clock_, cancelled_};
    if (Failed failed = exchange.connect(server)) return *failed;
    if (Failed failed = exchange.send(write_zone_query(apex_, wire::RrType::AXFR, id))) return *failed;
    TransferReader reader{apex_, id, options_.limits};
    auto step = TransferReader::Step::more;
    if (Failed failed = exchange.receive([&](base::Bytes message) {
            step = reader.take(message);
            return step == TransferReader::Step::more;
        }))
        return *failed;
    if (step == TransferReader::Step::failed) return bad_content(reader.error(), reader.rcode());
    return reader.take_zone();
}

} // namespace sallyport::zones
