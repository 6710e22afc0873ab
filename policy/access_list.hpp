#pragma once

#include "base/ip_address.hpp"
#include "policy/options.hpp"

#include <span>
#include <vector>

namespace sallyport::policy {

/// Who may ask. Immutable once made; a look-up goes through the list in order, which is short in every configuration
/// a person writes.
class AccessList {
public:
    explicit AccessList(const AccessOptions& options);

    [[nodiscard]] bool allows(const base::IpAddress& address) const noexcept;

private:
    std::vector<base::Prefix> allow_;
    std::vector<base::Prefix> deny_;
};

/// True when any of `prefixes` holds `address`.
[[nodiscard]] bool any_contains(std::span<const base::Prefix> prefixes, const base::IpAddress& address) noexcept;

} // namespace sallyport::policy
