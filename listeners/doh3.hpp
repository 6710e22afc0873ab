#pragma once

#include "base/clock.hpp"
#include "listeners/doh_request.hpp"
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

/// One request and its response. Comes from a pool and goes back to it.
struct Doh3Stream : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    enum class State : std::uint8_t {
        receiving, ///< the request is not whole
        deferred,  ///< whole, and has to wait: early data, or earlier answers that are not read
        asked,     ///< in the pipeline
        answered,  ///< the response is there, perhaps sent
        ended,     ///< no response will be sent
    };
    /// Where it waits: receiving or deferred.
    quic::WaitingHook waiting;
    std::int64_t id = -1;
    State state = State::receiving;
    bool complete = false; ///< the request's end has come
    base::Instant since;
    std::size_t unread = 0; ///< octets of the body not given back as credit yet
    std::size_t held = 0;
    DohRequest request;
    std::vector<std::uint8_t> out; ///< the body; the library reads it until it is acknowledged
    pipeline::QueryList queries;
};

/// DoH over HTTP/3 (RFC 8484, RFC 9114) on one connection. QPACK without dynamic table, so that no header decodes to
/// more than it is (RFC 9204 §3.2.3) and no stream waits for another.
[[nodiscard]] std::unique_ptr<quic::Application> make_doh3(quic::Connection& connection);

} // namespace sallyport::listeners
