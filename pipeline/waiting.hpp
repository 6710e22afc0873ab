#pragma once

#include "pipeline/options.hpp"
#include "pipeline/pipeline.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace sallyport::pipeline {

/// The queries that wait, by age, and how many each client has among them.
///
/// Counts an IPv4 address, or a /64 of IPv6: one host chooses among its addresses there. Holds no more entries than
/// queries wait.
class Waiting {
public:
    explicit Waiting(Stats& stats) : stats_(stats) {}

    void configure(const WaitOptions& options, std::vector<base::Prefix> exempt, std::uint64_t most);
    /// Who is told that something is due.
    void set(Alarm* alarm) noexcept;

    /// Whether the client may have one more that waits.
    [[nodiscard]] bool has_room(const Query& query) const noexcept;
    void add(Query& query) noexcept;
    void remove(Query& query) noexcept;
    /// Queries of that client that wait.
    [[nodiscard]] std::uint32_t count_of(const base::IpAddress& client) const noexcept;

    /// The answer would come too late over UDP, and too many wait with it: somebody may collect them in the name of a
    /// victim, to have them all sent at once.
    [[nodiscard]] bool is_late(const Query& query, base::Instant now) const noexcept;

    /// The oldest that has waited so long that it takes what is stale; each is named once.
    [[nodiscard]] Query* next_impatient(base::Instant now) noexcept;
    /// The oldest that has waited as long as any may; it must be answered or dropped.
    [[nodiscard]] Query* next_over(base::Instant now) noexcept;
    [[nodiscard]] std::optional<base::Instant> due() const noexcept;
    /// Tells the alarm what is due next.
    void wind() noexcept;

private:
    using AgeHook = boost::intrusive::member_hook<
        Query, boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
        &Query::age>;
    using AgeList = boost::intrusive::list<Query, AgeHook, boost::intrusive::constant_time_size<false>>;
    struct Hash {
        std::size_t operator()(const base::IpAddress& address) const noexcept;
    };

    Stats& stats_;
    WaitOptions options_;
    std::vector<base::Prefix> exempt_;
    std::uint64_t most_ = 0;
    Alarm* alarm_ = nullptr;
    base::Instant wound_{}; ///< when the alarm goes off; the beginning of time: not set
    AgeList patient_;       ///< the oldest first
    AgeList impatient_;
    std::unordered_map<base::IpAddress, std::uint32_t, Hash> clients_;
};

} // namespace sallyport::pipeline
