#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/random.hpp"
#include "zones/transfer.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace sallyport::zones {

struct TransferTimes {
    std::chrono::milliseconds connect{}; ///< to open a connection
    std::chrono::milliseconds idle{};    ///< without an octet from the server
    std::chrono::milliseconds whole{};   ///< of an exchange, from its beginning to its end
};

/// Why there is no zone.
struct TransferFailure {
    enum class Kind : std::uint8_t {
        cancelled,
        unreachable, ///< no connection, or one that broke
        silent,      ///< `connect` or `idle` is over
        too_slow,    ///< `whole` is over
        cut_short,   ///< the server closed before the end
        bad_content, ///< `error` says what
    };
    Kind kind = Kind::unreachable;
    TransferError error{}; ///< of `bad_content`
    std::string text{};    ///< for people
};
template <class T>
using TransferResult = base::Result<T, TransferFailure>;

/// Asks one server at a time over TCP, and waits: for a thread that has nothing else to do. Every exchange has a
/// connection of its own.
class TransferClient {
public:
    struct Options {
        TransferLimits limits;
        TransferTimes times;
    };

    /// Everything is borrowed. `cancelled` is a descriptor that becomes readable when it is time to give up.
    TransferClient(const wire::Name& apex, const Options& options, base::RandomSource& random, const base::Clock& clock,
                   int cancelled) noexcept
        : apex_(apex), options_(options), random_(random), clock_(clock), cancelled_(cancelled)
    {
    }

    /// What the server says the zone's SOA is.
    [[nodiscard]] TransferResult<SoaNumbers> ask_soa(const base::Endpoint& server);
    [[nodiscard]] TransferResult<TransferredZone> transfer(const base::Endpoint& server);

private:
    wire::Name apex_;
    Options options_;
    base::RandomSource& random_;
    const base::Clock& clock_;
    int cancelled_;
};

} // namespace sallyport::zones
