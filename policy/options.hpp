#pragma once

#include "base/ip_address.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::policy {

/// Who may ask (RFC 5358: an open resolver is a weapon).
struct AccessOptions {
    /// Networks that are served. Empty: local networks only (loopback, private, link-local, unique-local).
    std::vector<base::Prefix> allow;
    /// Networks that are refused, before `allow` is looked at.
    std::vector<base::Prefix> deny;
    /// Clients that are not allowed get no answer at all over UDP instead of REFUSED.
    bool silent = false;
};

struct RateLimitOptions {
    /// Queries a second that a client network may ask on average; 0 switches the limit off.
    std::uint32_t per_second = 0;
    /// Queries it may ask in one go on top of that.
    std::uint32_t burst = 1000;
    /// Clients are counted by network: /32 and /56 unless said otherwise.
    unsigned v4_prefix = 32;
    unsigned v6_prefix = 56;
    /// Networks remembered at once, per worker; the oldest is forgotten.
    std::uint32_t table_size = 16'384;
    /// Error answers (FORMERR, NOTIMP, REFUSED, BADVERS) a second over UDP to one /24 or /56; more stay unanswered.
    std::uint32_t errors_per_second = 20;
    std::vector<base::Prefix> exempt; ///< networks that are never limited
};

} // namespace sallyport::policy
