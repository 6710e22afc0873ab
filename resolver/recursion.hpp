#pragma once

#include "cache/rrset_store.hpp"
#include "resolver/group_asker.hpp"
#include "resolver/options.hpp"
#include "resolver/recurse_stats.hpp"
#include "resolver/shared.hpp"
#include "resolver/waiter.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace sallyport::net {
class Worker;
}

namespace sallyport::resolver {

class Recursor;

namespace iterate {
class Engine;
struct Event;
} // namespace iterate

/// Takes what is kept of a name, or of all below it, too, out of a store: also what is past its time, which may still
/// be given out, and would come back out of a snapshot. With all zone cuts.
void forget_sets(cache::RrsetStore& store, const wire::Name& apex, bool subtree);

/// The part of a worker's resolver that recurses: takes questions in flight and hands back what is told to clients and
/// kept. Its worker's thread only, but for `each_counter`.
class Recursion {
public:
    /// `groups`: who asks upstreams in the engine's name; borrowed, may be null.
    explicit Recursion(net::Worker& worker, GroupAsker* groups = nullptr);
    ~Recursion();
    Recursion(const Recursion&) = delete;
    Recursion& operator=(const Recursion&) = delete;

    /// From the next question on; what is in flight goes on as it began. Does nothing but where `needs_engine`.
    void reconfigure(const std::shared_ptr<const Options>& options);
    [[nodiscard]] bool is_on() const noexcept { return current_ != nullptr; }

    using Done = std::function<void(FlightResult result)>;
    /// `done` may be called at once. `watcher` hears of each step.
    void resolve(const FlightKey& key, Done done, std::function<void(const iterate::Event& event)> watcher = {});
    /// Null where it is off.
    [[nodiscard]] const iterate::Engine* engine() const noexcept;
    /// How long others may have to wait for an answer.
    [[nodiscard]] std::chrono::milliseconds patience() const noexcept;
    void explain(const Question& question, const Tell& tell) const;
    /// What is trusted from now on (RFC 5011); what was believed by other anchors is judged anew. Holds until
    /// `reconfigure` brings other options.
    void set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors);
    /// Holds until `reconfigure` brings another; null for none.
    void set_root_copy(std::shared_ptr<const RootCopy> copy) noexcept;
    /// Asks servers, whatever is known, and does not validate. `done` gets the set that answers, or null.
    void ask_anew(const wire::Name& qname, wire::RrType qtype, std::function<void(cache::RrsetPtr set)> done);
    /// Takes the record sets of a name, and of those below it, out of the store; begins anew with delegations, keys and
    /// failures.
    void forget(const wire::Name& apex, bool subtree);
    /// Ends everything; nobody is told.
    void stop() noexcept;

    void each_counter(const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const;

private:
    struct Running;

    [[nodiscard]] std::unique_ptr<Running> make(const std::shared_ptr<const Options>& options);
    void replace(std::unique_ptr<Running> with);
    void retire();
    void bury();

    net::Worker& worker_;
    GroupAsker* groups_;
    RecurseStats stats_;
    mutable std::mutex mutex_; // held while those below change, and while others read their counters
    std::shared_ptr<const dnssec::TrustAnchors> anchors_; // null: those of the options
    std::unique_ptr<Running> current_;
    std::vector<std::unique_ptr<Running>> leaving_;
    std::deque<base::Counter> gone_; // sums of those that have left
};

} // namespace sallyport::resolver
