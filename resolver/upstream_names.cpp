#include "resolver/resolver_parts.hpp"

/// Upstreams that were given by name, on one worker: who looks them up, and what happens when they are found.
namespace sallyport::resolver {
namespace {

// What metrics call the bootstrap servers' group. Where a group of that name was configured, they are told apart by the
// names of the upstreams.
constexpr const char* kBootstrapGroup = "resolve.bootstrap";

} // namespace

std::shared_ptr<Group> Resolver::Parts::bootstrap_group()
{
    auto made = std::make_shared<Group>();
    made->options.name = kBootstrapGroup;
    made->options.strategy = Strategy::ordered;
    for (const UpstreamOptions& server : around.options->bootstrap)
        made->upstreams.push_back(upstream_for(kBootstrapGroup, server));
    return made;
}

/// One worker looks up for all: the first that there is.
void Resolver::Parts::look_up_names()
{
    if (!shared.addresses().enrol(mailbox)) return;
    const auto targets = targets_of(*around.options);
    shared.addresses().keep(targets);
    bootstrap = targets.empty() ? nullptr : bootstrap_group();
    finder.reconfigure(around.options, bootstrap, targets, worker.now());
    // An upstream made anew has what is known already, and nobody may count that for a day.
    for (const auto& group : table->groups)
        for (const auto& upstream : group->upstreams)
            if (needs_look_up(upstream->options()))
                upstream->stats().addresses.set(shared.addresses().find(target_of(upstream->options()))->size());
}

/// On the worker that looks up, whoever found that an upstream fails.
void Resolver::Parts::doubt(const Target& target) const
{
    shared.addresses().doubt(target,
                             [](void* owner, const Target& where) { static_cast<Parts*>(owner)->finder.doubt(where); });
}

void Resolver::Parts::looked_up(const Target& target, const AddressFinder::Found& found)
{
    for (const auto& group : table->groups) {
        for (const auto& upstream : group->upstreams) {
            if (!needs_look_up(upstream->options()) || target_of(upstream->options()) != target) continue;
            UpstreamStats& counted = upstream->stats();
            counted.look_ups.add();
            if (found.outcome.failed) counted.look_up_failures.add();
            counted.addresses_refused.add(found.refused);
            counted.addresses_cut.add(found.outcome.cut);
            counted.addresses.set(found.addresses.size());
        }
    }
    if (!found.outcome.changed) return;
    shared.addresses().put(target, found.addresses,
                           [](void* owner, const Target& where, const AddressBook::Addresses& addresses) {
                               static_cast<Parts*>(owner)->addresses_changed(where, *addresses);
                           });
}

void Resolver::Parts::addresses_changed(const Target& target, const std::vector<base::IpAddress>& addresses)
{
    if (!table) return;
    for (const auto& group : table->groups)
        for (const auto& upstream : group->upstreams)
            if (needs_look_up(upstream->options()) && target_of(upstream->options()) == target)
                upstream->set_addresses(addresses);
    // Those that find nobody to ask now come back to the list, and are not asked twice.
    AddressWaiters waiting;
    waiting.swap(around.without_address);
    while (!waiting.empty()) {
        AddressWaiter& one = waiting.front();
        waiting.pop_front();
        one.addresses_came(worker.now());
    }
}

} // namespace sallyport::resolver
