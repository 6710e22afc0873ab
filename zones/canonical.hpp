#pragma once

#include "base/bytes.hpp"
#include "wire/name.hpp"

#include <array>
#include <compare>
#include <cstdint>

/// Names as the octets they are stored in: lower case, uncompressed, checked before.
namespace sallyport::zones {

/// Where each label of a name starts, the root label last.
class LabelOffsets {
public:
    explicit LabelOffsets(base::Bytes name) noexcept
    {
        std::size_t at = 0;
        while (name[at] != 0) {
            starts_[count_++] = static_cast<std::uint8_t>(at);
            at += name[at] + std::size_t{1};
        }
        starts_[count_] = static_cast<std::uint8_t>(at);
    }
    /// Labels without the root's.
    [[nodiscard]] unsigned count() const noexcept { return count_; }
    /// The ancestor that is left when the first `labels` labels are taken off.
    [[nodiscard]] std::size_t without(unsigned labels) const noexcept { return starts_[labels]; }

private:
    std::array<std::uint8_t, 128> starts_;
    unsigned count_ = 0;
};

/// Canonical order (RFC 4034 §6.1) of two lower-case names.
[[nodiscard]] std::strong_ordering canonical_compare(base::Bytes left, base::Bytes right) noexcept;

/// Size of the uncompressed name that starts at `name`.
[[nodiscard]] inline std::size_t name_size(const std::uint8_t* name) noexcept
{
    std::size_t at = 0;
    while (name[at] != 0) at += name[at] + std::size_t{1};
    return at + 1;
}

} // namespace sallyport::zones
