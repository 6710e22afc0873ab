#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace sallyport::resolver {

/// Times of RFC 9539 §4.3, and how much is remembered.
struct EncryptedServersOptions {
    std::chrono::milliseconds timeout{4'000};     ///< to open a connection
    std::chrono::seconds persistence{3 * 86'400}; ///< a server that answered is asked so for this long
    std::chrono::seconds damping{86'400};         ///< one that did not is not tried again for this long
    std::uint32_t servers = 10'000;               ///< remembered
    std::uint32_t probes = 16;                    ///< connections being opened to find out, at once
};

/// Which authoritative servers speak DNS over TLS (RFC 9539): what has been found out by trying. Nothing here believes
/// a certificate: it is meant against those who only listen. One worker's.
class EncryptedServers {
public:
    explicit EncryptedServers(const EncryptedServersOptions& options) : options_(options) {}

    /// Whether it is known to: plain DNS is not used then.
    [[nodiscard]] bool speaks(const base::IpAddress& server, base::Instant now) const noexcept;
    /// Whether a connection should be tried beside the plain query; then one has begun.
    [[nodiscard]] bool begin_probe(const base::IpAddress& server, base::Instant now);
    /// A connection came to be.
    void opened(const base::IpAddress& server, base::Instant now);
    void answered(const base::IpAddress& server, base::Instant now);
    /// A query was given up. Some in a row are a failure: there are servers that only shake hands.
    void unanswered(const base::IpAddress& server, base::Instant now);
    void failed(const base::IpAddress& server, base::Instant now);

    [[nodiscard]] std::size_t size() const noexcept { return servers_.size(); }
    /// That are known to speak it.
    [[nodiscard]] std::size_t speaking() const noexcept { return speaking_; }

private:
    enum class Status : std::uint8_t { trying, good, bad };
    struct Server {
        Status status = Status::trying;
        unsigned unanswered = 0; ///< in a row
        base::Instant when{};    ///< of the last answer, or of the failure, or of the try
    };
    static constexpr unsigned kUnanswered = 3;
    [[nodiscard]] bool make_room(base::Instant now);
    void set(Server& server, Status status, base::Instant now) noexcept;

    struct Hash {
        std::size_t operator()(const base::IpAddress& address) const noexcept;
    };
    EncryptedServersOptions options_;
    std::unordered_map<base::IpAddress, Server, Hash> servers_;
    std::size_t speaking_ = 0;
    std::size_t trying_ = 0;
};

} // namespace sallyport::resolver
