#include "resolver/iterate/dns64.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

using base::IpAddress;
using base::Prefix;
using cache::Rrset;
using cache::RrsetPtr;
using wire::ExtendedError;
using wire::Name;
using wire::Rcode;
using wire::RrType;
using wire::ValidationState;

constexpr std::size_t kUnusedOctet = 8;       // bits 64 to 71 (RFC 6052 §2.2)
constexpr std::uint32_t kTtlWithoutSoa = 600; // RFC 6147 §5.1.7
constexpr std::uint32_t kLocalTtl = 86'400;
constexpr std::size_t kMaxMade = 256; // records of one set
constexpr unsigned kNibbles = 32;

using Octets = std::array<std::uint8_t, 16>;

const Name& ipv4only()
{
    static const Name name = *Name::from_text("ipv4only.arpa.");
    return name;
}

bool is_of_ipv4only(const IpAddress& address)
{
    return address == IpAddress::v4({192, 0, 0, 170}) || address == IpAddress::v4({192, 0, 0, 171});
}

/// Octets of the IPv6 address, the next one from `at` on that an IPv4 octet stands in.
std::size_t next_octet(std::size_t at) noexcept { return at == kUnusedOctet ? at + 1 : at; }

bool is_well_known(const Prefix& prefix)
{
    static const Prefix well_known = *Prefix::parse("64:ff9b::/96");
    return prefix == well_known;
}

/// RFC 6052 §3.1: what is not global is not to be represented by the well-known prefix.
bool is_global(const IpAddress& address)
{
    static const std::vector<Prefix> others = [] {
        std::vector<Prefix> made;
        for (const char* text : {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                                 "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"}) {
            made.push_back(*Prefix::parse(text));
        }
        return made;
    }();
    return std::none_of(others.begin(), others.end(), [&](const Prefix& each) { return each.contains(address); });
}

/// ::ffff:0:0/96 (RFC 6147 §5.1.4). By octets: as a value such an address is the IPv4 address it means.
bool is_mapped(base::Bytes ipv6)
{
    constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return base::equal(ipv6.first(kMapped.size()), kMapped);
}

std::shared_ptr<Rrset> make_set(const Name& owner, RrType type, wire::Ttl ttl, base::Instant now)
{
    auto set = std::make_shared<Rrset>();
    set->owner = owner;
    set->type = type;
    set->rank = cache::Rank::answer;
    set->state = ValidationState::insecure;
    set->ttl = ttl;
    set->expires = now + std::chrono::seconds(ttl.seconds());
    return set;
}

Answer local_answer(std::shared_ptr<Rrset> set)
{
    Answer answer;
    answer.rcode = Rcode::NOERROR;
    answer.state = ValidationState::insecure;
    answer.from_store = true;
    answer.answers.push_back(std::move(set));
    return answer;
}

/// No longer than the SOA beside the negative answer (§5.1.7).
wire::Ttl most_ttl(const Answer& ipv6, base::Instant now)
{
    for (const RrsetPtr& set : ipv6.authority) {
        if (set->type == RrType::SOA) return ipv6.stale ? ipv6.stale_ttl : set->ttl_left(now);
    }
    return wire::Ttl{kTtlWithoutSoa};
}

void weaken(Answer& answer)
{
    if (answer.state == ValidationState::secure) answer.state = ValidationState::insecure;
}

/// The digit of the label that stands `at` octets into the name.
std::optional<std::uint8_t> nibble(base::Bytes name, std::size_t at)
{
    if (at + 1 >= name.size() || name[at] != 1) return std::nullopt;
    const std::uint8_t digit = name[at + 1];
    if (digit >= '0' && digit <= '9') return static_cast<std::uint8_t>(digit - '0');
    const std::uint8_t lower = digit | 0x20U;
    if (lower >= 'a' && lower <= 'f') return static_cast<std::uint8_t>(lower - 'a' + 10);
    return std::nullopt;
}

/// The address that a whole name in ip6.arpa stands for (RFC 3596 §2.5).
std::optional<Octets> read_reverse(const Name& qname)
{
    static const Name ip6_arpa = *Name::from_text("ip6.arpa.");
    if (qname.label_count() != kNibbles + 2 || !qname.is_under(ip6_arpa)) return std::nullopt;
    Octets octets{};
    for (unsigned i = 0; i < kNibbles; ++i) {
        const auto digit = nibble(qname.wire(), 2 * std::size_t{i});
        if (!digit) return std::nullopt;
        octets[15 - i / 2] |= static_cast<std::uint8_t>(i % 2 == 0 ? *digit : *digit << 4U);
    }
    return octets;
}

} // namespace

