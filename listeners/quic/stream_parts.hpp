#pragma once

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <vector>

/// What the streams of DoQ and of HTTP/3 have in common.
namespace sallyport::listeners::quic {

using WaitingHook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Streams that wait for the same thing, by their member `waiting`; one that goes leaves by itself.
template <class Stream>
using WaitingList = boost::intrusive::list<Stream, boost::intrusive::member_hook<Stream, WaitingHook, &Stream::waiting>,
                                           boost::intrusive::constant_time_size<false>>;

/// RFC 9000 §2.1.
[[nodiscard]] constexpr bool is_unidirectional(std::int64_t stream_id) noexcept { return (stream_id & 2) != 0; }

/// Empties a buffer of a stream that goes back to its pool; memory that few streams need is given back.
inline void keep_small(std::vector<std::uint8_t>& octets) noexcept
{
    constexpr std::size_t kKeptCapacity = 2'048;
    octets.clear();
    if (octets.capacity() > kKeptCapacity) std::vector<std::uint8_t>{}.swap(octets);
}

} // namespace sallyport::listeners::quic
