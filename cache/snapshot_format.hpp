#pragma once

#include "base/bytes.hpp"
#include "base/siphash.hpp"

#include <array>
#include <cstdint>
#include <vector>

/// How numbers and blocks stand in a snapshot: network order throughout.
namespace sallyport::cache::format {

inline constexpr std::array<std::uint8_t, 8> kMagic{'S', 'A', 'L', 'L', 'Y', 'S', 'N', 'P'};
inline constexpr std::uint32_t kVersion = 2;
/// Answers alone, and one checksum for a block and its head; still read.
inline constexpr std::uint32_t kOldVersion = 1;
/// Magic, version, nothing, wall clock in ms since 1970, fingerprint, checksum of all that.
inline constexpr std::size_t kHeaderSize = 8 + 4 + 4 + 8 + 8 + 8;
/// What it holds, size of the payload, records in it.
inline constexpr std::size_t kBlockFields = 4 + 4 + 4;
/// These, a checksum of them and of where they stand, and one of the payload.
inline constexpr std::size_t kBlockHeadSize = kBlockFields + 8 + 8;
/// These, and one checksum of it all.
inline constexpr std::size_t kOldBlockHeadSize = kBlockFields + 8;
inline constexpr std::size_t kMaxBlock = 1U << 20U;
/// A block is written once it has so much.
inline constexpr std::size_t kFullBlock = 256U << 10U;

inline constexpr std::uint32_t kAnswers = 0x414E'5357; // "ANSW"
inline constexpr std::uint32_t kSets = 0x5345'5453;    // "SETS"
inline constexpr std::uint32_t kCuts = 0x4355'5453;    // "CUTS"
inline constexpr std::uint32_t kEnd = 0x454E'4420;     // "END "

[[nodiscard]] inline std::uint64_t checksum(base::Bytes octets) noexcept
{
    constexpr base::SipKey kKey{'s', 'a', 'l', 'l', 'y', 'p', 'o', 'r', 't', ' ', 'c', 'a', 'c', 'h', 'e', '1'};
    return base::siphash24(octets, kKey);
}

/// Appends numbers and octets.
class Writer {
public:
    template <class Integer>
    void number(Integer value)
    {
        for (std::size_t i = sizeof value; i > 0; --i)
            octets.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * (i - 1))));
    }
    void append(base::Bytes more) { octets.insert(octets.end(), more.begin(), more.end()); }

    std::vector<std::uint8_t> octets;
};

/// Of the fields of a block that begins at `place`: one that is missing or comes twice is seen.
[[nodiscard]] inline std::uint64_t place_checksum(base::Bytes fields, std::uint64_t place)
{
    Writer both;
    both.append(fields);
    both.number(place);
    return checksum(both.octets);
}

/// A block's head, for a block that begins at `place`, of which the file's `mark_of` is taken: `place ^ mark`.
[[nodiscard]] inline Writer head_of(std::uint32_t kind, base::Bytes payload, std::uint32_t records, std::uint64_t place)
{
    Writer head;
    head.number(kind);
    head.number(static_cast<std::uint32_t>(payload.size()));
    head.number(records);
    head.number(place_checksum(head.octets, place));
    head.number(checksum(payload));
    return head;
}

/// Takes them off again; past the end everything is 0 and `good` is false.
class Reader {
public:
    explicit Reader(base::Bytes octets) noexcept : rest_(octets) {}
    template <class Integer>
    [[nodiscard]] Integer number() noexcept
    {
        std::uint64_t value = 0;
        for (const std::uint8_t octet : take(sizeof(Integer))) value = (value << 8U) | octet;
        return static_cast<Integer>(value);
    }
    [[nodiscard]] base::Bytes take(std::size_t size) noexcept
    {
        if (size > rest_.size()) {
            good = false;
            rest_ = {};
            return {};
        }
        const base::Bytes taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    bool good = true;

private:
    base::Bytes rest_;
};

/// The checksum of a file's header: by it the places of all blocks are marked. Whoever had his data kept does not know
/// it, so that no head he made up stands where, after damage, the next one is looked for.
[[nodiscard]] inline std::uint64_t mark_of(base::Bytes file) noexcept
{
    return Reader{file.subspan(kHeaderSize - 8, 8)}.number<std::uint64_t>();
}

} // namespace sallyport::cache::format
