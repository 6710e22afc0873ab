#pragma once

#include "dnssec/budget.hpp"
#include "dnssec/nsec3_hash.hpp"
#include "dnssec/options.hpp"
#include "dnssec/records.hpp"
#include "dnssec/verdict.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// Proofs that something does not exist (RFC 4035 §5.4, RFC 5155 §8, RFC 6840 §4, RFC 7129).
namespace sallyport::dnssec {

/// One NSEC or NSEC3 record whose signature has been found secure by the keys of the zone in question, and which was
/// not expanded from a wildcard. Borrowed.
struct DenialRecord {
    const wire::Name* owner = nullptr;
    wire::RrType type{}; ///< NSEC or NSEC3; records of other types are passed over
    base::Bytes rdata;
};

/// What a response claims, so what is to be proven.
enum class Claim : std::uint8_t {
    name_error,      ///< RCODE NXDOMAIN: neither the name nor a wildcard that would stand for it
    no_data,         ///< NOERROR without an answer: the name, or its wildcard, has no such type
    wildcard_answer, ///< an answer expanded from a wildcard: nothing closer to the name is there
    no_ds,           ///< a referral without DS, or the answer to a DS query: `qname` is the delegation
    whatever,        ///< what the records say: for answers made from cached denials (RFC 8198)
};

/// What has been proven.
enum class Finding : std::uint8_t {
    nothing,
    name_error,
    no_data,             ///< the name exists; the type does not
    empty_non_terminal,  ///< the name exists for what is below it only
    wildcard_no_data,    ///< the wildcard at the closest encloser stands for the name and has no such type
    wildcard_expansion,  ///< nothing is closer to the name than the wildcard's parent
    unsigned_delegation, ///< a delegation without DS: what is below is insecure
    no_delegation,       ///< no zone cut at the name: it belongs to the same zone
    opt_out,             ///< the name may be a delegation without DS: insecure (RFC 5155 §6)
    unhashed,            ///< NSEC3 parameters that nobody should hash with: insecure, EDE 27 (RFC 9276 §3.2)
};

[[nodiscard]] std::string_view to_string(Finding finding) noexcept;

struct DenialQuestion {
    const wire::Name* qname = nullptr;
    wire::RrType qtype{};
    const wire::Name* zone = nullptr; ///< apex of the zone whose keys signed the records
    Claim claim = Claim::whatever;
    std::uint8_t wildcard_labels = 0; ///< of `wildcard_answer`: `Verdict::wildcard_labels`
};

struct Denial {
    Verdict verdict; ///< secure; insecure for `opt_out` and `unhashed`; bogus (EDE 12) where nothing is proven
    Finding finding = Finding::nothing;
    std::optional<wire::Name> closest_encloser{};
    std::optional<wire::Name> next_closer{};
    std::optional<wire::Name> wildcard{}; ///< shown not to exist, or to lack the type
    bool opt_out = false;                 ///< an opt-out span was used
};

/// Looks for the proof among the records. NSEC needs no work that counts; NSEC3 hashes, and may be put off:
/// `while (prover.step(budget) == Step::again) { /* let others run */ budget.begin_turn(); }`
/// What is handed in is borrowed until the last step.
class DenialProver {
public:
    /// `memo`: hashes that are known already.
    DenialProver(const DenialQuestion& question, std::span<const DenialRecord> records, Nsec3Memo memo = {}) noexcept
        : question_(question), records_(records), memo_(std::move(memo))
    {
    }
    [[nodiscard]] Step step(Budget& budget) noexcept;
    [[nodiscard]] const Denial& result() const noexcept { return denial_; }

private:
    DenialQuestion question_;
    std::span<const DenialRecord> records_;
    Nsec3Memo memo_;
    bool finished_ = false;
    Step last_ = Step::done;
    Denial denial_;
};

// --- what single records say; also for caches that answer from them (RFC 8198)

/// Whether the NSEC shows that `name` does not own records: strictly between owner and next, in the zone, and not
/// below a delegation or DNAME that the NSEC itself belongs to (RFC 6840 §4.1). An empty non-terminal is covered too:
/// `shows_empty_non_terminal`.
[[nodiscard]] bool nsec_covers(const wire::Name& owner, const NsecView& nsec, const wire::Name& zone,
                               const wire::Name& name) noexcept;
/// Of an NSEC that covers `name`: the next name lies below it, so it exists without records.
[[nodiscard]] bool shows_empty_non_terminal(const NsecView& nsec, const wire::Name& name) noexcept;
/// Of an NSEC that covers `name`: the longest name above `name` that exists.
[[nodiscard]] wire::Name nsec_closest_encloser(const wire::Name& owner, const NsecView& nsec,
                                               const wire::Name& name) noexcept;
/// Whether a bit map found at `name` itself denies `qtype`: neither it nor CNAME is there, and the record is of the
/// right side of a zone cut (RFC 6840 §4.1, RFC 4035 §5.4; RFC 5155 §8.6 for DS).
[[nodiscard]] bool types_deny(base::Bytes types, wire::RrType qtype, bool at_root) noexcept;

/// Whether the hash lies strictly between owner and next of the NSEC3.
[[nodiscard]] bool nsec3_covers(const Nsec3Hash& owner_hash, const Nsec3Hash& next_hash,
                                const Nsec3Hash& hash) noexcept;

} // namespace sallyport::dnssec
