#pragma once

/// Module `resolver`: whom to ask, and what to make of what they say.
///
/// A worker's `Resolver` takes questions that nobody here can answer, asks upstreams (forwarding) or the name servers
/// of the DNS (recursion), and tells everyone who waits. Equal questions in flight are asked once, across workers. It
/// knows no client, no door and no policy. Start reading at `Resolver::resolve`.

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "cache/cache.hpp"
#include "cache/rrset_store.hpp"
#include "resolver/options.hpp"
#include "resolver/waiter.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace sallyport::dnssec {
class TrustAnchors;
}
namespace sallyport::net {
class Worker;
}

namespace sallyport::resolver {

/// What an operator sees of one upstream; of one worker.
struct UpstreamReport {
    std::string_view group;
    std::string_view name;
    std::string_view transport;
    bool open = true;       ///< false while the circuit breaker keeps it out, and while it has no address
    bool looked_up = false; ///< its addresses are those that its name was found to have
    std::span<const base::IpAddress> addresses; ///< borrowed for the call
    std::uint64_t queries = 0, answers = 0, timeouts = 0, failures = 0, retries = 0, connections = 0, in_flight = 0;
    base::Duration smoothed_rtt{};
};

/// Resolution on one worker. Its thread only, but for `each_counter`.
class Resolver final : public Backend {
public:
    /// `shared` is the same for all workers; `cache` may be null. All borrowed.
    Resolver(net::Worker& worker, Shared& shared, cache::Cache* cache);
    ~Resolver() override;
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// New groups and routes, from the next question on; what is in flight goes on as it began. Pools of upstreams that
    /// did not change keep their connections and their health.
    void reconfigure(std::shared_ptr<const Options> options);

    [[nodiscard]] Taken resolve(const Question& question, Waiter& waiter, base::Instant now) noexcept override;
    void fetch(const Question& question, base::Instant now) noexcept override;
    void explain(const Question& question, const Tell& tell) const override;

    /// Tells of the next look-up for this name and type that begins here, step by step: which servers are asked, what
    /// they say, what of it is believed. Null: of none any more.
    void watch(const wire::Name& qname, wire::RrType qtype, Tell tell);
    /// The chain of trust to a name as far as it is known here: of each zone its state, and by what or why. Tells
    /// nothing where nothing is validated.
    void explain_trust(const wire::Name& name,
                       const std::function<void(const wire::Name& zone, wire::ValidationState state,
                                                const std::string& why)>& tell) const;

    /// Forgets what recursion has learned of a name, and of those below it; and all delegations.
    void forget(const wire::Name& apex, bool subtree);

    /// See `Recursion`: what is trusted from now on, until `reconfigure` brings other options of recursion.
    void set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors);
    /// The copy of the root that is asked from now on, until `reconfigure` brings another; null for none.
    void set_root_copy(std::shared_ptr<const RootCopy> copy);
    /// Asks servers by recursion, whatever is known, and does not validate; null where there is no such set. `done` is
    /// not called where this stops before.
    void ask_anew(const wire::Name& qname, wire::RrType qtype, std::function<void(cache::RrsetPtr set)> done);

    /// Ends connections cleanly and lets waiters go, unheard.
    void stop() noexcept;

    void each_counter(const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const;
    /// Counters of each upstream, by labels (`{group="…",upstream="…"}`). Any thread.
    void each_upstream_counter(const std::function<void(const char* name, const char* help, const std::string& labels,
                                                        const base::Counter&)>& visit) const;
    /// How long each upstream takes to answer, by the same labels. Any thread.
    void
    each_upstream_latency(const std::function<void(const std::string& labels, const base::Histogram&)>& visit) const;
    void each_upstream(const std::function<void(const UpstreamReport&)>& visit) const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::resolver
