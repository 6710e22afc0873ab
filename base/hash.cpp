#include "base/hash.hpp"

#include "base/random.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sallyport::base {
namespace {

std::uint64_t process_seed() noexcept
{
    SystemRandom random;
    return random.number();
}

const std::uint64_t kSeed = process_seed();

} // namespace

std::uint64_t keyed_hash(Bytes bytes) noexcept { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), kSeed); }

} // namespace sallyport::base
