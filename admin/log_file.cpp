#include "admin/log_file.hpp"

#include "base/handle.hpp"
#include "base/log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace sallyport::admin {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBuffer = 65'536;
constexpr mode_t kMode = 0640;
constexpr std::size_t kStamp = 16; // 20261120T171500Z

std::string stamp(base::WallTime wall)
{
    const auto days = std::chrono::floor<std::chrono::days>(wall);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss time{std::chrono::floor<std::chrono::seconds>(wall - days)};
    std::array<char, 64> room{};
    const int size = std::snprintf(room.data(), room.size(), "%04d%02u%02uT%02d%02d%02dZ",
                                   static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                   static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                                   static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
    return {room.data(), static_cast<std::size_t>(size)};
}

bool are_digits(std::string_view text) noexcept
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether it is what `rotate` puts behind a name, `20261120T171500Z`, `…Z-2`, or either with `.gz`: what somebody else
/// keeps beside the log is not ours to remove.
bool is_ours(std::string_view text) noexcept
{
    if (text.ends_with(".gz")) text.remove_suffix(3);
    if (text.size() < kStamp || text[8] != 'T' || text[15] != 'Z') return false;
    const auto number = text.substr(kStamp);
    return are_digits(text.substr(0, 8)) && are_digits(text.substr(9, 6)) &&
           (number.empty() || (number.front() == '-' && are_digits(number.substr(1))));
}

/// When the file began, as far as the file system knows.
base::WallTime birth_of(int fd, base::WallTime otherwise) noexcept
{
    struct statx status{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) != 0 || (status.stx_mask & STATX_BTIME) == 0)
        return otherwise;
    return std::min(otherwise, base::WallTime{std::chrono::seconds{status.stx_btime.tv_sec}});
}

} // namespace

LogFile::LogFile(const LogOutput& output, OutputStats& stats, Background background)
    : options_(output),
      stats_(stats),
      background_(std::move(background)),
      leaving_(std::make_shared<std::atomic<bool>>(false))
{
    buffer_.reserve(kBuffer + 4096);
}

LogFile::~LogFile()
{
    *leaving_ = true;
    write_out();
}

base::Result<std::unique_ptr<LogSink>> LogFile::open(const LogOutput& output, base::WallTime wall, OutputStats& stats,
                                                     Background background)
{
    std::unique_ptr<LogFile> file{new LogFile{output, stats, std::move(background)}};
    if (auto opened = file->open_file(wall); !opened) return opened.error();
    return std::unique_ptr<LogSink>{std::move(file)};
}

base::Result<void> LogFile::open_file(base::WallTime wall)
{
    const auto fail = [this](std::string what, int code) {
        auto error = base::system_error(std::move(what), code);
        error.position = options_.position;
        return error;
    };
    // Without O_NONBLOCK a pipe without a reader would hold up the start.
    net::Descriptor opened{
        ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, kMode)};
    struct stat status{};
    if (!opened || ::fstat(opened.get(), &status) != 0)
        return fail("cannot write the query log to " + options_.path, errno);
    if (!S_ISREG(status.st_mode))
        return base::Error{base::ErrorCode::unsupported,
                           "cannot write the query log to " + options_.path + ": expected a regular file",
                           options_.position};
    file_ = std::move(opened);
    size_ = static_cast<std::uint64_t>(status.st_size);
    since_ = size_ == 0 ? wall : birth_of(file_.get(), wall);
    return {};
}

void LogFile::write(std::string_view line) noexcept
{
    if (buffer_.size() + line.size() + 1 > kBuffer) write_out();
    buffer_.append(line);
    buffer_ += '\n';
    ++lines_;
}

void LogFile::flush(base::WallTime wall) noexcept
{
    write_out();
    // What an earlier run left behind half done.
    if (!std::exchange(tidied_, true)) tidy_up();
    if (options_.rotate_size != 0 && size_ >= options_.rotate_size) look_at_size();
    const bool large = options_.rotate_size != 0 && size_ >= options_.rotate_size;
    const bool old = options_.rotate_every.count() != 0 && wall - since_ >= options_.rotate_every;
    if (!large && !old) return;
    if (size_ == 0) {
        since_ = wall;
        return;
    }
    try {
        rotate(wall);
    } catch (const std::exception&) {
        ++stats_.errors;
        since_ = wall;
    }
}

void LogFile::reopen(base::WallTime wall) noexcept
{
    write_out();
    const auto opened = open_file(wall);
    if (opened) return;
    ++stats_.errors;
    base::log::error(opened.error().message);
}

/// Someone else may have emptied the file.
void LogFile::look_at_size() noexcept
{
    struct stat status{};
    if (::fstat(file_.get(), &status) == 0) size_ = static_cast<std::uint64_t>(status.st_size);
}

