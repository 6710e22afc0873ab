#pragma once

/// Module `pipeline`: the one way every query goes, whatever door it came through.
///
/// `receive` takes a message off a door, checks it, and walks the stages (`stages.cpp` has their order); whoever
/// answers, the answer leaves through `deliver`, which finishes it (OPT, cookie, padding, truncation) and gives it to
/// the sink. It opens no socket, knows no HTTP or TLS, and reads no clock: doors say what time it is. Start reading at
/// `Pipeline::receive`.

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "base/random.hpp"
#include "cache/cache.hpp"
#include "pipeline/options.hpp"
#include "pipeline/query.hpp"
#include "resolver/waiter.hpp"
#include "zones/zones.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string_view>

namespace sallyport::lua {
class Runtime;
}

namespace sallyport::pipeline {

/// What a door hands in.
struct Arrival {
    base::Bytes message; ///< one DNS message, without length prefix; borrowed for the call
    const Client& client;
    ReplySink& sink;
    std::uint64_t tag = 0; ///< given back with the reply: stream id, slot, …
    QueryList& owner;      ///< where the query waits if it must
    base::Instant now;
};

/// What became of it. Replies may have been given to the sink before `receive` returns.
enum class Intake : std::uint8_t {
    taken,     ///< answered, waiting, or dropped with `ReplySink::dropped`: the sink has heard or will hear
    ignored,   ///< a response (QR set) or under 12 octets: silence over UDP, an error of the stream elsewhere
    malformed, ///< does not parse, on a door that must say so itself (DoH: 400, DoQ: DOQ_PROTOCOL_ERROR)
};

/// What a stage did with a query.
enum class Step : std::uint8_t { next, answered, drop, suspended };

class Pipeline;
class Observer;

/// Whoever has a timer for the pipeline: it reads no clock.
class Alarm {
public:
    /// `Pipeline::expire` is called then, or a little later. Takes the place of what was set before.
    virtual void set(base::Instant when) noexcept = 0;

protected:
    ~Alarm() = default;
};

/// What a worker's pipeline works with beside its own parts. Each is borrowed and may be null: what is not there is not
/// in the walk.
struct Services {
    cache::Cache* cache = nullptr;
    resolver::Backend* resolver = nullptr;
    lua::Runtime* script = nullptr;
    Observer* observer = nullptr;
    Alarm* alarm = nullptr; ///< without one nobody is told that a query has waited too long
};

/// One step of the walk. A stage adapts one module to `Query` and decides nothing else.
class Stage {
public:
    virtual ~Stage() = default;
    [[nodiscard]] virtual Step handle(Query& query) noexcept = 0;
    /// For `explain`.
    [[nodiscard]] virtual std::string_view name() const noexcept { return "stage"; }
};

struct Stats {
    base::Counter queries[base::kTransports];
    base::Counter replies[base::kTransports];
    base::Histogram latency[base::kTransports]; ///< from the arrival of a query to its answer
    base::Counter formerr, notimp, refused, badvers, servfail, nxdomain, ignored, malformed;
    base::Counter denied, rate_limited, errors_unanswered, reflection_ports;
    base::Counter truncated, suspended, abandoned, in_flight, in_flight_full, cookies_valid, cookies_new;
    base::Counter in_flight_octets, in_flight_octets_full;
    base::Counter ddr_answers;
    base::Counter from_rule, from_zone, from_cache, from_stale_cache, from_upstream;
    base::Counter unresolved, resolver_overloaded, unknown_group;
    base::Counter client_full, late_unanswered, waited_too_long, stale_in_time;

