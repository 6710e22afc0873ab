#pragma once

#include "listeners/quic/endpoint.hpp"
#include "listeners/quic/quic_handle.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sallyport::listeners::quic {

/// What one QUIC port holds of its worker's share: what the libraries allocate is counted as they do, what others hold
/// is charged. At the limit the libraries get no more, which ends the connection that asked, and no other.
class MemoryBudget {
public:
    MemoryBudget(std::shared_ptr<MemoryShare> share, QuicStats& stats) noexcept;
    MemoryBudget(const MemoryBudget&) = delete;
    MemoryBudget& operator=(const MemoryBudget&) = delete;

    void charge(std::size_t octets) noexcept
    {
        share_->used += octets;
        used_ += octets;
        stats_.memory.set(used_);
    }
    void discharge(std::size_t octets) noexcept
    {
        share_->used -= octets;
        used_ -= octets;
        stats_.memory.set(used_);
    }
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    /// Newcomers are turned away first: those that are here keep an eighth for their answers.
    [[nodiscard]] bool has_room_for_connection() const noexcept
    {
        return share_->used < share_->limit - share_->limit / 8;
    }
    [[nodiscard]] bool has_room(std::size_t octets) const noexcept { return share_->used + octets <= share_->limit; }

    [[nodiscard]] const ngtcp2_mem* for_quic() const noexcept { return &quic_; }
    [[nodiscard]] const nghttp3_mem* for_http() const noexcept { return &http_; }

private:
    static void* allocate(std::size_t size, void* self) noexcept;
    static void release(void* memory, void* self) noexcept;
    static void* allocate_zeroed(std::size_t count, std::size_t size, void* self) noexcept;
    static void* reallocate(void* memory, std::size_t size, void* self) noexcept;
    void* counted(void* memory) noexcept;
    [[nodiscard]] bool admits(std::size_t size) noexcept;

    QuicStats& stats_;
    std::shared_ptr<MemoryShare> share_;
    std::uint64_t used_ = 0; ///< by this port
    ngtcp2_mem quic_;
    nghttp3_mem http_;
};

} // namespace sallyport::listeners::quic
