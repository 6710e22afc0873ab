#include "cache/pages.hpp"

#include <sys/mman.h>

namespace sallyport::cache {

Pages::Pages(std::size_t size) noexcept
{
    void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return;
    data_ = static_cast<std::uint8_t*>(at);
    size_ = size;
}

void Pages::discard() noexcept
{
    if (data_ != nullptr) static_cast<void>(::madvise(data_, size_, MADV_DONTNEED));
}

void Pages::release() noexcept
{
    if (data_ != nullptr) static_cast<void>(::munmap(data_, size_));
}

} // namespace sallyport::cache