    template <class V>
    void each(V&& visit) const
    {
        visit("formerr_total", "Queries answered FORMERR", formerr);
        visit("notimp_total", "Queries answered NOTIMP", notimp);
        visit("refused_total", "Queries answered REFUSED", refused);
        visit("badvers_total", "Queries answered BADVERS", badvers);
        visit("servfail_total", "Queries answered SERVFAIL", servfail);
        visit("nxdomain_total", "Queries answered NXDOMAIN", nxdomain);
        visit("ignored_total", "Messages met by silence: responses, and under 12 octets", ignored);
        visit("malformed_total", "Messages that do not parse", malformed);
        visit("denied_total", "Queries refused by the access list", denied);
        visit("rate_limited_total", "Queries over the rate limit of their network", rate_limited);
        visit("errors_unanswered_total", "Error answers over UDP held back by their limit", errors_unanswered);
        visit("reflection_ports_total", "Datagrams from ports 0, 7 and 19, ignored", reflection_ports);
        visit("truncated_total", "Answers cut to the size allowed (TC)", truncated);
        visit("suspended_total", "Queries that waited for their answer", suspended);
        visit("abandoned_total", "Waiting queries whose client went", abandoned);
        visit("in_flight", "Queries waiting for their answer", in_flight);
        visit("in_flight_full_total", "Queries answered SERVFAIL because too many were waiting", in_flight_full);
        visit("in_flight_octets", "Memory of the requests of queries waiting for their answer", in_flight_octets);
        visit("in_flight_octets_full_total", "Long queries answered SERVFAIL because no memory was left for them",
              in_flight_octets_full);
        visit("cookies_valid_total", "Queries with a server cookie of ours", cookies_valid);
        visit("cookies_new_total", "Queries with a client cookie only, or one we do not know", cookies_new);
        visit("ddr_answers_total", "Answers under resolver.arpa and _dns.<name>", ddr_answers);
        visit("from_rule_total", "Answers decided by a rule", from_rule);
        visit("from_zone_total", "Answers from local zones", from_zone);
        visit("from_cache_total", "Answers from the cache", from_cache);
        visit("from_stale_cache_total", "Answers from the cache past their time (RFC 8767)", from_stale_cache);
        visit("from_upstream_total", "Answers that were asked of others", from_upstream);
        visit("unresolved_total", "Queries answered SERVFAIL because nobody answered", unresolved);
        visit("resolver_overloaded_total", "Queries that found too many questions in flight", resolver_overloaded);
        visit("client_in_flight_full_total", "Queries answered SERVFAIL because too many of their client were waiting",
              client_full);
        visit("late_unanswered_total", "Answers over UDP that came late while many waited, and were not sent",
              late_unanswered);
        visit("waited_too_long_total", "Queries whose client had waited as long as any may", waited_too_long);
        visit("stale_in_time_total", "Stale answers given because the new one took too long (RFC 8767 5)",
              stale_in_time);
        visit("unknown_group_total", "Queries that a rule sent to a group of upstreams that is not there",
              unknown_group);
    }
};

/// The walk of one worker. Everything it needs is handed in; published snapshots are swapped by `set_zones`.
class Pipeline {
public:
    /// `clock` gives the time of day to cookies; both are borrowed.
    Pipeline(const Options& options, const base::Clock& clock, base::RandomSource& random);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Every door ends here.
    Intake receive(const Arrival& arrival) noexcept;

    /// Goes on with a suspended query at the stage after the one that held it; that stage may have answered already.
    void resume(Query& query, Step step, base::Instant now) noexcept;
    /// What the resolver found out for a suspended query.
    void resolved(Query& query, const resolver::Outcome& outcome, base::Instant now) noexcept;
    /// Time has passed: stale answers and failures for those who have waited long enough.
    void expire(base::Instant now) noexcept;
    /// When `expire` should be called next.
    [[nodiscard]] std::optional<base::Instant> due() const noexcept;
    /// What was kept before is not given out past its time any more: it was found out by other rules.
    void policy_changed(base::Instant now) noexcept;
    /// The client went: its waiting queries are let go; whoever holds them is told by the hook that unlinks.
    void abandon(QueryList& queries) noexcept;

    /// Publishes zones to this worker. Its thread only.
    void set_zones(std::shared_ptr<const zones::Snapshot> zones, const zones::Limits& limits) noexcept;
    /// Replaces access list, limits and answer options; queries in flight go on. Its thread only.
    void reconfigure(const Options& options);

    [[nodiscard]] const Stats& stats() const noexcept { return stats_; }
    [[nodiscard]] const zones::Stats& zone_stats() const noexcept;

    /// What the walk works with from now on; queries in flight go on. Its thread only.
    void set_services(const Services& services) noexcept;
    /// Runs one query as `receive` does, and tells `trace` what every stage decides.
    Intake explain(const Arrival& arrival, Trace& trace) noexcept;

    /// For tests and later stages: puts a stage of someone else after the local zones.
    void append_stage(std::unique_ptr<Stage> stage);

private:
    struct Parts;

    Query* take_query(std::size_t request_size) noexcept;
    void detach(Query& query) noexcept;
    void release(Query& query) noexcept;
    void begin(Query& query, const Arrival& arrival) noexcept;
    void restart_answer(Query& query) noexcept;
    Step precheck(Query& query) noexcept;
    void walk(Query& query, std::size_t stage) noexcept;
    void keep(Query& query) noexcept;
    [[nodiscard]] Step write_chain(Query& query) noexcept;
    void give_stale(Query& query, base::Instant now) noexcept;
    void give_up(Query& query, base::Instant now) noexcept;
    void judge(Query& query) noexcept;
    void deliver(Query& query) noexcept;
    void observe(Query& query, base::Bytes answer, wire::Rcode rcode) noexcept;
    void discard(Query& query) noexcept;
    Intake refuse_overloaded(const wire::MessageView& request, const Arrival& arrival) noexcept;
    Intake refuse_unparsed(const Arrival& arrival) noexcept;

    Stats stats_;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::pipeline
