#include "resolver/upstream_query.hpp"

#include "wire/message_writer.hpp"

#include <algorithm>
#include <cassert>

namespace sallyport::resolver {
namespace {

constexpr std::size_t kPaddedTo = 128;

bool is_letter(std::uint8_t octet) noexcept
{
    const std::uint8_t low = wire::lower(octet);
    return low >= 'a' && low <= 'z';
}

} // namespace

base::Bytes write_query(base::MutableBytes room, const Inquiry& inquiry, const QueryForm& form) noexcept
{
    wire::MessageWriter writer{room, room.size()};
    std::uint16_t flags = wire::flag::RD;
    // RFC 6840 §5.7: whoever sets AD wants to know; what the client may see of it is decided where it is answered.
    flags = static_cast<std::uint16_t>(flags | wire::flag::AD | (inquiry.checking_disabled ? wire::flag::CD : 0));
    writer.begin(form.id, flags);
    bool whole = writer.question(form.spelled, inquiry.qtype, inquiry.qclass);
    if (form.edns) {
        whole = whole && writer.begin_opt(form.udp_payload_size, inquiry.dnssec_ok);
        if (!form.cookie.empty()) whole = whole && writer.option(wire::EdnsOptionCode::COOKIE, form.cookie);
        if (form.padded) writer.pad_to(kPaddedTo);
        writer.end_opt();
    }
    assert(whole);
    (void)whole;
    return writer.message();
}

void randomise_case(wire::Name& name, base::RandomSource& random) noexcept
{
    std::array<std::uint8_t, wire::kMaxNameSize> octets{};
    const base::Bytes old = name.wire();
    std::copy(old.begin(), old.end(), octets.begin());
    std::uint64_t bits = 0;
    unsigned left = 0;
    for (std::size_t at = 0; at < old.size(); at += 1U + octets[at]) {
        for (std::size_t i = at + 1; i <= at + octets[at]; ++i) {
            if (!is_letter(octets[i])) continue;
            if (left == 0) {
                bits = random.number();
                left = 64;
            }
            octets[i] = static_cast<std::uint8_t>(wire::lower(octets[i]) ^ ((bits & 1U) != 0 ? 0x20U : 0U));
            bits >>= 1U;
            --left;
        }
    }
    if (const auto made = wire::Name::from_wire(base::Bytes{octets}.first(old.size()))) name = *made;
}

Fit fit(const wire::MessageView& response, const Inquiry& inquiry, const QueryForm& form) noexcept
{
    const wire::Header& header = response.header();
    if (!header.has(wire::flag::QR) || header.opcode() != wire::Opcode::QUERY || header.id != form.id)
        return Fit::foreign;
    if (header.question_count == 0) {
        // Some servers send back nothing but a header with what went wrong; that is no answer, but it is theirs.
        const auto rcode = header.rcode();
        return rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::NOTIMP ? Fit::fits : Fit::foreign;
    }
    if (header.question_count != 1 || response.qtype() != inquiry.qtype || response.qclass() != inquiry.qclass)
        return Fit::foreign;
    const wire::Name name = response.qname().to_name();
    if (name != form.spelled) return Fit::foreign;
    return base::equal(name.wire(), form.spelled.wire()) ? Fit::fits : Fit::other_case;
}

base::Bytes CookieJar::option(base::RandomSource& random) noexcept
{
    if (!made_) random.fill(base::MutableBytes{octets_}.first(kClient));
    made_ = true;
    return base::Bytes{octets_}.first(kClient + server_size_);
}

CookieJar::Verdict CookieJar::judge(const wire::EdnsView* edns, bool authentic) noexcept
{
    if (edns == nullptr || !edns->cookie) {
        if (!authentic) return knows_server() ? Verdict::foreign : Verdict::good;
        server_size_ = 0;
        return Verdict::good;
    }
    const base::Bytes cookie = *edns->cookie;
    if (!made_ || cookie.size() < kClient || !base::equal(cookie.first(kClient), base::Bytes{octets_}.first(kClient)))
        return Verdict::foreign;
    const std::size_t size = std::min(cookie.size(), octets_.size()) - kClient;
    std::copy_n(cookie.begin() + kClient, size, octets_.begin() + kClient);
    server_size_ = static_cast<std::uint8_t>(size);
    return Verdict::good;
}

} // namespace sallyport::resolver
