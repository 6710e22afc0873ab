#include "conf/upstream_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sallyport::conf {
namespace {

using base::Transport;

struct Scheme {
    std::string_view name;
    Transport transport;
    std::uint16_t port;
};
constexpr std::array<Scheme, 6> kSchemes{{{"udp", Transport::udp, 53},
                                          {"tcp", Transport::tcp, 53},
                                          {"tls", Transport::dot, 853},
                                          {"https", Transport::doh2, 443},
                                          {"h3", Transport::doh3, 443},
                                          {"quic", Transport::doq, 853}}};

constexpr std::string_view kExpected =
    "expected an address, or udp://, tcp://, tls://, https://, h3:// or quic:// with a host and perhaps :PORT";

bool has_path(Transport transport) noexcept { return transport == Transport::doh2 || transport == Transport::doh3; }

bool is_encrypted(Transport transport) noexcept { return transport != Transport::udp && transport != Transport::tcp; }

/// Splits `host`, `host:port`, `[address]:port`, and an IPv6 address that stands alone.
bool split_authority(std::string_view text, std::string_view& host, std::string_view& port) noexcept
{
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return false;
        host = text.substr(1, end - 1);
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && (rest.size() < 2 || rest.front() != ':')) return false;
        port = rest.empty() ? rest : rest.substr(1);
        return true;
    }
    if (std::count(text.begin(), text.end(), ':') > 1) {
        host = text;
        return true;
    }
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    if (colon == std::string_view::npos) return true;
    port = text.substr(colon + 1);
    return !port.empty();
}

} // namespace

bool is_domain_name(std::string_view text) noexcept
{
    if (text == ".") return true;
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > 253) return false;
    std::size_t label = 0;
    for (const char c : text) {
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!plain || ++label > 63) return false;
    }
    return label > 0;
}

std::string read_upstream_url(std::string_view url, resolver::UpstreamOptions& options)
{
    const std::string shown = "'" + std::string{url.substr(0, 120)} + "' is no upstream; ";
    const auto colon = url.find("://");
    const std::string_view scheme = colon == std::string_view::npos ? "udp" : url.substr(0, colon);
    const auto known =
        std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme& one) { return one.name == scheme; });
    if (known == kSchemes.end()) return shown + std::string{kExpected};
    std::string_view rest = colon == std::string_view::npos ? url : url.substr(colon + 3);
    if (const auto mark = rest.find('#'); mark != std::string_view::npos) {
        options.server_name = rest.substr(mark + 1);
        rest = rest.substr(0, mark);
        if (!is_encrypted(known->transport))
            return shown + "a server name (#…) belongs to tls, https, h3 and quic only";
        if (!is_domain_name(options.server_name)) return shown + "expected a domain name after '#'";
    }
    if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
        std::string_view path = rest.substr(slash);
        rest = rest.substr(0, slash);
        if (!has_path(known->transport) && path != "/") return shown + "only https:// and h3:// have a path";
        if (const auto brace = path.find("{?"); brace != std::string_view::npos) path = path.substr(0, brace);
        const bool odd = std::any_of(path.begin(), path.end(), [](char c) { return c <= ' ' || c >= 0x7F; });
        if (odd || path.find_first_of("\"\\{}") != std::string_view::npos || path.size() > 256)
            return shown + "expected a path like /dns-query";
        if (path != "/") options.doh_path = path;
    }
    std::string_view host;
    std::string_view port;
    if (!split_authority(rest, host, port)) return shown + std::string{kExpected};
    options.transport = known->transport;
    options.port = known->port;
    options.host = host;
    if (!port.empty()) {
        const auto read = std::from_chars(port.data(), port.data() + port.size(), options.port);
        if (read.ec != std::errc{} || read.ptr != port.data() + port.size() || options.port == 0)
            return shown + "expected a port from 1 to 65535";
    }
    if (const auto address = base::IpAddress::parse(options.host)) {
        options.addresses = {*address};
        return {};
    }
    return is_domain_name(options.host) ? std::string{} : shown + std::string{kExpected};
}

} // namespace sallyport::conf
