#pragma once

#include "listeners/doh_context.hpp"
#include "listeners/listeners.hpp"
#include "listeners/stream_connection.hpp"

#include <memory>
#include <string>

namespace sallyport::listeners {

/// What one port serves with, by one layout. A reload makes it anew; whoever began with it (a connection) keeps it, and
/// with it the layout it borrows from.
struct PortTerms {
    PortTerms(std::shared_ptr<const Layout> the_layout, std::size_t index)
        : layout(std::move(the_layout)), port(layout->ports[index]), bound(layout->bound[index])
    {
    }
    PortTerms(const PortTerms&) = delete;
    PortTerms& operator=(const PortTerms&) = delete;

    std::shared_ptr<const Layout> layout;
    const Port& port;
    const base::Endpoint& bound;
    DohContext doh; ///< where the port has a DoH door
    std::string alt_svc;
    StreamPort stream; ///< of a stream port

    [[nodiscard]] DohContext* doh_or_null() noexcept { return port.doh == nullptr ? nullptr : &doh; }
};

/// What all HTTP sessions of a worker share; its `options`, `limits` and `alt_svc` are the port's.
[[nodiscard]] std::shared_ptr<PortTerms> make_terms(std::shared_ptr<const Layout> layout, std::size_t index,
                                                    const DohContext& shared, bool unix_socket);

} // namespace sallyport::listeners
