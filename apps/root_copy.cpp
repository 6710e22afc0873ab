#include "apps/root_copy.hpp"

#include "apps/root_file.hpp"
#include "base/log.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

namespace sallyport::apps {

namespace log = base::log;

namespace {

std::string mark_of(const struct stat& status)
{
    return std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + '.' +
           std::to_string(status.st_mtim.tv_nsec) + ' ' + std::to_string(status.st_ino);
}

/// Where a transferred zone is kept: what the configuration says, or in the service manager's state directory.
std::string state_file_of(const resolver::RootTransferOptions& options)
{
    if (!options.state_file.empty()) return options.state_file;
    const char* const directory = std::getenv("STATE_DIRECTORY"); // several stand with colons
    if (directory == nullptr || *directory == '\0') return {};
    const std::string first{directory};
    return first.substr(0, first.find(':')) + "/root-zone";
}

std::int64_t date_now() { return seconds_of(base::SystemClock{}.wall()); }

/// The zone in the file that is kept, where it may be used. Else the reason is in `followed`.
std::shared_ptr<const RootZone> read_kept(FollowedRoot& followed, const dnssec::TrustAnchors& anchors,
                                          const dnssec::Policy& policy)
{
    auto kept = read_root_file(followed.file, {followed.options.octets, followed.options.records});
    if (!kept) return nullptr;
    if (!*kept) {
        followed.damage = kept->error();
        return nullptr;
    }
    base::Problems problems;
    auto zone = zones::build_zone((*kept)->zone, followed.file, zones::Limits{}, problems);
    if (!zone) {
        followed.damage = problems.front();
        return nullptr;
    }
    const std::int64_t now = date_now();
    auto copy = std::make_shared<RootZone>(std::move(zone), std::min((*kept)->confirmed, now));
    const std::string about =
        "the root zone kept in " + followed.file + ", serial " + std::to_string(copy->soa().serial) + ", is ";
    const std::string distrust = judge_root(*copy, anchors, policy, now);
    if (!distrust.empty())
        followed.told = about + "not used: " + distrust;
    else if (copy->expires() <= now)
        followed.told = about + "not used: it is older than its SOA record allows";
    else
        followed.told = about + "in use";
    followed.kept = distrust.empty() && copy->expires() > now;
    return followed.kept ? copy : nullptr;
}

} // namespace

void load_root_copy(resolver::RecurseOptions& options, const dnssec::TrustAnchors& anchors, base::Problems& problems)
{
    if (options.local_root_file.empty()) return;
    struct stat status{};
    if (::stat(options.local_root_file.c_str(), &status) != 0) status.st_mtime = 0;
    const std::string mark = mark_of(status);
    if (options.local_root_mark == mark) return;
    options.local_root_mark = mark;
    zones::Options wanted;
    wanted.local_only.enabled = false;
    wanted.zones.push_back({.name = ".",
                            .file = options.local_root_file,
                            .records = {},
                            .hosts_file = {},
                            .position = options.local_root_position,
                            .record_positions = {}});
    auto zone = zones::load(wanted, problems);
    if (!zone) return;
    const base::WallTime now = base::SystemClock{}.wall();
    // No file was written later than now, whatever the clock said when it was.
    auto copy = std::make_shared<RootZone>(std::move(zone), std::min<std::int64_t>(status.st_mtime, seconds_of(now)));
    const std::string distrust = judge_root(*copy, anchors, options.engine.policy, seconds_of(now));
    const std::string refused = "the copy of the root zone in " + options.local_root_file + " is not used: ";
    const std::string_view instead =
        options.local_root != nullptr ? "; the copy that was there stays" : "; the root's servers are asked";
    if (!distrust.empty())
        log::warning(refused + distrust + std::string{instead});
    else if (!copy->is_good(now))
        log::warning(refused + "it is older than its SOA record allows" + std::string{instead});
    else
        options.local_root = std::move(copy);
}

std::shared_ptr<FollowedRoot> follow_root(resolver::RecurseOptions& options, const dnssec::TrustAnchors& anchors,
                                          const std::shared_ptr<FollowedRoot>& before)
{
    if (options.local_root_transfer.from.empty()) return nullptr;
    options.local_root.reset();
    auto copy = before != nullptr ? before->copy() : nullptr;
    if (copy != nullptr && !find_root_distrust(*copy, anchors, options.engine.policy, date_now()).empty()) copy.reset();
    std::string file = state_file_of(options.local_root_transfer);
    auto followed = before;
    if (before == nullptr || before->options != options.local_root_transfer || before->file != file) {
        followed = std::make_shared<FollowedRoot>(options.local_root_transfer, std::move(file));
        if (copy == nullptr && !followed->file.empty()) copy = read_kept(*followed, anchors, options.engine.policy);
        followed->set_copy(copy);
    }
    options.local_root = std::move(copy);
    return followed;
}

} // namespace sallyport::apps
