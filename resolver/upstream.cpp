#include "resolver/upstream.hpp"

#include "base/log.hpp"
#include "resolver/pins.hpp"
#include "resolver/udp_exchange.hpp"
#include "resolver/upstream_connection.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

using base::Transport;

// More datagrams that almost fit than this: somebody is guessing (RFC 5452 §9.1); TCP then.
constexpr unsigned kMaxNearMisses = 2;
// How long a server that wants no EDNS is spared it.
constexpr base::Duration kWithoutEdns = std::chrono::minutes{10};
// So long a query stays, however many others want its place.
constexpr base::Duration kHadItsChance = std::chrono::milliseconds{200};
// A second connection is opened when the first has so much in flight: some servers answer one query after the other.
constexpr std::size_t kCrowded = 24;

bool is_encrypted(Transport transport) noexcept { return transport != Transport::udp && transport != Transport::tcp; }

bool is_unhelpful(wire::Rcode rcode) noexcept
{
    return rcode == wire::Rcode::SERVFAIL || rcode == wire::Rcode::REFUSED || rcode == wire::Rcode::NOTIMP ||
           rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::BADVERS || rcode == wire::Rcode::BADCOOKIE ||
           rcode == wire::Rcode::NOTAUTH;
}

} // namespace

base::Result<Factories> make_factories(const UpstreamOptions& options, const Limits& limits)
{
    net::client::PeerOptions peer;
    peer.transport = options.transport == Transport::udp ? Transport::tcp : options.transport;
    peer.tls.server_name = options.server_name.empty() ? options.host : options.server_name;
    peer.tls.ca_file = options.ca_file;
    peer.tls.verify = options.verify;
    for (const std::string& text : options.spki_pins) {
        const auto pin = parse_pin(text);
        if (!pin) return base::Error{base::ErrorCode::invalid, "'" + text + "' is no pin"};
        peer.tls.spki_pins.push_back(*pin);
    }
    const bool v6 = options.host.find(':') != std::string::npos;
    peer.doh.authority = v6 ? "[" + options.host + "]" : options.host;
    if (options.port != 443) peer.doh.authority += ":" + std::to_string(options.port);
    peer.doh.path = options.doh_path;
    net::client::Limits session_limits;
    session_limits.streams = limits.pipeline;
    auto made = net::client::SessionFactory::make(peer, session_limits);
    if (!made) return made.error();
    return Factories{std::shared_ptr<const net::client::SessionFactory>{std::move(*made)}};
}

bool is_same(const UpstreamOptions& left, const UpstreamOptions& right)
{
    UpstreamOptions moved = left;
    moved.position = right.position;
    return moved == right;
}

Try::Try(TryUser& user, Upstream& upstream, const Inquiry& inquiry) noexcept
    : user_(user), upstream_(upstream), inquiry_(inquiry)
{
}

Try::~Try() { upstream_.forget(*this); }

/// A question of our own, to see whether and how quickly it answers.
class Upstream::Probe final : private TryUser {
public:
    Probe(Upstream& upstream, const Inquiry& inquiry, bool is_real)
        : upstream_(upstream), inquiry_(inquiry), is_real_(is_real), try_(*this, upstream, inquiry_)
    {
    }

    [[nodiscard]] bool start(base::Instant now)
    {
        upstream_.around_.worker.arm(timer_,
                                     now + std::max<base::Duration>(upstream_.limits().first_timeout * 2,
                                                                    upstream_.health_.timeout(upstream_.limits())));
        return upstream_.begin(try_, now) == Trouble::none;
    }

private:
    void try_answered(Try&, const wire::MessageView& response, base::Instant now) noexcept override
    {
        const wire::Rcode rcode = response.rcode();
        // A server that is not for the root says REFUSED to a question about it, and is there.
        const bool good = is_real_ ? !is_unhelpful(rcode) : rcode != wire::Rcode::SERVFAIL;
        if (good) upstream_.note_answer(now - try_began_, now);
        over(good, now);
    }
    void try_failed(Try&, Trouble, base::Instant now) noexcept override { over(false, now); }
    void expired(base::Instant now) noexcept
    {
        upstream_.timed_out(try_, now);
        over(false, now);
    }
    void over(bool good, base::Instant now) noexcept
    {
        timer_.cancel();
        if (!good) upstream_.health_.probe_failed(now, upstream_.limits());
        ended_ = true;
        upstream_.arm_probe();
        upstream_.around_.worker.flush_later(upstream_.bury_flush_);
    }

