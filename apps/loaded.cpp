#include "apps/loaded.hpp"

#include "apps/designations.hpp"
#include "base/clock.hpp"

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
    loaded.identities = certs::load(options, loaded.tickets, clock.wall(), problems);
    if (loaded.identities) check_names(loaded, problems);
}

} // namespace

bool needs_certificate(const listeners::Options& options) noexcept
{
    return std::any_of(options.doors.begin(), options.doors.end(), [](const listeners::DoorOptions& door) {
        return door.kind != listeners::DoorKind::do53 && !(door.kind == listeners::DoorKind::doh && door.doh.cleartext);
    });
}

std::unique_ptr<Loaded> load_everything(const std::string& file, std::shared_ptr<certs::TicketKeys> tickets,
                                        base::Problems& problems)
{
    auto loaded = std::make_unique<Loaded>();
    loaded->tickets = std::move(tickets);
    loaded->configuration = conf::read_configuration(file, problems);
    auto& configuration = loaded->configuration;
    if (configuration.workers == 0) configuration.workers = std::max(1U, std::thread::hardware_concurrency());
    configuration.listeners.workers = configuration.workers;
    // What could be read is checked even where another part is wrong: people see every error in one run.
    loaded->zones = zones::load(configuration.zones, problems);
    loaded->ports = listeners::plan_ports(configuration.listeners, problems);
    if (needs_certificate(configuration.listeners)) load_certificates(*loaded, problems);
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
