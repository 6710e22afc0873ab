#pragma once

#include "apps/root_zone.hpp"
#include "base/result.hpp"
#include "dnssec/anchors.hpp"
#include "resolver/options.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace sallyport::apps {

/// The copy of the root zone that is transferred, for as long as the configuration says the same of it. What it has now
/// may be asked for on any thread; all else is set when it is made.
struct FollowedRoot {
    explicit FollowedRoot(const resolver::RootTransferOptions& given, std::string kept_in)
        : options(given), file(std::move(kept_in))
    {
    }

    const resolver::RootTransferOptions options;
    const std::string file;            ///< where it is kept; empty: nowhere
    std::optional<base::Error> damage; ///< of the file: it is put aside, not overwritten
    std::string told;                  ///< a line for the log about what was in the file
    bool kept = false;                 ///< the copy that it began with is what was in the file

    [[nodiscard]] std::shared_ptr<const RootZone> copy() const
    {
        const std::lock_guard lock{mutex_};
        return copy_;
    }
    void set_copy(std::shared_ptr<const RootZone> copy)
    {
        const std::lock_guard lock{mutex_};
        copy_.swap(copy); // what it was goes after the lock has
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const RootZone> copy_;
};

/// Reads the root zone that the options name, where they do, into `local_root`. What is no zone is in `problems`; a
/// zone that is too old, or that is not to be believed by `anchors`, is noted in the log and left alone: what was there
/// before stays, or servers are asked. A file that was read before and is the same still is not read again.
void load_root_copy(resolver::RecurseOptions& options, const dnssec::TrustAnchors& anchors, base::Problems& problems);

/// The same where it is transferred: begins with what was there before, or is kept on disk. Null where it is not.
[[nodiscard]] std::shared_ptr<FollowedRoot> follow_root(resolver::RecurseOptions& options,
                                                        const dnssec::TrustAnchors& anchors,
                                                        const std::shared_ptr<FollowedRoot>& before);

} // namespace sallyport::apps
