#include "listeners/quic/memory.hpp"

#include <malloc.h>

#include <cstdlib>

namespace sallyport::listeners::quic {

MemoryBudget::MemoryBudget(std::shared_ptr<MemoryShare> share, QuicStats& stats) noexcept
    : stats_(stats),
      share_(std::move(share)),
      quic_{this, allocate, release, allocate_zeroed, reallocate},
      http_{this, allocate, release, allocate_zeroed, reallocate}
{
}

// The allocator knows how large a block is: no size has to be kept beside it.
void* MemoryBudget::counted(void* memory) noexcept
{
    if (memory != nullptr) charge(::malloc_usable_size(memory));
    return memory;
}

bool MemoryBudget::admits(std::size_t size) noexcept
{
    if (has_room(size)) return true;
    ++stats_.memory_refused;
    return false;
}

void* MemoryBudget::allocate(std::size_t size, void* self) noexcept
{
    auto& budget = *static_cast<MemoryBudget*>(self);
    return budget.admits(size) ? budget.counted(std::malloc(size)) : nullptr;
}

void MemoryBudget::release(void* memory, void* self) noexcept
{
    if (memory == nullptr) return;
    static_cast<MemoryBudget*>(self)->discharge(::malloc_usable_size(memory));
    std::free(memory);
}

void* MemoryBudget::allocate_zeroed(std::size_t count, std::size_t size, void* self) noexcept
{
    auto& budget = *static_cast<MemoryBudget*>(self);
    if (size != 0 && count > SIZE_MAX / size) return nullptr;
    return budget.admits(count * size) ? budget.counted(std::calloc(count, size)) : nullptr;
}

void* MemoryBudget::reallocate(void* memory, std::size_t size, void* self) noexcept
{
    auto& budget = *static_cast<MemoryBudget*>(self);
    const std::size_t before = memory == nullptr ? 0 : ::malloc_usable_size(memory);
    if (size > before && !budget.admits(size - before)) return nullptr;
    void* const moved = std::realloc(memory, size);
    if (moved == nullptr) return nullptr;
    budget.discharge(before);
    return budget.counted(moved);
}

} // namespace sallyport::listeners::quic
