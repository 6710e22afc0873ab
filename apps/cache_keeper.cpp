#include "apps/cache_keeper.hpp"

#include "base/atomic_file.hpp"
#include "base/log.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace sallyport::apps {
namespace {

namespace log = base::log;
using namespace std::chrono_literals;

/// The workers come first: this is what the scheduler is told of a thread that has time.
constexpr int kNice = 10;
/// After a flush the file is written anew, but not more often than that.
constexpr auto kSoonest = 10s;
/// Workers take a new configuration over one after the other, and entries count time in sixteenths of a second.
constexpr auto kTakeover = 1s;

double as_seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Whatever else it may be is left alone.
void remove(const std::string& file) noexcept
{
    struct stat status{};
    if (::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode)) (void)::unlink(file.c_str());
}

std::string text_of(base::Duration duration)
{
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + " ms";
}

} // namespace

void CacheKeeper::start(const cache::SnapshotOptions& options, std::uint64_t fingerprint, Store store)
{
    const std::lock_guard lock{mutex_};
    options_ = options;
    fingerprint_ = fingerprint;
    store_ = std::move(store);
    reading_ = !options.file.empty();
    read_whole_ = !reading_;
    next_ = clock_.now() + options.every;
    thread_ = std::thread([this] { run(); });
}

void CacheKeeper::reconfigure(const cache::SnapshotOptions& options, std::uint64_t fingerprint, Store store)
{
    std::unique_lock lock{mutex_};
    if ((fingerprint != fingerprint_ || store != store_) && reading_) {
        give_up_ = true;
        changed_.wait(lock, [this] { return !reading_; });
        give_up_ = false;
    }
    const auto now = clock_.now();
    if (options.file != options_.file)
        next_ = now + options.every;
    else if (options.every != options_.every)
        next_ = std::min(next_, now + options.every); // what was flushed is written as soon as it was promised
    if (fingerprint != fingerprint_) since_ = now;
    options_ = options;
    fingerprint_ = fingerprint;
    store_ = std::move(store);
    changed_.notify_all();
}

void CacheKeeper::flushed()
{
    std::unique_lock lock{mutex_};
    if (options_.file.empty()) return;
    outdated_ = true;
    if (ending_) return;
    if (reading_) {
        give_up_ = true;
        changed_.wait(lock, [this] { return !reading_; });
        give_up_ = false;
    }
    again_ = clock_.now() + kSoonest;
    next_ = std::min(next_, again_);
    changed_.notify_all();
}

void CacheKeeper::close(bool save_it)
{
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock{mutex_};
        ending_ = true;
        give_up_ = true;
        changed_.notify_all();
    }
    thread_.join();
    give_up_ = false;
    std::unique_lock lock{mutex_};
    if (options_.file.empty()) return;
    if (save_it && read_whole_)
        save(lock);
    else if (outdated_)
        remove(options_.file);
}

void CacheKeeper::run()
{
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
    std::unique_lock lock{mutex_};
    if (reading_) load(lock);
    while (!ending_) {
        if (options_.file.empty()) {
            changed_.wait(lock);
        } else if (clock_.now() < next_) {
            changed_.wait_until(lock, next_);
        } else {
            const auto now = clock_.now();
            next_ = now + options_.every;
            if (again_ > now) next_ = std::min(next_, again_);
            save(lock);
        }
    }
}

void CacheKeeper::load(std::unique_lock<std::mutex>& lock)
{
    const std::string file = options_.file;
    const std::uint64_t fingerprint = fingerprint_;
    const Store store = store_;
    lock.unlock();
    (void)base::remove_leftovers(file);
    const auto at = moment();
    cache::SnapshotRead read;
    try {
        read = cache::load_snapshot(cache_, store.get(), file, fingerprint, at, give_up_);
    } catch (const std::exception& error) {
        read.trouble = error.what(); // memory: what is in the cache by now stays
    }
    const auto took = clock_.now() - at.now;
    loaded_ = read.entries;
    left_out_ = read.left_out;
    loaded_sets_ = read.sets;
    loaded_cuts_ = read.cuts;
    sets_left_out_ = read.sets_left_out;
    load_seconds_ = as_seconds(took);
    std::string numbers = std::to_string(read.entries) + " answers read in " + text_of(took) + ", " +
                          std::to_string(read.left_out) + " left out";
    if (store)
        numbers += "; " + std::to_string(read.sets) + " record sets and " + std::to_string(read.cuts) +
                   " zone cuts read, " + std::to_string(read.sets_left_out) + " left out";
    if (read.trouble) {
        ++load_failures_;
        const bool some = read.entries + read.sets + read.cuts > 0;
        log::warning("cache snapshot " + file + ": not used" + (some ? " but for what was read" : "") + ": " +
                     *read.trouble + " (" + numbers + ")");
    } else if (read.found) {
        log::info("cache snapshot " + file + ": " + numbers);
    }
    lock.lock();
    reading_ = false;
    // Whoever is told to end while it reads leaves the file as it is: it has more than the cache. Where there is none,
    // nothing was missed, however soon the end came.
    read_whole_ = !ending_ || (!read.found && !read.trouble);
    changed_.notify_all();
}

