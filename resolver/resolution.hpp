#pragma once

#include "base/counter.hpp"
#include "cache/cache.hpp"
#include "net/worker.hpp"
#include "resolver/choice.hpp"
#include "resolver/patience.hpp"
#include "resolver/shared.hpp"
#include "resolver/try.hpp"
#include "resolver/upstream.hpp"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sallyport::resolver {

/// A group of upstreams as it was configured, with its upstreams; of one worker. Questions in flight keep theirs.
struct Group {
    GroupOptions options;
    std::vector<std::shared_ptr<Upstream>> upstreams;
    std::uint64_t turn = 0;

    /// What strategies may know of the upstreams.
    [[nodiscard]] std::vector<Candidate> candidates() const;
};

class Resolution;

/// Who hears that a resolution is over. It must not destroy it at once: upstreams may be on the stack.
class ResolutionUser {
public:
    virtual void resolution_ended(Resolution& ended, base::Instant now) noexcept = 0;

protected:
    ~ResolutionUser() = default;
};

/// One question put to one upstream after the other, or to several at once, until one gives an answer of use or the
/// budget is spent.
class Resolution final : private TryUser, private AddressWaiter {
public:
    Resolution(ResolutionUser& user, net::Worker& worker, std::shared_ptr<Group> group, const FlightKey& key,
               const Limits& limits, const cache::Options& cache_options);
    ~Resolution();

    /// Before `start`. The answer is handed over as it came, for somebody who reads it himself.
    void keep_raw() noexcept { raw_ = true; }
    /// Before `start`. One of the group's upstreams is asked only where it is the only one.
    void avoid(std::uint8_t upstream) noexcept { avoided_ = upstream; }
    void start(base::Instant now);
    [[nodiscard]] bool is_over() const noexcept { return over_; }
    /// What came of it, once it is over.
    [[nodiscard]] FlightResult& result() noexcept { return result_; }
    [[nodiscard]] const FlightKey& key() const noexcept { return key_; }
    /// SERVFAIL of an upstream, where that is all there is.
    [[nodiscard]] bool is_failure() const noexcept { return !useful_; }

private:
    void try_answered(Try& finished, const wire::MessageView& response, base::Instant now) noexcept override;
    void try_failed(Try& finished, Trouble trouble, base::Instant now) noexcept override;

    void addresses_came(base::Instant now) noexcept override { advance(now); }

    void advance(base::Instant now);
    bool start_one(base::Instant now);
    [[nodiscard]] int next_place() noexcept;
    void explore(std::span<const Candidate> candidates, base::Instant now);
    void expired(base::Instant now) noexcept;
    void arm(base::Instant now);
    void drop(Try& finished);
    [[nodiscard]] bool take_useful(Try& finished, const wire::MessageView& response, base::Instant now);
    void keep_refusal(Try& finished, const wire::MessageView& response);
    void note_trouble(Trouble trouble) noexcept;
    [[nodiscard]] bool someone_may_answer() const noexcept;
    [[nodiscard]] bool someone_may_be_found(base::Instant now) const noexcept;
    void finish_empty(base::Instant now);
    void finish(base::Instant now);
    [[nodiscard]] std::optional<wire::MessageView> with_plain_letters(const wire::MessageView& response) const;
    [[nodiscard]] bool prepare(const wire::MessageView& response, const Upstream& upstream);

    ResolutionUser& user_;
    net::Worker& worker_;
    std::shared_ptr<Group> group_; // before the tries: they know its upstreams
    FlightKey key_;
    Limits limits_;
    cache::Options cache_options_;
    Order order_;
    Patience patience_;
    std::vector<std::unique_ptr<Try>> tries_;
    std::array<bool, kMaxUpstreams> said_no_{};
    std::uint8_t refusals_ = 0;
    unsigned started_ = 0;
    base::Instant next_start_{}; // the pause after all have failed
    Trouble worst_ = Trouble::none;
    bool servfail_ = false;
    bool useful_ = false;
    bool raw_ = false;
    std::optional<std::uint8_t> avoided_;
    bool over_ = false;
    FlightResult result_;
    net::Timer timer_{net::Timer::of<&Resolution::expired>(*this)};
};

} // namespace sallyport::resolver
