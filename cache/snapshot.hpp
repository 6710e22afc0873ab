#pragma once

/// The cache on disk, so that a gateway that is started again need not ask for everything again: answers, and where
/// there is a resolver of our own, its record sets and zone cuts.
///
/// A header (version, when, under which configuration), then blocks of at most a mebibyte with a checksum each, then an
/// end that counts what was written. What is read is checked as if a stranger had written it: the checksums tell of
/// accidents, not of malice; record sets come back as nobody's word, to be validated anew. Of a damaged file all whole
/// blocks are used. Blocks, for minutes where the cache is large: for a thread of its own. `docs/architecture.md` has
/// the format.

#include "base/clock.hpp"
#include "base/result.hpp"
#include "cache/cache.hpp"
#include "cache/rrset_store.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sallyport::cache {

/// When it is, by both clocks.
struct Moment {
    base::Instant now;
    base::WallTime wall;
};

struct SnapshotSaved {
    std::uint64_t entries = 0; ///< answers
    std::uint64_t sets = 0;    ///< record sets
    std::uint64_t cuts = 0;    ///< zone cuts
    std::uint64_t octets = 0;
};

/// What became of a file that was read.
struct SnapshotRead {
    bool found = false;                   ///< there was a file
    std::uint64_t entries = 0;            ///< that are in the cache now
    std::uint64_t left_out = 0;           ///< past their time, not to be believed, or answered anew meanwhile
    std::uint64_t sets = 0, cuts = 0;     ///< record sets and zone cuts that are in the store now
    std::uint64_t sets_left_out = 0;      ///< of both, as above
    std::optional<std::string> trouble{}; ///< why it, or its rest, was not used: one line
};

/// Whoever is told to end ends soon.
using Cancelled = std::atomic<bool>;

/// Writes all but failures and what is past its time, replacing `file` when it is whole; mode 0600.
/// `fingerprint` stands for the configuration by which the answers were got; those older than `no_older` were got by
/// another, and are left out. `store`, where there is one, holds nothing of another configuration.
[[nodiscard]] base::Result<SnapshotSaved> save_snapshot(const Cache& cache, const RrsetStore* store,
                                                        const std::string& file, std::uint64_t fingerprint, Moment at,
                                                        const Cancelled& cancelled,
                                                        base::Duration no_older = base::Duration::max());
/// Puts back what is in `file` and still of use, each answer as much older as the wall clock has gone on. Without a
/// store what is for one is passed over.
[[nodiscard]] SnapshotRead load_snapshot(Cache& cache, RrsetStore* store, const std::string& file,
                                         std::uint64_t fingerprint, Moment at, const Cancelled& cancelled);

/// The same over octets from anywhere. `sink` and `source` do what `write` and `read` do; `source` returns 0 at the end
/// and nothing where it can not be read.
using SnapshotSink = std::function<base::Result<void>(base::Bytes octets)>;
using SnapshotSource = std::function<std::optional<std::size_t>(base::MutableBytes room)>;
[[nodiscard]] base::Result<SnapshotSaved> write_snapshot(const Cache& cache, const RrsetStore* store,
                                                         const SnapshotSink& sink, std::uint64_t fingerprint, Moment at,
                                                         const Cancelled& cancelled,
                                                         base::Duration no_older = base::Duration::max());
[[nodiscard]] SnapshotRead read_snapshot(Cache& cache, RrsetStore* store, const SnapshotSource& source,
                                         std::uint64_t fingerprint, Moment at, const Cancelled& cancelled);

/// The same for equal texts on any machine: SipHash with a key that everybody knows.
[[nodiscard]] std::uint64_t fingerprint_of(std::string_view text) noexcept;

} // namespace sallyport::cache
