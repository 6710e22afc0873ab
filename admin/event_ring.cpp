#include "admin/event_ring.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sallyport::admin {
namespace {

constexpr std::size_t kSize = sizeof(std::uint32_t);

} // namespace

EventRing::EventRing(std::size_t octets)
    : mask_(std::bit_ceil(std::max<std::size_t>(octets, 64)) - 1),
      room_(std::make_unique_for_overwrite<std::uint8_t[]>(mask_ + 1))
{
}

bool EventRing::push(std::initializer_list<base::Bytes> parts) noexcept
{
    std::size_t size = 0;
    for (const auto part : parts) size += part.size();
    const std::uint64_t at = pushed_.load(std::memory_order_relaxed);
    const auto fits = [&] { return at + kSize + size - seen_popped_ <= capacity(); };
    if (!fits()) {
        seen_popped_ = popped_.load(std::memory_order_acquire);
        if (!fits()) return false;
    }
    const auto size32 = static_cast<std::uint32_t>(size);
    copy_in(at, {reinterpret_cast<const std::uint8_t*>(&size32), kSize});
    std::uint64_t end = at + kSize;
    for (const auto part : parts) {
        copy_in(end, part);
        end += part.size();
    }
    pushed_.store(end, std::memory_order_release);
    return true;
}

bool EventRing::pop(std::vector<std::uint8_t>& out)
{
    const std::uint64_t at = popped_.load(std::memory_order_relaxed);
    if (at == seen_pushed_) {
        seen_pushed_ = pushed_.load(std::memory_order_acquire);
        if (at == seen_pushed_) return false;
    }
    std::uint32_t size = 0;
    copy_out(at, {reinterpret_cast<std::uint8_t*>(&size), kSize});
    out.resize(size);
    copy_out(at + kSize, out);
    popped_.store(at + kSize + size, std::memory_order_release);
    return true;
}

void EventRing::copy_in(std::uint64_t at, base::Bytes octets) noexcept
{
    if (octets.empty()) return;
    const std::size_t begin = at & mask_;
    const std::size_t first = std::min(octets.size(), capacity() - begin);
    std::memcpy(room_.get() + begin, octets.data(), first);
    if (first < octets.size()) std::memcpy(room_.get(), octets.data() + first, octets.size() - first);
}

void EventRing::copy_out(std::uint64_t at, base::MutableBytes octets) const noexcept
{
    if (octets.empty()) return;
    const std::size_t begin = at & mask_;
    const std::size_t first = std::min(octets.size(), capacity() - begin);
    std::memcpy(octets.data(), room_.get() + begin, first);
    if (first < octets.size()) std::memcpy(octets.data() + first, room_.get(), octets.size() - first);
}

} // namespace sallyport::admin
