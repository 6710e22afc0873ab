#pragma once

#include "base/ip_address.hpp"
#include "resolver/bootstrap.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace sallyport::resolver {

class Mailbox;

/// The addresses of upstreams that were given by name, for all workers. One of them looks up and puts here what it
/// found; each is told, and gives its own upstreams the new addresses on its own thread. Any thread; a lock is held for
/// a look into a table.
class AddressBook {
public:
    /// Immutable once put; never null.
    using Addresses = std::shared_ptr<const std::vector<base::IpAddress>>;

    AddressBook();

    /// From now on this worker is told. True: it is the first, and the one that looks up.
    [[nodiscard]] bool enrol(const std::shared_ptr<Mailbox>& worker);
    void leave(const std::shared_ptr<Mailbox>& worker);

    /// Empty where nothing is known.
    [[nodiscard]] Addresses find(const Target& target) const;
    /// Puts, and has `tell` called on every worker, with what its mailbox belongs to.
    void put(const Target& target, std::vector<base::IpAddress> addresses,
             const std::function<void(void* owner, const Target& target, const Addresses& addresses)>& tell);
    /// Has `tell` called on the worker that looks up.
    void doubt(const Target& target, const std::function<void(void* owner, const Target& target)>& tell) const;
    /// What is looked up from now on; what was known of others is forgotten.
    void keep(std::span<const Target> wanted);
    /// Hosts that nothing is known of yet, each once.
    [[nodiscard]] std::vector<std::string> missing() const;

private:
    mutable std::mutex mutex_;
    std::map<Target, Addresses> known_; // all that are wanted
    std::vector<std::shared_ptr<Mailbox>> workers_;
    std::shared_ptr<Mailbox> first_;
    Addresses nothing_;
};

} // namespace sallyport::resolver
