#pragma once

#include "admin/admin.hpp"
#include "base/clock.hpp"
#include "cache/cache.hpp"

#include <functional>
#include <vector>

namespace sallyport::apps {

/// Most entries of one page of a dump, about.
inline constexpr std::uint64_t kMostDumped = 10'000;
/// A page that has so many octets is full, however few entries they are.
inline constexpr std::size_t kDumpedOctets = 8U << 20U;
/// Most entries that one listing shows.
inline constexpr std::uint64_t kMostListed = 100'000;

/// GET /api/v1/cache/lookup?name=&type=: every entry of a name, with its records.
[[nodiscard]] admin::Response cache_look_up(const cache::Cache& cache, const admin::Request& request,
                                            base::Instant now);
/// GET /api/v1/cache/list?apex=&limit=: entries at and below a name, 1000 unless told, in the order of their names.
[[nodiscard]] admin::Response cache_list(const cache::Cache& cache, const admin::Request& request, base::Instant now);
/// GET /api/v1/cache/dump?name=|apex=&limit=&from=: a page of entries with their records, in no order; `next` in the
/// answer is the `from` of the page after it, and null on the last one. What changes between the pages may come twice
/// or not at all.
[[nodiscard]] admin::Response cache_dump(const cache::Cache& cache, const admin::Request& request, base::Instant now);
/// Told what goes before it goes, so that whoever fills the cache forgets it, too: a name, or all below it as well.
using Forget = std::function<void(const wire::Name& apex, bool subtree)>;
/// POST /api/v1/cache/flush: `{"name": "…"}`, `{"subtree": "…"}` or `{"all": true}`.
[[nodiscard]] admin::Response cache_flush(cache::Cache& cache, const admin::Request& request,
                                          const Forget& forget = {});

/// These as routes, none open without the token: names that were asked for are nobody's business; cache and clock are
/// borrowed and outlive the server.
[[nodiscard]] std::vector<admin::Route> cache_routes(cache::Cache& cache, const base::Clock& clock, Forget forget = {});

} // namespace sallyport::apps
