#include "conf/configuration.hpp"

#include "conf/parts.hpp"
#include "conf/section.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace sallyport::conf {
namespace {

using listeners::DoorKind;
using listeners::DoorOptions;
using listeners::ListenAddress;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxFile = 4U << 20U;

std::uint16_t default_port(DoorKind kind)
{
    switch (kind) {
    case DoorKind::do53: return 53;
    case DoorKind::dot:
    case DoorKind::doq: return 853;
    case DoorKind::doh: return 443;
    }
    return 53;
}

void read_addresses(Section& section, DoorOptions& door)
{
    std::vector<std::string> words;
    std::vector<base::SourcePosition> positions;
    section.texts("on", words, &positions);
    for (std::size_t i = 0; i < words.size(); ++i) {
        ListenAddress address;
        address.position = positions[i];
        if (words[i].starts_with("unix:")) {
            address.unix_path = relative_to(section.reading().file, words[i].substr(5));
            if (door.kind != DoorKind::do53)
                section.reading().complain(positions[i],
                                           "a Unix socket carries plain DNS only: expected it under 'do53'");
        } else if (words[i].starts_with("systemd:")) {
            address.systemd_name = words[i].substr(8);
        } else if (const auto endpoint = base::Endpoint::parse(words[i], default_port(door.kind)); endpoint) {
            address.endpoint = *endpoint;
        } else {
            section.reading().complain(positions[i], endpoint.error().message);
            continue;
        }
        door.on.push_back(std::move(address));
    }
    if (words.empty()) section.reading().complain(door.position, "'on' is missing; expected at least one ADDRESS:PORT");
}

void read_doh(Section& section, DoorOptions& door)
{
    std::vector<base::SourcePosition> positions;
    section.texts("path", door.doh.paths, &positions);
    for (std::size_t i = 0; i < positions.size(); ++i) {
        const auto& path = door.doh.paths[i];
        if (!path.starts_with('/') || path.find_first_of(" ?#{}\\\"") != std::string::npos || path.size() > 256)
            section.reading().complain(positions[i],
                                       "the path '" + path + "' can not be asked for; expected one like /dns-query");
    }
    section.boolean("http3", door.doh.http3);
    section.boolean("cleartext", door.doh.cleartext);
    section.texts("cors", door.doh.cors_origins);
    section.boolean("alt_svc", door.doh.alt_svc);
    section.prefixes("forwarded_from", door.doh.forwarded_from);
}

void read_door(Reading& reading, DoorKind kind, const std::string& path, const YamlNode* node,
               base::SourcePosition position, std::vector<DoorOptions>& doors)
{
    DoorOptions door;
    door.kind = kind;
    door.position = std::move(position);
    Section section{reading, node, path, false};
    read_addresses(section, door);
    if (kind == DoorKind::do53) {
        section.boolean("udp", door.udp);
        section.boolean("tcp", door.tcp);
    }
    if (kind == DoorKind::doh) read_doh(section, door);
    if (kind == DoorKind::doq) section.boolean("early_data", door.early_data);
    if (kind != DoorKind::doq) section.prefixes("proxy_protocol_from", door.proxy_protocol_from);
    doors.push_back(std::move(door));
}

void read_listen(Section& top, Configuration& configuration)
{
    static const std::initializer_list<std::pair<const char*, DoorKind>> kKinds{
        {"do53", DoorKind::do53}, {"dot", DoorKind::dot}, {"doh", DoorKind::doh}, {"doq", DoorKind::doq}};
    Reading& reading = top.reading();
    for (const YamlNode& item : top.items("listen")) {
        Section entry{reading, &item, "listen[]", false};
        unsigned found = 0;
        for (const auto& [name, kind] : kKinds) {
            const YamlNode* const node = entry.map(name);
            if (node == nullptr) continue;
            ++found;
            read_door(reading, kind, std::string("listen[].") + name, node, reading.position(item),
                      configuration.listeners.doors);
        }
        if (found != 1)
            reading.complain(item, "each entry of 'listen' is one door; expected one of do53, dot, doh, doq");
    }
}

void read_certificates(Section& top, Configuration& configuration)
{
    auto& options = configuration.certificates;
    Section section{top.reading(), top.map("certificates"), "certificates"};
    section.path("directory", options.directory);
    options.directory_position = section.position_of("directory");
    for (const YamlNode& item : section.items("files")) {
        certs::CertificateOptions pair;
        pair.position = top.reading().position(item);
        Section entry{top.reading(), &item, "certificates.files[]", false};
        entry.path("chain", pair.chain_file);
        entry.path("key", pair.key_file);
        if (pair.chain_file.empty() || pair.key_file.empty())
            top.reading().complain(item, "a certificate needs both 'chain' and 'key'");
        options.certificates.push_back(std::move(pair));
    }
    section.texts("names", configuration.names, &configuration.name_positions);
    section.boolean("tls12", options.allow_tls12);
    section.duration("watch_every", options.watch_every, seconds{1}, hours{24});
    Section tickets{top.reading(), section.map("tickets"), "certificates.tickets"};
    tickets.path("key_file", options.tickets.key_file);
    tickets.duration("rotate_every", options.tickets.rotate_every, minutes{1}, hours{12});
}

void read_zones(Section& top, Configuration& configuration)
{
    for (const YamlNode& item : top.items("zones")) {
        zones::ZoneOptions zone;
        zone.position = top.reading().position(item);
        Section entry{top.reading(), &item, "zones[]", false};
        entry.text("name", zone.name);
        entry.path("file", zone.file);
        entry.texts("records", zone.records, &zone.record_positions);
        entry.path("hosts", zone.hosts_file);
        const int sources = int{!zone.file.empty()} + int{!zone.records.empty()} + int{!zone.hosts_file.empty()};
        if (zone.name.empty()) top.reading().complain(item, "a zone needs its 'name'");
        if (sources != 1) top.reading().complain(item, "a zone needs exactly one of 'file', 'records' and 'hosts'");
        configuration.zones.zones.push_back(std::move(zone));
    }
}

void read_answers(Section& top, pipeline::Options& options)
{
    Section section{top.reading(), top.map("answers"), "answers"};
    section.number("udp_size", options.udp_payload_size, 512, 4096);
    section.text("nsid", options.nsid);
    if (options.nsid.size() > 128)
        top.reading().complain(section.position_of("nsid"), "'answers.nsid' is longer than 128 octets");
    section.boolean("identity", options.identity_names);
    section.boolean("cookies", options.cookies);
    section.text("cookie_secret", options.cookie_secret);
    if (!options.cookie_secret.empty() &&
        (options.cookie_secret.size() != 32 ||
         options.cookie_secret.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos))
        top.reading().complain(section.position_of("cookie_secret"),
                               "'answers.cookie_secret' must be 32 hexadecimal digits");
    section.number("padding", options.padding_block, 0, 4096);
}

void read_ddr(Section& top, pipeline::DdrOptions& options)
{
    Section section{top.reading(), top.map("ddr"), "ddr"};
    section.boolean("enabled", options.enabled);
    section.text("target", options.target);
    section.number("ttl", options.ttl, 0, 86'400);
}

void read_policy(Section& top, pipeline::Options& options)
{
    Section access{top.reading(), top.map("access"), "access"};
    access.prefixes("allow", options.access.allow);
    access.prefixes("deny", options.access.deny);
    access.boolean("silent", options.access.silent);
    auto& rate = options.rate_limit;
    Section section{top.reading(), top.map("rate_limit"), "rate_limit"};
    section.number("per_second", rate.per_second, 0, 1'000'000);
    section.number("burst", rate.burst, 1, 10'000'000);
    section.number("v4_prefix", rate.v4_prefix, 8, 32);
    section.number("v6_prefix", rate.v6_prefix, 16, 128);
    section.number("table_size", rate.table_size, 64, 16'777'216);
    section.number("errors_per_second", rate.errors_per_second, 1, 1'000'000);
    section.prefixes("exempt", rate.exempt);
}

void read_stream_limits(Section& limits, listeners::StreamLimits& options)
{
    Section section{limits.reading(), limits.map("streams"), "limits.streams"};
    section.number("connections", options.connections, 1, 1'000'000);
    section.number("connections_per_address", options.connections_per_address, 1, 1'000'000);
    section.duration("handshake", options.handshake, milliseconds{100}, minutes{1});
    section.duration("message", options.message, milliseconds{100}, minutes{1});
    section.duration("idle", options.idle, milliseconds{100}, hours{1});
    section.duration("idle_when_full", options.idle_when_full, milliseconds{100}, hours{1});
    section.duration("write_stall", options.write_stall, milliseconds{100}, minutes{1});
    section.size("backlog_bytes", options.backlog_bytes, 4096, 16U << 20U);
    section.number("backlog_answers", options.backlog_answers, 1, 10'000);
    section.number("queries_in_work", options.queries_in_work, 1, 10'000);
    section.number("messages_per_turn", options.messages_per_turn, 1, 10'000);
    section.number("reserved_descriptors", options.reserved_descriptors, 16, 4096);
}

void read_http_limits(Section& limits, listeners::HttpLimits& options)
{
    Section section{limits.reading(), limits.map("http"), "limits.http"};
    section.number("concurrent_streams", options.concurrent_streams, 1, 10'000);
    section.number("reset_burst", options.reset_burst, 1, 1'000'000);
    section.number("reset_per_second", options.reset_per_second, 1, 1'000'000);
    section.number("continuations", options.continuations, 0, 1000);
    section.size("header_block", options.header_block, 1024, 1U << 20U);
    section.size("header_list", options.header_list, 1024, 1U << 20U);
    section.number("settings_per_frame", options.settings_per_frame, 1, 1000);
    section.number("control_queue", options.control_queue, 1, 100'000);
    section.number("offence_burst", options.offence_burst, 1, 1'000'000);
    section.number("offence_per_second", options.offence_per_second, 1, 1'000'000);
    section.size("body", options.body, 512, 65'535);
    section.duration("body_time", options.body_time, milliseconds{100}, minutes{1});
    section.size("query_parameter", options.query_parameter, 1024, 88'000);
    section.size("answers_per_connection", options.answers_per_connection, 65'536, 64U << 20U);
    section.size("answers_in_all", options.answers_in_all, 1U << 20U, 1U << 31U);
    section.duration("stall", options.stall, milliseconds{100}, minutes{5});
    section.size("read_at_once", options.read_at_once, 1024, 65'536);
    section.duration("idle", options.idle, milliseconds{100}, hours{1});
}

void read_quic_limits(Section& limits, listeners::QuicLimits& options)
{
    Section section{limits.reading(), limits.map("quic"), "limits.quic"};
    section.number("connections", options.connections, 1, 1'000'000);
    section.number("connections_per_address", options.connections_per_address, 1, 1'000'000);
    section.number("handshakes_before_retry", options.handshakes_before_retry, 0, 1'000'000);
    section.duration("handshake", options.handshake, milliseconds{100}, minutes{1});
    section.duration("idle", options.idle, milliseconds{100}, minutes{10});
    section.duration("retry_token", options.retry_token, seconds{1}, minutes{5});
    section.number("streams", options.streams, 1, 10'000);
    section.size("memory", options.memory, 1U << 20U, 1ULL << 36U);
    section.duration("message", options.message, milliseconds{100}, minutes{1});
    section.size("unread_per_connection", options.unread_per_connection, 65'536, 16U << 20U);
    section.number("resets_per_second", options.resets_per_second, 0, 100'000);
    section.number("remnants", options.remnants, 1, 1'000'000);
    section.boolean("always_retry", options.always_retry);
}

void read_zone_limits(Section& limits, zones::Limits& options)
{
    Section section{limits.reading(), limits.map("zones"), "limits.zones"};
    section.number("records", options.records, 1, 1'000'000'000);
    section.number("include_depth", options.include_depth, 0, 64);
    section.number("generate_names", options.generate_names, 0, 10'000'000);
    section.number("problems", options.problems, 1, 100'000);
    section.number("cname_chain", options.cname_chain, 1, 16);
    section.number("records_per_set", options.records_per_set, 1, 65'535);
    section.number("sets_per_name", options.sets_per_name, 1, 65'535);
    section.size("entry_octets", options.entry_octets, 1024, 16U << 20U);
    section.number("additional_names", options.additional_names, 0, 32);
    section.number("nsec3_iterations", options.nsec3_iterations, 0, 500);
    section.number("warnings", options.warnings, 0, 100'000);
}

void read_limits(Section& top, Configuration& configuration)
{
    Section limits{top.reading(), top.map("limits"), "limits"};
    limits.number("queries_in_flight", configuration.pipeline.queries_in_flight, 64, 10'000'000);
    limits.size("queries_in_flight_octets", configuration.pipeline.queries_in_flight_octets, 65'536, 1U << 31U);
    auto& waiting = configuration.pipeline.waiting;
    limits.number("queries_per_client", waiting.per_client, 1, 10'000'000);
    limits.duration("longest_wait", waiting.longest, milliseconds{500}, minutes{1});
    limits.duration("late_over_udp", waiting.late_over_udp, milliseconds{100}, minutes{1});
    limits.number("late_from", waiting.late_from, 1, 10'000'000);
    limits.duration("drain", configuration.listeners.drain, milliseconds{0}, minutes{10});
    limits.number("udp_batch", configuration.listeners.udp_batch, 1, 256);
    limits.size("udp_receive_buffer", configuration.listeners.udp_receive_buffer, 65'536, 1U << 30U);
    read_stream_limits(limits, configuration.listeners.streams);
    read_http_limits(limits, configuration.listeners.http);
    read_quic_limits(limits, configuration.listeners.quic);
    read_zone_limits(limits, configuration.zones.limits);
}

void read_reload(Section& top, Configuration& configuration)
{
    Section section{top.reading(), top.map("reload"), "reload"};
    section.boolean("watch", configuration.watch_files);
    section.duration("every", configuration.watch_every, milliseconds{100}, hours{1});
}

void read_log(Section& top, Configuration& configuration)
{
    using base::log::Level;
    Section section{top.reading(), top.map("log"), "log"};
    section.choice<Level>(
        "level", configuration.log.level,
        {{"debug", Level::debug}, {"info", Level::info}, {"warning", Level::warning}, {"error", Level::error}});
    section.boolean("timestamps", configuration.log.timestamps);
}

void read_top(Reading& reading, const YamlNode& root, Configuration& configuration)
{
    Section top{reading, &root, ""};
    top.number("workers", configuration.workers, 0, 256);
    top.text("user", configuration.run_as);
    read_listen(top, configuration);
    read_certificates(top, configuration);
    read_zones(top, configuration);
    read_answers(top, configuration.pipeline);
    read_ddr(top, configuration.pipeline.ddr);
    read_policy(top, configuration.pipeline);
    read_cache(top, configuration.cache, configuration.cache_snapshot, configuration.pipeline.waiting.stale_after);
    read_resolve(top, configuration.resolver, configuration.zones.local_only);
    if (configuration.resolver.mode == resolver::Mode::recurse)
        configuration.pipeline.client_subnet = {configuration.resolver.recurse.engine.subnet,
                                                configuration.resolver.recurse.subnet_from_clients};
    read_script(top, configuration.script, configuration.pipeline.block);
    read_admin(top, configuration.admin, configuration.query_log);
    read_limits(top, configuration);
    read_reload(top, configuration);
    read_log(top, configuration);
    // What the stream doors keep an idle connection for is what clients are told (RFC 7828).
    configuration.pipeline.keepalive_milliseconds =
        static_cast<std::uint32_t>(configuration.listeners.streams.idle.count());
}

Configuration parse(std::string_view text, Reading& reading)
{
    Configuration configuration;
    configuration.file = reading.file;
    const auto root = parse_yaml(text, reading.file);
    if (!root) {
        reading.problems.push_back(root.error());
        return configuration;
    }
    read_top(reading, *root, configuration);
    return configuration;
}

} // namespace

Configuration parse_configuration(std::string_view text, const std::string& file, const Environment& environment,
                                  base::Problems& problems)
{
    Reading reading{file, environment, {}, {}};
    Configuration configuration = parse(text, reading);
    problems.insert(problems.end(), reading.problems.begin(), reading.problems.end());
    return configuration;
}

Configuration read_configuration(const std::string& file, base::Problems& problems)
{
    errno = 0;
    std::ifstream stream{file, std::ios::binary};
    std::string text;
    if (stream) {
        text.assign(std::istreambuf_iterator<char>{stream}, {});
        if (text.size() > kMaxFile) {
            problems.push_back({base::ErrorCode::limit, "larger than 4 MiB; is this the configuration?", {file}});
            return {};
        }
    }
    if (!stream || stream.bad()) {
        auto error = base::system_error("cannot read the configuration", errno);
        error.position.file = file;
        problems.push_back(std::move(error));
        return {};
    }
    return parse_configuration(text, file, [](const char* name) { return std::getenv(name); }, problems);
}

std::set<std::string> known_keys()
{
    // Asking for every part once, lists included, tells all keys.
    constexpr std::string_view kEverything = "listen: [{do53: {on: '1.2.3.4:53'}}, {dot: {on: '1.2.3.4:53'}}, "
                                             "{doh: {on: '1.2.3.4:53'}}, {doq: {on: '1.2.3.4:53'}}]\n"
                                             "zones: [{name: a, records: [b]}]\n"
                                             "certificates: {files: [{chain: a, key: b}]}\n"
                                             "query_log: {outputs: [{file: a}]}\n"
                                             "resolve: {upstreams: [{url: 192.0.2.1}], bootstrap: [{url: 192.0.2.1}], "
                                             "groups: [{name: a, upstreams: [{url: 192.0.2.1}]}], "
                                             "routes: [{zones: [a], to: a}], "
                                             "stubs: [{zone: a, servers: [192.0.2.1]}], "
                                             "dnssec: {negative_trust_anchors: [{name: a}]}}\n";
    Reading reading{"known keys", {}, {}, {}};
    (void)parse(kEverything, reading);
    return reading.known_keys;
}

} // namespace sallyport::conf
