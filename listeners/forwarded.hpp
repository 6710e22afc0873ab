#pragma once

#include "base/ip_address.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace sallyport::listeners {

/// The client behind a chain of trusted proxies, from `Forwarded` (RFC 7239) or `X-Forwarded-For`.
///
/// Each proxy appends the address it was asked by, so the right-most address that is not a listed proxy is the client;
/// what stands left of it was written by strangers and says nothing. Where all are listed, the left-most is the client.
/// Only to be fed when the peer (behind a PROXY header, the one it names) is a listed proxy; fields in the order
/// received.
class ForwardedClient {
public:
    void clear() noexcept { *this = ForwardedClient{}; }

    /// The value of a `Forwarded` field.
    void forwarded(std::string_view value, std::span<const base::Prefix> proxies) noexcept;
    /// The value of an `X-Forwarded-For` field.
    void x_forwarded_for(std::string_view value, std::span<const base::Prefix> proxies) noexcept;

    /// The client; nothing where no field named any. The port is 0 where unknown.
    [[nodiscard]] std::optional<base::Endpoint> client() const noexcept;
    /// Quotes that do not close (they would swallow what a proxy appended), or both fields with different clients: one
    /// of them was written by a stranger. Such a request is refused: guessing would let strangers choose their address.
    [[nodiscard]] bool contradictory() const noexcept;

private:
    /// What one kind of field has said so far.
    struct Chain {
        std::optional<base::Endpoint> client;
        bool seen = false;

        /// The next hop to the right; nothing: it names no address (`unknown`, `_hidden`, garbage).
        void append(std::optional<base::Endpoint> hop, std::span<const base::Prefix> proxies) noexcept;
    };

    Chain forwarded_;
    Chain x_forwarded_for_;
    bool malformed_ = false;
};

/// One node of a forwarding field: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; a port that hides
/// (`:_abc`) reads as 0. Nothing: not an address.
[[nodiscard]] std::optional<base::Endpoint> parse_forwarded_node(std::string_view text) noexcept;

} // namespace sallyport::listeners
