#include "pipeline/pipeline.hpp"

#include "base/hash.hpp"
#include "pipeline/finish.hpp"
#include "pipeline/observer.hpp"
#include "pipeline/remote_stages.hpp"
#include "pipeline/stages.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <span>
#include <utility>

namespace sallyport::pipeline {
namespace {

using base::Transport;
using wire::ExtendedError;
using wire::Opcode;
using wire::Rcode;
using wire::RrType;

// Two octets before the answer for the length prefix of stream transports (`Reply::framed`).
constexpr std::size_t kPrefixRoom = 2;
constexpr std::size_t kQueriesAtOnce = 64;
constexpr std::size_t kKeptCapacity = 1024;

/// Ports whose services answer whatever they get: a reply there starts an endless exchange.
bool is_reflection_port(std::uint16_t port) noexcept { return port == 0 || port == 7 || port == 19; }

/// Doors that must tell the client themselves that a message is malformed.
bool door_reports_malformed(Transport transport) noexcept
{
    return transport == Transport::doh1 || transport == Transport::doh2 || transport == Transport::doh3 ||
           transport == Transport::doq;
}

base::SipKey secret_from(const std::string& hex, base::RandomSource& random)
{
    base::SipKey key{};
    if (hex.size() != key.size() * 2) {
        random.fill(key);
        return key;
    }
    for (std::size_t i = 0; i < key.size(); ++i) std::from_chars(&hex[i * 2], &hex[i * 2] + 2, key[i], 16);
    return key;
}

/// Types that ask for something other than records of a name.
bool is_unserved_qtype(RrType type) noexcept
{
    switch (type) {
    case RrType::OPT:
    case RrType::TKEY:
    case RrType::TSIG:
    case RrType::IXFR:
    case RrType::AXFR:
    case RrType::MAILA:
    case RrType::MAILB: return true;
    default: return static_cast<std::uint16_t>(type) == 0;
    }
}

std::string_view to_string(Step step) noexcept
{
    switch (step) {
    case Step::next: return "goes on";
    case Step::answered: return "answered";
    case Step::drop: return "dropped";
    case Step::suspended: return "waits";
    }
    return {};
}

} // namespace

struct Pipeline::Parts {
    Parts(Pipeline& pipeline, const Options& options, const base::Clock& clock_, base::RandomSource& random,
          Stats& stats)
        : clock(clock_),
          secret(secret_from(options.cookie_secret, random)),
          buffer(new std::uint8_t[kBufferSize]),
          writer(base::MutableBytes{buffer.get() + kPrefixRoom, wire::kMaxMessageSize}, wire::kMaxMessageSize),
          script(clock, texts),
          cache(chain, stats),
          resolve(pipeline, cache, chain, stats)
    {
        std::array<std::uint8_t, 4> base{};
        random.fill(base);
        next_id = std::uint64_t{base::load_be32(base, 0)} << 32U;
        rebuild(options, stats);
    }

    static constexpr std::size_t kBufferSize = kPrefixRoom + wire::kMaxMessageSize;

    /// Made anew only where the limit is another: what clients used up so far still counts after a reload.
    static void renew(std::unique_ptr<policy::TokenBuckets>& buckets, const policy::TokenBuckets::Rate& rate,
                      std::uint32_t table_size)
    {
        if (buckets && buckets->is_for(rate, table_size)) return;
        buckets = std::make_unique<policy::TokenBuckets>(rate, table_size);
    }

    void rebuild(const Options& options, Stats& stats)
    {
        in_flight_limit = options.queries_in_flight;
        in_flight_octets_limit = options.queries_in_flight_octets;
        const auto& limit = options.rate_limit;
        renew(queries, {limit.per_second, limit.burst, limit.v4_prefix, limit.v6_prefix}, limit.table_size);
        renew(errors, {limit.errors_per_second, limit.errors_per_second, 24, 56}, limit.table_size);
        admission = std::make_unique<AdmissionStage>(options, *queries, stats);
        designation = std::make_unique<DesignationStage>(options.ddr, stats);
        identity = std::make_unique<IdentityStage>(options);
        finisher = std::make_unique<Finisher>(options, secret, stats);
        script.set(options.block);
        put_in_order();
    }

    /// The order of the walk is the behaviour of the gateway. What is not there costs nothing.
    void put_in_order()
    {
        order = {admission.get(), identity.get(), designation.get()};
        if (script.asks()) order.push_back(&script);
        order.push_back(&zones);
        if (services.cache != nullptr) order.push_back(&cache);
        if (services.resolver != nullptr) order.push_back(&resolve);
        for (const auto& stage : appended) order.push_back(stage.get());
        zones.set_followed(services.resolver != nullptr);
    }

