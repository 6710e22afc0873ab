#include "pipeline/finish.hpp"

#include <algorithm>

namespace sallyport::pipeline {
namespace {

using base::Transport;
using wire::Rcode;

constexpr std::size_t kOptFixed = 11;
constexpr std::size_t kOptionHead = 4;
constexpr std::size_t kKeepaliveOption = kOptionHead + 2;

/// Cookies are for transports on which an address can be forged or a connection is not encrypted (RFC 7873 §1).
bool takes_cookies(Transport transport) noexcept { return transport == Transport::udp || transport == Transport::tcp; }

bool is_encrypted(Transport transport) noexcept { return !takes_cookies(transport); }

} // namespace

Finisher::Finisher(const Options& options, const base::SipKey& cookie_secret, Stats& stats)
    : udp_payload_size_(std::clamp<std::uint16_t>(options.udp_payload_size, 512, 4096)),
      padding_block_(options.padding_block),
      keepalive_(static_cast<std::uint16_t>(std::min<std::uint32_t>(options.keepalive_milliseconds / 100, 65535))),
      cookies_(options.cookies),
      nsid_(options.nsid.begin(), options.nsid.end()),
      cookie_(cookie_secret),
      subnets_(options.client_subnet),
      stats_(stats)
{
}

std::size_t Finisher::limit(const Query& query) const noexcept
{
    if (!base::is_datagram(query.client.transport)) return wire::kMaxMessageSize;
    const auto* const edns = query.request.edns();
    if (edns == nullptr) return wire::kMaxUdpWithoutEdns;
    return std::clamp<std::size_t>(edns->udp_payload_size, wire::kMaxUdpWithoutEdns, udp_payload_size_);
}

std::size_t Finisher::reserve(const Query& query) const noexcept
{
    const auto* const edns = query.request.edns();
    if (edns == nullptr) return 0;
    std::size_t size = kOptFixed;
    if (answers_cookie(query)) size += kOptionHead + std::tuple_size_v<FullCookie>;
    if (edns->nsid && !nsid_.empty()) size += kOptionHead + nsid_.size();
    if (wants_keepalive(query)) size += kKeepaliveOption;
    return size + subnets_.reserve(*edns);
}

bool Finisher::wants_keepalive(const Query& query) const noexcept
{
    const auto transport = query.client.transport;
    return query.request.edns()->tcp_keepalive && (transport == Transport::tcp || transport == Transport::dot);
}

bool Finisher::answers_cookie(const Query& query) const noexcept
{
    return cookies_ && query.request.edns()->cookie.has_value() && takes_cookies(query.client.transport);
}

void Finisher::check_cookie(Query& query, std::uint32_t unix_time) noexcept
{
    if (query.request.edns() == nullptr || !answers_cookie(query)) return;
    const auto verdict = cookie_.verify(*query.request.edns()->cookie, query.client.peer.address, unix_time);
    query.cookie_valid = verdict != ServerCookie::Verdict::absent;
    query.cookie_renew_ = verdict != ServerCookie::Verdict::valid;
    ++(query.cookie_valid ? stats_.cookies_valid : stats_.cookies_new);
}

void Finisher::finish(Query& query, std::uint32_t unix_time) noexcept
{
    wire::MessageWriter& answer = *query.answer;
    answer.set_limit(limit(query));
    const auto* const edns = query.request.edns();
    // Only for those who know what it means (RFC 6840 §5.8).
    if (!query.dnssec_ok && !query.request.header().has(wire::flag::AD)) answer.clear_flags(wire::flag::AD);
    if (edns != nullptr) write_opt(query, *edns, unix_time);
    // Codes above 15 have their upper bits in OPT: without one the client would read another code.
    else if (static_cast<unsigned>(answer.rcode()) > 15)
        answer.set_rcode(Rcode::SERVFAIL);
    count(query);
}

void Finisher::write_opt(Query& query, const wire::EdnsView& asked, std::uint32_t unix_time) noexcept
{
    wire::MessageWriter& answer = *query.answer;
    // The room was reserved, so only a writer misused could refuse; an answer without OPT is still an answer.
    if (!answer.begin_opt(udp_payload_size_, query.dnssec_ok)) return;
    bool fits = true;
    if (answers_cookie(query)) {
        const auto& client_address = query.client.peer.address;
        if (query.cookie_renew_ || !query.cookie_valid) {
            fits = answer.option(wire::EdnsOptionCode::COOKIE, cookie_.make(*asked.cookie, client_address, unix_time));
        } else {
            fits = answer.option(wire::EdnsOptionCode::COOKIE, *asked.cookie);
        }
    }
    if (fits && asked.nsid && !nsid_.empty()) fits = answer.option(wire::EdnsOptionCode::NSID, nsid_);
    if (fits && wants_keepalive(query)) {
        std::array<std::uint8_t, 2> timeout{};
        base::store_be16(timeout, 0, keepalive_);
        fits = answer.option(wire::EdnsOptionCode::TCP_KEEPALIVE, timeout);
    }
    if (fits) fits = subnets_.write(query, asked, answer);
    // EDE is for people: where there is no room for it the answer goes without.
    if (fits && query.ede) (void)answer.extended_error(query.ede->code, query.ede->text);
    const bool pad = padding_block_ != 0 && is_encrypted(query.client.transport);
    if (pad) answer.pad_to(padding_block_);
    answer.end_opt();
}

void Finisher::count(const Query& query) noexcept
{
    if (query.source == Source::rule) ++stats_.from_rule;
    if (query.source == Source::zone) ++stats_.from_zone;
    if ((query.answer->flags() & wire::flag::TC) != 0) ++stats_.truncated;
    switch (query.answer->rcode()) {
    case Rcode::FORMERR: ++stats_.formerr; break;
    case Rcode::SERVFAIL: ++stats_.servfail; break;
    case Rcode::NXDOMAIN: ++stats_.nxdomain; break;
    case Rcode::NOTIMP: ++stats_.notimp; break;
    case Rcode::REFUSED: ++stats_.refused; break;
    case Rcode::BADVERS: ++stats_.badvers; break;
    default: break;
    }
}

} // namespace sallyport::pipeline
