#pragma once

#include "pipeline/client_subnets.hpp"
#include "pipeline/options.hpp"
#include "pipeline/pipeline.hpp"
#include "pipeline/server_cookie.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::pipeline {

/// The last hand on every answer, and the one place where an error becomes RCODE and Extended DNS Error: OPT with size,
/// cookie, NSID, keepalive, EDE and padding, and the size the client can take.
class Finisher {
public:
    Finisher(const Options& options, const base::SipKey& cookie_secret, Stats& stats);

    /// Octets the answer may have as a whole: what the client takes, and over UDP never more than configured.
    [[nodiscard]] std::size_t limit(const Query& query) const noexcept;
    /// Octets of `limit` to be kept for OPT and its options while the sections are written.
    [[nodiscard]] std::size_t reserve(const Query& query) const noexcept;
    /// Reads the cookie of the query.
    void check_cookie(Query& query, std::uint32_t unix_time) noexcept;
    /// Completes the answer.
    void finish(Query& query, std::uint32_t unix_time) noexcept;

private:
    void write_opt(Query& query, const wire::EdnsView& asked, std::uint32_t unix_time) noexcept;
    void count(const Query& query) noexcept;
    [[nodiscard]] bool wants_keepalive(const Query& query) const noexcept;
    [[nodiscard]] bool answers_cookie(const Query& query) const noexcept;

    std::uint16_t udp_payload_size_;
    std::uint16_t padding_block_;
    std::uint16_t keepalive_; ///< units of 100 ms (RFC 7828 §3.1)
    bool cookies_;
    std::vector<std::uint8_t> nsid_;
    ServerCookie cookie_;
    ClientSubnets subnets_;
    Stats& stats_;
};

} // namespace sallyport::pipeline
