#pragma once

#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "net/client/factory.hpp"
#include "net/worker.hpp"
#include "resolver/bootstrap.hpp"
#include "resolver/health.hpp"
#include "resolver/options.hpp"
#include "resolver/try.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::resolver {

class UpstreamConnection;

/// Of one upstream, on one worker.
struct UpstreamStats {
    base::Counter queries, answers, timeouts, failures, retries, connections, resumed, in_flight;
    base::Counter tcp_fallbacks, near_misses, case_fallbacks, bad_cookies, unhelpful, probes, opened, busy, unexpected;
    base::Counter gave_way;
    base::Counter breaker_open; ///< 1 while it is
    // Of one that was given by name; counted by the worker that looks up.
    base::Counter look_ups, look_up_failures, addresses_refused, addresses_cut, addresses;
    base::Histogram latency; ///< from a query to its answer

    template <class V>
    void each(V&& visit) const
    {
        visit("upstream_queries_total", "Queries sent", queries);
        visit("upstream_answers_total", "Answers that fit their question", answers);
        visit("upstream_timeouts_total", "Queries without an answer in time", timeouts);
        visit("upstream_failures_total", "Connections and queries that failed otherwise", failures);
        visit("upstream_retries_total", "Queries sent again: over TCP, without EDNS, on a new connection", retries);
        visit("upstream_connections_total", "Connections opened", connections);
        visit("upstream_resumed_total", "TLS connections that resumed a session", resumed);
        visit("upstream_in_flight", "Queries in flight", in_flight);
        visit("upstream_tcp_fallbacks_total", "Answers truncated or doubtful over UDP, asked for over TCP",
              tcp_fallbacks);
        visit("upstream_near_misses_total", "Datagrams that fit no query: wrong id, question, letters or cookie",
              near_misses);
        visit("upstream_case_fallbacks_total", "Times it was found not to keep the letters of the question",
              case_fallbacks);
        visit("upstream_bad_cookies_total", "BADCOOKIE responses", bad_cookies);
        visit("upstream_unhelpful_total", "Responses SERVFAIL, REFUSED, NOTIMP and FORMERR", unhelpful);
        visit("upstream_probes_total", "Probes sent", probes);
        visit("upstream_breaker_opened_total", "Times the circuit breaker opened", opened);
        visit("upstream_breaker_open", "Workers whose circuit breaker keeps it out", breaker_open);
        visit("upstream_busy_total", "Queries not sent because every connection was full", busy);
        visit("upstream_gave_way_total", "Queries given up because too many others were in flight", gave_way);
        visit("upstream_look_ups_total", "Times its name was looked up", look_ups);
        visit("upstream_look_up_failures_total", "Times nothing came of that; what was known stays in use",
              look_up_failures);
        visit("upstream_addresses_refused_total", "Addresses not taken: nobody's, or one of our own doors",
              addresses_refused);
        visit("upstream_addresses_cut_total", "Addresses not taken: more than are kept of one upstream", addresses_cut);
        visit("upstream_addresses", "Addresses its name was found to have", addresses);
        visit("upstream_unexpected_total", "Messages on connections that nobody asked for", unexpected);
    }
};

/// Someone who could ask an upstream if that had an address. Unlinks itself when it goes.
class AddressWaiter
    : public boost::intrusive::list_base_hook<boost::intrusive::tag<AddressWaiter>,
                                              boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// Some upstream has other addresses than before. Unlinked before.
    virtual void addresses_came(base::Instant now) noexcept = 0;
    [[nodiscard]] bool awaits_address() const noexcept
    {
        return boost::intrusive::list_base_hook<
            boost::intrusive::tag<AddressWaiter>,
            boost::intrusive::link_mode<boost::intrusive::auto_unlink>>::is_linked();
    }

protected:
    ~AddressWaiter() = default;
};
using AddressWaiters = boost::intrusive::list<
    AddressWaiter,
    boost::intrusive::base_hook<boost::intrusive::list_base_hook<
        boost::intrusive::tag<AddressWaiter>, boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
    boost::intrusive::constant_time_size<false>>;

/// What the upstreams of one worker have in common.
struct Surroundings {
    net::Worker& worker;
    std::shared_ptr<const Options> options;
    AddressWaiters without_address{};
    /// An upstream given by name fails: has it moved?
    std::function<void(const Target& target)> doubt{};
};

/// What sessions to one upstream are made from; shared by all workers. Null where it could not be made.
struct Factories {
    std::shared_ptr<const net::client::SessionFactory> stream;
};

/// Makes them. Errors: a CA file that cannot be read, a transport that this build lacks.
[[nodiscard]] base::Result<Factories> make_factories(const UpstreamOptions& options, const Limits& limits);

/// RCODEs of who has nothing to say, where somebody else may have.
[[nodiscard]] bool is_unhelpful(wire::Rcode rcode) noexcept;

/// The same upstream, whatever line it stands on.
[[nodiscard]] bool is_same(const UpstreamOptions& left, const UpstreamOptions& right);

/// One server that answers for others: how to reach it, its pool of connections, its health. Of one worker.
class Upstream {
public:
    Upstream(Surroundings& around, std::string group, UpstreamOptions options, Factories factories);
    ~Upstream();
    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;

