#include "pipeline/pipeline.hpp"

#include "base/hash.hpp"
#include "pipeline/observer.hpp"
#include "pipeline/pipeline_parts.hpp"

#include <utility>

namespace sallyport::pipeline {
namespace {

using base::Transport;
using wire::ExtendedError;
using wire::Opcode;
using wire::Rcode;
using wire::RrType;

/// Ports whose services answer whatever they get: a reply there starts an endless exchange.
bool is_reflection_port(std::uint16_t port) noexcept { return port == 0 || port == 7 || port == 19; }

/// Doors that must tell the client themselves that a message is malformed.
bool door_reports_malformed(Transport transport) noexcept
{
    return transport == Transport::doh1 || transport == Transport::doh2 || transport == Transport::doh3 ||
           transport == Transport::doq;
}

/// Types that no record has. NXNAME (128) stands in the bitmap of an NSEC alone; who asks for it is not to be answered
/// by asking others (RFC 9824 §3.5).
bool is_no_question(RrType type) noexcept
{
    const auto value = static_cast<std::uint16_t>(type);
    return type == RrType::OPT || value == 0 || value == 128;
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

} // namespace

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
    query->answer->clear_flags(wire::flag::RA); // whether there is recursion for what can not be read nobody knows
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
    query.subnet_scope.reset();
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
    if (!parts_->subnets.can_read(edns)) return answer_with(Rcode::FORMERR);
    if (header.question_count == 0 && edns != nullptr && edns->cookie) return answer_with(Rcode::NOERROR);
    if (header.question_count != 1 || header.answer_count != 0 || header.authority_count != 0)
        return answer_with(Rcode::FORMERR);
    if (query.qclass == wire::RrClass::ANY || query.qclass == wire::RrClass::NONE) return answer_with(Rcode::FORMERR);
    if (is_no_question(query.qtype)) {
        query.ede = Query::Ede{ExtendedError::invalid_query_type, "records of this type can not be asked for"};
        return answer_with(Rcode::FORMERR);
    }
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

void Pipeline::restart_answer(Query& query) noexcept
{
    query.answer = &parts_->writer;
    const std::size_t limit = parts_->finisher->limit(query);
    query.answer->reset(limit - std::min(parts_->finisher->reserve(query), limit - wire::kHeaderSize));
    (void)query.answer->begin_response(query.request.id(), query.request.header().flags, query.request.question_bytes(),
                                       query.request.header().question_count);
    if (parts_->services.resolver != nullptr) query.answer->set_flags(wire::flag::RA);
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

void Pipeline::policy_changed(base::Instant now) noexcept { parts_->cache.policy_changed(now); }

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