    friend class Upstream;
    Upstream& upstream_;
    Inquiry inquiry_;
    bool is_real_;
    bool ended_ = false;
    base::Instant try_began_{};
    Try try_;
    net::Timer timer_{net::Timer::of<&Probe::expired>(*this)};
};

Upstream::Upstream(Surroundings& around, std::string group, UpstreamOptions options, Factories factories)
    : around_(around), group_(std::move(group)), options_(std::move(options)), factories_(std::move(factories))
{
    probe_inquiry_.qtype = wire::RrType::NS;
}

Upstream::~Upstream() { close(around_.worker.now()); }

bool Upstream::is_trusted() const noexcept
{
    if (is_encrypted(options_.transport)) return options_.verify || !options_.spki_pins.empty();
    return endpoint().address.is_loopback();
}

base::Endpoint Upstream::endpoint() const noexcept
{
    if (options_.addresses.empty()) return {};
    return {options_.addresses[address_ % options_.addresses.size()], options_.port, 0};
}

void Upstream::next_address() noexcept
{
    if (options_.addresses.size() > 1) address_ = (address_ + 1) % options_.addresses.size();
}

Trouble Upstream::begin(Try& query, base::Instant now)
{
    query.began_ = query.sent_at_ = now;
    if (stats_->in_flight.get() >= limits().per_upstream) oldest_gives_way(query, now);
    stats_->queries.add();
    const bool over_udp = options_.transport == Transport::udp && !query.over_stream;
    const Trouble trouble = over_udp ? begin_udp(query, now) : begin_stream(query, now);
    if (trouble == Trouble::none) {
        stats_->in_flight.add();
        query.counted_ = true;
        tries_.push_back(query);
    } else {
        stats_->failures.add();
    }
    return trouble;
}

/// Names that nobody answers must not take all there is of an upstream: the oldest goes once it has waited longer than
/// its answers usually take. Where all are young the newcomer is sent all the same: there are as many as may be in
/// flight at most.
void Upstream::oldest_gives_way(const Try& newcomer, base::Instant now)
{
    if (tries_.empty()) return;
    Try& oldest = tries_.front();
    const base::Duration chance = std::max<base::Duration>(kHadItsChance, health_.timeout(limits()));
    // Whoever begins another try for the same question is not to lose it meanwhile.
    if (now - oldest.began_ < chance || &oldest.user_ == &newcomer.user_) return;
    stats_->gave_way.add();
    fail(oldest, Trouble::gave_way, now);
}

void Upstream::prepare_form(Try& query, bool over_udp)
{
    const bool clear = !is_encrypted(options_.transport);
    query.form_.edns = !query.without_edns_ && query.began_ >= no_edns_until_;
    query.form_.udp_payload_size = around_.options->udp_payload_size;
    query.form_.padded = !clear;
    query.form_.cookie = {};
    if (clear && around_.options->cookies && query.form_.edns)
        query.form_.cookie = cookies_.option(around_.worker.random());
    query.form_.spelled = query.inquiry_.qname;
    // Over a stream only where they are in doubt: to see whether the server keeps them.
    if ((over_udp || query.suspects_case_) && around_.options->case_randomisation)
        randomise_case(query.form_.spelled, around_.worker.random());
}

