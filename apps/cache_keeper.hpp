#pragma once

#include "base/clock.hpp"
#include "cache/options.hpp"
#include "cache/rrset_store.hpp"
#include "cache/snapshot.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace sallyport::apps {

/// Keeps a copy of the cache and of what a resolver of our own knows on disk: reads it at the start, writes it every
/// few minutes and at the end. On a thread of its own, which gives way to the workers; nothing here waits for the disk
/// but `close`.
///
/// Control thread, but for `flushed` and the numbers.
class CacheKeeper {
public:
    /// Both are borrowed.
    CacheKeeper(cache::Cache& cache, const base::Clock& clock) : cache_(cache), clock_(clock) {}
    ~CacheKeeper() { close(false); }
    CacheKeeper(const CacheKeeper&) = delete;
    CacheKeeper& operator=(const CacheKeeper&) = delete;

    /// The resolver's, where it has one; made anew whenever what it holds would be wrong.
    using Store = std::shared_ptr<cache::RrsetStore>;
    /// Begins with the file, where there is one. `fingerprint` stands for the configuration that answers are got by.
    void start(const cache::SnapshotOptions& options, std::uint64_t fingerprint, Store store);
    /// What is being read of an earlier time, and would be wrong now, is given up: once this returns, no more of it
    /// comes into the cache, nor into the store.
    void reconfigure(const cache::SnapshotOptions& options, std::uint64_t fingerprint, Store store);
    /// The operator has taken answers out of the cache: they must not come back out of the file. Any thread.
    void flushed();
    /// Ends the thread; with `save` the cache is written a last time, unless the file is not read to its end yet.
    void close(bool save);

    /// (name, help, value), gauges without the suffix `_total`. Any thread.
    void each_value(const std::function<void(const char* name, const char* help, double value)>& visit) const;

private:
    void run();
    void load(std::unique_lock<std::mutex>& lock);
    void save(std::unique_lock<std::mutex>& lock);
    [[nodiscard]] cache::Moment moment() const { return {clock_.now(), clock_.wall()}; }

    cache::Cache& cache_;
    const base::Clock& clock_;
    std::thread thread_;

    mutable std::mutex mutex_; // of all below; not held while files are read and written
    std::condition_variable changed_;
    cache::SnapshotOptions options_;
    std::uint64_t fingerprint_ = 0;
    Store store_;
    base::Instant next_{};
    std::optional<base::Instant> since_; ///< what is older was got under another configuration
    base::Instant again_{};              ///< what is written before this may have what is being flushed
    bool outdated_ = false;              ///< the file has answers that the operator has taken out
    bool ending_ = false;
    bool reading_ = false;
    bool read_whole_ = false; ///< or given up: what is in the cache now is all there is

    cache::Cancelled give_up_{false};
    std::atomic<std::uint64_t> saves_{0}, save_failures_{0}, load_failures_{0};
    std::atomic<std::uint64_t> saved_{0}, saved_octets_{0}, loaded_{0}, left_out_{0};
    std::atomic<std::uint64_t> saved_sets_{0}, saved_cuts_{0}, loaded_sets_{0}, loaded_cuts_{0}, sets_left_out_{0};
    std::atomic<double> save_seconds_{0}, load_seconds_{0}, saved_at_{0};
};

} // namespace sallyport::apps
