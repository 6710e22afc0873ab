#include "wire/edns.hpp"

#include "wire/edns_fill.hpp"

#include <algorithm>

namespace sallyport::wire {
namespace {

/// RFC 7873 §5.2.2: a client cookie of 8 octets, alone or with a server cookie of 8 to 32.
bool is_cookie_size(std::size_t size) noexcept { return size == 8 || (size >= 16 && size <= 40); }

/// Notes one option. False where it is malformed in itself.
bool note_option(EdnsView& edns, EdnsOptionCode code, base::Bytes data) noexcept
{
    switch (code) {
    case EdnsOptionCode::COOKIE:
        if (edns.cookie) return true;
        if (!is_cookie_size(data.size())) return false;
        edns.cookie = data;
        return true;
    case EdnsOptionCode::TCP_KEEPALIVE:
        if (edns.tcp_keepalive) return true;
        edns.tcp_keepalive = true;
        return data.empty() || data.size() == 2; // RFC 7828 §3.1
    case EdnsOptionCode::CLIENT_SUBNET:
        if (!edns.client_subnet) edns.client_subnet = data;
        return true;
    case EdnsOptionCode::PADDING:
        if (!edns.padding) edns.padding = data;
        return true;
    case EdnsOptionCode::NSID: edns.nsid = true; return true;
    default: return true;
    }
}

} // namespace

bool fill_edns(EdnsView& edns, base::Bytes rdata, std::uint16_t opt_class, std::uint32_t opt_ttl) noexcept
{
    edns.udp_payload_size = std::max<std::uint16_t>(opt_class, kMaxUdpWithoutEdns);
    edns.extended_rcode = static_cast<std::uint8_t>(opt_ttl >> 24U);
    edns.version = static_cast<std::uint8_t>((opt_ttl >> 16U) & 0xFFU);
    edns.dnssec_ok = (opt_ttl & 0x8000U) != 0;
    edns.options = rdata;

    EdnsOptions options{rdata};
    for (unsigned count = 0; const auto option = options.next(); ++count) {
        if (count >= kMaxEdnsOptions || !note_option(edns, option->code, option->data)) return false;
    }
    return options.rest().empty();
}

base::Result<EdnsView, ParseError> read_edns(base::Bytes rdata, std::uint16_t opt_class, std::uint32_t opt_ttl) noexcept
{
    base::Result<EdnsView, ParseError> result{EdnsView{}};
    if (!fill_edns(*result, rdata, opt_class, opt_ttl)) return ParseError::bad_option;
    return result;
}

base::Result<ClientSubnet, ParseError> read_client_subnet(base::Bytes option) noexcept
{
    if (option.size() < 4) return ParseError::bad_option;
    ClientSubnet subnet;
    subnet.family = base::load_be16(option, 0);
    subnet.source_prefix = option[2];
    subnet.scope_prefix = option[3];
    subnet.address = option.subspan(4);

    if (subnet.family != 1 && subnet.family != 2) return ParseError::bad_option;
    const unsigned bits = subnet.family == 1 ? 32 : 128;
    if (subnet.source_prefix > bits || subnet.scope_prefix > bits) return ParseError::bad_option;
    if (subnet.address.size() != (subnet.source_prefix + 7U) / 8U) return ParseError::bad_option;
    const unsigned used = subnet.source_prefix % 8U;
    if (used != 0 && (subnet.address.back() & (0xFFU >> used)) != 0) return ParseError::bad_option;
    return subnet;
}

} // namespace sallyport::wire
