#include "dnssec/denial_parts.hpp"

namespace sallyport::dnssec {

namespace {

/// A child can not speak about its own DS (RFC 4035 §5.2).
[[nodiscard]] bool is_answerable(const DenialQuestion& question) noexcept
{
    if (!question.qname->is_under(*question.zone)) return false;
    return question.qtype != wire::RrType::DS || question.qname->is_root() || !(*question.qname == *question.zone);
}

} // namespace

std::string_view to_string(Finding finding) noexcept
{
    switch (finding) {
    case Finding::nothing: return "nothing";
    case Finding::name_error: return "name error";
    case Finding::no_data: return "no data";
    case Finding::empty_non_terminal: return "empty non-terminal";
    case Finding::wildcard_no_data: return "wildcard no data";
    case Finding::wildcard_expansion: return "wildcard expansion";
    case Finding::unsigned_delegation: return "unsigned delegation";
    case Finding::no_delegation: return "no delegation";
    case Finding::opt_out: return "opt-out";
    case Finding::unhashed: return "unhashed";
    }
    return "nothing";
}

Step DenialProver::step(Budget& budget) noexcept
{
    if (finished_) return last_;
    finished_ = true;
    last_ = Step::done;
    if (question_.claim == Claim::no_ds) question_.qtype = wire::RrType::DS;
    if (!is_answerable(question_)) {
        denial_ = not_proven("not a name of the zone that denies it");
        return last_;
    }
    const Budget::Timing timing{budget};
    const NsecProof nsec{question_, records_};
    if (!nsec.empty()) denial_ = nsec.prove();
    if (denial_.finding != Finding::nothing) return last_;
    Nsec3Proof nsec3{question_, records_, memo_, budget};
    if (nsec3.empty()) {
        if (nsec.empty()) denial_ = not_proven("no NSEC or NSEC3");
        return last_;
    }
    denial_ = nsec3.prove();
    if (nsec3.why() == Budget::Grant::granted) return last_;
    denial_ = {};
    if (nsec3.why() == Budget::Grant::turn_over) {
        finished_ = false;
        return last_ = Step::again;
    }
    denial_.verdict = bogus_verdict(wire::ExtendedError::dnssec_bogus, "validation takes too much work");
    return last_ = Step::spent;
}

} // namespace sallyport::dnssec
