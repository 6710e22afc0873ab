#include "conf/parts.hpp"

namespace sallyport::conf {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

void read_cache(Section& top, cache::Options& options, cache::SnapshotOptions& snapshot,
                std::chrono::milliseconds& stale_after)
{
    Section section{top.reading(), top.map("cache"), "cache"};
    section.boolean("enabled", options.enabled);
    section.size("size", options.bytes, 1ULL << 20U, 1ULL << 40U);
    section.number("shards", options.shards, 0, 4096);
    section.duration("min_ttl", options.min_ttl, seconds{0}, hours{1});
    section.duration("max_ttl", options.max_ttl, seconds{1}, hours{7 * 24});
    section.duration("max_negative_ttl", options.max_negative_ttl, seconds{0}, hours{24});
    section.duration("failure_ttl", options.failure_ttl, seconds{1}, minutes{5});
    if (options.min_ttl > options.max_ttl)
        top.reading().complain(section.position_of("min_ttl"), "'cache.min_ttl' is longer than 'cache.max_ttl'");
    section.boolean("serve_stale", options.serve_stale);
    section.duration("stale_for", options.stale_for, seconds{1}, hours{7 * 24});
    section.duration("stale_ttl", options.stale_ttl, seconds{1}, minutes{5});
    section.duration("stale_client_timeout", stale_after, milliseconds{0}, seconds{10});
    section.boolean("prefetch", options.prefetch);

    Section limits{top.reading(), section.map("limits"), "cache.limits"};
    limits.size("entry", options.max_entry, 512, 65'536);
    limits.size("negative_entry", options.max_negative_entry, 512, 65'536);
    limits.number("records_per_set", options.max_set, 1, 4096);
    limits.number("types", options.max_types, 1, 128);
    limits.number("aliases", options.max_aliases, 1, 31);
    limits.number("additional_names", options.max_additional_names, 0, 32);

    Section copy{top.reading(), section.map("snapshot"), "cache.snapshot"};
    copy.path("file", snapshot.file);
    copy.duration("every", snapshot.every, seconds{10}, hours{24});
}

} // namespace sallyport::conf
