#include "resolver/address_book.hpp"

#include "resolver/shared.hpp"

#include <algorithm>

namespace sallyport::resolver {

AddressBook::AddressBook() : nothing_(std::make_shared<const std::vector<base::IpAddress>>()) {}

bool AddressBook::enrol(const std::shared_ptr<Mailbox>& worker)
{
    const std::lock_guard lock{mutex_};
    if (std::find(workers_.begin(), workers_.end(), worker) == workers_.end()) workers_.push_back(worker);
    if (!first_) first_ = worker;
    return first_ == worker;
}

void AddressBook::leave(const std::shared_ptr<Mailbox>& worker)
{
    const std::lock_guard lock{mutex_};
    std::erase(workers_, worker);
    // Nobody takes over: a worker leaves where all do.
    if (first_ == worker) first_.reset();
}

AddressBook::Addresses AddressBook::find(const Target& target) const
{
    const std::lock_guard lock{mutex_};
    const auto found = known_.find(target);
    return found == known_.end() ? nothing_ : found->second;
}

void AddressBook::put(const Target& target, std::vector<base::IpAddress> addresses,
                      const std::function<void(void* owner, const Target& target, const Addresses& addresses)>& tell)
{
    const auto fresh = std::make_shared<const std::vector<base::IpAddress>>(std::move(addresses));
    std::vector<std::shared_ptr<Mailbox>> workers;
    {
        const std::lock_guard lock{mutex_};
        known_.insert_or_assign(target, fresh);
        workers = workers_;
    }
    // What is put twice in a row arrives in that order: each worker takes its post one after the other.
    for (const auto& worker : workers)
        Mailbox::post(worker, [tell, target, fresh](void* owner) { tell(owner, target, fresh); });
}

void AddressBook::doubt(const Target& target, const std::function<void(void* owner, const Target& target)>& tell) const
{
    const std::lock_guard lock{mutex_};
    if (first_) Mailbox::post(first_, [tell, target](void* owner) { tell(owner, target); });
}

void AddressBook::keep(std::span<const Target> wanted)
{
    const std::lock_guard lock{mutex_};
    std::map<Target, Addresses> fresh;
    for (const Target& target : wanted) {
        const auto found = known_.find(target);
        fresh.emplace(target, found == known_.end() ? nothing_ : found->second);
    }
    known_ = std::move(fresh);
}

std::vector<std::string> AddressBook::missing() const
{
    const std::lock_guard lock{mutex_};
    std::vector<std::string> hosts;
    for (const auto& [target, addresses] : known_)
        if (addresses->empty() && std::find(hosts.begin(), hosts.end(), target.host) == hosts.end())
            hosts.push_back(target.host);
    return hosts;
}

} // namespace sallyport::resolver
