#include "apps/file_watch.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace sallyport::apps {

FileWatch::FileWatch(std::vector<std::string> files, base::WallTime read_since) : files_(std::move(files))
{
    std::erase(files_, std::string{});
    std::sort(files_.begin(), files_.end());
    files_.erase(std::unique(files_.begin(), files_.end()), files_.end());
    known_ = seen_ = look();
    const auto since = read_since.time_since_epoch();
    for (auto& mark : known_)
        if (std::chrono::seconds{mark.seconds} + std::chrono::nanoseconds{mark.nanoseconds} >= since) mark = {};
}

std::vector<FileWatch::Mark> FileWatch::look() const
{
    std::vector<Mark> marks;
    marks.reserve(files_.size());
    for (const auto& file : files_) {
        struct stat status{};
        // One that is not there is a change like any other: reading it will say so.
        if (::stat(file.c_str(), &status) != 0) {
            marks.push_back({});
            continue;
        }
        marks.push_back({status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                         status.st_mtim.tv_sec, status.st_mtim.tv_nsec});
    }
    return marks;
}

bool FileWatch::changed()
{
    auto now = look();
    const bool settled = now == seen_;
    seen_ = std::move(now);
    if (!settled || seen_ == known_) return false;
    known_ = seen_;
    return true;
}

} // namespace sallyport::apps
