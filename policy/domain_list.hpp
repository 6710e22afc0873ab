#pragma once

#include "base/result.hpp"
#include "policy/domain_set.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

/// Lists of names as people write and publish them, made into a `DomainSet`.
namespace sallyport::policy {

struct ListLimits {
    std::size_t octets = 64U << 20U; ///< of the file
    std::size_t names = 5'000'000;
};

/// Reads lines of three kinds, which may be mixed:
/// - `example.com`: the name and all below it; `*.example.com`: what is below it;
/// - `0.0.0.0 ads.example.com tracker.example.com`, as in a hosts file: these names alone. Names every hosts file has
///   for the machine itself (`localhost`, `ip6-loopback`, …) are passed over;
/// - `||example.com^`, as ad blockers write it: as the first kind. Their exceptions and other rules are passed over.
/// `#` and `!` begin comments. A few lines that mean nothing are passed over, because published lists have some; where
/// more lines mean nothing than something, this is no list of names.
/// Errors: `invalid` with the first such line; `limit`.
[[nodiscard]] base::Result<DomainSet> parse_domain_list(std::string_view text, const std::string& file,
                                                        const ListLimits& limits);
/// Reads a regular file. Errors as above, and those of the system.
[[nodiscard]] base::Result<DomainSet> load_domain_list(const std::string& file, const ListLimits& limits);
/// One entry: `example.com` or `*.example.com`. False where it is no name.
[[nodiscard]] bool add_domain(DomainSetBuilder& set, std::string_view entry);

} // namespace sallyport::policy
