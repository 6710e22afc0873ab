#pragma once

#include "dnssec/anchors.hpp"
#include "wire/name.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// How others find out which anchors are trusted here (RFC 8145, RFC 8509).
namespace sallyport::dnssec {

/// A first label `root-key-sentinel-is-ta-NNNNN` or `root-key-sentinel-not-ta-NNNNN` (RFC 8509 §2).
struct Sentinel {
    bool is_ta = false;
    std::uint16_t key_tag = 0;
};
[[nodiscard]] std::optional<Sentinel> find_sentinel(const wire::Name& qname) noexcept;

/// Whether the answer to a sentinel query must be SERVFAIL (RFC 8509 §2.2). `root_tags` are the key tags trusted for
/// the root. Only asked where the answer is secure, the type A or AAAA, and the client did not set CD.
[[nodiscard]] bool sentinel_refuses(const Sentinel& sentinel, std::span<const std::uint16_t> root_tags) noexcept;

/// The name that tells a zone's servers which keys are trusted: `_ta-4f66-9728.` (RFC 8145 §5.1); the zone's name
/// alone where it would not fit or there are no tags.
[[nodiscard]] wire::Name key_tag_query_name(const wire::Name& zone, std::span<const std::uint16_t> tags);

} // namespace sallyport::dnssec