Trouble Upstream::begin_udp(Try& query, base::Instant now)
{
    prepare_form(query, true);
    query.form_.id = static_cast<std::uint16_t>(around_.worker.random().number());
    QueryBuffer room;
    const base::Bytes octets = write_query(room, query.inquiry_, query.form_);
    query.udp_ = std::make_unique<UdpExchange>(query);
    query.sent_at_ = now;
    const Trouble trouble = query.udp_->start(around_.worker, endpoint(), octets);
    if (trouble == Trouble::none) return trouble;
    query.udp_.reset();
    if (trouble == Trouble::system) return trouble; // no descriptor is left: not its fault
    next_address();
    note_failure(now);
    return trouble;
}

base::Bytes Upstream::write_stream_query(Try& query, base::MutableBytes room)
{
    const std::uint16_t id = query.form_.id;
    prepare_form(query, false);
    query.form_.id = id;
    return write_query(room, query.inquiry_, query.form_);
}

Trouble Upstream::begin_stream(Try& query, base::Instant now)
{
    if (!factories_.stream) return Trouble::system;
    UpstreamConnection* connection = find_connection(now);
    if (connection == nullptr) {
        if (connections_.size() >= limits().connections) {
            stats_->busy.add();
            return Trouble::busy;
        }
        note_failure(now);
        next_address();
        return Trouble::unreachable;
    }
    connection->ask(query, now);
    return Trouble::none;
}

UpstreamConnection* Upstream::find_connection(base::Instant now)
{
    UpstreamConnection* least = nullptr;
    for (const auto& connection : connections_) {
        if (!connection->has_room()) continue;
        if (least == nullptr || connection->load() < least->load()) least = connection.get();
    }
    const bool crowded = least != nullptr && least->load() >= kCrowded;
    if ((least != nullptr && !crowded) || connections_.size() >= limits().connections) return least;
    UpstreamConnection* const fresh = open_connection(now);
    return fresh == nullptr ? least : fresh;
}

UpstreamConnection* Upstream::open_connection(base::Instant now)
{
    const Transport transport = options_.transport == Transport::udp ? Transport::tcp : options_.transport;
    auto made = std::make_unique<UpstreamConnection>(around_.worker, *this, transport, limits().pipeline);
    stats_->connections.add();
    if (!made->open(factories_.stream, memory_, endpoint(), now)) return nullptr;
    connections_.push_back(std::move(made));
    return connections_.back().get();
}

void Upstream::renew(Factories factories)
{
    if (!factories.stream || factories.stream == factories_.stream) return;
    factories_ = std::move(factories);
    // A session that is resumed is not verified again.
    memory_ = std::make_shared<net::client::Memory>();
}

base::Duration Upstream::timeout(const Try& query) const noexcept
{
    const base::Duration known = health_.timeout(limits());
    // A handshake takes its rounds before the query even leaves.
    const bool waits = query.connection_ != nullptr && !query.connection_->is_ready();
    return waits ? std::max<base::Duration>(known, limits().first_timeout) : known;
}

void Upstream::timed_out(Try& query, base::Instant now)
{
    stats_->timeouts.add();
    if (query.connection_ != nullptr) query.connection_->doubt(query);
    next_address();
    if (health_.timed_out(now - query.began_, now, limits())) breaker_opened(now);
}

/// Questions that came to nothing may all have been of one bad zone, and a stranger may have chosen it. So the first
/// probe, with a question that was answered before, goes at once: who answers that is there.
void Upstream::breaker_opened(base::Instant now)
{
    stats_->opened.add();
    stats_->breaker_open.set(1);
    around_.worker.arm(probe_timer_, now);
}

/// One that is of use: the breaker closes.
void Upstream::note_answer(base::Duration took, base::Instant now)
{
    health_.answered(took, now);
    stats_->breaker_open.set(0);
}

void Upstream::outrun(const Try& query, base::Instant now) noexcept { health_.outrun(now - query.began_); }

void Upstream::note_failure(base::Instant now)
{
    if (health_.failed(now, limits())) breaker_opened(now);
}

void Upstream::was_unhelpful(base::Instant now) { note_failure(now); }