bool is_dns64_prefix(const Prefix& prefix) noexcept
{
    const unsigned length = prefix.length();
    const bool known = length == 32 || length == 40 || length == 48 || length == 56 || length == 64 || length == 96;
    return !prefix.address().is_v4() && known && prefix.address().octets()[kUnusedOctet] == 0;
}

IpAddress embed_ipv4(const Prefix& prefix, const IpAddress& address) noexcept
{
    Octets octets{};
    std::copy_n(prefix.address().octets().begin(), octets.size(), octets.begin());
    std::size_t at = prefix.length() / 8;
    for (const std::uint8_t octet : address.octets()) {
        at = next_octet(at);
        octets[at++] = octet;
    }
    return IpAddress::v6(octets);
}

std::optional<IpAddress> extract_ipv4(const Prefix& prefix, const IpAddress& address) noexcept
{
    if (address.is_v4() || !prefix.contains(address)) return std::nullopt;
    const base::Bytes octets = address.octets();
    std::array<std::uint8_t, 4> found{};
    std::size_t at = prefix.length() / 8;
    for (std::uint8_t& octet : found) {
        at = next_octet(at);
        octet = octets[at++];
    }
    const bool rest_is_zero = std::all_of(octets.begin() + static_cast<std::ptrdiff_t>(at), octets.end(),
                                          [](std::uint8_t octet) { return octet == 0; });
    if (!rest_is_zero || octets[kUnusedOctet] != 0) return std::nullopt;
    return IpAddress::v4(found);
}

bool Dns64::concerns(const Question& question) const
{
    if (options_.prefixes.empty() || question.checking_disabled || question.qclass != wire::RrClass::IN) return false;
    if (question.qtype == RrType::AAAA) return true;
    if (question.qtype == RrType::A) return question.qname == ipv4only();
    return question.qtype == RrType::PTR && embedded(question.qname).has_value();
}

std::optional<Answer> Dns64::answer_locally(const Question& question, base::Instant now) const
{
    const wire::Ttl ttl{kLocalTtl};
    if (question.qname == ipv4only()) {
        auto set = make_set(question.qname, RrType::A, ttl, now);
        for (const std::uint8_t last : {std::uint8_t{170}, std::uint8_t{171}}) {
            set->records.add(std::array<std::uint8_t, 4>{192, 0, 0, last});
        }
        if (question.qtype == RrType::AAAA) {
            set->records = make_records(set->records);
            set->type = RrType::AAAA;
        }
        return local_answer(std::move(set));
    }
    const auto address = question.qtype == RrType::PTR ? embedded(question.qname) : std::nullopt;
    if (!address || !is_of_ipv4only(*address)) return std::nullopt;
    auto set = make_set(question.qname, RrType::PTR, ttl, now);
    set->records.add(ipv4only().wire());
    return local_answer(std::move(set));
}

bool Dns64::counts(base::Bytes ipv6) const
{
    if (ipv6.size() != 16 || is_mapped(ipv6)) return false;
    const auto address = IpAddress::from_octets(ipv6);
    return std::none_of(options_.exclude.begin(), options_.exclude.end(),
                        [&](const Prefix& each) { return each.contains(address); });
}

bool Dns64::is_ignored(const Name& owner) const
{
    return std::any_of(options_.ignore.begin(), options_.ignore.end(),
                       [&](const Name& zone) { return owner.is_under(zone); });
}

bool Dns64::wants_ipv4(const Answer& ipv6) const
{
    if (ipv6.rcode == Rcode::SERVFAIL) {
        return ipv6.ede == ExtendedError::no_reachable_authority || ipv6.ede == ExtendedError::network_error ||
               ipv6.ede == ExtendedError::dnssec_indeterminate;
    }
    if (ipv6.rcode != Rcode::NOERROR) return false; // NXDOMAIN is of all types (§5.1.2)
    for (const RrsetPtr& set : ipv6.answers) {
        if (set->type != RrType::AAAA || is_ignored(set->owner)) continue;
        for (const base::Bytes rdata : set->records) {
            if (counts(rdata)) return false;
        }
    }
    return true;
}

