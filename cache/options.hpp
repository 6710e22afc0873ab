#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sallyport::cache {

/// A copy on disk, read at the next start.
struct SnapshotOptions {
    std::string file;                ///< empty: none
    std::chrono::seconds every{300}; ///< written so often, and at the end; 10 s to 1 d

    bool operator==(const SnapshotOptions&) const = default;
};

/// What may be kept, and for how long (RFC 2181 §8, RFC 2308 §5, RFC 8767 §4).
struct Options {
    bool enabled = true;
    std::uint64_t bytes = 128ULL << 20U;  ///< everything the cache holds, tables included; 1 MiB to 1 TiB
    std::chrono::seconds min_ttl{0};      ///< lifetimes below are raised to it; 0 to 1 h
    std::chrono::seconds max_ttl{86'400}; ///< lifetimes above are cut to it; 1 s to 7 d
    std::chrono::seconds max_negative_ttl{3600};
    std::chrono::seconds failure_ttl{5};     ///< SERVFAIL (RFC 9520 §3.2); 1 s to 5 min
    std::uint32_t max_entry = 65'536;        ///< octets of one answer
    std::uint32_t max_negative_entry = 8192; ///< octets of one negative answer
    std::uint16_t max_set = 256;             ///< records of one type in one section
    std::uint16_t max_types = 100;           ///< types in one section
    std::uint16_t max_aliases = 16;          ///< CNAMEs followed in one answer
    std::uint16_t max_additional_names = 13; ///< an answer that points at more names gets no additional data
    bool serve_stale = false;                ///< RFC 8767
    std::chrono::seconds stale_for{86'400};  ///< how long past its time an answer is kept for that
    std::chrono::seconds stale_ttl{30};      ///< TTL a stale answer is given out with
    /// An answer asked for in the last tenth of its life is fetched anew meanwhile.
    bool prefetch = false;
    unsigned shards = 0; ///< 0: eight a core, a power of two; fewer where each would have less than half a MiB
};

} // namespace sallyport::cache
