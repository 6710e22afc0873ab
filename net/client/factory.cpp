#include "net/client/factory.hpp"

#include "net/client/datagram_session.hpp"
#include "net/client/http1_session.hpp"
#include "net/client/http2_session.hpp"
#include "net/client/stream_session.hpp"
#include "net/client/tls_client.hpp"
#ifdef SALLYPORT_HAS_QUIC
#include "net/client/quic_doq.hpp"
#include "net/client/quic_http3.hpp"
#endif

namespace sallyport::net::client {

namespace {

using base::Transport;
using namespace std::string_view_literals;

constexpr std::string_view kAlpnDot = "\x03"
                                      "dot"sv;
constexpr std::string_view kAlpnHttp2 = "\x02"
                                        "h2"sv;
constexpr std::string_view kAlpnHttp1 = "\x08"
                                        "http/1.1"sv;

class Factory final : public SessionFactory {
public:
    Factory(PeerOptions peer, const Limits& limits) : peer_(std::move(peer)), limits_(limits) {}

    [[nodiscard]] base::Result<void> prepare();
    [[nodiscard]] std::unique_ptr<Session> session(SessionUser& user, PeerMemory* memory) const override;

private:
    [[nodiscard]] bool needs_tls() const noexcept
    {
        const bool http = peer_.transport == Transport::doh1 || peer_.transport == Transport::doh2;
        return peer_.transport == Transport::dot || (http && !peer_.doh.cleartext);
    }
    [[nodiscard]] bool needs_quic() const noexcept
    {
        return peer_.transport == Transport::doq || peer_.transport == Transport::doh3;
    }
    [[nodiscard]] std::unique_ptr<TlsChannel> channel(std::string_view alpn, PeerMemory* memory) const
    {
        return tls_ ? std::make_unique<TlsChannel>(*tls_, alpn, memory) : nullptr;
    }

    PeerOptions peer_;
    Limits limits_;
    std::unique_ptr<TlsContext> tls_;
#ifdef SALLYPORT_HAS_QUIC
    std::unique_ptr<QuicTls> quic_tls_;
#endif
};

base::Result<void> Factory::prepare()
{
    if (needs_tls()) {
        auto made = TlsContext::make(peer_.tls);
        if (!made) return made.error();
        tls_ = std::move(*made);
    }
    if (needs_quic()) {
#ifdef SALLYPORT_HAS_QUIC
        auto made = QuicTls::make(peer_.tls);
        if (!made) return made.error();
        quic_tls_ = std::move(*made);
#else
        return base::Error{base::ErrorCode::unsupported, "this build has no QUIC: no DoQ and no DoH over HTTP/3"};
#endif
    }
    return {};
}

std::unique_ptr<Session> Factory::session(SessionUser& user, PeerMemory* memory) const
{
    switch (peer_.transport) {
    case Transport::udp: return std::make_unique<DatagramSession>(user);
    case Transport::tcp: return std::make_unique<DnsStreamSession>(user, nullptr);
    case Transport::dot: return std::make_unique<DnsStreamSession>(user, channel(kAlpnDot, memory));
    case Transport::doh1: return std::make_unique<Http1Session>(user, channel(kAlpnHttp1, memory), peer_.doh, limits_);
    case Transport::doh2: return std::make_unique<Http2Session>(user, channel(kAlpnHttp2, memory), peer_.doh, limits_);
#ifdef SALLYPORT_HAS_QUIC
    case Transport::doq: return std::make_unique<DoqSession>(user, *quic_tls_, memory, limits_);
    case Transport::doh3: return std::make_unique<Http3Session>(user, *quic_tls_, memory, peer_.doh, limits_);
#endif
    default: return nullptr;
    }
}

} // namespace

base::Result<std::unique_ptr<SessionFactory>> SessionFactory::make(const PeerOptions& peer, const Limits& limits)
{
    auto factory = std::make_unique<Factory>(peer, limits);
    if (auto ready = factory->prepare(); !ready) return ready.error();
    return std::unique_ptr<SessionFactory>{std::move(factory)};
}

Memory::Memory() : memory_(std::make_unique<PeerMemory>()) {}
Memory::~Memory() = default;

} // namespace sallyport::net::client
