#pragma once

#include "listeners/listeners.hpp"

namespace sallyport::test {

/// For a gateway of one worker: no packet is another's.
struct NoRouter final : listeners::PacketRouter {
    void route(unsigned, std::size_t, base::Bytes, const base::Endpoint&, const base::Endpoint&,
               std::uint8_t) noexcept override
    {
    }
};

} // namespace sallyport::test
