#pragma once

#include "dnssec/denial.hpp"

/// How a proof is put together; `DenialProver` is for everyone else.
namespace sallyport::dnssec {

/// NS without SOA: the parent's side of a zone cut.
[[nodiscard]] bool is_delegation(base::Bytes types) noexcept;
/// A delegation or a DNAME: its NSEC and NSEC3 say nothing of names below (RFC 6840 §4.1).
[[nodiscard]] bool hides_what_is_below(base::Bytes types) noexcept;
[[nodiscard]] wire::Name next_closer_name(const wire::Name& name, const wire::Name& closest_encloser) noexcept;
[[nodiscard]] wire::Name wildcard_of(const wire::Name& closest_encloser) noexcept;

[[nodiscard]] Denial proven(const DenialQuestion& question, Finding finding) noexcept;
[[nodiscard]] Denial not_proven(std::string_view reason) noexcept;
/// The name is there: what does its bit map say?
[[nodiscard]] Denial judge_types(const DenialQuestion& question, base::Bytes types) noexcept;

/// RFC 4035 §5.4
class NsecProof {
public:
    NsecProof(const DenialQuestion& question, std::span<const DenialRecord> records);
    [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
    [[nodiscard]] Denial prove() const;

private:
    struct Record {
        const wire::Name* owner;
        NsecView nsec;
    };
    [[nodiscard]] const Record* at(const wire::Name& name) const noexcept;
    [[nodiscard]] const Record* covering(const wire::Name& name) const noexcept;
    [[nodiscard]] Denial prove_absent(const wire::Name& closest_encloser) const;
    [[nodiscard]] Denial judge_wildcard(const wire::Name& closest_encloser) const;

    const DenialQuestion& question_;
    std::vector<Record> records_;
};

/// RFC 5155 §8. Where the budget stops it (`why` other than granted), the result means nothing.
class Nsec3Proof {
public:
    Nsec3Proof(const DenialQuestion& question, std::span<const DenialRecord> records, Nsec3Memo& memo, Budget& budget);
    [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
    [[nodiscard]] Denial prove();
    [[nodiscard]] Budget::Grant why() const noexcept { return why_; }

private:
    struct Record {
        Nsec3Hash owner_hash;
        Nsec3Hash next_hash;
        bool opt_out;
        base::Bytes types;
    };
    [[nodiscard]] const Nsec3Hash* hash(const wire::Name& name);
    [[nodiscard]] const Record* at(const wire::Name& name);
    [[nodiscard]] const Record* covering(const wire::Name& name);
    [[nodiscard]] Denial prove_expansion();
    [[nodiscard]] Denial prove_absent();
    [[nodiscard]] Denial judge_wildcard(const wire::Name& closest_encloser, bool opt_out);

    const DenialQuestion& question_;
    Nsec3Memo& memo_;
    Budget& budget_;
    std::vector<Record> records_;
    Nsec3Parameters parameters_;
    bool mixed_ = false;
    Budget::Grant why_ = Budget::Grant::granted;
};

} // namespace sallyport::dnssec
