#include "resolver/bootstrap.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

using base::IpAddress;
using namespace std::chrono_literals;

// After a failure: 1, 2, 4 … 60 s.
constexpr base::Duration kBackoffMost = 60s;
constexpr unsigned kBackoffSteps = 6;

/// Addresses are looked up again before their time is over, so that nobody waits for that.
base::Duration refresh_after(base::Duration lifetime) noexcept { return lifetime - lifetime / 10; }

bool contains(const std::vector<IpAddress>& all, const IpAddress& one) noexcept
{
    return std::find(all.begin(), all.end(), one) != all.end();
}

bool same_set(const std::vector<IpAddress>& left, const std::vector<IpAddress>& right) noexcept
{
    return left.size() == right.size() &&
           std::all_of(left.begin(), left.end(), [&](const IpAddress& one) { return contains(right, one); });
}

/// Of one family: what was found, each once; the old ones where nobody answered.
std::vector<IpAddress> family_of(const Finding& finding, const std::vector<IpAddress>& known, bool v4)
{
    std::vector<IpAddress> all;
    for (const IpAddress& one : finding.kind == Finding::Kind::failed ? known : finding.addresses)
        if (one.is_v4() == v4 && !contains(all, one)) all.push_back(one);
    return all;
}

} // namespace

bool needs_look_up(const UpstreamOptions& options) noexcept { return options.addresses.empty(); }

Target target_of(const UpstreamOptions& options) { return {options.host, options.port, options.transport}; }

std::vector<Target> targets_of(const Options& options)
{
    std::vector<Target> all;
    if (options.mode == Mode::off) return all;
    for (const GroupOptions& group : options.groups) {
        for (const UpstreamOptions& upstream : group.upstreams) {
            if (!needs_look_up(upstream)) continue;
            Target target = target_of(upstream);
            if (std::find(all.begin(), all.end(), target) == all.end()) all.push_back(std::move(target));
        }
    }
    return all;
}

void Bootstrap::reconfigure(std::span<const Target> targets, const BootstrapLimits& limits, base::Instant now)
{
    limits_ = limits;
    std::vector<Entry> fresh;
    for (const Target& target : targets) {
        Entry entry;
        entry.target = target;
        entry.due = now;
        if (Entry* const old = find_entry(target); old != nullptr) {
            entry = std::move(*old);
            // Other servers may know better.
            if (entry.failures > 0) entry.due = now;
        }
        fresh.push_back(std::move(entry));
    }
    entries_ = std::move(fresh);
}

Bootstrap::Entry* Bootstrap::find_entry(const Target& target) noexcept
{
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.target == target; });
    return found == entries_.end() ? nullptr : &*found;
}

const std::vector<IpAddress>* Bootstrap::find(const Target& target) const noexcept
{
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.target == target; });
    return found == entries_.end() ? nullptr : &found->addresses;
}

std::size_t Bootstrap::running() const noexcept
{
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(), [](const Entry& one) { return one.running; }));
}

const Target* Bootstrap::begin(base::Instant now)
{
    if (running() >= limits_.look_ups) return nullptr;
    // Those that nothing is known of yet come first: somebody may be waiting. Then who is overdue for longest: many
    // that always fail leave the others their turn.
    const auto is_new = [](const Entry& one) { return one.addresses.empty() && one.failures == 0; };
    Entry* next = nullptr;
    for (Entry& one : entries_) {
        if (one.running || one.due > now) continue;
        const bool sooner = next == nullptr || (is_new(one) == is_new(*next) ? one.due < next->due : is_new(one));
        if (sooner) next = &one;
    }
    if (next == nullptr) return nullptr;
    next->running = true;
    return &next->target;
}

void Bootstrap::doubt(const Target& target) noexcept
{
    // Where a look-up has failed the next one is due soon enough.
    if (Entry* const entry = find_entry(target); entry != nullptr && !entry->running && entry->failures == 0)
        entry->due = std::min<base::Instant>(entry->due, entry->found_at + limits_.least_ttl);
}

base::Instant Bootstrap::due() const noexcept
{
    base::Instant due = base::Instant::max();
    if (running() >= limits_.look_ups) return due;
    for (const Entry& one : entries_)
        if (!one.running) due = std::min(due, one.due);
    return due;
}

/// The families in turn, IPv6 first (RFC 8305 §4), as far as there is a way to them; then the others.
std::vector<IpAddress> Bootstrap::merge(const Entry& entry, const Finding& v4, const Finding& v6, Reach reach,
                                        std::uint32_t& cut) const
{
    const auto four = family_of(v4, entry.addresses, true);
    const auto six = family_of(v6, entry.addresses, false);
    std::vector<IpAddress> all;
    for (std::size_t i = 0; i < std::max(four.size(), six.size()); ++i) {
        if (i < six.size()) all.push_back(six[i]);
        if (i < four.size()) all.push_back(four[i]);
    }
    std::stable_partition(all.begin(), all.end(),
                          [&](const IpAddress& one) { return one.is_v4() ? reach.v4 : reach.v6; });
    if (all.size() <= limits_.addresses) return all;
    // Replies of many addresses come in another order each time: those in use stay.
    std::stable_partition(all.begin(), all.end(), [&](const IpAddress& one) { return contains(entry.addresses, one); });
    cut = static_cast<std::uint32_t>(all.size() - limits_.addresses);
    all.resize(limits_.addresses);
    return all;
}

base::Duration Bootstrap::lifetime(const Finding& v4, const Finding& v6) const noexcept
{
    std::chrono::seconds shortest = limits_.most_ttl;
    for (const Finding* one : {&v4, &v6})
        if (one->kind == Finding::Kind::found) shortest = std::min(shortest, one->ttl);
    // Half of it is not known: not for long, then.
    const bool whole = v4.kind != Finding::Kind::failed && v6.kind != Finding::Kind::failed;
    if (!whole) shortest = std::min(shortest, limits_.least_ttl);
    return std::max(shortest, limits_.least_ttl);
}

Bootstrap::Outcome Bootstrap::ended(const Target& target, const Finding& v4, const Finding& v6, Reach reach,
                                    base::Instant now)
{
    Outcome outcome;
    Entry* const entry = find_entry(target);
    if (entry == nullptr) return outcome; // nobody wants it any more
    entry->running = false;
    const auto is_found = [](const Finding& one) { return one.kind == Finding::Kind::found && !one.addresses.empty(); };
    outcome.failed = !is_found(v4) && !is_found(v6);
    if (outcome.failed) {
        outcome.noted = entry->failures == 0;
        outcome.again = std::min(kBackoffMost, base::Duration{1s} * (1U << std::min(entry->failures, kBackoffSteps)));
        ++entry->failures;
        entry->due = now + outcome.again;
        return outcome;
    }
    auto fresh = merge(*entry, v4, v6, reach, outcome.cut);
    outcome.changed = !same_set(fresh, entry->addresses);
    outcome.noted = outcome.changed || entry->failures > 0;
    outcome.again = refresh_after(lifetime(v4, v6));
    entry->failures = 0;
    entry->due = now + outcome.again;
    entry->found_at = now;
    entry->addresses = std::move(fresh);
    return outcome;
}

} // namespace sallyport::resolver
