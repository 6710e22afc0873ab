#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "listeners/quic/application.hpp"
#include "listeners/quic/stream_parts.hpp"
#include "pipeline/pipeline.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace sallyport::listeners {

namespace quic {
class Connection;
}

/// Error codes of DoQ (RFC 9250 §8.4).
namespace doq_error {
inline constexpr std::uint64_t NO_ERROR = 0x0;
inline constexpr std::uint64_t INTERNAL_ERROR = 0x1;
inline constexpr std::uint64_t PROTOCOL_ERROR = 0x2;
inline constexpr std::uint64_t REQUEST_CANCELLED = 0x3;
inline constexpr std::uint64_t EXCESSIVE_LOAD = 0x4;
inline constexpr std::uint64_t UNSPECIFIED_ERROR = 0x5;
} // namespace doq_error

/// One query and its answer (RFC 9250 §4.2). Comes from a pool and goes back to it.
struct DoqStream : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    enum class State : std::uint8_t {
        receiving, ///< the query is not whole
        deferred,  ///< whole, and has to wait: early data, or earlier answers that are not read
        asked,     ///< in the pipeline
        answered,  ///< the answer is there, perhaps sent
        ended,     ///< no answer will be sent
    };
    /// Where it waits: receiving, deferred or sending.
    quic::WaitingHook waiting;
    std::int64_t id = -1;
    State state = State::receiving;
    base::Instant since;      ///< of the first octet
    std::size_t received = 0; ///< octets not given back as credit yet
    std::size_t sent = 0;
    std::vector<std::uint8_t> in;  ///< what has arrived of the query, when it did not come in one piece
    std::vector<std::uint8_t> out; ///< the answer with its length; the library reads it until it is acknowledged
    pipeline::QueryList queries;
};

/// DoQ on one connection: each stream one query, ID 0, FIN; everything that RFC 9250 §4.3.3 forbids ends the
/// connection with DOQ_PROTOCOL_ERROR.
///
/// Decision on §4.2: a query is answered when its FIN has come, never before. A stream whose query and FIN are not
/// there `QuicLimits::message` after it was opened is shut with DOQ_EXCESSIVE_LOAD.
[[nodiscard]] std::unique_ptr<quic::Application> make_doq(quic::Connection& connection);

} // namespace sallyport::listeners
