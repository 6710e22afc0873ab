#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "cache/cache.hpp"

#include <cstdint>
#include <cstring>

/// How one answer lies in memory: a head, the name, what few entries need, the records.
///
/// The header and the question of the message are not there: they come with the query. Compression pointers stay right
/// all the same, because the question that an answer is given for has the length of the one it came with.
namespace sallyport::cache {

/// Time in sixteenths of a second, wrapping: differences count, and mean something within four years.
using Tick = std::uint32_t;
inline constexpr std::uint32_t kTicksPerSecond = 16;

[[nodiscard]] inline Tick tick_of(base::Instant now) noexcept
{
    using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, kTicksPerSecond>>;
    return static_cast<Tick>(std::chrono::duration_cast<Ticks>(now.time_since_epoch()).count());
}
/// From `then` to `now`; workers read the clock at different times, so it may be negative.
[[nodiscard]] inline std::int32_t ticks_between(Tick then, Tick now) noexcept
{
    return static_cast<std::int32_t>(now - then);
}

namespace entry_flag {
inline constexpr std::uint16_t dnssec_ok = 0x0001;
inline constexpr std::uint16_t checking_disabled = 0x0002;
inline constexpr std::uint16_t other_class = 0x0004; ///< class and partition stand behind the name
inline constexpr std::uint16_t has_ede = 0x0008;     ///< EDE stands behind them
inline constexpr std::uint16_t authentic = 0x0010;
inline constexpr std::uint16_t negative = 0x0020;
inline constexpr std::uint16_t visited = 0x0040;   ///< asked for since the clock's hand was here
inline constexpr std::uint16_t asked = 0x0080;     ///< someone was told to ask anew, at `asked_at`
inline constexpr std::uint16_t dead = 0x0100;      ///< room to be had back
inline constexpr unsigned validation_shift = 9;    ///< three bits
inline constexpr std::uint16_t unrenewed = 0x1000; ///< whoever asked anew at `asked_at` got nothing
inline constexpr std::uint16_t key_bits = dnssec_ok | checking_disabled | other_class;
} // namespace entry_flag

struct EntryHead {
    Tick stored = 0;
    Tick expires = 0;
    std::uint16_t qtype = 0;
    std::uint16_t flags = 0;
    std::uint16_t units = 0;        ///< of room, `kUnit` octets each
    std::uint16_t records_size = 0; ///< octets
    std::uint16_t answers = 0;
    std::uint16_t hits = 0;     ///< stays at its end
    std::uint16_t asked_at = 0; ///< seconds, wrapping
    std::uint8_t authorities = 0;
    std::uint8_t additionals = 0;
    std::uint8_t name_size = 0;
    std::uint8_t rcode = 0;
};

inline constexpr std::size_t kHeadSize = 26;
inline constexpr std::size_t kUnit = 8;
inline constexpr std::size_t kQuestionFields = 4; ///< QTYPE, QCLASS
inline constexpr std::size_t kClassSize = 6;      ///< class and partition
inline constexpr std::size_t kMaxEdeText = 96;
static_assert(offsetof(EntryHead, rcode) + 1 == kHeadSize);

[[nodiscard]] inline EntryHead load_head(const std::uint8_t* at) noexcept
{
    EntryHead head;
    std::memcpy(static_cast<void*>(&head), at, kHeadSize); // all that has a meaning
    return head;
}
inline void store_head(std::uint8_t* at, const EntryHead& head) noexcept { std::memcpy(at, &head, kHeadSize); }
/// Only what a hit changes, field by field: to write the whole head back makes the processor wait for its own stores.
inline void store_use(std::uint8_t* at, const EntryHead& head) noexcept
{
    std::memcpy(at + offsetof(EntryHead, flags), &head.flags, sizeof head.flags);
    std::memcpy(at + offsetof(EntryHead, hits), &head.hits, sizeof head.hits);
    std::memcpy(at + offsetof(EntryHead, asked_at), &head.asked_at, sizeof head.asked_at);
}

[[nodiscard]] inline base::Bytes name_of(const std::uint8_t* at, const EntryHead& head) noexcept
{
    return {at + kHeadSize, head.name_size};
}
[[nodiscard]] inline std::size_t ede_offset(const EntryHead& head) noexcept
{
    return kHeadSize + head.name_size + ((head.flags & entry_flag::other_class) != 0 ? kClassSize : 0);
}
[[nodiscard]] inline std::size_t records_offset(const std::uint8_t* at, const EntryHead& head) noexcept
{
    const std::size_t offset = ede_offset(head);
    if ((head.flags & entry_flag::has_ede) == 0) return offset;
    return offset + 3 + at[offset + 2]; // INFO-CODE, size of the text, text
}
[[nodiscard]] inline wire::RrClass class_of(const std::uint8_t* at, const EntryHead& head) noexcept
{
    if ((head.flags & entry_flag::other_class) == 0) return wire::RrClass::IN;
    return static_cast<wire::RrClass>(base::load_be16({at + kHeadSize + head.name_size, 2}, 0));
}
[[nodiscard]] inline std::uint32_t partition_of(const std::uint8_t* at, const EntryHead& head) noexcept
{
    if ((head.flags & entry_flag::other_class) == 0) return 0;
    return base::load_be32({at + kHeadSize + head.name_size + 2, 4}, 0);
}

[[nodiscard]] inline wire::ValidationState validation_of(const EntryHead& head) noexcept
{
    return static_cast<wire::ValidationState>((head.flags >> entry_flag::validation_shift) & 7U);
}

[[nodiscard]] inline std::uint16_t key_flags(const Key& key) noexcept
{
    const bool other = key.qclass != wire::RrClass::IN || key.partition != 0;
    return static_cast<std::uint16_t>((key.dnssec_ok ? entry_flag::dnssec_ok : 0U) |
                                      (key.checking_disabled ? entry_flag::checking_disabled : 0U) |
                                      (other ? entry_flag::other_class : 0U));
}

/// Whether the entry at `at` is the one of `key`, whose flags are `flags`.
[[nodiscard]] inline bool is_entry_of(const std::uint8_t* at, const Key& key, std::uint16_t flags) noexcept
{
    const EntryHead head = load_head(at);
    const base::Bytes name = key.qname->wire();
    if (head.qtype != static_cast<std::uint16_t>(key.qtype) || head.name_size != name.size()) return false;
    if ((head.flags & entry_flag::key_bits) != flags) return false;
    if (std::memcmp(at + kHeadSize, name.data(), name.size()) != 0) return false;
    return (flags & entry_flag::other_class) == 0 ||
           (class_of(at, head) == key.qclass && partition_of(at, head) == key.partition);
}

/// Keyed by the process: nobody can choose names that meet in one shard or one place of its table.
[[nodiscard]] inline std::uint64_t hash_of(base::Bytes lower_name, std::uint16_t qtype, std::uint16_t flags,
                                           wire::RrClass rr_class, std::uint32_t partition) noexcept
{
    constexpr std::uint64_t kOdd = 0x9E37'79B9'7F4A'7C15;
    const std::uint64_t rest = (std::uint64_t{partition} << 32U) ^ (std::uint64_t{qtype} << 16U) ^
                               (static_cast<std::uint64_t>(rr_class) << 2U) ^ (flags & 3U);
    std::uint64_t hash = wire::hash_lower(lower_name) ^ (rest * kOdd);
    hash = (hash ^ (hash >> 32U)) * kOdd;
    return hash ^ (hash >> 29U);
}
[[nodiscard]] inline std::uint64_t hash_of(const Key& key) noexcept
{
    return hash_of(key.qname->wire(), static_cast<std::uint16_t>(key.qtype), key_flags(key), key.qclass, key.partition);
}
[[nodiscard]] inline std::uint64_t hash_of_entry(const std::uint8_t* at, const EntryHead& head) noexcept
{
    return hash_of(name_of(at, head), head.qtype, head.flags, class_of(at, head), partition_of(at, head));
}

} // namespace sallyport::cache