    void set_services(const Services& given)
    {
        services = given;
        script.set(given.script);
        cache.set(given.cache, given.resolver);
        resolve.set(given.resolver);
        put_in_order();
    }

    void set_now(base::Instant now) noexcept
    {
        cache.set_now(now);
        resolve.set_now(now);
    }

    /// Seconds since 1970 for cookies. The wall clock is asked once a second, not once a query.
    std::uint32_t unix_time(base::Instant now) noexcept
    {
        if (now - wall_read_at >= std::chrono::seconds{1} || wall_seconds == 0) {
            wall_read_at = now;
            wall_seconds = static_cast<std::uint32_t>(
                std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count());
        }
        return wall_seconds;
    }

    const base::Clock& clock;
    base::SipKey secret;
    std::unique_ptr<std::uint8_t[]> buffer;
    wire::MessageWriter writer;
    base::Instant wall_read_at{};
    std::uint32_t wall_seconds = 0;

    std::unique_ptr<policy::TokenBuckets> queries, errors; // of a client network
    std::unique_ptr<AdmissionStage> admission;
    std::unique_ptr<DesignationStage> designation;
    std::unique_ptr<IdentityStage> identity;
    ZonesStage zones;
    Services services;
    Texts texts;
    ChainWriter chain;
    ScriptStage script;
    CacheStage cache;
    ResolveStage resolve;
    std::uint64_t next_id = 0;
    Trace* trace = nullptr; ///< of the query that begins next
    std::vector<std::unique_ptr<Stage>> appended;
    std::vector<Stage*> order;
    std::unique_ptr<Finisher> finisher;

