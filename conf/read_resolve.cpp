#include "conf/parts.hpp"
#include "conf/upstream_url.hpp"

#include <algorithm>

namespace sallyport::conf {
namespace {

using resolver::GroupOptions;
using resolver::Mode;
using resolver::Strategy;
using resolver::UpstreamOptions;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kDefaultGroup = "default";

bool is_pin(std::string_view text) noexcept
{
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 32 octets: the last two bits of the last digit are none of theirs.
    return text.size() == 44 && text.back() == '=' && text.find_first_not_of(kDigits) == 43 &&
           kDigits.find(text[42]) % 4 == 0;
}

void read_addresses(Section& entry, UpstreamOptions& upstream)
{
    std::vector<std::string> words;
    std::vector<base::SourcePosition> positions;
    entry.texts("addresses", words, &positions);
    if (words.empty()) return;
    upstream.addresses.clear();
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (const auto address = base::IpAddress::parse(words[i]))
            upstream.addresses.push_back(*address);
        else
            entry.reading().complain(positions[i], "'" + words[i] +
                                                       "' is no address; expected one like 192.0.2.1 or "
                                                       "2001:db8::1, without a port");
    }
    if (words.size() > 16) entry.reading().complain(positions[16], "an upstream has at most 16 addresses");
}

void read_security(Section& entry, UpstreamOptions& upstream)
{
    entry.text("server_name", upstream.server_name);
    if (const std::string& name = upstream.server_name;
        !name.empty() && !is_domain_name(name) && !base::IpAddress::parse(name))
        entry.reading().complain(entry.position_of("server_name"),
                                 "'" + name + "' is no name; expected the one on the server's certificate");
    entry.path("ca_file", upstream.ca_file);
    entry.boolean("verify", upstream.verify);
    std::vector<base::SourcePosition> positions;
    entry.texts("pins", upstream.spki_pins, &positions);
    for (std::size_t i = 0; i < positions.size(); ++i)
        if (!is_pin(upstream.spki_pins[i]))
            entry.reading().complain(positions[i],
                                     "'" + upstream.spki_pins[i] +
                                         "' is no pin; expected the SHA-256 of a public key in base64, 44 "
                                         "characters that end in '='");
    const bool clear = upstream.transport == base::Transport::udp || upstream.transport == base::Transport::tcp;
    if (clear && (!upstream.server_name.empty() || !upstream.ca_file.empty() || !upstream.spki_pins.empty()))
        entry.reading().complain(upstream.position, "udp:// and tcp:// are not encrypted: 'server_name', 'ca_file' and "
                                                    "'pins' mean nothing there; expected tls://, https:// or quic://");
}

/// The system's resolver is never asked: it may be this gateway, and then nobody would ever be asked.
void check_reachable(Reading& reading, const resolver::Options& options)
{
    if (!options.bootstrap.empty()) return;
    for (const GroupOptions& group : options.groups) {
        for (const UpstreamOptions& upstream : group.upstreams) {
            if (!upstream.addresses.empty() || upstream.host.empty()) continue;
            reading.complain(upstream.position, "'" + upstream.host +
                                                    "' is a name, and there is nobody who could look it up; expected "
                                                    "'addresses' beside 'url': { url: …, addresses: [192.0.2.1] }, or "
                                                    "servers that are asked for it: 'resolve.bootstrap: [192.0.2.53]'");
        }
    }
}

void read_upstream_map(Reading& reading, const YamlNode& item, const std::string& path, UpstreamOptions& upstream)
{
    Section entry{reading, &item, path, false};
    std::string url;
    entry.text("url", url);
    if (url.empty())
        reading.complain(item, "an upstream needs its 'url'");
    else if (const std::string wrong = read_upstream_url(url, upstream); !wrong.empty())
        reading.complain(entry.position_of("url"), wrong);
    upstream.name = url;
    entry.text("name", upstream.name);
    read_addresses(entry, upstream);
    read_security(entry, upstream);
}

void read_upstreams(Section& section, GroupOptions& group, std::string_view key = "upstreams")
{
    Reading& reading = section.reading();
    const std::string path = section.path_of(key) + "[]";
    for (const YamlNode& item : section.items(key)) {
        UpstreamOptions upstream;
        upstream.position = reading.position(item);
        if (item.kind == YamlNode::Kind::scalar) {
            upstream.name = item.scalar;
            if (const std::string wrong = read_upstream_url(item.scalar, upstream); !wrong.empty()) {
                reading.complain(item, wrong);
                continue;
            }
        } else {
            read_upstream_map(reading, item, path, upstream);
        }
        const bool known = std::any_of(group.upstreams.begin(), group.upstreams.end(),
                                       [&](const UpstreamOptions& other) { return other.name == upstream.name; });
        if (known) reading.complain(item, "the group has an upstream '" + upstream.name + "' already");
        group.upstreams.push_back(std::move(upstream));
    }
    if (group.upstreams.size() > resolver::kMaxUpstreams)
        reading.complain(group.position,
                         "a group has at most " + std::to_string(resolver::kMaxUpstreams) + " upstreams");
}

/// Servers that are asked where upstreams are: by address, or there would be nobody to ask where they are themselves.
void read_bootstrap(Section& resolve, resolver::Options& options)
{
    Reading& reading = resolve.reading();
    GroupOptions servers;
    servers.position = resolve.position_of("bootstrap");
    read_upstreams(resolve, servers, "bootstrap");
    for (const UpstreamOptions& server : servers.upstreams)
        if (server.addresses.empty() && !server.host.empty())
            reading.complain(server.position, "'" + server.host +
                                                  "' is a name; expected a bootstrap server by its address, like "
                                                  "9.9.9.9 or tls://9.9.9.9#dns.quad9.net");
    options.bootstrap = std::move(servers.upstreams);
    resolver::BootstrapLimits& limits = options.bootstrap_limits;
    Section section{reading, resolve.map("bootstrap_limits"), "resolve.bootstrap_limits"};
    section.number("addresses", limits.addresses, 1, 64);
    section.number("look_ups", limits.look_ups, 1, 64);
    section.duration("time", limits.time, milliseconds{100}, minutes{1});
    section.number("aliases", limits.aliases, 0, 32);
    section.duration("least_ttl", limits.least_ttl, seconds{1}, hours{24});
    section.duration("most_ttl", limits.most_ttl, seconds{1}, hours{24 * 7});
    if (limits.most_ttl < limits.least_ttl)
        reading.complain(section.position_of("most_ttl"),
                         "'resolve.bootstrap_limits.most_ttl' is less than 'least_ttl'");
}

void read_strategy(Section& section, GroupOptions& group)
{
    section.choice<Strategy>("strategy", group.strategy,
                             {{"ordered", Strategy::ordered},
                              {"fastest", Strategy::fastest},
                              {"round_robin", Strategy::round_robin},
                              {"race", Strategy::race}});
    section.number("race", group.race, 1, resolver::kMaxUpstreams);
}

const GroupOptions* find_group(const resolver::Options& options, const std::string& name)
{
    const auto found = std::find_if(options.groups.begin(), options.groups.end(),
                                    [&](const GroupOptions& group) { return group.name == name; });
    return found == options.groups.end() ? nullptr : &*found;
}

void read_groups(Section& section, resolver::Options& options)
{
    Reading& reading = section.reading();
    for (const YamlNode& item : section.items("groups")) {
        GroupOptions group;
        group.position = reading.position(item);
        Section entry{reading, &item, "resolve.groups[]", false};
        entry.text("name", group.name);
        read_strategy(entry, group);
        read_upstreams(entry, group);
        if (group.name.empty()) reading.complain(item, "a group of upstreams needs its 'name'");
        if (group.upstreams.empty()) reading.complain(item, "a group needs at least one entry in 'upstreams'");
        if (!group.name.empty() && find_group(options, group.name) != nullptr)
            reading.complain(item, "there is a group '" + group.name + "' already; expected another name");
        options.groups.push_back(std::move(group));
    }
}

void check_route_target(Section& entry, const resolver::Options& options, const std::string& group)
{
    if (find_group(options, group) != nullptr) return;
    std::vector<std::string> names;
    names.reserve(options.groups.size());
    for (const GroupOptions& known : options.groups) names.push_back(known.name);
    std::string message = "there is no group '" + group + "'";
    if (const std::string meant = nearest(group, names); !meant.empty()) {
        message += "; did you mean '" + meant + "'?";
    } else {
        message += names.empty() ? "; expected one under 'resolve.groups'" : "; expected one of";
        for (const std::string& name : names) message += " " + name;
    }
    entry.reading().complain(entry.position_of("to"), message);
}

/// Names that the public DNS has no signed delegation for (RFC 6303, 6761, 7686, 8375, 9476, and `internal`): what is
/// proven of them there, that they are not, says nothing of those inside.
bool is_never_signed(std::string_view zone) noexcept
{
    constexpr std::string_view kNames[] = {"internal",
                                           "local",
                                           "test",
                                           "localhost",
                                           "invalid",
                                           "onion",
                                           "alt",
                                           "home.arpa",
                                           "10.in-addr.arpa",
                                           "168.192.in-addr.arpa",
                                           "254.169.in-addr.arpa",
                                           "127.in-addr.arpa",
                                           "c.f.ip6.arpa",
                                           "d.f.ip6.arpa",
                                           "8.e.f.ip6.arpa",
                                           "9.e.f.ip6.arpa",
                                           "a.e.f.ip6.arpa",
                                           "b.e.f.ip6.arpa"};
    const auto is_under = [zone](std::string_view above) {
        return zone == above ||
               (zone.size() > above.size() && zone.ends_with(above) && zone[zone.size() - above.size() - 1] == '.');
    };
    if (std::any_of(std::begin(kNames), std::end(kNames), is_under)) return true;
    for (int second = 16; second < 32; ++second)
        if (is_under(std::to_string(second) + ".172.in-addr.arpa")) return true;
    return false;
}

enum class Wish : std::uint8_t { as_usual, yes, no };

Wish read_wish(Section& section, std::string_view key)
{
    auto wish = Wish::as_usual;
    section.choice<Wish>(key, wish,
                         {{"yes", Wish::yes},
                          {"no", Wish::no},
                          {"true", Wish::yes},
                          {"false", Wish::no},
                          {"on", Wish::yes},
                          {"off", Wish::no}});
    return wish;
}

/// `validate` and `first` of the whole section. Where we forward, validation is for who asks for it: not all upstreams
/// have the records it needs, and then no name would be answered.
void read_validation(Section& section, resolver::Options& options)
{
    const Wish wish = read_wish(section, "validate");
    if (options.mode == Mode::recurse && wish == Wish::no) options.recurse.dnssec.enabled = false;
    options.validate = options.mode == Mode::forward && wish == Wish::yes && options.recurse.dnssec.enabled;
    section.boolean("first", options.first);
    if (options.first && !options.validate)
        section.reading().complain(section.position_of("first"),
                                   "'resolve.first' means something in mode forward with 'validate: yes' only");
}

void read_trust(Section& entry, const resolver::Options& options, resolver::RouteOptions& route)
{
    const Wish wish = read_wish(entry, "validate");
    const bool never = !route.zones.empty() && std::all_of(route.zones.begin(), route.zones.end(), is_never_signed);
    route.validate = wish == Wish::yes || (wish == Wish::as_usual && !never);
    entry.boolean("first", route.first);
    if (needs_engine(options)) return;
    for (const std::string_view key : {"validate", "first"})
        if (key == "first" ? route.first : wish == Wish::yes)
            entry.reading().complain(entry.position_of(key),
                                     "'" + std::string{key} +
                                         "' of a route means something in mode recurse, or in mode forward with "
                                         "'resolve.validate: yes', only");
}

void read_routes(Section& section, resolver::Options& options)
{
    Reading& reading = section.reading();
    std::vector<std::string> seen;
    for (const YamlNode& item : section.items("routes")) {
        resolver::RouteOptions route;
        route.position = reading.position(item);
        Section entry{reading, &item, "resolve.routes[]", false};
        std::vector<base::SourcePosition> positions;
        entry.texts("zones", route.zones, &positions);
        entry.text("to", route.group);
        read_trust(entry, options, route);
        for (std::size_t i = 0; i < positions.size(); ++i) {
            std::string zone = route.zones[i];
            if (!is_domain_name(zone))
                reading.complain(positions[i], "'" + zone + "' is no domain name; expected one like corp.example");
            if (zone.size() > 1 && zone.ends_with('.')) zone.pop_back();
            std::transform(zone.begin(), zone.end(), zone.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
            if (std::find(seen.begin(), seen.end(), zone) != seen.end())
                reading.complain(positions[i], "'" + zone + "' has a route already; one of the two must go");
            seen.push_back(std::move(zone));
        }
        if (route.zones.empty()) reading.complain(item, "a route needs 'zones'");
        if (route.group.empty())
            reading.complain(item, "a route needs 'to', the name of a group");
        else
            check_route_target(entry, options, route.group);
        options.routes.push_back(std::move(route));
    }
}

void read_limits(Section& resolve, resolver::Limits& limits)
{
    Section section{resolve.reading(), resolve.map("limits"), "resolve.limits"};
    section.duration("budget", limits.budget, milliseconds{200}, minutes{1});
    section.duration("first_timeout", limits.first_timeout, milliseconds{20}, seconds{10});
    section.number("tries", limits.tries, 1, 16);
    section.number("in_flight", limits.in_flight, 1, 1'000'000);
    section.number("waiters", limits.waiters, 1, 1'000'000);
    section.number("per_zone", limits.per_zone, 1, 1'000'000);
    section.number("per_upstream", limits.per_upstream, 1, 1'000'000);
    section.size("in_flight_octets", limits.in_flight_octets, 65'536, 1U << 31U);
    section.number("connections", limits.connections, 1, 64);
    section.number("pipeline", limits.pipeline, 1, 10'000);
    section.duration("idle", limits.idle, milliseconds{100}, hours{1});
    section.number("failures_to_open", limits.failures_to_open, 1, 1000);
    section.duration("backoff_first", limits.backoff_first, milliseconds{50}, minutes{10});
    section.duration("backoff_most", limits.backoff_most, milliseconds{50}, hours{1});
    if (limits.backoff_most < limits.backoff_first)
        section.reading().complain(section.position_of("backoff_most"),
                                   "'resolve.limits.backoff_most' is less than 'backoff_first'");
}

} // namespace

void read_resolve(Section& top, resolver::Options& options, zones::LocalOnlyOptions& local_only)
{
    const YamlNode* const node = top.map("resolve");
    options.recurse.fingerprint = fingerprint_of(node);
    Section section{top.reading(), node, "resolve"};
    GroupOptions shorthand;
    shorthand.name = kDefaultGroup;
    shorthand.position = section.position_of("upstreams");
    read_strategy(section, shorthand);
    read_upstreams(section, shorthand);
    if (!shorthand.upstreams.empty()) options.groups.push_back(std::move(shorthand));
    read_groups(section, options);
    read_bootstrap(section, options);
    check_reachable(section.reading(), options);
    // Whoever names upstreams wants them asked.
    options.mode = options.groups.empty() ? Mode::off : Mode::forward;
    section.choice<Mode>("mode", options.mode,
                         {{"recurse", Mode::recurse}, {"forward", Mode::forward}, {"off", Mode::off}});
    if (options.mode == Mode::forward && options.groups.empty())
        section.reading().complain(section.position_of("mode"),
                                   "'resolve.mode' is forward, but there is nobody to ask; expected 'upstreams' or "
                                   "'groups'");
    read_recurse(section, options.recurse);
    read_local_only(section, local_only);
    read_validation(section, options);
    read_routes(section, options);
    section.boolean("case_randomisation", options.case_randomisation);
    section.boolean("cookies", options.cookies);
    section.number("udp_size", options.udp_payload_size, 512, 4096);
    read_limits(section, options.limits);
}

} // namespace sallyport::conf
