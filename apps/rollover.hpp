#pragma once

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/result.hpp"
#include "cache/rrset_store.hpp"
#include "dnssec/anchor_book.hpp"
#include "resolver/options.hpp"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::apps {

class Gateway;
class Statistics;

/// The trust anchors of a configuration that follow their zones (RFC 5011), with the file that keeps their state. The
/// control thread's.
struct FollowedAnchors {
    dnssec::AnchorBook book;
    std::string file;
    std::optional<base::Error> damage{}; ///< of the file: it is put aside, not overwritten
    bool unsaved = false;                ///< the file is older than the book
    bool untouchable = false;            ///< the damaged file could not be put aside: it stays
};

/// Where the state of anchors is kept: what the configuration says, or in the service manager's state directory.
/// Empty: anchors are not followed.
[[nodiscard]] std::string anchor_state_file(const dnssec::Options& options);

/// Reads the state, which then takes the place of the anchors in `options`. A file that is damaged is noted, and the
/// configured anchors count. `before`: what was followed until now, whose state counts where it could not be written.
[[nodiscard]] std::shared_ptr<FollowedAnchors> follow_anchors(resolver::RecurseOptions& options, std::int64_t date,
                                                              const FollowedAnchors* before);

/// How long to rest before a look that nobody has answered goes on, after so many questions; nothing: the look has
/// failed. The network may come up later than the program does, and to wait for an hour then (RFC 5011 §2.3 counts
/// failed looks, not lost packets) would follow nobody meanwhile.
[[nodiscard]] std::optional<base::Duration> rest_after(unsigned questions) noexcept;

/// Looks at the keys of zones with followed anchors when it is time, gives all workers what is trusted, and keeps the
/// state on disk; tells zones which keys are trusted (RFC 8145). The control thread's, which may block.
class Rollover {
public:
    /// About once a second.
    void tick(Gateway& gateway);
    /// Any thread.
    void collect(Statistics& statistics) const;

private:
    struct Seen {
        std::uint64_t number;
        cache::RrsetPtr keys;
    };
    /// Where a worker leaves what it found.
    struct Inbox {
        std::mutex lock;
        std::vector<Seen> seen;
    };
    struct Probe {
        wire::Name zone;
        std::uint64_t number = 0; ///< of the question that counts
        base::Instant until{};    ///< for its answer; resting: for the next question
        unsigned questions = 0;
        bool resting = false;
    };

    void take_over(const std::shared_ptr<FollowedAnchors>& followed);
    void put_aside();
    void begin_probe(Gateway& gateway, std::int64_t date, base::Instant now);
    void ask(Gateway& gateway, base::Instant now);
    void end_probe(Gateway& gateway, std::int64_t date, base::Instant now);
    void learn(Gateway& gateway, const wire::Name& zone, const cache::Rrset& keys, std::int64_t date);
    void publish(Gateway& gateway, bool lost);
    void save();
    void count_keys();
    void signal(Gateway& gateway, base::Instant now);

    std::shared_ptr<FollowedAnchors> followed_;
    std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
    std::optional<Probe> probe_;
    std::uint64_t number_ = 0;
    std::shared_ptr<std::atomic<unsigned>> switching_; ///< workers that still trust what others do not
    std::optional<base::Instant> next_signal_;
    base::Instant next_save_{}; ///< of what could not be written
    base::Counter probes_, failures_, changes_, writes_failed_, signals_;
    std::array<base::Counter, 6> keys_; ///< by state
};

} // namespace sallyport::apps
