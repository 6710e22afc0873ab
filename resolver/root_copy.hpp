#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"

#include <cstddef>

namespace sallyport::resolver {

/// A copy of the root zone, asked in the place of the root's servers (RFC 8806). Shared by workers and immutable; what
/// it says is validated like everything else.
class RootCopy {
public:
    virtual ~RootCopy() = default;
    /// Writes the response to a query as one of the root's servers would; its size, 0 where there is none.
    [[nodiscard]] virtual std::size_t answer(base::Bytes query, base::MutableBytes room) const noexcept = 0;
    /// Whether it is young enough to be asked (RFC 8806 §2: no longer than its SOA says).
    [[nodiscard]] virtual bool is_good(base::WallTime now) const noexcept = 0;
};

} // namespace sallyport::resolver
