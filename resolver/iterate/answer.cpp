#include "resolver/iterate/iterate.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

using cache::Rrset;
using wire::RrType;
using wire::Section;

class AnswerWriter {
public:
    AnswerWriter(const Answer& answer, bool dnssec_ok, RrType qtype, base::Instant now, wire::MessageWriter& out)
        : answer_(answer), dnssec_ok_(dnssec_ok), qtype_(qtype), now_(now), out_(out)
    {
    }

    bool add(Section section, const Rrset& set)
    {
        if (!wanted(section, set.type)) return true;
        // A short life stays short, even past its end.
        const wire::Ttl ttl = answer_.stale ? std::min(answer_.stale_ttl, set.ttl) : set.ttl_left(now_);
        for (const base::Bytes rdata : set.records) {
            if (!out_.record(section, set.owner, set.type, set.rr_class, ttl, rdata)) return false;
        }
        if (!dnssec_ok_) return true;
        for (const base::Bytes rdata : set.signatures) {
            if (!out_.record(section, set.owner, RrType::RRSIG, set.rr_class, ttl, rdata)) return false;
        }
        return true;
    }

private:
    /// RFC 4035 §3.2.1: who did not set DO gets no DNSSEC records but those he asked for.
    [[nodiscard]] bool wanted(Section section, RrType type) const
    {
        if (dnssec_ok_ || section == Section::answer) return true;
        return (type != RrType::NSEC && type != RrType::NSEC3 && type != RrType::RRSIG) || type == qtype_;
    }

    const Answer& answer_;
    bool dnssec_ok_;
    RrType qtype_;
    base::Instant now_;
    wire::MessageWriter& out_;
};

} // namespace

bool write_answer(const Answer& answer, const Question& question, bool dnssec_ok, base::Instant now,
                  wire::MessageWriter& out)
{
    out.set_rcode(answer.rcode);
    out.set_flags(wire::flag::RA);
    if (answer.state == wire::ValidationState::secure) out.set_flags(wire::flag::AD);
    const auto mark = out.mark();
    AnswerWriter writer(answer, dnssec_ok, question.qtype, now, out);
    bool whole = true;
    for (const cache::RrsetPtr& set : answer.answers) whole = whole && writer.add(Section::answer, *set);
    std::vector<const Rrset*> written; // aliases of one zone may share a proof
    for (const cache::RrsetPtr& set : answer.authority) {
        const bool again = std::any_of(written.begin(), written.end(), [&](const Rrset* other) {
            return other->type == set->type && other->owner == set->owner;
        });
        if (again) continue;
        written.push_back(set.get());
        whole = whole && writer.add(Section::authority, *set);
    }
    if (whole) return true;
    out.rollback(mark);
    out.set_flags(wire::flag::TC);
    return false;
}

} // namespace sallyport::resolver::iterate