Answer Dns64::without_excluded(const Answer& ipv6) const
{
    Answer left = ipv6;
    for (RrsetPtr& set : left.answers) {
        if (set->type != RrType::AAAA) continue;
        cache::RdataList kept;
        for (const base::Bytes rdata : set->records) {
            if (counts(rdata)) kept.add(rdata);
        }
        if (kept.size() == set->records.size()) continue;
        auto copy = std::make_shared<Rrset>(*set);
        copy->records = std::move(kept);
        copy->signatures = {}; // they cover all of it
        set = std::move(copy);
        weaken(left);
    }
    std::erase_if(left.answers, [](const RrsetPtr& set) { return set->records.empty(); });
    return left;
}

bool Dns64::is_made_for(const Prefix& prefix, const IpAddress& address) const
{
    // Clients find out the prefix by two addresses that are not global (RFC 7050 §2.2).
    return !is_well_known(prefix) || is_global(address) || is_of_ipv4only(address);
}

cache::RdataList Dns64::make_records(const cache::RdataList& ipv4) const
{
    cache::RdataList made;
    for (const Prefix& prefix : options_.prefixes) {
        for (const base::Bytes rdata : ipv4) {
            if (rdata.size() != 4 || made.size() >= kMaxMade) continue;
            const auto address = IpAddress::from_octets(rdata);
            if (is_made_for(prefix, address)) made.add(embed_ipv4(prefix, address).octets());
        }
    }
    return made;
}

Answer Dns64::combine(const Answer& ipv6, const Answer& ipv4, base::Instant now) const
{
    Answer otherwise = without_excluded(ipv6);
    const bool has_other = !otherwise.answers.empty() && otherwise.answers.back()->type == RrType::AAAA;
    if (ipv4.rcode == Rcode::SERVFAIL && !has_other) return ipv4;
    // Where the zone is signed, that there is no AAAA must be proven first (§5.5).
    if (ipv4.rcode != Rcode::NOERROR || (ipv6.rcode == Rcode::SERVFAIL && ipv4.state == ValidationState::secure)) {
        return otherwise;
    }
    Answer made = ipv4;
    bool any = false;
    const wire::Ttl most = most_ttl(ipv6, now);
    for (RrsetPtr& set : made.answers) {
        if (set->type != RrType::A) continue;
        auto records = make_records(set->records);
        any = any || !records.empty();
        const wire::Ttl ttl = std::min(most, made.stale ? set->ttl : set->ttl_left(now));
        auto copy = make_set(set->owner, RrType::AAAA, ttl, now);
        copy->records = std::move(records);
        set = std::move(copy);
    }
    if (!any) return otherwise;
    std::erase_if(made.answers, [](const RrsetPtr& set) { return set->records.empty(); });
    weaken(made);
    made.stale = ipv6.stale || ipv4.stale;
    if (ipv6.stale && !ipv4.stale) made.stale_ttl = ipv6.stale_ttl;
    made.from_store = ipv6.from_store && ipv4.from_store;
    if (ipv6.subnet_scope) made.subnet_scope = std::max(made.subnet_scope.value_or(0), *ipv6.subnet_scope);
    return made;
}

std::optional<IpAddress> Dns64::embedded(const Name& qname) const
{
    const auto octets = read_reverse(qname);
    if (!octets) return std::nullopt;
    const IpAddress address = IpAddress::v6(*octets);
    for (const Prefix& prefix : options_.prefixes) {
        if (const auto found = extract_ipv4(prefix, address)) return found;
    }
    return std::nullopt;
}

std::optional<Name> Dns64::reverse_name(const Name& qname) const
{
    const auto address = embedded(qname);
    if (!address) return std::nullopt;
    std::string text;
    const base::Bytes octets = address->octets();
    for (std::size_t i = octets.size(); i-- > 0;) text += std::to_string(octets[i]) + '.';
    const auto made = Name::from_text(text + "in-addr.arpa.");
    return made ? std::optional{*made} : std::nullopt;
}

std::optional<Answer> Dns64::as_reverse(const Answer& found, const Name& qname, base::Instant now)
{
    if (found.rcode != Rcode::NOERROR || found.answers.empty() || found.answers.back()->type != RrType::PTR)
        return std::nullopt;
    wire::Ttl ttl{kTtlWithoutSoa};
    for (const RrsetPtr& set : found.answers) ttl = std::min(ttl, found.stale ? found.stale_ttl : set->ttl_left(now));
    auto names = make_set(qname, RrType::PTR, ttl, now);
    names->records = found.answers.back()->records;
    Answer made = found;
    made.answers = {std::move(names)};
    made.authority.clear(); // proofs of what is not told
    weaken(made);
    return made;
}

} // namespace sallyport::resolver::iterate
