#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

/// Zone cuts as the parents' servers told of them, so that a gateway that is started again knows them.
namespace sallyport::cache {

/// Name servers with their glue, one behind the other: name, number of addresses, each with its size.
class CutServers {
public:
    static constexpr std::size_t kMaxServers = 64;
    static constexpr std::size_t kMaxAddresses = 32; ///< of one server
    static constexpr std::size_t kMaxOctets = 16'384;
    using Visit = std::function<void(const wire::Name& name, std::span<const base::IpAddress> glue)>;

    /// What is beyond the limits is not added.
    void add(const wire::Name& name, std::span<const base::IpAddress> glue);
    /// Takes octets of a stranger; nothing where they are not what `add` makes.
    [[nodiscard]] static std::optional<CutServers> from_octets(base::Bytes octets);
    void each(const Visit& visit) const { static_cast<void>(read(octets_, visit)); }
    [[nodiscard]] bool empty() const noexcept { return octets_.empty(); }
    [[nodiscard]] base::Bytes octets() const noexcept { return octets_; }
    [[nodiscard]] std::size_t memory() const noexcept { return octets_.capacity(); }

private:
    [[nodiscard]] static bool read(base::Bytes octets, const Visit& visit);
    std::vector<std::uint8_t> octets_;
    std::size_t count_ = 0;
};

/// Immutable once it is kept.
struct Cut {
    CutServers servers;
    wire::Ttl ttl; ///< from when it was heard to `expires`
    base::Instant expires{};
    bool restored = false; ///< out of a file, and not heard of since
};
using CutPtr = std::shared_ptr<const Cut>;

struct CutCounts {
    std::uint64_t entries = 0, octets = 0, evicted = 0;
};

/// What workers hear goes in; only what came out of a file is found, until it is heard of anew: a worker goes by what
/// it has heard itself. Shared by workers; every call from any thread. A lock is held for one search.
class Cuts {
public:
    /// `bytes`: everything kept; the oldest make room.
    explicit Cuts(std::uint64_t bytes) : limit_(bytes / kShards) {}

    /// Keeps what was heard just now, whatever is there.
    void put(const wire::Name& zone, Cut cut);
    /// Keeps what was known before, unless something is there, or there is no room.
    bool put_back(const wire::Name& zone, Cut cut, base::Instant now);
    /// What came out of a file, is fresh, and nobody has heard of since; costs nothing once all of it is past its time.
    [[nodiscard]] CutPtr find_restored(const wire::Name& zone, base::Instant now) const;
    void clear();

    using Listed = std::vector<std::pair<wire::Name, CutPtr>>;
    static constexpr unsigned kShards = 64;
    /// All of one of the `kShards` parts, the oldest first.
    [[nodiscard]] Listed list(unsigned shard) const;
    [[nodiscard]] CutCounts counts() const;

private:
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    using Order = std::list<const wire::Name*>; // the oldest first; of the keys in `entries`
    struct Entry {
        CutPtr cut;
        Order::iterator place;
        std::size_t octets = 0;
    };
    struct Shard {
        mutable std::mutex lock;
        std::unordered_map<wire::Name, Entry, NameHash> entries;
        Order order;
        CutCounts counts;

        void erase(const wire::Name& zone);
        void insert(const wire::Name& zone, Cut&& cut, std::size_t octets);
    };

    [[nodiscard]] Shard& shard_of(const wire::Name& zone) const noexcept
    {
        return shards_[(zone.hash() >> 40U) % kShards];
    }

    std::uint64_t limit_; // of one shard
    mutable std::array<Shard, kShards> shards_;
    std::atomic<base::Instant::rep> restored_until_{base::Instant::min().time_since_epoch().count()};
};

} // namespace sallyport::cache
