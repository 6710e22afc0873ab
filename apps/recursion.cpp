#include "apps/recursion.hpp"

#include "apps/rollover.hpp"
#include "apps/root_copy.hpp"
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

/// Anchors that follow their zones: as they stand, where nothing of recursion has changed.
void follow(Loaded& loaded, const Loaded* before, std::int64_t date, base::Problems& problems)
{
    auto& recurse = loaded.configuration.resolver.recurse;
    if (before != nullptr && before->resolver->recurse.store == recurse.store) {
        loaded.followed = before->followed;
        return;
    }
    if (recurse.dnssec.follow_rollover == true && anchor_state_file(recurse.dnssec).empty())
        problems.push_back({base::ErrorCode::invalid,
                            "'resolve.dnssec.follow_rollover' needs a place for what it learns; expected "
                            "'resolve.dnssec.state_file'",
                            {loaded.configuration.file}});
    loaded.followed = follow_anchors(recurse, date, before != nullptr ? before->followed.get() : nullptr);
}

} // namespace

void load_recursion(Loaded& loaded, const Loaded* before, base::Problems& problems)
{
    auto& configuration = loaded.configuration;
    auto& options = configuration.resolver;
    if (!resolver::needs_engine(options)) return;
    options.recurse.engine.prefetch = configuration.cache.prefetch;
    never_ask_ourselves(configuration, options.recurse);
    const auto date =
        std::chrono::duration_cast<std::chrono::seconds>(base::SystemClock{}.wall().time_since_epoch()).count();
    if (resolver::prepare_recursion(options, before != nullptr ? before->resolver.get() : nullptr,
                                    lifetimes_of(configuration.cache), date, problems)) {
        follow(loaded, before, date, problems);
        const auto& anchors = options.recurse.engine.anchors;
        const auto trusted = loaded.followed ? loaded.followed->book.anchors()
                             : anchors       ? *anchors
                                             : dnssec::TrustAnchors{};
        load_root_copy(options.recurse, trusted, problems);
        loaded.root = follow_root(options.recurse, trusted, before != nullptr ? before->root : nullptr);
    }
}

std::vector<std::string> recursion_files(const Loaded& loaded)
{
    const auto& recurse = loaded.configuration.resolver.recurse;
    if (!resolver::needs_engine(loaded.configuration.resolver)) return {};
    auto files = recurse.dnssec.anchor_files;
    if (!recurse.root_hints.empty()) files.push_back(recurse.root_hints);
    if (!recurse.local_root_file.empty()) files.push_back(recurse.local_root_file);
    return files;
}

} // namespace sallyport::apps
