#pragma once

#include "cache/snapshot.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace sallyport::cache::testing {

/// The octets of a snapshot that would be written to a file.
inline Octets write_to_memory(const Cache& cache, const RrsetStore* store, std::uint64_t fingerprint, Moment at,
                              const Cancelled& cancelled)
{
    Octets out;
    const auto saved = write_snapshot(
        cache, store,
        [&](base::Bytes octets) {
            out.insert(out.end(), octets.begin(), octets.end());
            return base::Result<void>{};
        },
        fingerprint, at, cancelled);
    EXPECT_TRUE(saved);
    EXPECT_EQ(saved ? saved->octets : 0U, out.size());
    return out;
}

/// Reads them as a file that ends where they do.
inline SnapshotRead read_from_memory(Cache& cache, RrsetStore* store, base::Bytes octets, std::uint64_t fingerprint,
                                     Moment at, const Cancelled& cancelled)
{
    std::size_t begin = 0;
    const SnapshotSource source = [&](base::MutableBytes room) -> std::optional<std::size_t> {
        const std::size_t size = std::min(room.size(), octets.size() - begin);
        std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(begin), size, room.begin());
        begin += size;
        return size;
    };
    return read_snapshot(cache, store, source, fingerprint, at, cancelled);
}

} // namespace sallyport::cache::testing
