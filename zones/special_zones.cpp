#include "zones/special_zones.hpp"

#include "zones/zone_builder.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace sallyport::zones {
namespace {

using wire::Name;
using wire::RrType;

/// RFC 6303 §3.
constexpr wire::Ttl kTtl{10'800};

enum class Data : std::uint8_t {
    none,             ///< the apex alone
    loopback,         ///< every name is this machine (RFC 6761 §6.3)
    loopback_pointer, ///< 127/8: its first address points back
    host_pointer,     ///< ::1: the apex itself does
    translation,      ///< the addresses that DNS64 is found by (RFC 7050 §8.2)
};

/// Who keeps the name out of the DNS of the world, and how validators are told.
enum class Parent : std::uint8_t {
    /// It delegates the name, unsigned: a validator behind us needs the proof of that, which is the parent's. RFC 8375
    /// §4 says so of home.arpa, and the zones of RFC 6303 are delegated to AS112 (RFC 7534).
    delegates,
    /// It says there is no such name, which is what we say, too.
    denies,
};

struct Special {
    const char* name;
    std::uint16_t rfc;
    Parent parent = Parent::delegates;
    Data data = Data::none;
};

constexpr std::array kNames{
    Special{"localhost.", 6761, Parent::denies, Data::loopback},
    Special{"invalid.", 6761, Parent::denies},
    Special{"test.", 6761, Parent::denies},
    Special{"local.", 6762, Parent::denies},
    Special{"onion.", 7686, Parent::denies},
    Special{"alt.", 9476, Parent::denies},
    Special{"home.arpa.", 8375},
    Special{"ipv4only.arpa.", 8880, Parent::delegates, Data::translation},
    // RFC 6303 §4.1 to §4.6.
    Special{"10.in-addr.arpa.", 6303},
    Special{"168.192.in-addr.arpa.", 6303},
    Special{"0.in-addr.arpa.", 6303, Parent::denies},
    Special{"127.in-addr.arpa.", 6303, Parent::denies, Data::loopback_pointer},
    Special{"254.169.in-addr.arpa.", 6303},
    Special{"2.0.192.in-addr.arpa.", 6303},
    Special{"100.51.198.in-addr.arpa.", 6303},
    Special{"113.0.203.in-addr.arpa.", 6303},
    Special{"255.255.255.255.in-addr.arpa.", 6303, Parent::denies},
    Special{"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", 6303, Parent::denies},
    Special{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", 6303, Parent::denies,
            Data::host_pointer},
    Special{"d.f.ip6.arpa.", 6303, Parent::denies},
    Special{"8.e.f.ip6.arpa.", 6303, Parent::denies},
    Special{"9.e.f.ip6.arpa.", 6303, Parent::denies},
    Special{"a.e.f.ip6.arpa.", 6303, Parent::denies},
    Special{"b.e.f.ip6.arpa.", 6303, Parent::denies},
    Special{"8.b.d.0.1.0.0.2.ip6.arpa.", 6303, Parent::denies},
};

/// Ranges of an octet, a zone for each value: 172.16/12 (RFC 6303 §4.1) and 100.64/10 (RFC 7793 §2.2).
struct Range {
    unsigned first, last;
    const char* below;
    std::uint16_t rfc;
};
constexpr std::array kRanges{Range{16, 31, ".172.in-addr.arpa.", 6303}, Range{64, 127, ".100.in-addr.arpa.", 7793}};

bool related(const Name& name, const std::vector<Name>& others)
{
    // The root is above everything, and who is asked for everything is not asked for these.
    return std::ranges::any_of(
        others, [&](const Name& other) { return !other.is_root() && (name.is_under(other) || other.is_under(name)); });
}

std::vector<std::uint8_t> soa_of(const Name& apex)
{
    // RFC 6303 §3: the zone's own name in the place of a server's, since it has no address that updates could be sent
    // to.
    const Name mailbox = *Name::from_text("nobody.invalid.");
    std::vector<std::uint8_t> rdata(apex.wire().begin(), apex.wire().end());
    rdata.insert(rdata.end(), mailbox.wire().begin(), mailbox.wire().end());
    std::size_t at = rdata.size();
    rdata.resize(at + 20);
    for (const std::uint32_t number : {1U, 3600U, 1200U, 604'800U, kTtl.seconds()}) {
        base::store_be32(rdata, at, number);
        at += 4;
    }
    return rdata;
}

void add_loopback(ZoneBuilder& builder)
{
    constexpr std::array<std::uint8_t, 4> kLoopback4{127, 0, 0, 1};
    constexpr std::array<std::uint8_t, 16> kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const Name below = *Name::from_text("*", &builder.apex());
    for (const Name& owner : {builder.apex(), below}) {
        (void)builder.add(owner, RrType::A, kTtl, kLoopback4, {});
        (void)builder.add(owner, RrType::AAAA, kTtl, kLoopback6, {});
    }
}

void add_translation(ZoneBuilder& builder)
{
    for (const std::uint8_t last : {std::uint8_t{170}, std::uint8_t{171}})
        (void)builder.add(builder.apex(), RrType::A, kTtl, std::array<std::uint8_t, 4>{192, 0, 0, last}, {});
}

void add_data(ZoneBuilder& builder, Data data)
{
    const Name localhost = *Name::from_text("localhost.");
    const Name first = *Name::from_text("1.0.0", &builder.apex());
    switch (data) {
    case Data::none: return;
    case Data::loopback: return add_loopback(builder);
    case Data::loopback_pointer: (void)builder.add(first, RrType::PTR, kTtl, localhost.wire(), {}); return;
    case Data::host_pointer: (void)builder.add(builder.apex(), RrType::PTR, kTtl, localhost.wire(), {}); return;
    case Data::translation: return add_translation(builder);
    }
}

std::unique_ptr<const Zone> make(const Special& special, const Name& apex, const Limits& limits,
                                 base::Problems& problems)
{
    ZoneBuilder builder{apex, limits, problems};
    builder.set_special(special.rfc, special.parent == Parent::delegates);
    (void)builder.add(apex, RrType::SOA, kTtl, soa_of(apex), {});
    (void)builder.add(apex, RrType::NS, kTtl, apex.wire(), {});
    add_data(builder, special.data);
    return builder.finish({});
}

std::vector<Name> names_of(const std::vector<std::string>& texts)
{
    std::vector<Name> names;
    for (const std::string& text : texts)
        if (const auto name = Name::from_text(text)) names.push_back(name->lower());
    return names;
}

/// Adds them one by one and notes which of those to be left out there were.
class SpecialZones {
public:
    SpecialZones(SnapshotBuilder& snapshot, const Options& options, const std::vector<Name>& configured,
                 base::Problems& problems)
        : snapshot_(snapshot),
          options_(options),
          problems_(problems),
          configured_(configured),
          elsewhere_(names_of(options.local_only.elsewhere)),
          left_out_(options.local_only.leave_out.size(), false)
    {
    }

    void add(const Special& special)
    {
        const Name apex = *Name::from_text(special.name);
        if (is_left_out(apex) || related(apex, configured_) || related(apex, elsewhere_)) return;
        // Where we only forward, whoever we ask may translate, and the name is how hosts find out; a gateway that
        // translates itself makes the answer of what its own rules say (RFC 8880 §7.1).
        const auto& local_only = options_.local_only;
        if (special.data == Data::translation && (!local_only.recursing || local_only.translates)) return;
        if (auto zone = make(special, apex, options_.limits, problems_)) (void)snapshot_.add(std::move(zone));
    }

    void tell_of_unknown()
    {
        for (std::size_t i = 0; i < left_out_.size(); ++i) {
            if (left_out_[i]) continue;
            problems_.push_back({base::ErrorCode::invalid,
                                 "'" + options_.local_only.leave_out[i] +
                                     "' is at or above no local-only zone; expected one like 10.in-addr.arpa or "
                                     "home.arpa (docs/configuration.md has them all)",
                                 options_.local_only.position});
        }
    }

private:
    [[nodiscard]] bool is_left_out(const Name& apex)
    {
        bool found = false;
        for (std::size_t i = 0; i < left_out_.size(); ++i) {
            const auto name = Name::from_text(options_.local_only.leave_out[i]);
            if (!name || !apex.is_under(*name)) continue;
            left_out_[i] = found = true;
        }
        return found;
    }

    SnapshotBuilder& snapshot_;
    const Options& options_;
    base::Problems& problems_;
    const std::vector<Name>& configured_;
    std::vector<Name> elsewhere_;
    std::vector<bool> left_out_;
};

} // namespace

std::string_view special_reason(std::uint16_t rfc) noexcept
{
    switch (rfc) {
    case 0: return {};
    case 6303: return "local-only: addresses of no global meaning (RFC 6303)";
    case 6761: return "local-only: reserved for special use (RFC 6761)";
    case 6762: return "local-only: multicast DNS (RFC 6762)";
    case 7686: return "local-only: names of Tor (RFC 7686)";
    case 7793: return "local-only: shared addresses of providers (RFC 7793)";
    case 8375: return "local-only: the home network (RFC 8375)";
    case 8880: return "local-only: how IPv4 translation is found (RFC 8880)";
    case 9476: return "local-only: not of the DNS (RFC 9476)";
    default: return "local-only";
    }
}

void add_special_zones(SnapshotBuilder& snapshot, const Options& options, const std::vector<Name>& configured,
                       base::Problems& problems)
{
    if (!options.local_only.enabled) return;
    SpecialZones zones{snapshot, options, configured, problems};
    for (const Special& special : kNames) zones.add(special);
    for (const Range& range : kRanges) {
        for (unsigned octet = range.first; octet <= range.last; ++octet) {
            const std::string name = std::to_string(octet) + range.below;
            zones.add({name.c_str(), range.rfc});
        }
    }
    zones.tell_of_unknown();
}

} // namespace sallyport::zones
