#include "cache/table.hpp"

#include <algorithm>

namespace sallyport::cache {

std::uint64_t* Table::slot_of(std::uint32_t tag, std::uint32_t ref) const noexcept
{
    std::uint64_t* slot = lower_bound(tag);
    for (; *slot >> 32U == std::uint32_t{~tag} && reference(*slot) != 0; ++slot) {
        if (reference(*slot) == ref) return slot;
    }
    return nullptr;
}

bool Table::insert(std::uint32_t tag, std::uint32_t ref) noexcept
{
    std::uint64_t* const at = lower_bound(tag);
    const std::uint64_t* const last = data() + slots_ + kOverflow - 1;
    std::uint64_t* empty = at;
    while (*empty != 0) ++empty;
    if (empty == last) return false;
    std::move_backward(at, empty, empty + 1);
    *at = (std::uint64_t{~tag} << 32U) | ref;
    return true;
}

void Table::erase(std::uint32_t tag, std::uint32_t ref) noexcept
{
    std::uint64_t* slot = slot_of(tag, ref);
    if (slot == nullptr) return;
    // Those behind move up as long as none comes to stand before its home.
    for (; slot[1] != 0; ++slot) {
        const auto next_tag = ~static_cast<std::uint32_t>(slot[1] >> 32U);
        if (data() + home(next_tag) > slot) break;
        slot[0] = slot[1];
    }
    *slot = 0;
}

void Table::replace(std::uint32_t tag, std::uint32_t ref, std::uint32_t by) noexcept
{
    if (std::uint64_t* const slot = slot_of(tag, ref)) *slot = (std::uint64_t{~tag} << 32U) | by;
}

} // namespace sallyport::cache
