#pragma once

#include "base/bytes.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

namespace sallyport::admin {

/// Octet strings on their way from one thread to another: one pushes, one pops, neither waits. What does not fit is not
/// taken.
class EventRing {
public:
    /// Room for at least so many octets, four more of each string among them.
    explicit EventRing(std::size_t octets);

    /// Puts the parts in as one string; false when there is no room. The pushing thread only.
    [[nodiscard]] bool push(std::initializer_list<base::Bytes> parts) noexcept;
    /// Takes the oldest string; false when there is none. The popping thread only.
    [[nodiscard]] bool pop(std::vector<std::uint8_t>& out);

    [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

private:
    void copy_in(std::uint64_t at, base::Bytes octets) noexcept;
    void copy_out(std::uint64_t at, base::MutableBytes octets) const noexcept;

    std::size_t mask_;
    std::unique_ptr<std::uint8_t[]> room_;
    // Each thread's own line: its end, and what it last saw of the other's.
    alignas(64) std::atomic<std::uint64_t> pushed_{0};
    std::uint64_t seen_popped_ = 0;
    alignas(64) std::atomic<std::uint64_t> popped_{0};
    std::uint64_t seen_pushed_ = 0;
};

} // namespace sallyport::admin
