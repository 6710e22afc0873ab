#pragma once

/// Module `zones`: local authoritative data.
///
/// Zone text, hosts files and inline records become an immutable `Snapshot` (built on the control thread, published
/// whole); `answer` is RFC 1034 §4.3.2 over it. It opens no socket, knows no query and no client, follows aliases only
/// within local data, and signs nothing: signed zones are served with the records they hold.
/// Start reading at `answer.cpp`, then `zone.hpp` (how a zone lies in memory) and `zone_text.hpp` (how it is read).

#include "base/counter.hpp"
#include "base/result.hpp"
#include "wire/message_writer.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"
#include "zones/options.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace sallyport::zones {

class Zone;

/// Every local zone at one moment: immutable, shared by all workers. Look-ups take no lock and allocate nothing.
class Snapshot {
public:
    Snapshot();
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    /// The zone whose apex is `lower_name` or its nearest ancestor; null where none is ours. One hash look-up a label
    /// at most. `lower_name` is in lower case.
    [[nodiscard]] const Zone* find(const wire::Name& lower_name) const noexcept;
    /// False for nearly all names that are in no zone, by a look at their last octets.
    [[nodiscard]] bool may_have(const wire::Name& lower_name) const noexcept;
    /// Zones and records that somebody wrote, or that were made of what somebody wrote.
    [[nodiscard]] std::size_t zone_count() const noexcept;
    [[nodiscard]] std::uint64_t record_count() const noexcept;
    /// Octets held, roughly.
    [[nodiscard]] std::uint64_t memory_bytes() const noexcept;

private:
    friend class SnapshotBuilder;
    struct Index;
    std::unique_ptr<Index> index_;
};

/// Reads everything the options name. All that is wrong comes back at once, with file, line and column, in `problems`;
/// the snapshot is null when anything is wrong. Any thread; blocks on files.
[[nodiscard]] std::shared_ptr<const Snapshot> load(const Options& options, base::Problems& problems);

struct Question {
    const wire::Name* lower_name = nullptr; ///< in lower case
    wire::RrType qtype{};
    bool dnssec_ok = false; ///< add RRSIG, NSEC and NSEC3 (RFC 3225)
    bool over_udp = false;  ///< ANY then gets one record set only (RFC 8482 §4.1); larger answers elsewhere too
};

enum class Outcome : std::uint8_t {
    not_ours,   ///< nothing written; the name is in no local zone
    answered,   ///< answer, NODATA, NXDOMAIN or referral is written, AA and RCODE set
    truncated,  ///< as `answered`, but a record set that belongs in it did not fit: TC is set
    unfinished, ///< the alias chain left local data: what is known is written, `Result::rest` is to be resolved
};

struct AnswerResult {
    Outcome outcome = Outcome::not_ours;
    wire::Name rest;               ///< for `unfinished`: the name (lower case) that resolution goes on with
    std::uint16_t special_rfc = 0; ///< for `answered`: the RFC that reserves the name, where no zone was written for it
};

/// Why a name that an RFC reserves is answered here, in words that last; empty for 0.
[[nodiscard]] std::string_view special_reason(std::uint16_t rfc) noexcept;

struct Stats {
    base::Counter answered, nodata, nxdomain, referrals, truncated, chains_cut;
    template <class V>
    void each(V&& visit) const
    {
        visit("zones_answered_total", "Answers with data from local zones", answered);
        visit("zones_nodata_total", "Local answers without data (NODATA)", nodata);
        visit("zones_nxdomain_total", "Local answers NXDOMAIN", nxdomain);
        visit("zones_referrals_total", "Referrals to delegated children", referrals);
        visit("zones_truncated_total", "Local answers that did not fit and were truncated", truncated);
        visit("zones_alias_chains_cut_total", "Alias chains that reached their limit", chains_cut);
    }
};

/// Answers from local data (RFC 1034 §4.3.2, RFC 6672, RFC 4592, RFC 8482) into `writer`, in which the response has
/// been begun (header and question). The client's spelling of the question is used for owner names that equal it by way
/// of compression. Whole record sets are written or none. Allocates nothing; thread-safe (the snapshot is immutable).
[[nodiscard]] AnswerResult answer(const Snapshot& snapshot, const Question& question, const Limits& limits,
                                  wire::MessageWriter& writer, Stats& stats) noexcept;

} // namespace sallyport::zones