void Upstream::was_broken(base::Instant now)
{
    stats_->failures.add();
    note_failure(now);
}

bool Upstream::udp_received(Try& query, base::Bytes message, base::Instant now)
{
    const auto response = wire::MessageView::parse(message);
    if (!response) return near_miss(query, now);
    const Fit how = fit(*response, query.inquiry_, query.form_);
    if (how == Fit::foreign) return near_miss(query, now);
    if (how == Fit::other_case && keeps_case_) {
        // Either a forger, or a server that does not keep the letters. TCP tells: nobody forges there.
        stats_->near_misses.add();
        query.suspects_case_ = true;
        again_over_stream(query, now);
        return false;
    }
    // All fits but the cookie: a forger who has guessed the rest, or a server that has ceased to know cookies. Such a
    // response is not taken (RFC 7873 §5.3), and TCP tells at once.
    const bool wrong_cookie =
        !query.form_.cookie.empty() && cookies_.judge(response->edns(), false) == CookieJar::Verdict::foreign;
    if (wrong_cookie) stats_->near_misses.add();
    if (wrong_cookie || response->header().has(wire::flag::TC)) {
        stats_->tcp_fallbacks.add();
        again_over_stream(query, now);
        return false;
    }
    if (!retried(query, *response, true, now)) accept(query, *response, now);
    return false;
}

/// True: the exchange goes on waiting.
bool Upstream::near_miss(Try& query, base::Instant now)
{
    stats_->near_misses.add();
    if (++query.near_misses_ < kMaxNearMisses) return true;
    stats_->tcp_fallbacks.add();
    again_over_stream(query, now);
    return false;
}

void Upstream::udp_failed(Try& query, Trouble trouble, base::Instant now)
{
    next_address();
    note_failure(now);
    fail(query, trouble, now);
}

void Upstream::stream_received(Try& query, base::Bytes message, base::Instant now)
{
    const auto response = wire::MessageView::parse(message);
    const Fit how = response ? fit(*response, query.inquiry_, query.form_) : Fit::foreign;
    if (how == Fit::foreign || response->header().has(wire::flag::TC)) {
        note_failure(now);
        fail(query, Trouble::broken, now);
        return;
    }
    if (!query.form_.cookie.empty()) (void)cookies_.judge(response->edns(), true);
    // Where they are kept after all, the datagram was a forger's.
    if (how == Fit::other_case && query.suspects_case_ && keeps_case_) {
        keeps_case_ = false;
        stats_->case_fallbacks.add();
    }
    if (!retried(query, *response, false, now)) accept(query, *response, now);
}

void Upstream::stream_failed(Try& query, Trouble trouble, base::Instant now)
{
    note_failure(now);
    fail(query, trouble, now);
}

/// What one server wants told differently is told it differently, once.
bool Upstream::retried(Try& query, const wire::MessageView& response, bool over_udp, base::Instant now)
{
    const wire::Rcode rcode = response.rcode();
    if (rcode == wire::Rcode::BADCOOKIE) {
        // RFC 7873 §5.3: again with the cookie it has just given, then over TCP.
        stats_->bad_cookies.add();
        if (query.cookie_again_ && !over_udp) return false;
        const bool first = !query.cookie_again_;
        query.cookie_again_ = true;
        again(query, over_udp && first, now);
        return true;
    }
    const bool no_edns = rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::BADVERS || rcode == wire::Rcode::NOTIMP;
    if (!no_edns || !query.form_.edns) return false;
    query.without_edns_ = true;
    query.met_opt_ = response.edns() != nullptr;
    again(query, over_udp, now);
    return true;
}

void Upstream::again_over_stream(Try& query, base::Instant now) { again(query, false, now); }

void Upstream::again(Try& query, bool over_udp, base::Instant now)
{
    stats_->retries.add();
    query.udp_.reset();
    const Trouble trouble = over_udp ? begin_udp(query, now) : begin_stream(query, now);
    if (trouble != Trouble::none) fail(query, trouble, now);
}

