#include "policy/domain_set.hpp"

#include <limits>

namespace sallyport::policy {
namespace {

constexpr std::size_t kFirstSlots = 64;
constexpr std::size_t kEntryHead = 2; ///< reach and size before each name

std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32U); }

} // namespace

base::Bytes DomainSet::name_at(std::uint32_t place) const noexcept
{
    return {names_.data() + place + kEntryHead - 1, names_[place]};
}

std::uint32_t DomainSet::find(base::Bytes lower_name) const noexcept
{
    const std::uint64_t hash = wire::hash_lower(lower_name);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at].place != 0; at = (at + 1) & mask) {
        const Slot& slot = slots_[at];
        if (slot.tag == tag_of(hash) && base::equal(name_at(slot.place), lower_name)) return slot.place;
    }
    return 0;
}

bool DomainSet::covers(const wire::Name& name) const noexcept
{
    if (size_ == 0) return false;
    base::Bytes rest = name.wire();
    for (auto wanted = Reach::itself;; wanted = Reach::below) {
        const std::uint32_t place = find(rest);
        if (place != 0 && (names_[place - 1] & static_cast<std::uint8_t>(wanted)) != 0) return true;
        if (rest[0] == 0) return false;
        rest = rest.subspan(rest[0] + 1U);
    }
}

std::size_t DomainSet::octets() const noexcept { return slots_.capacity() * sizeof(Slot) + names_.capacity(); }

void DomainSet::link(std::uint64_t hash, std::uint32_t place) noexcept
{
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].place != 0) at = (at + 1) & mask;
    slots_[at] = {tag_of(hash), place};
}

void DomainSet::grow()
{
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    for (const Slot& slot : old)
        if (slot.place != 0) link(wire::hash_lower(name_at(slot.place)), slot.place);
}

bool DomainSetBuilder::add(const wire::Name& name, Reach reach)
{
    if (set_.slots_.empty()) set_.slots_.resize(kFirstSlots);
    const wire::Name lower = name.lower();
    if (const std::uint32_t place = set_.find(lower.wire()); place != 0) {
        set_.names_[place - 1] |= static_cast<std::uint8_t>(reach);
        return true;
    }
    const std::size_t end = set_.names_.size() + kEntryHead + lower.size();
    if (set_.size_ >= most_ || end >= std::numeric_limits<std::uint32_t>::max()) {
        full_ = true;
        return false;
    }
    if ((set_.size_ + 1) * 2 > set_.slots_.size()) set_.grow();
    const auto place = static_cast<std::uint32_t>(set_.names_.size() + 1);
    set_.names_.push_back(static_cast<std::uint8_t>(reach));
    set_.names_.push_back(static_cast<std::uint8_t>(lower.size()));
    set_.names_.insert(set_.names_.end(), lower.wire().begin(), lower.wire().end());
    set_.link(wire::hash_lower(lower.wire()), place);
    ++set_.size_;
    return true;
}

} // namespace sallyport::policy
