#include "apps/recursion.hpp"

#include "base/clock.hpp"
#include "cache/rrset_store.hpp"
#include "resolver/loops.hpp"

#include <chrono>

namespace sallyport::apps {
namespace {

/// A name server with an address of ours would be ourselves.
void never_ask_ourselves(const conf::Configuration& configuration, resolver::RecurseOptions& options)
{
    const auto refuse = [&](const base::IpAddress& address) {
        if (!options.allow_loopback || !address.is_loopback()) options.engine.do_not_query.emplace_back(address, 128);
    };
    for (const auto& door : configuration.listeners.doors) {
        for (const auto& address : door.on) {
            if (!address.systemd_name.empty() || !address.unix_path.empty()) continue;
            if (address.endpoint.port != options.engine.port) continue;
            const base::IpAddress& own = address.endpoint.address;
            if (own != base::IpAddress{} && own != base::IpAddress::v6({})) {
                refuse(own);
                continue;
            }
            for (const auto& local : resolver::local_addresses()) refuse(local);
        }
    }
}

cache::RrsetOptions lifetimes_of(const cache::Options& cache)
{
    cache::RrsetOptions options;
    options.min_ttl = static_cast<std::uint32_t>(cache.min_ttl.count());
    options.max_ttl = static_cast<std::uint32_t>(cache.max_ttl.count());
    options.max_negative_ttl = static_cast<std::uint32_t>(cache.max_negative_ttl.count());
    return options;
}

} // namespace

void load_recursion(Loaded& loaded, const Loaded* before, base::Problems& problems)
{
    auto& configuration = loaded.configuration;
    auto& options = configuration.resolver;
    if (options.mode != resolver::Mode::recurse) return;
    options.recurse.engine.prefetch = configuration.cache.prefetch;
    never_ask_ourselves(configuration, options.recurse);
    const auto date =
        std::chrono::duration_cast<std::chrono::seconds>(base::SystemClock{}.wall().time_since_epoch()).count();
    (void)resolver::prepare_recursion(options, before != nullptr ? before->resolver.get() : nullptr,
                                      lifetimes_of(configuration.cache), date, problems);
}

std::vector<std::string> recursion_files(const Loaded& loaded)
{
    const auto& recurse = loaded.configuration.resolver.recurse;
    if (loaded.configuration.resolver.mode != resolver::Mode::recurse) return {};
    auto files = recurse.dnssec.anchor_files;
    if (!recurse.root_hints.empty()) files.push_back(recurse.root_hints);
    return files;
}

} // namespace sallyport::apps
