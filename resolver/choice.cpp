#include "resolver/choice.hpp"

#include <algorithm>
#include <tuple>

namespace sallyport::resolver {
namespace {

using Indexes = std::span<std::uint8_t>;

void rotate(Indexes usable, std::uint64_t turn) noexcept
{
    if (usable.empty()) return;
    const auto by = static_cast<std::ptrdiff_t>(turn % usable.size());
    std::rotate(usable.begin(), usable.begin() + by, usable.end());
}

void quickest_first(Indexes usable, std::span<const Candidate> candidates) noexcept
{
    // No client waits for an unknown one where another is known: it is explored beside. Where none is known, those that
    // come before the first answer are spread, lest all of them wait for the slowest. Equal ones stay as written.
    const auto rank = [&](std::uint8_t i) {
        const Candidate& one = candidates[i];
        return one.measured ? std::tuple{0U, one.smoothed_rtt.count(), std::uint64_t{0}, i}
                            : std::tuple{1U + one.failures, base::Duration::rep{0}, one.in_flight, i};
    };
    const auto before = [&](std::uint8_t left, std::uint8_t right) { return rank(left) < rank(right); };
    std::sort(usable.begin(), usable.end(), before);
}

/// The quickest always runs; the others take turns beside it, so that each is measured.
void race_order(Indexes usable, std::span<const Candidate> candidates, std::uint64_t turn) noexcept
{
    quickest_first(usable, candidates);
    if (usable.size() > 1) rotate(usable.subspan(1), turn);
}

} // namespace

Order choose(const GroupOptions& group, std::span<const Candidate> candidates, std::uint64_t turn) noexcept
{
    Order order;
    for (std::size_t i = 0; i < candidates.size() && i < kMaxUpstreams; ++i)
        order.index[order.count++] = static_cast<std::uint8_t>(i);
    const Indexes all{order.index.data(), order.count};
    const auto open_from =
        std::stable_partition(all.begin(), all.end(), [&](std::uint8_t i) { return !candidates[i].open; });
    order.usable = static_cast<std::uint8_t>(open_from - all.begin());
    std::stable_sort(open_from, all.end(), [&](std::uint8_t left, std::uint8_t right) {
        return candidates[left].failures < candidates[right].failures;
    });
    const Indexes usable = all.first(order.usable);
    switch (group.strategy) {
    case Strategy::ordered: break;
    case Strategy::fastest: quickest_first(usable, candidates); break;
    case Strategy::round_robin: rotate(usable, turn); break;
    case Strategy::race:
        race_order(usable, candidates, turn);
        order.at_once =
            static_cast<std::uint8_t>(std::clamp<unsigned>(group.race, 1U, std::max<unsigned>(1U, order.count)));
        break;
    }
    return order;
}

std::optional<std::size_t> worth_exploring(std::span<const Candidate> candidates, std::size_t chosen,
                                           base::Instant now) noexcept
{
    std::optional<std::size_t> oldest;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& one = candidates[i];
        if (i == chosen || one.open) continue;
        if (one.measured && now - one.measured_at < kExploreEvery) continue;
        if (!oldest || !one.measured ||
            (candidates[*oldest].measured && one.measured_at < candidates[*oldest].measured_at))
            oldest = i;
    }
    return oldest;
}

} // namespace sallyport::resolver
