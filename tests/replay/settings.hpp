#pragma once

#include "resolver/iterate/iterate.hpp"
#include "tests/replay/scenario.hpp"

#include <optional>
#include <string>

namespace sallyport::replay {

/// What the head of a scenario means for the resolver.
struct Settings {
    resolver::iterate::Options engine;
    cache::RrsetOptions store;
    std::optional<std::int64_t> date; ///< of signature checks, seconds since 1970; else the clock of the scenario
    bool ede = false;
    bool stale_ede = false;
    bool subnets = false;                    ///< zones or servers are told of the client's network (RFC 7871)
    std::vector<std::string> no_local_zones; ///< names that are looked for although they are local-only
    /// State files of RFC 5011: name and text.
    std::vector<std::pair<std::string, std::string>> managed;
    std::vector<std::pair<base::Prefix, std::string>> access;
};

/// The reason where the scenario needs something that this resolver, or this runner, does not do: a sentence.
[[nodiscard]] std::optional<std::string> read_settings(const Scenario& scenario, Settings& settings);

/// For algorithms 3 and 6 (DSA with SHA-1) and RSA keys too short for the product, which old scenarios are signed with.
/// DSA signatures stand there as DER or as RFC 2536 §3 has them.
[[nodiscard]] bool verify_old(std::uint8_t algorithm, base::Bytes public_key, base::Bytes data,
                              base::Bytes signature) noexcept;

} // namespace sallyport::replay
