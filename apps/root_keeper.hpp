#pragma once

#include "apps/root_copy.hpp"
#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/random.hpp"
#include "dnssec/anchors.hpp"
#include "net/socket.hpp"
#include "zones/refresh.hpp"
#include "zones/transfer_client.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace sallyport::apps {

class Gateway;
class Statistics;

/// Transfers the root zone (RFC 8806, RFC 5936), looks for a new one as its SOA says, keeps it on disk, and gives it to
/// the workers. On a thread of its own: nobody waits for it but `close`, and that not for a server.
class RootKeeper {
public:
    /// `clock` is borrowed.
    explicit RootKeeper(const base::Clock& clock) : clock_(clock) {}
    ~RootKeeper() { close(); }
    RootKeeper(const RootKeeper&) = delete;
    RootKeeper& operator=(const RootKeeper&) = delete;

    /// About once a second, by the control thread.
    void tick(Gateway& gateway);
    /// By the control thread; nothing is transferred any more.
    void close();
    /// Any thread.
    void collect(Statistics& statistics) const;

private:
    /// What the thread works by.
    struct Job {
        std::shared_ptr<FollowedRoot> root;
        std::shared_ptr<const dnssec::TrustAnchors> anchors;
        dnssec::Policy policy;
    };
    enum class Outcome : std::uint8_t { good, failed, cancelled };

    void take_over(Job job);
    void start_thread();
    void publish(Gateway& gateway);
    void wake_thread() noexcept;

    // The thread's.
    void run() noexcept;
    void work(std::unique_lock<std::mutex>& lock);
    void begin(const Job& job);
    void put_aside();
    [[nodiscard]] bool still_counts(const Job& job, const RootZone& copy);
    [[nodiscard]] std::optional<std::chrono::milliseconds> look(const Job& job);
    [[nodiscard]] Outcome ask(const Job& job, const base::Endpoint& server);
    [[nodiscard]] Outcome transfer(const Job& job, const base::Endpoint& server, zones::TransferClient& client,
                                   const RootZone* before);
    [[nodiscard]] Outcome confirm(const Job& job, const base::Endpoint& server, const RootZone& before);
    [[nodiscard]] Outcome failed(const base::Endpoint& server, const zones::TransferFailure& failure);
    void keep(const std::string& file);
    void use(const Job& job, std::shared_ptr<const RootZone> copy);
    void count(const RootZone& copy) noexcept;

    const base::Clock& clock_;
    std::thread thread_;

    // The control thread's.
    std::shared_ptr<const resolver::Options> taken_over_;
    std::shared_ptr<const RootZone> published_, before_;
    bool told_of_thread_ = false;

    std::mutex mutex_; ///< of the next five; not held while servers are asked
    std::condition_variable changed_;
    Job job_;
    base::Instant next_{};
    bool ending_ = false;
    net::Descriptor cancel_; ///< readable while what the thread does is of no use any more

    // The thread's.
    base::SystemRandom random_;
    std::optional<zones::Refresh> refresh_;
    std::shared_ptr<FollowedRoot> begun_;
    zones::SoaNumbers latest_; ///< what a server has confirmed last
    std::string unsaved_;      ///< the file's octets, where they could not be written
    bool kept_ = false;        ///< the file holds the zone that was transferred last
    bool untouchable_ = false; ///< the damaged file could not be put aside: it stays

    base::Counter checks_, confirmations_, transfers_, failures_, refused_, octets_exceeded_, records_exceeded_,
        time_exceeded_, write_failures_, serial_, records_, expires_, digested_;
};

} // namespace sallyport::apps
