#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "resolver/options.hpp"

#include <span>
#include <vector>

namespace sallyport::resolver {

/// An address that this gateway listens on, and what it speaks there. A wildcard address stands for all of ours.
struct OwnAddress {
    base::Endpoint endpoint;
    base::Transport transport = base::Transport::udp; ///< `udp` and `tcp` of a Do53 door are two
};

/// A gateway that forwards to itself answers nobody: complains of each upstream that is one of our own addresses.
/// False where there is one. `local` are the addresses of this machine's interfaces, for doors that listen on all.
bool check_loops(const Options& options, std::span<const OwnAddress> own, std::span<const base::IpAddress> local,
                 base::Problems& problems);

/// The addresses of this machine's interfaces.
[[nodiscard]] std::vector<base::IpAddress> local_addresses();

} // namespace sallyport::resolver
