#include "resolver/iterate/dns64_question.hpp"

namespace sallyport::resolver::iterate {

using wire::Rcode;
using wire::RrType;

namespace {

Question with(const Question& question, const wire::Name& qname, RrType qtype)
{
    Question other = question;
    other.qname = qname;
    other.qtype = qtype;
    return other;
}

} // namespace

void Dns64Question::begin()
{
    if (const auto local = rules_.answer_locally(question_, parts_.now())) return tell(*local);
    if (question_.qtype == RrType::AAAA) return ask(question_, &Dns64Question::take_ipv6);
    if (const auto target = rules_.reverse_name(question_.qname)) {
        return ask(with(question_, *target, RrType::PTR), &Dns64Question::take_reverse);
    }
    ask(question_, &Dns64Question::tell);
}

void Dns64Question::ask(const Question& question, void (Dns64Question::*then)(const Answer& answer))
{
    parts_.start(
        question, [self = shared_from_this(), then](const Answer& answer) { ((*self).*then)(answer); }, false, budget_);
}

void Dns64Question::take_ipv6(const Answer& answer)
{
    if (!rules_.wants_ipv4(answer)) return tell(rules_.without_excluded(answer));
    ipv6_ = answer;
    ask(with(question_, question_.qname, RrType::A), &Dns64Question::take_ipv4);
}

void Dns64Question::take_ipv4(const Answer& answer)
{
    ++parts_.stats.dns64;
    tell(rules_.combine(ipv6_, answer, parts_.now()));
}

/// RFC 6147 §5.3.1: an alias would be the other way, but not where an alias is in the place that it leads to (RFC
/// 2317).
void Dns64Question::take_reverse(const Answer& answer)
{
    if (answer.rcode == Rcode::SERVFAIL) return tell(answer);
    const auto made = Dns64::as_reverse(answer, question_.qname, parts_.now());
    if (!made) return ask(question_, &Dns64Question::tell);
    ++parts_.stats.dns64;
    tell(*made);
}

std::optional<Answer> find_known_dns64(const Options& options, const Question& question, base::Instant now,
                                       const std::function<std::optional<Answer>(const Question&)>& find_known)
{
    const Dns64 rules{options.dns64};
    if (auto local = rules.answer_locally(question, now)) return local;
    if (question.qtype == RrType::AAAA) {
        const auto ipv6 = find_known(question);
        if (!ipv6) return std::nullopt;
        if (!rules.wants_ipv4(*ipv6)) return rules.without_excluded(*ipv6);
        const auto ipv4 = find_known(with(question, question.qname, RrType::A));
        return ipv4 ? std::optional{rules.combine(*ipv6, *ipv4, now)} : std::nullopt;
    }
    const auto target = rules.reverse_name(question.qname);
    const auto found = target ? find_known(with(question, *target, RrType::PTR)) : std::nullopt;
    if (const auto made = found ? Dns64::as_reverse(*found, question.qname, now) : std::nullopt) return made;
    return find_known(question);
}

} // namespace sallyport::resolver::iterate
