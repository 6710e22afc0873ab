#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace sallyport::listeners {

/// Octets of one message: small ones lie inside, larger ones in one allocation that follows what has arrived.
template <std::size_t Inline>
class OctetBuffer {
public:
    [[nodiscard]] base::Bytes octets() const noexcept { return {data(), size_}; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Octets outside of the object.
    [[nodiscard]] std::size_t allocated() const noexcept { return large_ ? capacity_ : 0; }

    void clear() noexcept
    {
        large_.reset();
        capacity_ = Inline;
        size_ = 0;
    }

    /// Room for exactly `total` octets; false: no memory.
    [[nodiscard]] bool reserve(std::size_t total) noexcept
    {
        if (total <= capacity_) return true;
        std::unique_ptr<std::uint8_t[]> larger{new (std::nothrow) std::uint8_t[total]};
        if (!larger) return false;
        std::memcpy(larger.get(), data(), size_);
        large_ = std::move(larger);
        capacity_ = total;
        return true;
    }

    /// What `append` of so many more octets would make the capacity.
    [[nodiscard]] std::size_t capacity_for(std::size_t more) const noexcept
    {
        const std::size_t need = size_ + more;
        return need <= capacity_ ? capacity_ : std::max(need, std::min(capacity_ * 2, std::size_t{65'535}));
    }

    [[nodiscard]] bool append(base::Bytes octets) noexcept
    {
        if (octets.empty()) return true;
        if (!reserve(capacity_for(octets.size()))) return false;
        std::memcpy(data() + size_, octets.data(), octets.size());
        size_ += octets.size();
        return true;
    }

    /// `size` octets to be written by the caller; empty: no memory.
    [[nodiscard]] base::MutableBytes make(std::size_t size) noexcept
    {
        size_ = 0;
        if (!reserve(size)) return {};
        size_ = size;
        return {data(), size_};
    }
    void shrink(std::size_t size) noexcept { size_ = std::min(size, size_); }

private:
    [[nodiscard]] std::uint8_t* data() noexcept { return large_ ? large_.get() : small_.data(); }
    [[nodiscard]] const std::uint8_t* data() const noexcept { return large_ ? large_.get() : small_.data(); }

    std::unique_ptr<std::uint8_t[]> large_;
    std::size_t capacity_ = Inline;
    std::size_t size_ = 0;
    std::array<std::uint8_t, Inline> small_; // not initialised: a request writes what it reads
};

} // namespace sallyport::listeners
