#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/transport.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

namespace sallyport::resolver {

/// What a name server may speak beside plain DNS: DNS over TLS (RFC 7858), DNS over QUIC (RFC 9250).
enum class Encryption : std::uint8_t { tls, quic };
inline constexpr std::size_t kEncryptions = 2;
inline constexpr std::array<Encryption, kEncryptions> kAllEncryptions{Encryption::quic, Encryption::tls};

[[nodiscard]] constexpr std::size_t index_of(Encryption which) noexcept { return static_cast<std::size_t>(which); }
[[nodiscard]] constexpr Encryption other(Encryption which) noexcept
{
    return which == Encryption::tls ? Encryption::quic : Encryption::tls;
}
[[nodiscard]] constexpr base::Transport transport_of(Encryption which) noexcept
{
    return which == Encryption::tls ? base::Transport::dot : base::Transport::doq;
}
/// Nothing for a transport that everybody can read.
[[nodiscard]] constexpr std::optional<Encryption> encryption_of(base::Transport transport) noexcept
{
    if (transport == base::Transport::dot) return Encryption::tls;
    return transport == base::Transport::doq ? std::optional{Encryption::quic} : std::nullopt;
}

/// Times of RFC 9539 §4.3, and how much is remembered.
struct EncryptedServersOptions {
    std::chrono::milliseconds timeout{4'000};     ///< to open a connection
    std::chrono::seconds persistence{3 * 86'400}; ///< a server that answered is asked so for this long
    std::chrono::seconds damping{86'400};         ///< one that did not is not tried again for this long
    std::uint32_t servers = 10'000;               ///< remembered
    std::uint32_t probes = 16;                    ///< connections being opened to find out, at once
    std::uint32_t sessions = 256;                 ///< servers whose TLS sessions are kept, to be resumed
};

/// Which authoritative servers speak DNS over TLS or QUIC (RFC 9539): what has been found out by trying, of each
/// address and each of the two by itself. Nothing here believes a certificate: it is meant against those who only
/// listen. One worker's.
class EncryptedServers {
public:
    explicit EncryptedServers(const EncryptedServersOptions& options) : options_(options) {}

    [[nodiscard]] bool speaks(const base::IpAddress& server, Encryption which, base::Instant now) const noexcept;
    /// What it is to be asked over; plain DNS is not used where there is something. Of two the one that left fewer
    /// queries in a row without an answer, and QUIC where they are equal: whoever was left waiting once stays with the
    /// other one for as long as that answers.
    [[nodiscard]] std::optional<Encryption> choose(const base::IpAddress& server, base::Instant now) const noexcept;

    struct Hash {
        std::size_t operator()(const base::IpAddress& address) const noexcept;
    };
    enum class Probe : std::uint8_t {
        begun,    ///< a connection should be tried beside the query; it counts as begun
        needless, ///< it is known whether it speaks that, or is being found out
        full,     ///< too many are being tried, or remembered
    };
    [[nodiscard]] Probe begin_probe(const base::IpAddress& server, Encryption which, base::Instant now);
    /// A connection came to be.
    void opened(const base::IpAddress& server, Encryption which, base::Instant now);
    void answered(const base::IpAddress& server, Encryption which, base::Instant now);
    /// A query was given up. Some in a row are a failure, of one that never answered sooner: there are servers that
    /// only shake hands, and whoever asks is not to wait until that is known of both.
    void unanswered(const base::IpAddress& server, Encryption which, base::Instant now);
    /// A query was given up while its connection was still being opened: whether that comes to be decides.
    void kept_waiting(const base::IpAddress& server, Encryption which) noexcept;
    void failed(const base::IpAddress& server, Encryption which, base::Instant now);
    /// The try was broken off from our side: nothing has been found out.
    void broken_off(const base::IpAddress& server, Encryption which) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return servers_.size(); }
    /// That are known to speak it.
    [[nodiscard]] std::size_t speaking(Encryption which) const noexcept { return speaking_[index_of(which)]; }
    /// That are known to speak one of the two.
    [[nodiscard]] std::size_t speaking() const noexcept { return speaking_any_; }

private:
    enum class Status : std::uint8_t { unknown, trying, good, bad };
    /// With one server over one of the two.
    struct Contact {
        Status status = Status::unknown;
        bool has_answered = false; ///< since it is known
        unsigned unanswered = 0;   ///< in a row
        base::Instant when{};      ///< of the last answer, or of the failure, or of the try
    };
    struct Server {
        std::array<Contact, kEncryptions> contacts{};
    };
    static constexpr unsigned kUnanswered = 3;
    static constexpr unsigned kUnansweredAtFirst = 2; // over both; fewer than a server is asked for one question

    [[nodiscard]] bool is_over(const Contact& contact, base::Instant now) const noexcept;
    [[nodiscard]] bool is_good(const Contact& contact, base::Instant now) const noexcept
    {
        return contact.status == Status::good && !is_over(contact, now);
    }
    [[nodiscard]] const Contact* find(const base::IpAddress& server, Encryption which) const noexcept;
    [[nodiscard]] bool make_room(base::Instant now);
    /// Its status is told by these alone, so that the sums are right.
    void set(Server& server, Encryption which, Status status, base::Instant now) noexcept;
    void count(const Server& server, bool add) noexcept;

    EncryptedServersOptions options_;
    std::unordered_map<base::IpAddress, Server, Hash> servers_;
    std::array<std::size_t, kEncryptions> speaking_{};
    std::size_t speaking_any_ = 0;
    std::size_t trying_ = 0;
};

} // namespace sallyport::resolver
