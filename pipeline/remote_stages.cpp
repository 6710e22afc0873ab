#include "pipeline/remote_stages.hpp"

#include "pipeline/observer.hpp"
#include "wire/rdata.hpp"

#include <string>

namespace sallyport::pipeline {
namespace {

using wire::ExtendedError;
using wire::Rcode;
using wire::RrType;

bool wants_checking_disabled(const Query& query) noexcept { return query.request.header().has(wire::flag::CD); }

/// One answer ANY gets from a server that does not collect what is there (RFC 8482 §4.2): HINFO "RFC8482" "".
constexpr std::array<std::uint8_t, 9> kAnyRdata{7, 'R', 'F', 'C', '8', '4', '8', '2', 0};
constexpr wire::Ttl kAnyTtl{3600};

} // namespace

Step ScriptStage::handle(Query& query) noexcept
{
    if (!asks()) return Step::next;
    verdict_.clear();
    runtime_->on_query(facts_of(query, query.arrival, clock_.wall()), verdict_);
    const Step step = apply(verdict_, block_, texts_, query);
    if (step != Step::next)
        query.why = query.rule;
    else if (!query.group.empty())
        query.why = "forward to a group";
    return step;
}

const policy::Verdict& ScriptStage::judge(const Query& query) noexcept
{
    verdict_.clear();
    const auto message = wire::MessageView::parse(query.answer->message());
    if (message) runtime_->on_answer(facts_of(query, query.arrival, clock_.wall()), *message, verdict_);
    // An answer is there: where to ask is no longer the question.
    if (verdict_.action == policy::Verdict::Action::forward) verdict_.clear();
    return verdict_;
}

void ChainWriter::append(const wire::MessageView& message, Query& query) noexcept
{
    wire::MessageWriter& answer = *query.answer;
    const auto mark = answer.mark();
    const auto copy = [&](const wire::RecordRange& records, wire::Section section, bool soa_only) {
        for (const auto& record : records) {
            if (soa_only && record.type != RrType::SOA) continue;
            rdata_.clear();
            const auto size = static_cast<std::uint16_t>(record.rdata.size());
            if (!wire::decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata_)) return false;
            if (!answer.record(section, record.owner.to_name(), record.type, record.rr_class, record.ttl, rdata_))
                return false;
        }
        return true;
    };
    // The RCODE speaks of the last name of the chain (RFC 6604 §3).
    answer.set_rcode(message.rcode());
    if (copy(message.answers(), wire::Section::answer, false) &&
        copy(message.authorities(), wire::Section::authority, true))
        return;
    answer.rollback(mark);
    answer.set_flags(wire::flag::TC);
}

wire::MessageWriter& ChainWriter::begin(const Query& query) noexcept
{
    if (!buffer_) {
        buffer_ = std::make_unique<std::uint8_t[]>(wire::kMaxMessageSize);
        writer_ = std::make_unique<wire::MessageWriter>(base::MutableBytes{buffer_.get(), wire::kMaxMessageSize},
                                                        wire::kMaxMessageSize);
    }
    writer_->reset(wire::kMaxMessageSize);
    writer_->begin(0, wire::flag::QR);
    (void)writer_->question(query.rest, query.qtype, query.qclass);
    return *writer_;
}

cache::Key key_of(const Query& query) noexcept
{
    cache::Key key;
    key.qname = query.chained ? &query.rest : &query.qname;
    key.qtype = query.qtype;
    key.qclass = query.qclass;
    key.dnssec_ok = query.dnssec_ok;
    key.checking_disabled = wants_checking_disabled(query);
    key.partition = resolver::partition_of(query.group);
    return key;
}

resolver::Question question_of(const Query& query, const ClientSubnets& subnets) noexcept
{
    resolver::Question question;
    question.qname = query.chained ? query.rest : query.qname;
    question.qtype = query.qtype;
    question.qclass = query.qclass;
    question.dnssec_ok = query.dnssec_ok;
    question.checking_disabled = wants_checking_disabled(query);
    question.group = query.group;
    if (subnets.is_on()) question.subnet = subnets.subnet_for(query, question.qname);
    return question;
}

bool CacheStage::look_up(Query& query, cache::Stale stale) noexcept
{
    const auto key = key_of(query);
    wire::MessageWriter& answer = query.chained ? chain_.begin(query) : *query.answer;
    const auto mark = policy_since_ ? answer.mark() : wire::MessageWriter::Mark{};
    const auto found = cache_->find(key, now_, answer, stale);
    if (!found) return false;
    const bool is_stale = found.kind == cache::Found::Kind::stale;
    // Ages are told in whole seconds.
    if (is_stale && policy_since_ && now_ - found.age <= *policy_since_ + std::chrono::seconds{1}) {
        answer.rollback(mark);
        answer.set_rcode(Rcode::NOERROR);
        answer.clear_flags(wire::flag::TC | wire::flag::AD);
        return false;
    }
    if (query.chained) {
        const auto message = wire::MessageView::parse(answer.message());
        if (!message) return false;
        chain_.append(*message, query);
    }
    query.validation = found.validation;
    if (found.ede) {
        ede_text_ = found.ede_text;
        query.ede = Query::Ede{*found.ede, {ede_text_.data(), found.ede_text_size}};
    }
    query.source = is_stale ? Source::stale_cache : Source::cache;
    if (is_stale) note_stale(query);
    // Who takes a stale answer has just asked, in vain.
    if (found.prefetch && !is_stale && stale == cache::Stale::no && resolver_ != nullptr)
        resolver_->fetch(question_of(query, subnets_), now_);
    return true;
}

