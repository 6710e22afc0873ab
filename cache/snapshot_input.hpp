#pragma once

#include "base/bytes.hpp"
#include "cache/snapshot.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sallyport::cache {

/// The octets of a snapshot in order, read in pieces.
class SnapshotInput {
public:
    enum class Got : std::uint8_t { all, end, failed };

    explicit SnapshotInput(const SnapshotSource& source) : source_(source), room_(kPiece) {}

    /// Exactly so many octets, or as many as there are.
    [[nodiscard]] Got read(base::MutableBytes room);
    /// Of the next octet.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

private:
    static constexpr std::size_t kPiece = 256U << 10U;

    const SnapshotSource& source_;
    std::vector<std::uint8_t> room_;
    base::Bytes rest_;
    std::uint64_t offset_ = 0;
};

} // namespace sallyport::cache
