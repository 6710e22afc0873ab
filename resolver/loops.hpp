#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "resolver/options.hpp"

#include <span>
#include <vector>

namespace sallyport::resolver {

/// Whether who asks there by this transport asks one of our own doors. `local` are the addresses of this machine's
/// interfaces, for doors that listen on all.
[[nodiscard]] bool is_own_door(const base::IpAddress& address, std::uint16_t port, base::Transport transport,
                               std::span<const OwnAddress> own, std::span<const base::IpAddress> local) noexcept;

/// A gateway that forwards to itself answers nobody: complains of each upstream and bootstrap server that is one of our
/// own addresses. False where there is one.
bool check_loops(const Options& options, std::span<const OwnAddress> own, std::span<const base::IpAddress> local,
                 base::Problems& problems);

/// The addresses of this machine's interfaces.
[[nodiscard]] std::vector<base::IpAddress> local_addresses();

} // namespace sallyport::resolver
