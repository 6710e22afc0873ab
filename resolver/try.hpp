#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "resolver/upstream_query.hpp"
#include "wire/message_view.hpp"

#include <boost/intrusive/list.hpp>

#include <array>
#include <cstdint>
#include <memory>

namespace sallyport::resolver {

class Try;
class UdpExchange;
class Upstream;
class UpstreamConnection;

/// Why a try came to nothing.
enum class Trouble : std::uint8_t {
    none,
    silent,      ///< no answer in time
    unreachable, ///< nobody listens there, no route, no connection in time
    closed,      ///< the connection ended without the answer
    insecure,    ///< TLS failed: certificate, name, pin, version
    broken,      ///< what came is no answer to the question
    gave_way,    ///< too many others were in flight, and this one had its chance
    busy,        ///< every connection has as much in flight as it may
    no_address,  ///< its name could not be looked up yet
    system,      ///< our own side: no descriptor, no memory, no QUIC in this build
};

class TryUser {
public:
    /// A response that fits the question, whatever its RCODE; borrowed for the call. The try is over and may go.
    virtual void try_answered(Try& finished, const wire::MessageView& response, base::Instant now) noexcept = 0;
    /// The try is over and may go.
    virtual void try_failed(Try& finished, Trouble trouble, base::Instant now) noexcept = 0;

protected:
    ~TryUser() = default;
};

/// One question put to one upstream: over UDP with its own socket, perhaps again over TCP. Its user owns it; when it
/// goes, it is forgotten by whoever carries it.
class Try : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// `inquiry` outlives the try.
    Try(TryUser& user, Upstream& upstream, const Inquiry& inquiry) noexcept;
    ~Try();
    Try(const Try&) = delete;
    Try& operator=(const Try&) = delete;

    [[nodiscard]] Upstream& upstream() noexcept { return upstream_; }
    [[nodiscard]] const Inquiry& inquiry() const noexcept { return inquiry_; }

    /// Datagrams came that almost fitted: somebody may be guessing.
    [[nodiscard]] bool met_near_miss() const noexcept { return near_misses_ > 0; }

    /// The upstream's: of all its tries, by age.
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> in_flight;

    bool over_stream = false; ///< not over UDP, before `begin`
    base::Instant until{};    ///< its user's: when to begin another try
    std::uint8_t place = 0;   ///< its user's: which of the group's upstreams it is
    bool given_up = false;    ///< its user's: `until` has passed, a late answer is welcome

private:
    friend class Upstream;
    friend class UdpExchange;
    friend class UpstreamConnection;

    TryUser& user_;
    Upstream& upstream_;
    const Inquiry& inquiry_;
    QueryForm form_;
    base::IpAddress server_; ///< where it went last
    base::Instant began_{};
    base::Instant sent_at_{}; ///< when it left, for the round-trip time
    unsigned near_misses_ = 0;
    bool without_edns_ = false;
    bool met_opt_ = false; // in the response that asked for that
    bool cookie_again_ = false;
    bool sent_again_ = false;
    bool suspects_case_ = false; // its answer came in other letters over UDP
    bool counted_ = false;       // in the gauge of queries in flight
    std::unique_ptr<UdpExchange> udp_;
    UpstreamConnection* connection_ = nullptr;
    std::uint16_t tag_ = 0;
};

/// The octets of one query, written where it is needed.
using QueryBuffer = std::array<std::uint8_t, kQueryRoom>;

} // namespace sallyport::resolver
