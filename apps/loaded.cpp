#include "apps/loaded.hpp"

#include "apps/cache_fingerprint.hpp"
#include "apps/designations.hpp"
#include "apps/recursion.hpp"
#include "base/clock.hpp"
#include "resolver/loops.hpp"
#include "zones/read_files.hpp"

#include <algorithm>
#include <iostream>
#include <thread>

namespace sallyport::apps {
namespace {

bool covers(const std::vector<std::string>& certified, const std::string& name)
{
    const auto dot = name.find('.');
    const std::string wildcard = dot == std::string::npos ? name : "*" + name.substr(dot);
    return std::any_of(certified.begin(), certified.end(),
                       [&](const std::string& c) { return c == name || c == wildcard; });
}

/// The names we tell clients must be on a certificate: a client would refuse us otherwise.
void check_names(const Loaded& loaded, base::Problems& problems)
{
    const auto& configuration = loaded.configuration;
    for (std::size_t i = 0; i < configuration.names.size(); ++i) {
        if (covers(loaded.identities->names(), configuration.names[i])) continue;
        problems.push_back(
            {base::ErrorCode::conflict,
             "no certificate is for '" + configuration.names[i] + "'; expected one whose names include it",
             configuration.name_positions[i]});
    }
}

void load_certificates(Loaded& loaded, base::Problems& problems)
{
    const base::SystemClock clock;
    auto& options = loaded.configuration.certificates;
    if (options.certificates.empty() && options.directory.empty()) {
        problems.push_back({base::ErrorCode::not_found,
                            "the doors dot, doh and doq need 'certificates' with a 'directory' or 'files'; for a try: "
                            "'sallyport cert dev'",
                            {loaded.configuration.file}});
        return;
    }
    if (!loaded.tickets) {
        auto made = certs::TicketKeys::make(options.tickets, clock.now());
        if (!made) {
            problems.push_back(made.error());
            return;
        }
        loaded.tickets = std::move(*made);
    }
    loaded.certificate_watch = std::make_unique<certs::Watch>(options);
    loaded.identities = certs::load(options, loaded.tickets, clock.wall(), problems);
    if (loaded.identities) check_names(loaded, problems);
}

bool same_tickets(const certs::TicketOptions& a, const certs::TicketOptions& b)
{
    return a.key_file == b.key_file && a.rotate_every == b.rotate_every;
}

void load_script(Loaded& loaded, base::Problems& problems)
{
    if (loaded.configuration.script.script.empty()) return;
    auto script = lua::Script::load(loaded.configuration.script);
    if (!script)
        problems.push_back(script.error());
    else
        loaded.script = std::move(*script);
}

/// An upstream that is one of our own doors would be asked for ever by itself.
void check_upstreams(Loaded& loaded, base::Problems& problems)
{
    auto& own = loaded.configuration.resolver.own;
    for (const listeners::Port& port : loaded.ports) {
        if (!port.address.unix_path.empty() || !port.address.systemd_name.empty()) continue;
        own.push_back(
            {port.address.endpoint, listeners::is_datagram(port.kind) ? base::Transport::udp : base::Transport::tcp});
    }
    (void)resolver::check_loops(loaded.configuration.resolver, own, resolver::local_addresses(), problems);
}

/// Zones that are answered here unless somebody else is told to: who that is.
void give_way_to_others(conf::Configuration& configuration)
{
    const auto& resolver = configuration.resolver;
    auto& local = configuration.zones.local_only;
    // Who answers for nothing but his own zones answers for these neither.
    local.enabled = local.enabled && resolver.mode != resolver::Mode::off;
    local.recursing = resolver.mode == resolver::Mode::recurse;
    local.translates = !resolver.recurse.engine.dns64.prefixes.empty();
    for (const auto& route : resolver.routes)
        local.elsewhere.insert(local.elsewhere.end(), route.zones.begin(), route.zones.end());
    for (const auto& fixed : resolver.recurse.engine.fixed) local.elsewhere.push_back(fixed.zone.to_text());
}

} // namespace

std::vector<std::string> watched_files(const Loaded& loaded)
{
    const auto& configuration = loaded.configuration;
    std::vector<std::string> files{configuration.file, configuration.script.script};
    files.insert(files.end(), loaded.zone_files.begin(), loaded.zone_files.end());
    for (const auto& group : configuration.resolver.groups)
        for (const auto& upstream : group.upstreams) files.push_back(upstream.ca_file);
    for (const auto& server : configuration.resolver.bootstrap) files.push_back(server.ca_file);
    files.push_back(configuration.admin.token_file);
    for (std::string& file : recursion_files(loaded)) files.push_back(std::move(file));
    if (loaded.script) files.insert(files.end(), loaded.script->files().begin(), loaded.script->files().end());
    return files;
}

bool needs_certificate(const listeners::Options& options) noexcept
{
    return std::any_of(options.doors.begin(), options.doors.end(), [](const listeners::DoorOptions& door) {
        return door.kind != listeners::DoorKind::do53 && !(door.kind == listeners::DoorKind::doh && door.doh.cleartext);
    });
}

std::unique_ptr<Loaded> load_everything(const std::string& file, const Loaded* before, base::Problems& problems)
{
    auto loaded = std::make_unique<Loaded>();
    loaded->configuration = conf::read_configuration(file, problems);
    auto& configuration = loaded->configuration;
    if (before != nullptr &&
        same_tickets(before->configuration.certificates.tickets, configuration.certificates.tickets))
        loaded->tickets = before->tickets;
    if (configuration.workers == 0) configuration.workers = std::max(1U, std::thread::hardware_concurrency());
    configuration.listeners.workers = configuration.workers;
    loaded->cache_fingerprint = cache_fingerprint_of(configuration);
    give_way_to_others(configuration);
    // What could be read is checked even where another part is wrong: people see every error in one run.
    loaded->zones = zones::load(configuration.zones, problems, loaded->zone_files);
    loaded->ports = listeners::plan_ports(configuration.listeners, problems);
    check_upstreams(*loaded, problems);
    if (needs_certificate(configuration.listeners)) load_certificates(*loaded, problems);
    load_script(*loaded, problems);
    load_recursion(*loaded, before, problems);
    loaded->resolver = std::make_shared<const resolver::Options>(configuration.resolver);
    if (configuration.listeners.doors.empty() && problems.empty())
        problems.push_back({base::ErrorCode::invalid, "'listen' names no door; expected at least one", {file}});
    if (!problems.empty()) return nullptr;
    fill_designations(*loaded);
    return loaded;
}

void print_problems(const base::Problems& problems)
{
    for (const auto& problem : problems) std::cerr << problem.to_string() << '\n';
    std::cerr << problems.size() << (problems.size() == 1 ? " error\n" : " errors\n");
}

} // namespace sallyport::apps