    std::vector<std::unique_ptr<Query[]>> chunks;
    Query* free = nullptr;
    Query spare; ///< for errors that are answered on the spot, never suspended
    std::uint64_t in_flight_limit = 0;
    std::uint64_t in_flight_octets_limit = 0;
};

Pipeline::Pipeline(const Options& options, const base::Clock& clock, base::RandomSource& random)
    : parts_(std::make_unique<Parts>(*this, options, clock, random, stats_))
{
}

Pipeline::~Pipeline() = default;

Intake Pipeline::receive(const Arrival& arrival) noexcept
{
    const Client& client = arrival.client;
    ++stats_.queries[static_cast<std::size_t>(client.transport)];
    const auto header = wire::read_header(arrival.message);
    // Never answer a response: two servers would go on for ever.
    if (!header || header->has(wire::flag::QR)) {
        ++stats_.ignored;
        return Intake::ignored;
    }
    if (base::is_datagram(client.transport) && is_reflection_port(client.peer.port)) {
        ++stats_.reflection_ports;
        return Intake::ignored;
    }
    const auto request = wire::MessageView::parse(arrival.message);
    if (!request) return refuse_unparsed(arrival);
    // RFC 9250 §5.5.2: on DoQ this option is a protocol error of the connection.
    if (client.transport == Transport::doq && request->edns() != nullptr && request->edns()->tcp_keepalive) {
        ++stats_.malformed;
        return Intake::malformed;
    }
    Query* const query = take_query(arrival.message.size());
    if (query == nullptr) return refuse_overloaded(*request, arrival);
    query->request = *request;
    begin(*query, arrival);
    const Step step = precheck(*query);
    if (step == Step::next)
        walk(*query, 0);
    else if (step == Step::answered)
        deliver(*query);
    else
        discard(*query);
    return Intake::taken;
}

/// Too many queries wait already: this one hears so at once, from a place that is kept free for it.
Intake Pipeline::refuse_overloaded(const wire::MessageView& request, const Arrival& arrival) noexcept
{
    Query& query = parts_->spare;
    query.request = request;
    begin(query, arrival);
    const Step admitted = parts_->admission->handle(query);
    if (admitted == Step::next) {
        query.answer->set_rcode(Rcode::SERVFAIL);
        query.ede = Query::Ede{ExtendedError::other, "too many queries are waiting"};
        query.uncacheable = true;
    }
    if (admitted == Step::drop)
        discard(query);
    else
        deliver(query);
    return Intake::taken;
}

Intake Pipeline::refuse_unparsed(const Arrival& arrival) noexcept
{
    ++stats_.malformed;
    const Client& client = arrival.client;
    if (door_reports_malformed(client.transport)) return Intake::malformed;
    const bool datagram = base::is_datagram(client.transport);
    if (!parts_->admission->allows(client) || (datagram && !parts_->errors->take(client.peer.address, arrival.now))) {
        ++stats_.errors_unanswered;
        arrival.sink.dropped(arrival.tag);
        return Intake::taken;
    }
    Query* const query = &parts_->spare;
    // The header can be trusted, the question can not: FORMERR with an empty question section (RFC 1035 §4.1.1).
    std::array<std::uint8_t, wire::kHeaderSize> head{};
    const auto header = *wire::read_header(arrival.message);
    base::store_be16(head, 0, header.id);
    base::store_be16(head, 2, header.flags);
    query->request = *wire::MessageView::parse(head);
    begin(*query, arrival);
    query->answer->set_rcode(Rcode::FORMERR);
    deliver(*query);
    return Intake::taken;
}

void Pipeline::begin(Query& query, const Arrival& arrival) noexcept
{
    query.client = arrival.client;
    query.arrival = arrival.now;
    query.sink = &arrival.sink;
    query.tag = arrival.tag;
    query.owner_ = &arrival.owner;
    query.stage_ = 0;
    query.ede.reset();
    query.uncacheable = query.cookie_valid = query.cookie_renew_ = query.is_error = query.chained = false;
    query.id = parts_->next_id++;
    query.source = Source::none;
    query.validation = wire::ValidationState::unchecked;
    query.upstream = query.rule = query.group = query.why = {};
    query.trace = std::exchange(parts_->trace, nullptr);
    parts_->set_now(arrival.now);
    const wire::Header& header = query.request.header();
    const auto* const edns = query.request.edns();
    query.dnssec_ok = edns != nullptr && edns->dnssec_ok;
    query.qtype = query.request.qtype();
    query.qclass = query.request.qclass();
    if (header.question_count == 1) {
        query.qname = query.request.qname().to_name();
        query.qname.make_lower();
    } else {
        query.qname = wire::Name{};
    }
    parts_->finisher->check_cookie(query, parts_->unix_time(arrival.now));
    query.answer = &parts_->writer;
    const std::size_t limit = parts_->finisher->limit(query);
    const std::size_t reserve = parts_->finisher->reserve(query);
    query.answer->reset(limit - std::min(reserve, limit - wire::kHeaderSize));
    const bool echo = header.question_count == 1;
    // A question is at most 259 octets, the smallest limit 512: it fits.
    (void)query.answer->begin_response(header.id, header.flags, echo ? query.request.question_bytes() : base::Bytes{},
                                       echo ? 1 : 0);
    if (parts_->services.resolver != nullptr) query.answer->set_flags(wire::flag::RA);
}

Step Pipeline::precheck(Query& query) noexcept
{
    const wire::Header& header = query.request.header();
    const auto* const edns = query.request.edns();
    const auto answer_with = [&](Rcode rcode) {
        query.answer->set_rcode(rcode);
        // Even an error is only for those who may ask.
        const Step admitted = parts_->admission->handle(query);
        return admitted == Step::next ? Step::answered : admitted;
    };
    if (edns != nullptr && edns->version != 0) return answer_with(Rcode::BADVERS);
    if (header.opcode() != Opcode::QUERY) return answer_with(Rcode::NOTIMP);
    if (header.question_count == 0 && edns != nullptr && edns->cookie) return answer_with(Rcode::NOERROR);
    if (header.question_count != 1 || header.answer_count != 0 || header.authority_count != 0)
        return answer_with(Rcode::FORMERR);
    if (query.qclass == wire::RrClass::ANY || query.qclass == wire::RrClass::NONE) return answer_with(Rcode::FORMERR);
    if (query.qtype == RrType::OPT || static_cast<std::uint16_t>(query.qtype) == 0) return answer_with(Rcode::FORMERR);
    if (is_unserved_qtype(query.qtype)) {
        query.ede = Query::Ede{ExtendedError::prohibited, "transfers and transaction types are not served"};
        return answer_with(Rcode::REFUSED);
    }
    return Step::next;
}

void Pipeline::walk(Query& query, std::size_t stage) noexcept
{
    for (; stage < parts_->order.size(); ++stage) {
        query.stage_ = stage;
        query.why = {};
        const Step step = parts_->order[stage]->handle(query);
        if (query.trace != nullptr) query.trace->step(parts_->order[stage]->name(), to_string(step), query.why);
        switch (step) {
        case Step::next: continue;
        case Step::answered: return deliver(query);
        case Step::drop: return discard(query);
        case Step::suspended: return keep(query);
        }
    }
    if (query.group.empty()) {
        // Nobody knows the name, and there is nobody who could be asked.
        query.answer->set_rcode(Rcode::REFUSED);
        query.ede = Query::Ede{ExtendedError::not_authoritative, "not in a local zone"};
    } else {
        // Those of the usual way are not asked instead: the rule may want to keep the name from them.
        ++stats_.unknown_group;
        query.answer->set_rcode(Rcode::SERVFAIL);
        query.ede = Query::Ede{ExtendedError::other, "policy names a group of upstreams that is not there"};
        query.uncacheable = true;
    }
    deliver(query);
}

void Pipeline::keep(Query& query) noexcept
{
    query.answer = nullptr;       // it is lent to others from now on
    if (query.suspended_) return; // a later stage suspended it again: it has its copy
    // The door's buffer is about to be used again.
    const base::Bytes bytes = query.request.bytes();
    query.kept_.assign(bytes.begin(), bytes.end());
    query.request = *wire::MessageView::parse(query.kept_);
    query.suspended_ = true;
    query.owner_->push_back(query);
    ++stats_.suspended;
    stats_.in_flight.add();
    stats_.in_flight_octets.add(query.kept_.size());
}

void Pipeline::resume(Query& query, Step step, base::Instant now) noexcept
{
    // The worker's one answer buffer was lent to others meanwhile.
    if (query.answer == nullptr) restart_answer(query);
    // Cookies are made with the time of the answer, not of the arrival.
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    switch (step) {
    case Step::next: return walk(query, query.stage_ + 1);
    case Step::answered: return deliver(query);
    case Step::drop: return discard(query);
    case Step::suspended: return;
    }
}

void Pipeline::resolved(Query& query, const resolver::Outcome& outcome, base::Instant now) noexcept
{
    restart_answer(query);
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    if (query.chained) {
        // The start of the chain was written to a buffer that others have used since. Zones may have changed, too.
        const wire::Name rest = query.rest;
        query.chained = false;
        const Step step = parts_->zones.handle(query);
        if (step == Step::answered) return deliver(query);
        if (step != Step::next || !query.chained || query.rest != rest) {
            restart_answer(query);
            query.chained = false;
            query.source = Source::none;
            query.rule = query.group = {};
            return walk(query, 0);
        }
    }
    parts_->resolve.write(query, outcome);
    if (query.trace != nullptr)
        query.trace->step("resolver", outcome.answer != nullptr ? "answered" : "failed",
                          outcome.upstream.empty() ? outcome.ede_text : outcome.upstream);
    deliver(query);
}

void Query::resolved(const resolver::Outcome& outcome, base::Instant now) noexcept
{
    pipeline_->resolved(*this, outcome, now);
}

void Pipeline::restart_answer(Query& query) noexcept
{
    query.answer = &parts_->writer;
    const std::size_t limit = parts_->finisher->limit(query);
    query.answer->reset(limit - std::min(parts_->finisher->reserve(query), limit - wire::kHeaderSize));
    (void)query.answer->begin_response(query.request.id(), query.request.header().flags, query.request.question_bytes(),
                                       query.request.header().question_count);
    if (parts_->services.resolver != nullptr) query.answer->set_flags(wire::flag::RA);
}

/// The script's word on an answer, whoever gave it; what a rule said itself is not judged again.
void Pipeline::judge(Query& query) noexcept
{
    const policy::Verdict& verdict = parts_->script.judge(query);
    if (verdict.action == policy::Verdict::Action::proceed) return;
    restart_answer(query);
    query.ede.reset();
    query.uncacheable = true;
    const Step step = parts_->script.carry_out(verdict, query);
    if (query.trace != nullptr) query.trace->step("answer script", to_string(step), query.rule);
    // Too late to be silent: the answer was fetched, and whoever waits for it hears that it is not given.
    if (step == Step::drop) query.answer->set_rcode(Rcode::REFUSED);
}

void Pipeline::observe(Query& query, base::Bytes answer, wire::Rcode rcode) noexcept
{
    const base::Duration took = parts_->clock.now() - query.arrival;
    if (!answer.empty()) stats_.latency[static_cast<std::size_t>(query.client.transport)].record(took);
    if (parts_->services.observer != nullptr) parts_->services.observer->ended(query, answer, rcode, took);
}

void Pipeline::deliver(Query& query) noexcept
{
    if (parts_->script.judges() && query.source != Source::none && query.source != Source::rule) judge(query);
    const Rcode rcode = query.answer->rcode();
    const bool is_error = query.is_error || rcode == Rcode::FORMERR || rcode == Rcode::NOTIMP ||
                          rcode == Rcode::REFUSED || rcode == Rcode::BADVERS;
    if (is_error && base::is_datagram(query.client.transport) && !query.cookie_valid &&
        !parts_->errors->take(query.client.peer.address, query.arrival)) {
        ++stats_.errors_unanswered;
        return discard(query);
    }
    parts_->finisher->finish(query, parts_->unix_time(query.arrival));
    ++stats_.replies[static_cast<std::size_t>(query.client.transport)];
    const bool keepable = !query.uncacheable && (rcode == Rcode::NOERROR || rcode == Rcode::NXDOMAIN);
    const wire::Ttl ttl = keepable ? query.answer->smallest_ttl(wire::Ttl{0}) : wire::Ttl{0};
    const base::Bytes message = query.answer->message();
    base::store_be16(base::MutableBytes{parts_->buffer.get(), kPrefixRoom}, 0,
                     static_cast<std::uint16_t>(message.size()));
    observe(query, message, rcode);
    detach(query);
    query.sink->reply(Reply{query, query.tag, message, ttl, rcode});
    release(query);
}

void Pipeline::discard(Query& query) noexcept
{
    observe(query, {}, Rcode::NOERROR);
    detach(query);
    query.sink->dropped(query.tag);
    release(query);
}

void Pipeline::abandon(QueryList& queries) noexcept
{
    while (!queries.empty()) {
        ++stats_.abandoned;
        release(queries.front());
    }
}

Query* Pipeline::take_query(std::size_t request_size) noexcept
{
    // It may have to wait, and be kept whole for that.
    if (request_size > kKeptCapacity && stats_.in_flight_octets.get() + request_size > parts_->in_flight_octets_limit) {
        ++stats_.in_flight_octets_full;
        return nullptr;
    }
    if (parts_->free == nullptr) {
        if (stats_.in_flight.get() >= parts_->in_flight_limit) {
            ++stats_.in_flight_full;
            return nullptr;
        }
        parts_->chunks.push_back(std::make_unique<Query[]>(kQueriesAtOnce));
        for (Query& fresh : std::span{parts_->chunks.back().get(), kQueriesAtOnce}) {
            fresh.next_free_ = parts_->free;
            parts_->free = &fresh;
        }
    }
    Query* const query = parts_->free;
    parts_->free = query->next_free_;
    return query;
}

/// Takes a query off the lists it waits in. Before its door hears: who hears may end the connection, and with it
/// abandon every query still listed, which must not give this one back a second time.
void Pipeline::detach(Query& query) noexcept
{
    if (!query.suspended_) return;
    query.suspended_ = false;
    query.QueryHook::unlink();
    query.waiting.unlink();
    query.resolver::Waiter::unlink();
    stats_.in_flight.sub();
    stats_.in_flight_octets.sub(query.kept_.size());
}

void Pipeline::release(Query& query) noexcept
{
    detach(query);
    query.answer = nullptr;
    if (&query == &parts_->spare) return;
    // A long request is not what the next one will need: the pool keeps no more than a common one takes.
    if (query.kept_.capacity() > kKeptCapacity) std::vector<std::uint8_t>{}.swap(query.kept_);
    query.next_free_ = parts_->free;
    parts_->free = &query;
}

void Pipeline::set_zones(std::shared_ptr<const zones::Snapshot> zones, const zones::Limits& limits) noexcept
{
    parts_->zones.set(std::move(zones), limits);
}

void Pipeline::reconfigure(const Options& options)
{
    if (options.cookie_secret.size() == parts_->secret.size() * 2) {
        base::SystemRandom random;
        parts_->secret = secret_from(options.cookie_secret, random);
    }
    parts_->rebuild(options, stats_);
}

const zones::Stats& Pipeline::zone_stats() const noexcept { return parts_->zones.stats(); }

void Pipeline::set_services(const Services& services) noexcept { parts_->set_services(services); }

Intake Pipeline::explain(const Arrival& arrival, Trace& trace) noexcept
{
    parts_->trace = &trace;
    const Intake intake = receive(arrival);
    parts_->trace = nullptr;
    return intake;
}

void Pipeline::append_stage(std::unique_ptr<Stage> stage)
{
    parts_->appended.push_back(std::move(stage));
    parts_->put_in_order();
}

} // namespace sallyport::pipeline
