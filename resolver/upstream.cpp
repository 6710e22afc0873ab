#include "resolver/upstream.hpp"

#include "resolver/udp_exchange.hpp"
#include "resolver/upstream_connection.hpp"
#include "resolver/upstream_probe.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

using base::Transport;

// So long a query stays, however many others want its place.
constexpr base::Duration kHadItsChance = std::chrono::milliseconds{200};

bool is_encrypted(Transport transport) noexcept { return transport != Transport::udp && transport != Transport::tcp; }

} // namespace

Try::Try(TryUser& user, Upstream& upstream, const Inquiry& inquiry) noexcept
    : user_(user), upstream_(upstream), inquiry_(inquiry)
{
}

Try::~Try() { upstream_.forget(*this); }

Upstream::Upstream(Surroundings& around, std::string group, UpstreamOptions options, Factories factories)
    : around_(around),
      group_(std::move(group)),
      options_(std::move(options)),
      factories_(std::move(factories)),
      addresses_(options_.addresses)
{
    probe_inquiry_.qtype = wire::RrType::NS;
}

Upstream::~Upstream() { close(around_.worker.now()); }

bool Upstream::is_trusted() const noexcept
{
    if (is_encrypted(options_.transport)) return options_.verify || !options_.spki_pins.empty();
    // What a name was found to be says nothing of who said so.
    return !needs_look_up(options_) &&
           std::all_of(addresses_.begin(), addresses_.end(), [](const auto& one) { return one.is_loopback(); });
}

Trouble Upstream::begin(Try& query, base::Instant now)
{
    if (!has_address()) return Trouble::no_address;
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
    query.sent_at_ = now;
    auto trouble = Trouble::unreachable;
    for (std::size_t i = 0; i < addresses_.size() && trouble == Trouble::unreachable; ++i) {
        const base::Endpoint server = endpoint();
        query.server_ = server.address;
        query.udp_ = std::make_unique<UdpExchange>(query);
        trouble = query.udp_->start(around_.worker, server, octets);
        if (trouble == Trouble::none) return trouble;
        query.udp_.reset();
        if (trouble == Trouble::unreachable) leave_address(server.address);
    }
    // Where no descriptor is left it is not its fault.
    if (trouble != Trouble::system) note_failure(now);
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
        if (!may_connect()) {
            stats_->busy.add();
            return Trouble::busy;
        }
        note_failure(now);
        return Trouble::unreachable;
    }
    query.server_ = connection->server().address;
    connection->ask(query, now);
    return Trouble::none;
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
    leave_address(query.server_);
    if (health_.timed_out(now - query.began_, now, limits())) breaker_opened(now);
}

/// Questions that came to nothing may all have been of one bad zone, and a stranger may have chosen it. So the first
/// probe, with a question that was answered before, goes at once: who answers that is there.
void Upstream::breaker_opened(base::Instant now)
{
    stats_->opened.add();
    stats_->breaker_open.set(1);
    around_.worker.arm(probe_timer_, now);
    // Or it has moved.
    if (needs_look_up(options_) && around_.doubt) around_.doubt(target_of(options_));
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

void Upstream::forget(Try& query) noexcept
{
    if (query.connection_ != nullptr) query.connection_->forget(query);
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
}

void Upstream::close(base::Instant now) noexcept
{
    probe_timer_.cancel();
    probe_.reset();
    for (const auto& connection : connections_) connection->close(now);
}

} // namespace sallyport::resolver
