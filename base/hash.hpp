#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace sallyport::base {

/// XXH3 over `bytes`, keyed by this process's random seed: a client cannot choose names that collide.
/// Values differ from run to run and must not be stored.
[[nodiscard]] std::uint64_t keyed_hash(Bytes bytes) noexcept;

} // namespace sallyport::base