void CacheKeeper::save(std::unique_lock<std::mutex>& lock)
{
    const std::string file = options_.file;
    const std::uint64_t fingerprint = fingerprint_;
    const Store store = store_;
    const auto at = moment();
    const bool outdated = std::exchange(outdated_, outdated_ && !ending_ && again_ > at.now);
    const auto no_older = since_ ? at.now - *since_ - kTakeover : base::Duration::max();
    lock.unlock();
    base::Result<cache::SnapshotSaved> saved = base::Error{base::ErrorCode::system, "", {}};
    try {
        saved = cache::save_snapshot(cache_, store.get(), file, fingerprint, at, give_up_, no_older);
    } catch (const std::exception& error) {
        saved = base::Error{base::ErrorCode::system, error.what(), {}};
    }
    const auto took = clock_.now() - at.now;
    save_seconds_ = as_seconds(took);
    if (saved) {
        ++saves_;
        saved_ = saved->entries;
        saved_sets_ = saved->sets;
        saved_cuts_ = saved->cuts;
        saved_octets_ = saved->octets;
        saved_at_ = std::chrono::duration<double>(at.wall.time_since_epoch()).count();
        log::debug("cache snapshot " + file + ": " + std::to_string(saved->entries) + " answers, " +
                   std::to_string(saved->sets) + " record sets and " + std::to_string(saved->cuts) +
                   " zone cuts written in " + text_of(took));
    } else if (!give_up_) {
        ++save_failures_;
        log::error("cache snapshot " + file + ": not written, the one before " + (outdated ? "goes" : "stays") + ": " +
                   saved.error().to_string());
    }
    if (!saved && outdated) remove(file); // else what was flushed would come back out of it
    lock.lock();
}

void CacheKeeper::each_value(const std::function<void(const char* name, const char* help, double value)>& visit) const
{
    const auto number = [](const std::atomic<std::uint64_t>& value) { return static_cast<double>(value.load()); };
    visit("cache_snapshot_saves_total", "Times the cache was written to its file", number(saves_));
    visit("cache_snapshot_save_failures_total", "Times it could not be", number(save_failures_));
    visit("cache_snapshot_load_failures_total", "Files that were damaged, foreign or of another configuration",
          number(load_failures_));
    visit("cache_snapshot_saved_entries", "Answers in the file written last", number(saved_));
    visit("cache_snapshot_saved_bytes", "Octets of the file written last", number(saved_octets_));
    visit("cache_snapshot_saved_timestamp_seconds", "When it was written; 0: not yet", saved_at_);
    visit("cache_snapshot_save_seconds", "How long that took", save_seconds_);
    visit("cache_snapshot_loaded_entries", "Answers read from the file at the start", number(loaded_));
    visit("cache_snapshot_left_out_entries", "Answers of that file that were of no use any more", number(left_out_));
    visit("cache_snapshot_saved_record_sets", "Record sets of the resolver in the file written last",
          number(saved_sets_));
    visit("cache_snapshot_saved_zone_cuts", "Zone cuts in the file written last", number(saved_cuts_));
    visit("cache_snapshot_loaded_record_sets", "Record sets read from the file at the start", number(loaded_sets_));
    visit("cache_snapshot_loaded_zone_cuts", "Zone cuts read from the file at the start", number(loaded_cuts_));
    visit("cache_snapshot_left_out_record_sets", "Record sets and zone cuts of that file that were of no use any more",
          number(sets_left_out_));
    visit("cache_snapshot_load_seconds", "How long reading it took", load_seconds_);
}

} // namespace sallyport::apps
