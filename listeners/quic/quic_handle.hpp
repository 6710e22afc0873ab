#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/handle.hpp"
#include "base/ip_address.hpp"
#include "listeners/quic/connection_id.hpp"

#include <gnutls/gnutls.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

/// Owners and conversions for what the QUIC libraries hand out. Included by the .cpp files of the QUIC doors only.
namespace sallyport::listeners::quic {

using ConnHandle = base::Handle<ngtcp2_conn, ngtcp2_conn_del>;
using SessionHandle = base::Handle<gnutls_session_int, gnutls_deinit>;
using Http3Handle = base::Handle<nghttp3_conn, nghttp3_conn_del>;

[[nodiscard]] inline ngtcp2_tstamp to_timestamp(base::Instant instant) noexcept
{
    return static_cast<ngtcp2_tstamp>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(instant.time_since_epoch()).count());
}

[[nodiscard]] inline ngtcp2_duration to_duration(base::Duration duration) noexcept
{
    return static_cast<ngtcp2_duration>(std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
}

/// UINT64_MAX, "never", becomes the last of all moments.
[[nodiscard]] inline base::Instant to_instant(ngtcp2_tstamp stamp) noexcept
{
    using namespace std::chrono;
    constexpr auto kLast =
        static_cast<ngtcp2_tstamp>(duration_cast<nanoseconds>(base::Instant::max().time_since_epoch()).count());
    if (stamp >= kLast) return base::Instant::max();
    return base::Instant{duration_cast<base::Duration>(nanoseconds{static_cast<std::int64_t>(stamp)})};
}

[[nodiscard]] inline ngtcp2_cid to_cid(const ConnectionId& id) noexcept
{
    ngtcp2_cid cid;
    ngtcp2_cid_init(&cid, id.octets().data(), id.octets().size());
    return cid;
}

[[nodiscard]] inline ConnectionId to_id(const ngtcp2_cid& cid) noexcept
{
    return ConnectionId{{cid.data, cid.datalen}};
}

/// A path in the library's form, with the addresses it points to.
class Path {
public:
    Path(const base::Endpoint& local, const base::Endpoint& peer) noexcept
    {
        path_.local = {reinterpret_cast<ngtcp2_sockaddr*>(&local_), local.to_sockaddr(local_)};
        path_.remote = {reinterpret_cast<ngtcp2_sockaddr*>(&peer_), peer.to_sockaddr(peer_)};
    }
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

    [[nodiscard]] const ngtcp2_path* get() const noexcept { return &path_; }
    [[nodiscard]] const ngtcp2_addr& remote() const noexcept { return path_.remote; }

private:
    sockaddr_storage local_{};
    sockaddr_storage peer_{};
    ngtcp2_path path_{};
};

} // namespace sallyport::listeners::quic
