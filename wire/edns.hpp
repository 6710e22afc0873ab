#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>

namespace sallyport::wire {

/// At most this many options are looked at; more are FORMERR.
inline constexpr unsigned kMaxEdnsOptions = 100;

struct EdnsOption {
    EdnsOptionCode code{};
    base::Bytes data;
};

/// Walks the options of an OPT record one by one, each borrowed.
class EdnsOptions {
public:
    explicit EdnsOptions(base::Bytes rdata) noexcept : rest_(rdata) {}
    /// The next option; nothing at the end, and nothing where the next one runs past it.
    [[nodiscard]] std::optional<EdnsOption> next() noexcept
    {
        if (rest_.size() < 4) return std::nullopt;
        const std::size_t size = base::load_be16(rest_, 2);
        if (rest_.size() - 4 < size) return std::nullopt;
        const EdnsOption option{static_cast<EdnsOptionCode>(base::load_be16(rest_, 0)), rest_.subspan(4, size)};
        rest_ = rest_.subspan(4 + size);
        return option;
    }
    /// Empty when all was read; otherwise what is left is malformed.
    [[nodiscard]] base::Bytes rest() const noexcept { return rest_; }

private:
    base::Bytes rest_;
};

/// A client subnet option (RFC 7871 §6), borrowed.
struct ClientSubnet {
    std::uint16_t family = 0;
    std::uint8_t source_prefix = 0;
    std::uint8_t scope_prefix = 0;
    base::Bytes address;
};

/// The OPT pseudo-record of a message (RFC 6891), read once, borrowed from the message.
/// The first option of each kind counts; repeats are ignored.
struct EdnsView {
    std::uint16_t udp_payload_size = 512; ///< as sent; below 512 counts as 512 (§6.2.3)
    std::uint8_t extended_rcode = 0;
    std::uint8_t version = 0;
    bool dnssec_ok = false;
    base::Bytes options; ///< the whole RDATA

    std::optional<base::Bytes> cookie;        ///< 8 (client) or 16..40 octets (client and server), RFC 7873 §4
    std::optional<base::Bytes> client_subnet; ///< raw; `read_client_subnet` checks it
    std::optional<base::Bytes> padding;       ///< RFC 7830
    bool nsid = false;                        ///< RFC 5001
    bool tcp_keepalive = false;               ///< RFC 7828; a query carries it empty
};

/// Reads the RDATA of an OPT record. Errors: `bad_option` (runs past the end, more than 100, a cookie of a length
/// that RFC 7873 §5.2.2 calls malformed, a keepalive with other than 0 or 2 octets).
[[nodiscard]] base::Result<EdnsView, ParseError> read_edns(base::Bytes rdata, std::uint16_t opt_class,
                                                           std::uint32_t opt_ttl) noexcept;

/// Checks family, prefix lengths and that no bit stands beyond the prefix (RFC 7871 §6).
[[nodiscard]] base::Result<ClientSubnet, ParseError> read_client_subnet(base::Bytes option) noexcept;

} // namespace sallyport::wire