void Upstream::accept(Try& query, const wire::MessageView& response, base::Instant now)
{
    stats_->answers.add();
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
    const wire::Rcode rcode = response.rcode();
    const base::Duration rtt = now - query.sent_at_;
    stats_->latency.record(rtt);
    if (is_unhelpful(rcode)) {
        stats_->unhelpful.add();
        health_.measured(rtt, now);
    } else {
        // Whoever answered FORMERR with an OPT knows EDNS (RFC 6891 §7): it was this question that he did not like.
        if (query.without_edns_ && !query.met_opt_) no_edns_until_ = now + kWithoutEdns;
        note_answer(rtt, now);
        probe_inquiry_ = query.inquiry_;
        probe_is_real_ = true;
        probe_timer_.cancel();
    }
    query.user_.try_answered(query, response, now);
}

void Upstream::fail(Try& query, Trouble trouble, base::Instant now)
{
    stats_->failures.add();
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
    query.user_.try_failed(query, trouble, now);
}

void Upstream::forget(Try& query) noexcept
{
    if (query.connection_ != nullptr) query.connection_->forget(query);
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
}

void Upstream::connection_ready(bool resumed) noexcept
{
    if (resumed) stats_->resumed.add();
}

void Upstream::connection_ended(const UpstreamConnection& connection, Trouble trouble, base::Instant now)
{
    // One that answered and then ended is nobody's failure: servers do not keep idle connections for ever.
    if (trouble == Trouble::none || (trouble == Trouble::closed && connection.has_answered())) return;
    if (connection.is_ready() && connection.load() == 0) return;
    static base::log::Limiter limiter;
    if (trouble == Trouble::insecure && limiter.admit(now) > 0)
        base::log::warning("upstream " + options_.name + ": " + connection.failure().detail);
    next_address();
    note_failure(now);
}

void Upstream::connection_lost(Try& query, const UpstreamConnection& connection, Trouble trouble, base::Instant now)
{
    // A server may close an idle connection just when a query is on its way to it (RFC 7766 §6.2.4): once more, on a
    // new one.
    if (trouble == Trouble::closed && connection.has_answered() && !query.sent_again_) {
        query.sent_again_ = true;
        again_over_stream(query, now);
        return;
    }
    fail(query, trouble == Trouble::none ? Trouble::closed : trouble, now);
}

void Upstream::bury(UpstreamConnection& connection)
{
    const auto found = std::find_if(connections_.begin(), connections_.end(),
                                    [&](const auto& one) { return one.get() == &connection; });
    if (found == connections_.end()) return;
    // It may be on the stack right now.
    buried_.push_back(std::move(*found));
    connections_.erase(found);
    around_.worker.flush_later(bury_flush_);
}

void Upstream::bury_now(base::Instant) noexcept
{
    buried_.clear();
    if (probe_ && probe_->ended_) probe_.reset();
}

void Upstream::arm_probe()
{
    if (health_.is_open() && !health_.is_probing())
        around_.worker.arm(probe_timer_, health_.next_probe());
    else
        probe_timer_.cancel();
}

void Upstream::probe_due(base::Instant now) noexcept
{
    if (!health_.is_open()) return;
    health_.probe_started();
    probe(probe_inquiry_, now);
}

void Upstream::probe(const Inquiry& inquiry, base::Instant now)
{
    if (probe_ && !probe_->ended_) return;
    stats_->probes.add();
    const bool is_real = probe_is_real_ || &inquiry != &probe_inquiry_;
    probe_ = std::make_unique<Probe>(*this, inquiry, is_real);
    probe_->try_began_ = now;
    if (!probe_->start(now)) probe_->over(false, now);
}

void Upstream::close(base::Instant now) noexcept
{
    probe_timer_.cancel();
    probe_.reset();
    for (const auto& connection : connections_) connection->close(now);
}

} // namespace sallyport::resolver
