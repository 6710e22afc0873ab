#include "cache/snapshot_sets.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

namespace sallyport::cache::format {
namespace {

using std::chrono::microseconds;
using wire::RrClass;
using wire::RrType;

/// Of one set with all beside it: far below a block.
constexpr std::size_t kMaxSet = 192U << 10U;
/// Sets beside a set, and beside those.
constexpr std::size_t kMaxBeside = 64;
constexpr unsigned kMaxDepth = 2;
/// No time that a set had was longer: for numbers that stand in a file.
constexpr microseconds kLongest = std::chrono::hours{366 * 24};

microseconds left_of(base::Instant expires, base::Instant now) noexcept
{
    return std::chrono::duration_cast<microseconds>(expires - now);
}

void append(Writer& out, const wire::Name& name)
{
    out.number(static_cast<std::uint8_t>(name.size()));
    out.append(name.wire());
}

void append(Writer& out, const RdataList& list)
{
    out.number(static_cast<std::uint16_t>(list.size()));
    for (const base::Bytes rdata : list) {
        out.number(static_cast<std::uint16_t>(rdata.size()));
        out.append(rdata);
    }
}

bool is_kept_rank(Rank rank) noexcept { return rank > Rank::additional && rank <= Rank::answer_auth; }

bool append_set(Writer& out, const Rrset& set, base::Instant now, unsigned depth)
{
    if (depth > kMaxDepth || set.authority.size() > kMaxBeside || !is_kept_rank(set.rank)) return false;
    if (set.records.size() > 0xFFFF || set.signatures.size() > 0xFFFF) return false;
    out.number(static_cast<std::uint8_t>(set.kind));
    out.number(static_cast<std::uint8_t>(set.rank));
    out.number(static_cast<std::uint16_t>(set.type));
    out.number(static_cast<std::uint16_t>(set.rr_class));
    out.number(set.ttl.seconds());
    out.number(static_cast<std::int64_t>(left_of(set.expires, now).count()));
    append(out, set.owner);
    append(out, set.zone);
    append(out, set.records);
    append(out, set.signatures);
    out.number(static_cast<std::uint8_t>(set.authority.size()));
    return std::ranges::all_of(set.authority,
                               [&](const RrsetPtr& beside) { return append_set(out, *beside, now, depth + 1); });
}

std::optional<wire::Name> take_name(Reader& in) noexcept
{
    const auto name = wire::Name::from_wire(in.take(in.number<std::uint8_t>()));
    if (!name) return std::nullopt;
    return *name;
}

/// False where a record does not fit its type; `covered`: of signatures, what they are over.
bool take_list(Reader& in, RrType type, std::optional<RrType> covered, RdataList& list)
{
    bool fits = true;
    for (unsigned count = in.number<std::uint16_t>(); count > 0 && in.good; --count) {
        const base::Bytes rdata = in.take(in.number<std::uint16_t>());
        if (!fits) continue;
        fits = in.good && wire::check_rdata(type, rdata).has_value() &&
               (!covered || (rdata.size() >= 2 && RrType{base::load_be16(rdata, 0)} == *covered));
        if (fits) list.add(rdata);
    }
    return fits;
}

bool is_beside(RrType type) noexcept
{
    return type == RrType::SOA || type == RrType::NSEC || type == RrType::NSEC3 || type == RrType::DNAME;
}

bool is_known(unsigned kind, unsigned rank, RrType type, RrClass rr_class, unsigned depth) noexcept
{
    if (kind > static_cast<unsigned>(RrsetKind::nxdomain) || rank > 0xFF || !is_kept_rank(static_cast<Rank>(rank)))
        return false;
    const bool proper_class = rr_class == RrClass::IN || rr_class == RrClass::CH || rr_class == RrClass::HS;
    if (depth > 0) return proper_class && kind == static_cast<unsigned>(RrsetKind::data) && is_beside(type);
    return proper_class && (kind == static_cast<unsigned>(RrsetKind::nxdomain) || !wire::is_meta(type));
}

/// Takes all octets of a set, and fills `set` as long as what they say could have been kept; false where it could not.
bool take_set(Reader& in, base::Instant now, base::Duration elapsed, unsigned depth, Rrset& set)
{
    const unsigned kind = in.number<std::uint8_t>();
    const unsigned rank = in.number<std::uint8_t>();
    set.type = RrType{in.number<std::uint16_t>()};
    set.rr_class = RrClass{in.number<std::uint16_t>()};
    set.ttl = wire::Ttl{in.number<std::uint32_t>()};
    const microseconds left{in.number<std::int64_t>()};
    const auto owner = take_name(in);
    const auto zone = take_name(in);
    bool good = take_list(in, set.type, std::nullopt, set.records);
    good = take_list(in, RrType::RRSIG, set.type, set.signatures) && good;
    const unsigned beside = in.number<std::uint8_t>();
    if (beside > kMaxBeside || (beside > 0 && depth == kMaxDepth)) in.good = false;
    for (unsigned i = 0; i < beside && in.good; ++i) {
        auto one = std::make_shared<Rrset>();
        good = take_set(in, now, elapsed, depth + 1, *one) && good;
        set.authority.push_back(std::move(one));
    }
    if (!in.good || !good || !owner || !zone || !is_known(kind, rank, set.type, set.rr_class, depth)) return false;
    if (left < -kLongest || left > kLongest || set.ttl.seconds() == 0) return false;
    set.owner = *owner;
    set.zone = *zone;
    set.kind = static_cast<RrsetKind>(kind);
    set.rank = static_cast<Rank>(rank);
    set.expires = now + left - elapsed;
    // What stands outside the zone that was asked is nothing its servers can know of.
    const auto within = [&](const wire::Name& name) { return name.is_under(set.zone); };
    return within(set.owner) && set.is_data() != set.records.empty() && (set.is_data() || set.signatures.empty()) &&
           std::ranges::all_of(
               set.authority, [&](const RrsetPtr& one) { return within(one->owner) && one->rr_class == set.rr_class; });
}

} // namespace

bool append(Writer& out, const Rrset& set, base::Instant now, base::Duration grace)
{
    if (set.network || set.state == wire::ValidationState::bogus || set.ttl.seconds() == 0) return false;
    if (set.expires + grace <= now) return false;
    if (set.kind != RrsetKind::nxdomain && wire::is_meta(set.type)) return false;
    const std::size_t start = out.octets.size();
    if (append_set(out, set, now, 0) && out.octets.size() - start <= kMaxSet) return true;
    out.octets.resize(start);
    return false;
}

bool append(Writer& out, const wire::Name& zone, const Cut& cut, base::Instant now)
{
    if (cut.expires <= now || cut.servers.empty() || zone.is_root()) return false;
    append(out, zone);
    out.number(cut.ttl.seconds());
    out.number(static_cast<std::int64_t>(left_of(cut.expires, now).count()));
    out.number(static_cast<std::uint16_t>(cut.servers.octets().size()));
    out.append(cut.servers.octets());
    return true;
}

std::optional<Rrset> take_set(Reader& in, base::Instant now, base::Duration elapsed)
{
    Rrset set;
    if (!take_set(in, now, elapsed, 0, set)) return std::nullopt;
    return set;
}

std::optional<NamedCut> take_cut(Reader& in, base::Instant now, base::Duration elapsed, wire::Ttl most)
{
    const auto zone = take_name(in);
    NamedCut made;
    made.cut.ttl = std::min(wire::Ttl{in.number<std::uint32_t>()}, most);
    const microseconds left{in.number<std::int64_t>()};
    auto servers = CutServers::from_octets(in.take(in.number<std::uint16_t>()));
    if (!in.good || !zone || zone->is_root() || !servers || left < -kLongest || left > kLongest) return std::nullopt;
    made.zone = zone->lower();
    made.cut.servers = std::move(*servers);
    made.cut.expires = std::min(now + left - elapsed, now + std::chrono::seconds(made.cut.ttl.seconds()));
    return made;
}

} // namespace sallyport::cache::format