void CacheStage::note_stale(Query& query) noexcept
{
    ++stats_.from_stale_cache;
    if (query.ede) return;
    const bool nxdomain = query.answer->rcode() == Rcode::NXDOMAIN;
    query.ede = Query::Ede{nxdomain ? ExtendedError::stale_nxdomain_answer : ExtendedError::stale_answer, {}};
}

Step CacheStage::handle(Query& query) noexcept
{
    if (!look_up(query, cache::Stale::no)) {
        query.why = "not kept";
        return Step::next;
    }
    if (query.source == Source::stale_cache) {
        query.why = "kept from an earlier answer, past its time: a new one could not be had just now";
        return Step::answered;
    }
    ++stats_.from_cache;
    query.why = "kept from an earlier answer";
    return Step::answered;
}

bool CacheStage::answer_stale(Query& query) noexcept
{
    return cache_ != nullptr && look_up(query, cache::Stale::allowed);
}

Step ResolveStage::handle(Query& query) noexcept
{
    if (query.qtype == RrType::ANY) return answer_any(query);
    if (!query.request.header().has(wire::flag::RD)) {
        if (query.chained) return Step::answered; // what the local zone knows is all that was asked for
        query.answer->set_rcode(Rcode::REFUSED);
        query.ede = Query::Ede{ExtendedError::not_authoritative, "recursion was not asked for"};
        query.why = "recursion was not asked for";
        return Step::answered;
    }
    const auto question = question_of(query, subnets_);
    if (query.trace != nullptr)
        resolver_->explain(question,
                           [&](std::string_view what, std::string_view why) { query.trace->step(name(), what, why); });
    if (!waiting_.has_room(query)) {
        ++stats_.client_full;
        return refuse(query, "too many queries of this client are waiting");
    }
    switch (resolver_->resolve(question, query.waiter(pipeline_), now_)) {
    case resolver::Taken::waiting: return Step::suspended;
    case resolver::Taken::no_route:
        query.why = query.group.empty() ? "nobody can be asked" : "there is no group of this name";
        break;
    case resolver::Taken::overloaded:
        ++stats_.resolver_overloaded;
        return refuse(query, "too many questions are in flight");
    }
    // What the local zone knows is an answer, but not where a rule wanted a certain group asked.
    return query.chained && query.group.empty() ? Step::answered : Step::next;
}

/// What is past its time, or SERVFAIL.
Step ResolveStage::refuse(Query& query, std::string_view why) noexcept
{
    if (cache_.answer_stale(query)) return Step::answered;
    query.answer->set_rcode(Rcode::SERVFAIL);
    query.ede = Query::Ede{ExtendedError::other, why};
    query.uncacheable = true;
    query.why = why;
    return Step::answered;
}

Step ResolveStage::answer_any(Query& query) noexcept
{
    const wire::Name& owner = query.chained ? query.rest : query.qname;
    if (!query.answer->record(wire::Section::answer, owner, RrType::HINFO, query.qclass, kAnyTtl, kAnyRdata))
        query.answer->set_flags(wire::flag::TC);
    query.source = Source::pipeline;
    query.why = "ANY gets one small answer (RFC 8482)";
    return Step::answered;
}

void ResolveStage::write(Query& query, const resolver::Outcome& outcome) noexcept
{
    query.validation = outcome.validation;
    query.upstream = outcome.upstream;
    // Older data helps more than the news that there is none (RFC 8767 §5), but does not stand in for bogus data.
    const bool failed = outcome.answer == nullptr || outcome.answer->rcode == Rcode::SERVFAIL;
    if (failed && outcome.validation != wire::ValidationState::bogus && cache_.answer_stale(query)) return;
    if (outcome.answer != nullptr) {
        ++stats_.from_upstream;
        query.source = outcome.from_cache ? Source::cache : Source::upstream;
        if (outcome.ede) query.ede = Query::Ede{*outcome.ede, outcome.ede_text};
        query.subnet_scope = outcome.subnet_scope;
        // What a browser or a proxy keeps it may give to others, or take to another network.
        if (outcome.subnet_scope.value_or(0) != 0) query.uncacheable = true;
        if (!query.chained) return cache::give(*outcome.answer, *query.answer);
        if (const auto message = wire::MessageView::parse(outcome.answer->message)) chain_.append(*message, query);
        return;
    }
    ++stats_.unresolved;
    query.answer->set_rcode(Rcode::SERVFAIL);
    query.ede = Query::Ede{outcome.ede.value_or(ExtendedError::no_reachable_authority), outcome.ede_text};
    query.uncacheable = true;
}

} // namespace sallyport::pipeline
