#include "resolver/iterate/parts.hpp"

#include "resolver/iterate/subnet.hpp"
#include "wire/edns.hpp"

#include <algorithm>

/// Queries as they go out, and whether what comes in fits them.
namespace sallyport::resolver::iterate {
namespace {

constexpr std::size_t kQueryRoom = 512;

/// Letters in a random mixture of cases: bits that a forger has to guess, too (draft-vixie-dnsext-dns0x20).
wire::Name mix_case(const wire::Name& name, base::RandomSource& random)
{
    std::array<std::uint8_t, wire::kMaxNameSize> octets{};
    std::array<std::uint8_t, (wire::kMaxNameSize + 7) / 8> coins{};
    random.fill(coins);
    std::copy(name.wire().begin(), name.wire().end(), octets.begin());
    for (std::size_t i = 0; i < name.size(); ++i) {
        const std::uint8_t low = wire::lower(octets[i]);
        const bool letter = low >= 'a' && low <= 'z';
        if (letter && ((coins[i / 8] >> (i % 8)) & 1U) != 0) octets[i] = static_cast<std::uint8_t>(low - ('a' - 'A'));
    }
    const auto mixed = wire::Name::from_wire({octets.data(), name.size()});
    return mixed ? *mixed : name;
}

/// The name without regard to letters is the caller's to compare: here every octet counts.
bool same_octets(const wire::Name& left, const wire::Name& right) noexcept
{
    return base::equal(left.wire(), right.wire());
}

/// Whether header and question of a message that does not parse are those of the query: then the server did reply,
/// and badly.
bool begins_as_reply(const Pending& query, base::Bytes message) noexcept
{
    const base::Bytes name = query.qname.wire();
    const std::size_t end = wire::kHeaderSize + name.size() + 4;
    if (message.size() < end || base::load_be16(message, 4) != 1) return false;
    return base::equal(message.subspan(wire::kHeaderSize, name.size()), name) &&
           base::load_be16(message, end - 4) == static_cast<std::uint16_t>(query.qtype) &&
           base::load_be16(message, end - 2) == static_cast<std::uint16_t>(query.qclass);
}

} // namespace

base::Bytes Engine::Parts::write_query(Pending& query, bool recursion)
{
    room.resize(kQueryRoom);
    wire::MessageWriter writer({room.data(), room.size()}, room.size());
    std::uint16_t flags = 0;
    // Where we ask someone who recurses we validate ourselves: bogus data must come through (RFC 4035 §4.9.2). Where we
    // do not, below a negative anchor, his validation is all there is.
    if (recursion) flags = static_cast<std::uint16_t>(wire::flag::RD | (is_anchored(query.qname) ? wire::flag::CD : 0));
    writer.begin(query.id, flags);
    if (options.case_randomisation && !query.tcp && !query.group) query.qname = mix_case(query.qname, random);
    bool whole = writer.question(query.qname, query.qtype, query.qclass);
    if (query.edns) {
        whole = whole && writer.begin_opt(options.udp_payload_size, options.dnssec);
        if (options.cookies && !query.group) {
            const Server& server = servers.get(query.server.address);
            std::array<std::uint8_t, 40> cookie{};
            std::copy_n(client_cookie(query.server.address).begin(), 8, cookie.begin());
            std::copy_n(server.cookie.begin(), server.cookie_size, cookie.begin() + 8);
            whole = whole && writer.option(wire::EdnsOptionCode::COOKIE, {cookie.data(), 8U + server.cookie_size});
        }
        if (query.subnet && query.subnet->length() != 0) {
            const SubnetData data = write_subnet(*query.subnet, 0);
            whole = whole && writer.option(wire::EdnsOptionCode::CLIENT_SUBNET, data.bytes());
        }
        writer.end_opt();
    }
    static_cast<void>(whole); // 512 octets hold any question with its OPT
    return writer.message();
}

std::array<std::uint8_t, 8> Engine::Parts::client_cookie(const base::IpAddress& server) const
{
    // RFC 9018 §3: made of the server's address and a secret, so that servers cannot link us by it.
    const std::uint64_t value = base::siphash24(server.octets(), cookie_secret);
    std::array<std::uint8_t, 8> cookie{};
    for (std::size_t i = 0; i < cookie.size(); ++i) cookie[i] = static_cast<std::uint8_t>(value >> (8 * i));
    return cookie;
}

Fit judge_fit(const Pending& query, base::Bytes message, std::optional<wire::MessageView>& view)
{
    const auto header = wire::read_header(message);
    if (!header || !header->has(wire::flag::QR) || header->opcode() != wire::Opcode::QUERY) return Fit::foreign;
    if (header->id != query.id) return Fit::near_miss;
    const auto parsed = wire::MessageView::parse(message);
    if (!parsed) return begins_as_reply(query, message) ? Fit::broken : Fit::near_miss;
    view = *parsed;
    if (header->question_count == 0) {
        // Some leave the question out of an error.
        const auto rcode = header->rcode();
        const bool error = rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::NOTIMP ||
                           rcode == wire::Rcode::SERVFAIL || rcode == wire::Rcode::REFUSED;
        return error && header->answer_count == 0 && header->authority_count == 0 ? Fit::fits : Fit::near_miss;
    }
    if (header->question_count != 1 || parsed->qtype() != query.qtype || parsed->qclass() != query.qclass) {
        return Fit::near_miss;
    }
    return same_octets(parsed->qname().to_name(), query.qname) ? Fit::fits : Fit::near_miss;
}

} // namespace sallyport::resolver::iterate
