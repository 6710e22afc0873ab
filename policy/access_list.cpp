#include "policy/access_list.hpp"

#include <algorithm>

namespace sallyport::policy {

bool any_contains(std::span<const base::Prefix> prefixes, const base::IpAddress& address) noexcept
{
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const base::Prefix& p) { return p.contains(address); });
}

AccessList::AccessList(const AccessOptions& options) : allow_(options.allow), deny_(options.deny) {}

bool AccessList::allows(const base::IpAddress& address) const noexcept
{
    if (any_contains(deny_, address)) return false;
    return allow_.empty() ? address.is_local_network() : any_contains(allow_, address);
}

} // namespace sallyport::policy
