#include "zones/canonical.hpp"

#include <algorithm>

namespace sallyport::zones {

namespace {

[[nodiscard]] std::strong_ordering compare_labels(base::Bytes left, base::Bytes right) noexcept
{
    const std::size_t common = std::min<std::size_t>(left[0], right[0]);
    const int order = common == 0 ? 0 : std::memcmp(left.data() + 1, right.data() + 1, common);
    if (order != 0) return order <=> 0;
    return left[0] <=> right[0];
}

} // namespace

std::strong_ordering canonical_compare(base::Bytes left, base::Bytes right) noexcept
{
    const LabelOffsets left_labels{left};
    const LabelOffsets right_labels{right};
    const unsigned common = std::min(left_labels.count(), right_labels.count());
    for (unsigned i = 1; i <= common; ++i) {
        const auto order = compare_labels(left.subspan(left_labels.without(left_labels.count() - i)),
                                          right.subspan(right_labels.without(right_labels.count() - i)));
        if (order != 0) return order;
    }
    return left_labels.count() <=> right_labels.count();
}

} // namespace sallyport::zones
