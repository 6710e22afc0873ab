#include "conf/parts.hpp"
#include "conf/upstream_url.hpp"

#include <charconv>
#include <optional>

namespace sallyport::conf {
namespace {

using resolver::RecurseLimits;
using resolver::RecurseOptions;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

enum class Minimisation { off, relaxed, strict };

std::optional<wire::Name> read_name(Reading& reading, const std::string& text, const base::SourcePosition& position)
{
    const auto name = wire::Name::from_text(text);
    if (name && (text == "." || is_domain_name(text))) return name->lower();
    reading.complain(position, "'" + text + "' is no domain name; expected one like corp.example");
    return std::nullopt;
}

void read_names(Section& section, std::string_view key, std::vector<wire::Name>& names)
{
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    section.texts(key, texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (const auto name = read_name(section.reading(), texts[i], positions[i])) names.push_back(*name);
}

void read_servers(Section& entry, std::uint16_t port, resolver::iterate::FixedZone& zone)
{
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    entry.texts("servers", texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto address = base::IpAddress::parse(texts[i]);
        const auto endpoint = address ? base::Result<base::Endpoint>{base::Endpoint{*address, port, 0}}
                                      : base::Endpoint::parse(texts[i], port);
        if (endpoint)
            zone.servers.push_back(*endpoint);
        else
            entry.reading().complain(positions[i], "'" + texts[i] +
                                                       "' is no address; expected one like 192.0.2.1, 192.0.2.1:5353 "
                                                       "or [2001:db8::1]:5353");
    }
}

void read_stubs(Section& section, RecurseOptions& options)
{
    Reading& reading = section.reading();
    for (const YamlNode& item : section.items("stubs")) {
        Section entry{reading, &item, "resolve.stubs[]", false};
        resolver::iterate::FixedZone zone;
        std::string name;
        entry.text("zone", name);
        read_servers(entry, options.engine.port, zone);
        entry.boolean("first", zone.first);
        entry.boolean("tcp", zone.tcp);
        if (name.empty())
            reading.complain(item, "a stub needs its 'zone'");
        else if (const auto read = read_name(reading, name, entry.position_of("zone")))
            zone.zone = *read;
        if (zone.servers.empty()) reading.complain(item, "a stub needs at least one address in 'servers'");
        options.engine.fixed.push_back(std::move(zone));
    }
}

std::optional<int> read_digits(std::string_view text)
{
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

/// `2026-12-31`: until that day begins, UTC.
std::optional<std::int64_t> read_date(std::string_view text)
{
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = read_digits(text.substr(0, 4));
    const auto month = read_digits(text.substr(5, 2));
    const auto day = read_digits(text.substr(8, 2));
    if (!year || !month || !day || *month < 1 || *day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::duration_cast<seconds>(std::chrono::sys_days{date}.time_since_epoch()).count();
}

void read_negative_anchors(Section& section, dnssec::Options& options)
{
    Reading& reading = section.reading();
    for (const YamlNode& item : section.items("negative_trust_anchors")) {
        dnssec::NegativeAnchor negative;
        negative.position = reading.position(item);
        if (item.kind == YamlNode::Kind::scalar) {
            negative.name = item.scalar;
        } else {
            Section entry{reading, &item, "resolve.dnssec.negative_trust_anchors[]", false};
            std::string until;
            entry.text("name", negative.name);
            entry.text("until", until);
            const auto date = read_date(until);
            if (date) negative.until = *date;
            if (!until.empty() && !date)
                reading.complain(entry.position_of("until"),
                                 "'" + until + "' is no date; expected one like 2026-12-31");
        }
        (void)read_name(reading, negative.name, negative.position);
        options.insecure.push_back(std::move(negative));
    }
}

void read_dnssec_limits(Section& dnssec, dnssec::Limits& limits)
{
    Section section{dnssec.reading(), dnssec.map("limits"), "resolve.dnssec.limits"};
    section.number("signature_checks", limits.signature_checks, 1, 1000);
    section.number("signatures_per_set", limits.signatures_per_set, 1, 64);
    section.number("keys_per_tag", limits.keys_per_tag, 1, 16);
    section.number("ds_per_delegation", limits.ds_per_delegation, 1, 64);
    section.number("nsec3_hashes", limits.nsec3_hashes, 1, 10'000);
    section.number("nsec3_iterations", limits.nsec3_iterations, 0, 500);
    section.number("nsec3_salt", limits.nsec3_salt, 0, 255);
    section.duration("processor_time", limits.processor_time, milliseconds{10}, seconds{5});
}

void read_follow(Section& section, dnssec::Options& options)
{
    enum class Wish : std::uint8_t { as_usual, yes, no };
    auto wish = Wish::as_usual;
    section.choice<Wish>("follow_rollover", wish,
                         {{"yes", Wish::yes},
                          {"no", Wish::no},
                          {"true", Wish::yes},
                          {"false", Wish::no},
                          {"on", Wish::yes},
                          {"off", Wish::no}});
    if (wish != Wish::as_usual) options.follow_rollover = wish == Wish::yes;
}

void read_dnssec(Section& resolve, RecurseOptions& options)
{
    dnssec::Options& dnssec = options.dnssec;
    Section section{resolve.reading(), resolve.map("dnssec"), "resolve.dnssec"};
    section.boolean("validate", dnssec.enabled);
    section.boolean("permissive", dnssec.permissive);
    section.boolean("sha1_signatures", dnssec.sha1_signatures);
    section.boolean("sha1_digests", dnssec.sha1_digests);
    section.boolean("aggressive_denial", options.engine.aggressive_denial);
    section.duration("expired_by", dnssec.expired_by, seconds{0}, hours{24 * 7});
    section.duration("early_by", dnssec.early_by, seconds{0}, hours{24 * 7});
    section.boolean("nothing_below_nxdomain", options.engine.nothing_below_nxdomain);
    section.boolean("trust_unsigned_nxdomain", options.engine.trust_unsigned_nxdomain);
    section.boolean("sentinel", dnssec.sentinel);
    section.boolean("signal_anchors", dnssec.signal_anchors);
    section.texts("anchors", dnssec.anchors, &dnssec.anchor_positions);
    section.path("state_file", dnssec.state_file);
    read_follow(section, dnssec);
    read_negative_anchors(section, dnssec);
    read_dnssec_limits(section, dnssec.limits);
}

void read_work(Section& section, resolver::iterate::WorkLimits& limits)
{
    section.number("packets", limits.packets, 1, 1000);
    section.number("lookups", limits.lookups, 1, 10'000);
    section.number("aliases", limits.aliases, 1, 31);
    section.number("depth", limits.depth, 1, 64);
    section.number("referrals", limits.referrals, 1, 128);
    section.duration("time", limits.time, milliseconds{500}, minutes{1});
    section.number("servers", limits.servers, 1, 64);
    section.number("addresses", limits.addresses, 1, 64);
    section.number("address_lookups", limits.address_lookups, 1, 64);
    section.number("failing_lookups", limits.failing_lookups, 1, 64);
    section.number("minimisation_steps", limits.minimisation_steps, 1, 127);
    section.number("tries", limits.tries, 1, 16);
    section.number("tcp_tries", limits.tcp_tries, 1, 16);
    section.number("near_misses", limits.near_misses, 1, 100);
    section.number("validation_restarts", limits.validation_restarts, 0, 16);
}

void read_servers_limits(Section& section, resolver::iterate::Options& engine)
{
    section.duration("first_timeout", engine.first_timeout, milliseconds{20}, seconds{10});
    section.duration("least_timeout", engine.least_timeout, milliseconds{10}, seconds{5});
    section.duration("most_timeout", engine.most_timeout, milliseconds{100}, seconds{30});
    section.number("failures_to_pause", engine.failures_to_pause, 1, 1000);
    section.duration("pause", engine.pause, seconds{1}, hours{1});
    section.duration("lame_for", engine.lame_for, seconds{1}, hours{24});
    section.duration("failure_ttl", engine.failure_ttl, seconds{1}, minutes{5});
    section.duration("bogus_ttl", engine.bogus_ttl, seconds{1}, minutes{5});
    section.number("fetches", engine.max_fetches, 1, 1'000'000);
    section.number("fetches_per_zone", engine.max_fetches_per_zone, 1, 1'000'000);
    section.number("fetches_per_server", engine.max_fetches_per_server, 1, 1'000'000);
    section.number("servers_kept", engine.max_servers_kept, 16, 10'000'000);
    section.number("delegations_kept", engine.max_delegations, 16, 10'000'000);
    section.number("no_cuts_kept", engine.max_no_cuts, 16, 10'000'000);
    section.number("failures_kept", engine.max_failures_kept, 16, 10'000'000);
    if (engine.least_timeout > engine.most_timeout)
        section.reading().complain(section.position_of("least_timeout"),
                                   "'resolve.recursion_limits.least_timeout' is longer than 'most_timeout'");
}

void read_sockets(Section& section, RecurseLimits& limits)
{
    section.number("sockets", limits.sockets, 1, 65'536);
    section.number("waiting", limits.waiting, 0, 1'000'000);
    section.number("connections", limits.connections, 1, 65'536);
    section.number("connections_per_server", limits.connections_per_server, 1, 64);
    section.number("pipeline", limits.pipeline, 1, 10'000);
    section.duration("connect", limits.connect, milliseconds{100}, seconds{30});
    section.duration("idle", limits.idle, milliseconds{100}, hours{1});
}

void read_anchor_files(Section& section, dnssec::Options& options)
{
    section.texts("trust_anchors", options.anchor_files);
    for (std::string& file : options.anchor_files) file = relative_to(section.reading().file, file);
}

void read_minimisation(Section& section, resolver::iterate::Options& engine)
{
    auto word = Minimisation::relaxed;
    section.choice<Minimisation>(
        "qname_minimisation", word,
        {{"relaxed", Minimisation::relaxed}, {"strict", Minimisation::strict}, {"off", Minimisation::off}});
    engine.qname_minimisation = word != Minimisation::off;
    engine.qname_minimisation_strict = word == Minimisation::strict;
}

/// RFC 9539
void read_opportunistic(Section& resolve, RecurseOptions& options)
{
    enum class Way : std::uint8_t { off, tls, quic, both };
    auto way = Way::off;
    resolve.choice<Way>("opportunistic", way,
                        {{"off", Way::off}, {"tls", Way::tls}, {"quic", Way::quic}, {"both", Way::both}});
    options.opportunistic_tls = way == Way::tls || way == Way::both;
    options.opportunistic_quic = way == Way::quic || way == Way::both;
#ifndef SALLYPORT_HAS_QUIC
    if (options.opportunistic_quic)
        resolve.reading().complain(resolve.position_of("opportunistic"),
                                   "'resolve.opportunistic': this build has no QUIC (libngtcp2 1.11 was not found); "
                                   "expected off or tls");
#endif
    resolve.number("tls_port", options.tls_port, 1, 65'535);
    resolve.number("quic_port", options.quic_port, 1, 65'535);
    Section section{resolve.reading(), resolve.map("opportunistic_limits"), "resolve.opportunistic_limits"};
    section.duration("timeout", options.encrypted.timeout, milliseconds{100}, seconds{30});
    section.duration("persistence", options.encrypted.persistence, minutes{1}, hours{24 * 30});
    section.duration("damping", options.encrypted.damping, minutes{1}, hours{24 * 30});
    section.number("servers", options.encrypted.servers, 16, 1'000'000);
    section.number("probes", options.encrypted.probes, 1, 1'000);
    section.number("sessions", options.encrypted.sessions, 0, 100'000);
}

} // namespace

std::string fingerprint_of(const YamlNode* node)
{
    if (node == nullptr) return "{}"; // what the environment says stays as long as we run
    std::string text = node->scalar + ';';
    for (const YamlNode& item : node->items) text += "- " + fingerprint_of(&item);
    for (const YamlNode::Entry& entry : node->entries) text += entry.key + ": " + fingerprint_of(&entry.value);
    return '{' + text + '}';
}

void read_recurse(Section& resolve, resolver::RecurseOptions& options)
{
    resolve.number("port", options.engine.port, 1, 65'535);
    resolve.path("root_hints", options.root_hints);
    options.root_hints_position = resolve.position_of("root_hints");
    read_anchor_files(resolve, options.dnssec);
    read_stubs(resolve, options);
    read_minimisation(resolve, options.engine);
    resolve.boolean("prime", options.engine.prime);
    resolve.boolean("ipv4", options.engine.ipv4);
    resolve.boolean("ipv6", options.engine.ipv6);
    resolve.boolean("prefer_ipv6", options.engine.prefer_ipv6);
    if (!options.engine.ipv4 && !options.engine.ipv6)
        resolve.reading().complain(resolve.position_of("ipv6"),
                                   "'resolve.ipv4' and 'resolve.ipv6' are both off: no name server could be asked");
    read_local_root(resolve, options);
    read_opportunistic(resolve, options);
    resolve.boolean("allow_loopback", options.allow_loopback);
    resolve.prefixes("do_not_query", options.engine.do_not_query);
    resolve.boolean("strip_private_addresses", options.strip_private_addresses);
    resolve.prefixes("private_addresses", options.engine.private_addresses);
    read_names(resolve, "private_domains", options.engine.private_domains);
    resolve.size("store_size", options.store_bytes, 1ULL << 16U, 1ULL << 40U);
    read_client_subnet(resolve, options);
    read_dns64(resolve, options.engine.dns64);
    read_dnssec(resolve, options);
    Section limits{resolve.reading(), resolve.map("recursion_limits"), "resolve.recursion_limits"};
    read_work(limits, options.engine.limits);
    read_servers_limits(limits, options.engine);
    read_sockets(limits, options.limits);
}

} // namespace sallyport::conf
