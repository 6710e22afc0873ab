#pragma once

#include "cache/cache.hpp"
#include "resolver/address_book.hpp"
#include "resolver/options.hpp"
#include "resolver/upstream.hpp"
#include "resolver/upstream_query.hpp"
#include "wire/types.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sallyport::net {
class Worker;
}

namespace sallyport::resolver {

/// What makes two questions the same: one is asked upstream then.
struct FlightKey {
    Inquiry inquiry;
    std::uint32_t partition = 0;

    friend bool operator==(const FlightKey& left, const FlightKey& right) noexcept;
};

struct FlightKeyHash {
    std::size_t operator()(const FlightKey& key) const noexcept;
};

/// What came of a question, ready to be told on any worker.
struct FlightResult {
    bool abandoned = false; ///< who asked is going and has no answer: somebody else must ask
    bool has_answer = false;
    std::vector<std::uint8_t> message; ///< of `answer`
    cache::Prepared answer;
    wire::ValidationState validation = wire::ValidationState::unchecked;
    std::optional<wire::ExtendedError> ede;
    std::string ede_text;
    std::optional<std::uint8_t> subnet_scope; ///< see `Outcome`
    std::string upstream;
};

/// Where the resolver of one worker hears from those of the others. Outlives it, so that what is on its way to a
/// worker that stops meets nobody instead of something that is gone.
class Mailbox {
public:
    using Heard = void (*)(void* owner, const FlightKey& key, std::uint64_t flight,
                           const FlightResult& result) noexcept;

    Mailbox(net::Worker& worker, void* owner, Heard heard) noexcept : worker_(&worker), owner_(owner), heard_(heard) {}
    /// Any thread. `self` is this one.
    static void send(const std::shared_ptr<Mailbox>& self, const FlightKey& key, std::uint64_t flight,
                     std::shared_ptr<const FlightResult> result);
    /// Any thread. Runs `work` on the worker's thread, with the owner, unless that has closed its mailbox by then.
    static void post(const std::shared_ptr<Mailbox>& self, std::function<void(void* owner)> work);
    /// Nothing is heard any more. The worker's thread, or after it has ended.
    void close() noexcept;

private:
    std::mutex mutex_;
    net::Worker* worker_;
    void* owner_;
    Heard heard_;
};

/// What the resolvers of all workers share: which questions are in flight and whose they are, and the TLS contexts of
/// upstreams. Any thread; a lock is held for a look-up in a table.
class Shared {
public:
    Shared();
    ~Shared();
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    struct Joined {
        std::uint64_t flight = 0;
        bool is_owner = false; ///< this one must ask, and `end` the flight; else it hears by its mailbox
    };
    [[nodiscard]] Joined join(const FlightKey& key, const std::shared_ptr<Mailbox>& who);
    /// Ends a flight; those who wait for it are returned and must be told.
    [[nodiscard]] std::vector<std::shared_ptr<Mailbox>> end(const FlightKey& key, std::uint64_t flight);
    [[nodiscard]] std::size_t in_flight() const;

    /// Where upstreams are that were given by name. It stays whatever is configured.
    [[nodiscard]] AddressBook& addresses() noexcept { return addresses_; }
    [[nodiscard]] const AddressBook& addresses() const noexcept { return addresses_; }

    /// Makes what connections to these upstreams need (CA files are read here): on the control thread, before workers
    /// are given the options. False with `problems` for those that cannot be.
    bool prepare(const Options& options, base::Problems& problems);
    /// What was prepared; made now where it was not.
    [[nodiscard]] base::Result<Factories> factories_for(const UpstreamOptions& options, const Limits& limits);

private:
    static constexpr std::size_t kShards = 64;

    struct Flight {
        std::uint64_t number = 0;
        std::vector<std::shared_ptr<Mailbox>> followers; // one a worker
    };
    struct Shard {
        mutable std::mutex mutex;
        std::uint64_t next = 1;
        std::unordered_map<FlightKey, Flight, FlightKeyHash> flights;
    };
    struct Made {
        UpstreamOptions options;
        std::uint32_t pipeline = 0;
        Factories factories;
    };
    [[nodiscard]] Shard& shard_of(const FlightKey& key) noexcept;

    AddressBook addresses_;
    std::array<Shard, kShards> shards_;
    std::mutex made_mutex_;
    std::vector<Made> made_; // of the options last prepared
};

} // namespace sallyport::resolver
