#include "listeners/port_terms.hpp"

#include "listeners/doh_sessions.hpp"

#include <utility>

namespace sallyport::listeners {
namespace {

constexpr bool kHasQuic =
#ifdef SALLYPORT_HAS_QUIC
    true;
#else
    false;
#endif

void fill_doh(PortTerms& terms, const DohContext& shared)
{
    const DohOptions& door = terms.port.doh->doh;
    terms.doh = shared;
    terms.doh.options = &door;
    terms.doh.limits = &terms.layout->options.http;
    // Clients of a TLS door find HTTP/3 at the same number.
    if (!kHasQuic || terms.port.kind != Port::Kind::tls || !door.alt_svc || !door.http3) return;
    terms.alt_svc = "h3=\":" + std::to_string(terms.bound.port) + "\"; ma=86400";
    terms.doh.alt_svc = terms.alt_svc;
}

void fill_stream(PortTerms& terms, bool unix_socket)
{
    const Port& port = terms.port;
    StreamPort& stream = terms.stream;
    stream.id = port.id;
    stream.tls = port.kind == Port::Kind::tls;
    stream.dns = port.do53 != nullptr || port.dot != nullptr;
    stream.http = port.doh != nullptr;
    stream.unix_socket = unix_socket;
    if (port.dot != nullptr) stream.alpn.protocols.emplace_back("dot");
    if (stream.http) stream.alpn.protocols.insert(stream.alpn.protocols.end(), {"h2", "http/1.1"});
    // Without ALPN it is DoT (Android), or on a port of DoH alone HTTP/1.1.
    stream.alpn.none_offered_is_fine = true;
    for (const DoorOptions* door : {port.do53, port.dot, port.doh})
        if (door != nullptr)
            stream.proxies.insert(stream.proxies.end(), door->proxy_protocol_from.begin(),
                                  door->proxy_protocol_from.end());
    stream.doh = terms.doh_or_null();
    stream.make_http1 = make_http1_session;
    stream.make_http2 = make_http2_session;
}

} // namespace

std::shared_ptr<PortTerms> make_terms(std::shared_ptr<const Layout> layout, std::size_t index, const DohContext& shared,
                                      bool unix_socket)
{
    auto terms = std::make_shared<PortTerms>(std::move(layout), index);
    if (terms->port.doh != nullptr) fill_doh(*terms, shared);
    if (!is_datagram(terms->port.kind)) fill_stream(*terms, unix_socket);
    return terms;
}

} // namespace sallyport::listeners
