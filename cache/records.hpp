#pragma once

#include "base/bytes.hpp"
#include "cache/entry.hpp"

#include <algorithm>
#include <cstdint>

/// Records of our own writing, as they lie in prepared messages and in entries. Not for what a stranger sent.
namespace sallyport::cache {

struct Counts {
    std::uint16_t answers = 0;
    std::uint16_t authorities = 0;
    std::uint16_t additionals = 0;
    [[nodiscard]] std::uint32_t all() const noexcept { return std::uint32_t{answers} + authorities + additionals; }
};

[[nodiscard]] inline Counts counts_of(const EntryHead& head) noexcept
{
    return {head.answers, head.authorities, head.additionals};
}

/// What becomes of TTLs: each less `age`, and not over `most`.
struct Ageing {
    std::uint32_t age = 0;
    std::uint32_t least = 0;
    std::uint32_t most = UINT32_MAX;
    [[nodiscard]] std::uint32_t operator()(std::uint32_t ttl) const noexcept
    {
        return std::clamp(ttl > age ? ttl - age : 0U, least, most);
    }
};

/// Where TYPE of the record at `at` stands: just past its owner.
[[nodiscard]] inline std::size_t after_owner(base::Bytes message, std::size_t at) noexcept
{
    for (;;) {
        const unsigned octet = message[at];
        if (octet >= 0xC0) return at + 2;
        at += octet + 1;
        if (octet == 0) return at;
    }
}

/// The offset past `count` records that begin at `at`.
[[nodiscard]] std::size_t skip_records(base::Bytes message, std::size_t at, std::uint32_t count) noexcept;
/// Ages the TTLs of `count` records that begin at `at`; returns the smallest, and `none` where there are no records.
[[nodiscard]] std::uint32_t age_records(base::MutableBytes message, std::size_t at, std::uint32_t count,
                                        const Ageing& ageing, std::uint32_t none) noexcept;

/// Puts records behind the question of a begun response: those of all sections, or without the additional ones, or TC
/// and none, as the limit of `answer` allows (RFC 2181 §9). Returns false where TC was set.
bool append_records(wire::MessageWriter& answer, base::Bytes records, const Counts& counts, const Ageing& ageing,
                    wire::Rcode rcode, bool authentic) noexcept;

} // namespace sallyport::cache
