#pragma once

#include "wire/name.hpp"

namespace sallyport::resolver {

/// The zone that a name is counted in where questions in flight are limited by zone: what somebody may have registered,
/// as far as the name tells. Two labels; three below country codes with short second labels (`co.uk`, `com.au`); a /16
/// of IPv4 and a /32 of IPv6 in the reverse trees.
///
/// Names in random letters all count in one zone then, whoever made them up (THREATS: silent zones).
[[nodiscard]] wire::Name crowd_zone(const wire::Name& qname) noexcept;

} // namespace sallyport::resolver
