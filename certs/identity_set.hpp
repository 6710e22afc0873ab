#pragma once

#include "certs/identity.hpp"
#include "certs/server_names.hpp"

#include <memory>
#include <vector>

namespace sallyport::certs {

/// All identities and which server name means which; the first is for clients that send no name or an unknown one.
/// Immutable once made. Any thread.
struct IdentitySet {
    std::vector<std::shared_ptr<const Identity>> identities; // at least one
    ServerNames by_name;
};

} // namespace sallyport::certs
