#pragma once

#include "base/bytes.hpp"
#include "wire/edns.hpp"

#include <cstdint>

namespace sallyport::wire {

/// `read_edns` into a view that is as new: for the parser of messages, which has the place already. False for
/// `bad_option`.
[[nodiscard]] bool fill_edns(EdnsView& edns, base::Bytes rdata, std::uint16_t opt_class,
                             std::uint32_t opt_ttl) noexcept;

} // namespace sallyport::wire
