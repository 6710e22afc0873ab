#include "pipeline/observer.hpp"
#include "pipeline/pipeline_parts.hpp"

/// How answers leave: judged by the script, finished, told to the observer and given to the sink.
namespace sallyport::pipeline {
namespace {

using wire::Rcode;

} // namespace

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

} // namespace sallyport::pipeline
