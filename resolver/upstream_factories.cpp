#include "resolver/pins.hpp"
#include "resolver/upstream.hpp"

namespace sallyport::resolver {

base::Result<Factories> make_factories(const UpstreamOptions& options, const Limits& limits)
{
    net::client::PeerOptions peer;
    peer.transport = options.transport == base::Transport::udp ? base::Transport::tcp : options.transport;
    peer.tls.server_name = options.server_name.empty() ? options.host : options.server_name;
    peer.tls.ca_file = options.ca_file;
    peer.tls.verify = options.verify;
    for (const std::string& text : options.spki_pins) {
        const auto pin = parse_pin(text);
        if (!pin) return base::Error{base::ErrorCode::invalid, "'" + text + "' is no pin"};
        peer.tls.spki_pins.push_back(*pin);
    }
    const bool v6 = options.host.find(':') != std::string::npos;
    peer.doh.authority = v6 ? "[" + options.host + "]" : options.host;
    if (options.port != 443) peer.doh.authority += ":" + std::to_string(options.port);
    peer.doh.path = options.doh_path;
    net::client::Limits session_limits;
    session_limits.streams = limits.pipeline;
    auto made = net::client::SessionFactory::make(peer, session_limits);
    if (!made) return made.error();
    return Factories{std::shared_ptr<const net::client::SessionFactory>{std::move(*made)}};
}

bool is_same(const UpstreamOptions& left, const UpstreamOptions& right)
{
    UpstreamOptions moved = left;
    moved.position = right.position;
    return moved == right;
}

} // namespace sallyport::resolver
