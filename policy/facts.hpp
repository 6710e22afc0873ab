#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/transport.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <string_view>

namespace sallyport::policy {

/// What a rule may know of a query. Borrowed for the call.
struct Facts {
    const wire::Name* qname = nullptr; ///< lower case
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
    bool dnssec_ok = false;
    bool checking_disabled = false;
    base::Endpoint client{}; ///< behind a trusted proxy: as the proxy reports
    base::Endpoint local{};  ///< the address the query came to
    base::Transport transport = base::Transport::udp;
    std::string_view server_name{};      ///< TLS server name (SNI), lower case; empty without
    std::string_view path{};             ///< of the DoH request
    std::string_view certificate_name{}; ///< of the client's certificate; empty without
    std::uint64_t request_id = 0;        ///< as in the query log
    std::string_view source{};           ///< of an answer: `zone`, `cache`, `stale`, `upstream` or `gateway`
    base::Instant now{};
    base::WallTime wall{};
};

} // namespace sallyport::policy