    /// Puts the question; the user of the try hears what comes of it, unless it is over at once.
    [[nodiscard]] Trouble begin(Try& query, base::Instant now);
    /// The user's patience for this try is over; a late answer is still taken.
    void timed_out(Try& query, base::Instant now);
    /// Another one was quicker, and this try is not waited for.
    void outrun(const Try& query, base::Instant now) noexcept;
    /// It answered with nothing of use where another one could.
    void was_unhelpful(base::Instant now);
    /// It gave an answer that can not be used.
    void was_broken(base::Instant now);
    /// How long to wait for this try before asking elsewhere.
    [[nodiscard]] base::Duration timeout(const Try& query) const noexcept;
    /// Asks beside everything else, to learn how it is. One at a time.
    void probe(const Inquiry& inquiry, base::Instant now);
    /// What connections are made from, from the next one on: CA files were read again.
    void renew(Factories factories);
    /// Where it is from now on; nothing changes where there are none. Connections to others end when what is in flight
    /// on them has its answer.
    void set_addresses(const std::vector<base::IpAddress>& fresh);
    /// Tells the waiter when some upstream has come to an address.
    void await_address(AddressWaiter& waiter);
    /// Ends connections cleanly.
    void close(base::Instant now) noexcept;

    [[nodiscard]] const UpstreamOptions& options() const noexcept { return options_; }
    [[nodiscard]] const std::string& group() const noexcept { return group_; }
    [[nodiscard]] const Limits& limits() const noexcept { return around_.options->limits; }
    /// False as long as its name could not be looked up: it cannot be asked.
    [[nodiscard]] bool has_address() const noexcept { return !addresses_.empty(); }
    [[nodiscard]] const std::vector<base::IpAddress>& addresses() const noexcept { return addresses_; }
    [[nodiscard]] const Health& health() const noexcept { return health_; }
    /// Whether AD of its answers may be believed: the channel is authenticated, or never leaves this machine
    /// (RFC 4035 §4.9.3).
    [[nodiscard]] bool is_trusted() const noexcept;
    [[nodiscard]] UpstreamStats& stats() noexcept { return *stats_; }
    [[nodiscard]] std::shared_ptr<const UpstreamStats> shared_stats() const noexcept { return stats_; }

private:
    friend class Try;
    friend class UdpExchange;
    friend class UpstreamConnection;
    class Probe;

    // Of a UDP exchange. False: the exchange is gone.
    [[nodiscard]] bool udp_received(Try& query, base::Bytes message, base::Instant now);
    void udp_failed(Try& query, Trouble trouble, base::Instant now);
    // Of connections.
    void stream_received(Try& query, base::Bytes message, base::Instant now);
    void stream_failed(Try& query, Trouble trouble, base::Instant now);
    [[nodiscard]] base::Bytes write_stream_query(Try& query, base::MutableBytes room);
    void connection_ready(bool resumed) noexcept;
    void connection_ended(const UpstreamConnection& connection, Trouble trouble, base::Instant now);
    void connection_lost(Try& query, const UpstreamConnection& connection, Trouble trouble, base::Instant now);
    void bury(UpstreamConnection& connection);
    // Of tries that go.
    void forget(Try& query) noexcept;

    [[nodiscard]] Trouble begin_udp(Try& query, base::Instant now);
    [[nodiscard]] Trouble begin_stream(Try& query, base::Instant now);
    void again_over_stream(Try& query, base::Instant now);
    void again(Try& query, bool over_udp, base::Instant now);
    [[nodiscard]] bool near_miss(Try& query, base::Instant now);
    [[nodiscard]] bool retried(Try& query, const wire::MessageView& response, bool over_udp, base::Instant now);
    void accept(Try& query, const wire::MessageView& response, base::Instant now);
    void fail(Try& query, Trouble trouble, base::Instant now);
    void oldest_gives_way(const Try& newcomer, base::Instant now);
    void note_failure(base::Instant now);
    void note_answer(base::Duration took, base::Instant now);
    void breaker_opened(base::Instant now);
    void arm_probe();
    void probe_due(base::Instant now) noexcept;
    void bury_now(base::Instant now) noexcept;
    void prepare_form(Try& query, bool over_udp);
    [[nodiscard]] UpstreamConnection* find_connection(base::Instant now);
    [[nodiscard]] UpstreamConnection* open_connection(base::Instant now);
    [[nodiscard]] base::Endpoint endpoint() const noexcept;
    void leave_address(const base::IpAddress& failed) noexcept;
    [[nodiscard]] bool may_connect() const noexcept;

    using Tries = boost::intrusive::list<
        Try,
        boost::intrusive::member_hook<
            Try, boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
            &Try::in_flight>,
        boost::intrusive::constant_time_size<false>>;

    Surroundings& around_;
    std::string group_;
    UpstreamOptions options_;
    Factories factories_;
    // TLS sessions and QUIC tokens for the next connection; connections that began with an older one keep that.
    std::shared_ptr<net::client::Memory> memory_ = std::make_shared<net::client::Memory>();
    std::shared_ptr<UpstreamStats> stats_ = std::make_shared<UpstreamStats>();
    Health health_;
    CookieJar cookies_;
    Inquiry probe_inquiry_;
    bool probe_is_real_ = false; // `probe_inquiry_` is one it has answered
    bool keeps_case_ = true;
    base::Instant no_edns_until_{};
    std::vector<base::IpAddress> addresses_; // as configured, or as learned
    std::size_t address_ = 0;                // the one whose turn it is
    std::vector<std::unique_ptr<UpstreamConnection>> connections_;
    std::vector<std::unique_ptr<UpstreamConnection>> buried_;
    Tries tries_; ///< in flight, the oldest first
    std::unique_ptr<Probe> probe_;
    net::Timer probe_timer_{net::Timer::of<&Upstream::probe_due>(*this)};
    net::Flush bury_flush_{net::Flush::of<&Upstream::bury_now>(*this)};
};

} // namespace sallyport::resolver
