#include "base/random.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace sallyport::base {
namespace {

void fill_from_kernel(MutableBytes bytes) noexcept
{
    while (!bytes.empty()) {
        const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got > 0) bytes = bytes.subspan(static_cast<std::size_t>(got));
        // Only EINTR can happen here; anything else means a kernel without randomness, and no safe way on.
        else if (errno != EINTR)
            std::abort();
    }
}

} // namespace

void SystemRandom::fill(MutableBytes bytes) noexcept
{
    if (bytes.size() >= sizeof pool_) return fill_from_kernel(bytes);
    if (left_ < bytes.size()) {
        fill_from_kernel(pool_);
        left_ = sizeof pool_;
    }
    std::uint8_t* const from = pool_ + (sizeof pool_ - left_);
    std::copy_n(from, bytes.size(), bytes.begin());
    std::fill_n(from, bytes.size(), std::uint8_t{0}); // what was given out once is not kept
    left_ -= bytes.size();
}

} // namespace sallyport::base
