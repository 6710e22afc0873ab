#pragma once

#include "admin/options.hpp"
#include "cache/options.hpp"
#include "conf/section.hpp"
#include "lua/options.hpp"
#include "pipeline/options.hpp"
#include "resolver/options.hpp"
#include "zones/options.hpp"

/// The parts of the schema that have a file of their own. Each reads its keys from `top`, the whole configuration.
namespace sallyport::conf {

void read_cache(Section& top, cache::Options& options, cache::SnapshotOptions& snapshot,
                std::chrono::milliseconds& stale_after);                                          // cache
void read_resolve(Section& top, resolver::Options& options, zones::LocalOnlyOptions& local_only); // resolve
void read_local_only(Section& resolve, zones::LocalOnlyOptions& options);                         // in resolve
[[nodiscard]] std::string fingerprint_of(const YamlNode* node);               // what is written there, in any spacing
void read_recurse(Section& resolve, resolver::RecurseOptions& options);       // in resolve
void read_dns64(Section& resolve, resolver::iterate::Dns64Options& options);  // in resolve
void read_client_subnet(Section& resolve, resolver::RecurseOptions& options); // in resolve
void read_local_root(Section& resolve, resolver::RecurseOptions& options);    // in resolve
void read_script(Section& top, lua::Options& script, pipeline::BlockOptions& block);       // policy
void read_admin(Section& top, admin::Options& options, admin::QueryLogOptions& query_log); // admin, query_log

} // namespace sallyport::conf
