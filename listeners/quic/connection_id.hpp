#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstdint>
#include <cstring>

namespace sallyport::listeners::quic {

/// A connection ID (RFC 9000 §5.1): up to 20 octets, compared whole.
class ConnectionId {
public:
    static constexpr std::size_t kMax = 20;
    /// Length of those we choose.
    static constexpr std::size_t kOurs = 16;

    ConnectionId() noexcept = default;
    /// What is longer than 20 octets is cut: callers check first.
    explicit ConnectionId(base::Bytes octets) noexcept
        : size_(static_cast<std::uint8_t>(octets.size() < kMax ? octets.size() : kMax))
    {
        if (size_ > 0) std::memcpy(octets_.data(), octets.data(), size_);
    }

    /// One that says whose it is: octet 0 modulo `workers` is `worker`; all else is random. A packet's DCID thus names
    /// the worker that owns its connection, whatever address it comes from.
    [[nodiscard]] static ConnectionId make(unsigned worker, unsigned workers, base::RandomSource& random) noexcept;
    /// The worker that an ID belongs to; 0 for an empty one.
    [[nodiscard]] unsigned owner(unsigned workers) const noexcept
    {
        return size_ == 0 || workers == 0 ? 0 : octets_[0] % workers;
    }

    [[nodiscard]] base::Bytes octets() const noexcept { return {octets_.data(), size_}; }

    friend bool operator==(const ConnectionId&, const ConnectionId&) = default;

private:
    std::array<std::uint8_t, kMax> octets_{};
    std::uint8_t size_ = 0;
};

/// Keyed, because clients choose their first destination ID themselves.
struct ConnectionIdHash {
    using is_avalanching = void;
    [[nodiscard]] std::size_t operator()(const ConnectionId& id) const noexcept
    {
        return base::keyed_hash(id.octets());
    }
};

/// A connection or what is left of one.
class Target {
public:
    enum class Kind : std::uint8_t { connection, remnant };
    [[nodiscard]] Kind kind() const noexcept { return kind_; }

protected:
    explicit Target(Kind kind) noexcept : kind_(kind) {}
    ~Target() = default;

private:
    Kind kind_;
};

/// Which connection a packet is for.
class ConnectionMap {
public:
    /// False where the ID is someone else's: the one that was there first keeps it.
    [[nodiscard]] bool add(const ConnectionId& id, Target& target);
    /// Takes the ID out where it is `target`'s.
    void remove(const ConnectionId& id, const Target& target) noexcept;
    /// Gives the ID from one target to the other.
    void move(const ConnectionId& id, const Target& from, Target& to) noexcept;
    [[nodiscard]] Target* find(const ConnectionId& id) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }

private:
    boost::unordered_flat_map<ConnectionId, Target*, ConnectionIdHash> map_;
};

} // namespace sallyport::listeners::quic