void LogFile::write_out() noexcept
{
    std::size_t written = 0;
    while (written < buffer_.size()) {
        const auto size = ::write(file_.get(), buffer_.data() + written, buffer_.size() - written);
        if (size > 0) {
            written += static_cast<std::size_t>(size);
        } else if (size == 0 || errno != EINTR) {
            break;
        }
    }
    const bool whole = written == buffer_.size();
    if (!whole) take_back(written);
    size_ += whole ? written : 0;
    stats_.lines.add(lines_);
    if (whole != !failing_ && !buffer_.empty()) {
        failing_ = !whole;
        if (failing_)
            base::log::error(base::system_error("query log " + options_.path + ": lines are lost", errno).message);
        else
            base::log::info("query log " + options_.path + ": written again");
    }
    buffer_.clear();
    lines_ = 0;
}

/// The disk is full in the middle of a line: lines stay whole.
void LogFile::take_back(std::size_t written) noexcept
{
    const int reason = errno;
    ++stats_.errors;
    const auto kept = buffer_.rfind('\n', written == 0 ? 0 : written - 1);
    const std::size_t good = kept == std::string::npos || written == 0 ? 0 : kept + 1;
    struct stat status{};
    if (::fstat(file_.get(), &status) == 0) {
        const auto end = status.st_size - static_cast<off_t>(written - good);
        if (good < written) static_cast<void>(!::ftruncate(file_.get(), end));
        size_ = static_cast<std::uint64_t>(end);
    }
    const auto lost = static_cast<std::uint64_t>(
        std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(good), buffer_.end(), '\n'));
    stats_.lost.add(lost);
    lines_ -= lost;
    errno = reason;
}

void LogFile::rotate(base::WallTime wall)
{
    const std::string aside = options_.path + '.' + stamp(wall);
    std::string target = aside;
    std::error_code ignored;
    for (unsigned i = 1; fs::exists(target, ignored) || fs::exists(target + ".gz", ignored); ++i)
        target = aside + '-' + std::to_string(i);
    if (::rename(options_.path.c_str(), target.c_str()) != 0) {
        // Someone else took the file away: a new one is what is needed.
        if (errno != ENOENT) ++stats_.errors;
    } else {
        ++stats_.rotations;
    }
    // Where no new file can be made, the old one is written on under its new name.
    if (auto opened = open_file(wall); !opened) {
        ++stats_.errors;
        base::log::error(opened.error().message);
        since_ = wall;
        size_ = 0;
        return;
    }
    tidy_up();
}

/// Compresses what was rotated and removes what is too much, beside the writing.
void LogFile::tidy_up()
{
    const bool taken =
        background_([path = options_.path, keep = options_.keep, compress = options_.compress, leaving = leaving_] {
            std::error_code ignored;
            auto files = rotated_files(path);
            while (files.size() > keep) {
                fs::remove(files.front(), ignored);
                files.erase(files.begin());
            }
            if (!compress) return;
            for (const auto& file : files)
                if (!file.ends_with(".gz") && !compress_file(file, [&] { return leaving->load(); })) return;
        });
    // The next rotation finds what is left now.
    if (!taken) ++stats_.errors;
}

std::vector<std::string> rotated_files(const std::string& path)
{
    const fs::path whole{path};
    const std::string prefix = whole.filename().string() + '.';
    const fs::path folder = whole.has_parent_path() ? whole.parent_path() : fs::path{"."};
    std::vector<std::string> files;
    std::error_code error;
    for (fs::directory_iterator entry{folder, error}, end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (!name.starts_with(prefix) || !is_ours(std::string_view{name}.substr(prefix.size()))) continue;
        std::error_code unknown;
        // No link that leads elsewhere, no pipe that would be waited for.
        if (fs::is_regular_file(entry->symlink_status(unknown))) files.push_back(entry->path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

bool compress_file(const std::string& path, const std::function<bool()>& give_up)
{
    const std::string part = path + ".gz.part";
    const net::Descriptor source{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (!source) return false;
    // Made anew: what lies there is of a run that ended half-way, or of somebody who wants us to write elsewhere.
    ::unlink(part.c_str());
    net::Descriptor target{::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode)};
    if (!target) return false;
    gzFile out = ::gzdopen(target.get(), "wb6");
    if (out == nullptr) return false;
    static_cast<void>(target.release());
    std::vector<char> room(kBuffer);
    bool good = true;
    for (;;) {
        const auto size = ::read(source.get(), room.data(), room.size());
        if (size == 0) break;
        good = size > 0 && !give_up() && ::gzwrite(out, room.data(), static_cast<unsigned>(size)) == size;
        if (!good) break;
    }
    good = ::gzclose(out) == Z_OK && good;
    good = good && ::rename(part.c_str(), (path + ".gz").c_str()) == 0;
    if (!good) {
        ::unlink(part.c_str());
        return false;
    }
    return ::unlink(path.c_str()) == 0;
}

} // namespace sallyport::admin
