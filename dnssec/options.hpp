#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::dnssec {

/// Checks signatures by keys that this module does not take: of unknown algorithms, or outside the limits. Null in the
/// product: only tests, which replay old data, hand one in. `public_key` and `signature` stand as in DNSKEY and RRSIG.
using ForeignVerifier = bool (*)(std::uint8_t algorithm, base::Bytes public_key, base::Bytes data,
                                 base::Bytes signature) noexcept;

/// Which algorithms count. What is not accepted is as if it were unknown: a zone that offers nothing else is insecure
/// (RFC 4035 §5.2).
struct Algorithms {
    std::bitset<256> signatures; ///< by number of the algorithm (RFC 8624 §3.1)
    std::bitset<256> digests;    ///< by number of the DS digest (RFC 8624 §3.3)
    ForeignVerifier foreign = nullptr;

    /// 8, 10, 13, 14, 15, 16 and DS digests 2 and 4. With `sha1_signatures` also 5 and 7, which RFC 9905 §2 tells
    /// operators to treat as unsupported; with `sha1_digests` also digest 1, which still validates (RFC 8624 §3.3).
    [[nodiscard]] static Algorithms recommended(bool sha1_signatures = false, bool sha1_digests = true) noexcept;
};

/// What one client query may cost, all that is done on its behalf taken together.
struct Limits {
    std::uint32_t signature_checks = 32;           ///< of one query; 1 to 1,000
    std::uint32_t signatures_per_set = 8;          ///< tried for one RRset
    std::uint32_t keys_per_tag = 2;                ///< tried for one key tag and algorithm
    std::uint32_t ds_per_delegation = 8;           ///< looked at, after those that cannot be used are left out
    std::uint32_t nsec3_hashes = 600;              ///< of one query
    std::uint32_t checks_per_turn = 8;             ///< signature checks before others get a turn
    std::uint32_t hashes_per_turn = 8;             ///< NSEC3 hashes before others get a turn
    std::chrono::milliseconds processor_time{150}; ///< of one query
    std::uint32_t nsec3_iterations = 50;           ///< more is insecure, unhashed (RFC 9276 §3.2)
    std::uint32_t nsec3_salt = 64;                 ///< octets; more is insecure, unhashed
};

/// How signatures are judged; the same for all queries of a configuration.
struct Policy {
    Algorithms algorithms = Algorithms::recommended();
    Limits limits;
    /// A signature counts for so long after its expiration.
    std::chrono::seconds expired_by{3'600};
    /// A signature counts so long before its inception.
    std::chrono::seconds early_by{86'400};
    /// False only where recorded data is replayed: dates of signatures are not looked at.
    bool check_dates = true;
    /// True only where recorded data is replayed: a DS with SHA-1 counts beside a stronger one (against RFC 4509 §3).
    bool any_digest = false;
};

/// A name below which nothing is validated for a while (RFC 7646).
struct NegativeAnchor {
    std::string name;
    /// Seconds since 1970; 0: as long as the configuration says so (`domain-insecure`).
    std::int64_t until = 0;
    base::SourcePosition position;
};

/// What an operator may say about validation.
struct Options {
    bool enabled = true;
    bool sha1_signatures = false; ///< accept algorithms 5 and 7
    bool sha1_digests = true;     ///< accept DS digest 1 where nothing better is there
    Limits limits;
    std::chrono::seconds expired_by{3'600};
    std::chrono::seconds early_by{86'400};
    bool permissive = false;      ///< bogus answers are given out, without AD and with their EDE
    bool sentinel = true;         ///< RFC 8509
    bool signal_anchors = false;  ///< RFC 8145 §5
    bool built_in_anchors = true; ///< KSK-2017 and KSK-2024 of the root
    std::vector<std::string>
        anchor_files; ///< DS and DNSKEY in zone text, or the XML of IANA; they replace the built-in ones
    std::vector<std::string> anchors;                   ///< single records in zone text
    std::vector<base::SourcePosition> anchor_positions; ///< one for each of `anchors`
    std::string state_file;                             ///< RFC 5011; empty: none is named
    std::optional<bool> follow_rollover;                ///< RFC 5011; nothing: where there is a place for the state
    std::vector<NegativeAnchor> insecure;               ///< RFC 7646

    [[nodiscard]] Policy policy() const;
};

} // namespace sallyport::dnssec
