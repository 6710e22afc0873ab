#include "net/udp_batch.hpp"

#include "net/socket.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace sallyport::net {
namespace {

// IPv4 and IPv6 alone: sockaddr_storage would be four times as much to copy.
union Address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
};

// Packet information, ECN and a segment size: the most that one datagram carries beside its data.
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int));
struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, kControlSize> octets;
};

template <class T>
T load(const cmsghdr* header) noexcept
{
    T value{};
    std::memcpy(&value, CMSG_DATA(header), sizeof value);
    return value;
}

void read_control(const cmsghdr* header, Datagram& datagram) noexcept
{
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
        const auto info = load<in_pktinfo>(header);
        datagram.local.address =
            base::IpAddress::from_octets({reinterpret_cast<const std::uint8_t*>(&info.ipi_addr), 4});
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
        const auto info = load<in6_pktinfo>(header);
        datagram.local.address =
            base::IpAddress::from_octets({reinterpret_cast<const std::uint8_t*>(&info.ipi6_addr), 16});
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) datagram.local.scope_id = info.ipi6_ifindex;
    } else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TOS) {
        datagram.ecn = load<std::uint8_t>(header) & 3U; // one octet when received
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_TCLASS) {
        datagram.ecn = static_cast<std::uint8_t>(load<int>(header) & 3);
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
        datagram.segment_size = static_cast<std::uint16_t>(load<int>(header));
    }
}

std::size_t to_address(const base::Endpoint& endpoint, Address& out) noexcept
{
    const auto octets = endpoint.address.octets();
    if (endpoint.address.is_v4()) {
        out.v4 = {};
        out.v4.sin_family = AF_INET;
        out.v4.sin_port = htons(endpoint.port);
        std::memcpy(&out.v4.sin_addr, octets.data(), 4);
        return sizeof out.v4;
    }
    out.v6 = {};
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(endpoint.port);
    out.v6.sin6_scope_id = endpoint.scope_id;
    std::memcpy(&out.v6.sin6_addr, octets.data(), 16);
    return sizeof out.v6;
}

bool is_unset(const base::IpAddress& address) noexcept { return address == base::IpAddress{}; }

// Writes control messages one behind the other.
class ControlWriter {
public:
    explicit ControlWriter(Control& control) noexcept : control_(control) {}

    template <class T>
    void add(int level, int type, const T& value) noexcept
    {
        auto* const header = reinterpret_cast<cmsghdr*>(control_.octets.data() + size_);
        header->cmsg_level = level;
        header->cmsg_type = type;
        header->cmsg_len = CMSG_LEN(sizeof value);
        std::memcpy(CMSG_DATA(header), &value, sizeof value);
        size_ += CMSG_SPACE(sizeof value);
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    Control& control_;
    std::size_t size_ = 0;
};

void add_source(ControlWriter& writer, const base::Endpoint& local) noexcept
{
    const auto octets = local.address.octets();
    if (local.address.is_v4()) {
        in_pktinfo info{};
        std::memcpy(&info.ipi_spec_dst, octets.data(), 4);
        writer.add(IPPROTO_IP, IP_PKTINFO, info);
    } else {
        in6_pktinfo info{};
        std::memcpy(&info.ipi6_addr, octets.data(), 16);
        info.ipi6_ifindex = local.scope_id;
        writer.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
}

} // namespace

// ---- receiving

struct UdpReceiver::Slots {
    Slots(std::size_t slots, std::size_t size)
        : buffer(std::make_unique<std::uint8_t[]>(slots * size)),
          peers(slots),
          controls(slots),
          vectors(slots),
          headers(slots),
          datagrams(slots),
          used(slots)
    {
        for (std::size_t i = 0; i < slots; ++i) {
            vectors[i] = {buffer.get() + i * size, size};
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
            headers[i].msg_hdr.msg_name = &peers[i];
            headers[i].msg_hdr.msg_control = &controls[i];
        }
    }

    // The kernel has overwritten the sizes of the headers it used, and of no others.
    void reset_used() noexcept
    {
        for (std::size_t i = 0; i < used; ++i) {
            headers[i].msg_hdr.msg_namelen = sizeof(Address);
            headers[i].msg_hdr.msg_controllen = sizeof(Control);
        }
        used = 0;
    }

    // A socket's own address is asked for once; a receiver serves a handful.
    const base::Endpoint& binding(int fd) noexcept
    {
        for (const auto& known : bindings)
            if (known.fd == fd) return known.endpoint;
        auto& entry = bindings[next_binding++ % bindings.size()];
        entry = {fd, local_endpoint(fd)};
        return entry.endpoint;
    }

    void read(std::size_t i, Datagram& datagram, const base::Endpoint& local) noexcept
    {
        msghdr& header = headers[i].msg_hdr;
        datagram.data = {static_cast<std::uint8_t*>(vectors[i].iov_base), headers[i].msg_len};
        datagram.peer = base::Endpoint::from_sockaddr(&peers[i].any);
        datagram.local = local;
        datagram.ecn = 0;
        datagram.segment_size = 0;
        if (header.msg_controllen == 0) return;
        for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
            read_control(item, datagram);
    }

    struct Binding {
        int fd = -1;
        base::Endpoint endpoint;
    };

    std::unique_ptr<std::uint8_t[]> buffer;
    std::vector<Address> peers;
    std::vector<Control> controls;
    std::vector<iovec> vectors;
    std::vector<mmsghdr> headers;
    std::vector<Datagram> datagrams;
    std::array<Binding, 16> bindings{};
    std::size_t next_binding = 0;
    std::size_t used;
    std::uint64_t oversized = 0;
};

UdpReceiver::UdpReceiver(std::size_t slots, std::size_t slot_size) : slots_(std::make_unique<Slots>(slots, slot_size))
{
}
UdpReceiver::~UdpReceiver() = default;

std::span<Datagram> UdpReceiver::receive(int fd) noexcept
{
    Slots& s = *slots_;
    s.reset_used();
    const int count = ::recvmmsg(fd, s.headers.data(), static_cast<unsigned>(s.headers.size()), MSG_DONTWAIT, nullptr);
    if (count <= 0) {
        s.used = 1; // a failed call may have written into the first
        return {};
    }
    s.used = static_cast<std::size_t>(count);
    const base::Endpoint& local = s.binding(fd);
    std::size_t whole = 0;
    for (std::size_t i = 0; i < s.used; ++i) {
        if ((s.headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
            ++s.oversized;
            continue;
        }
        s.read(i, s.datagrams[whole++], local);
    }
    return {s.datagrams.data(), whole};
}

bool UdpReceiver::full() const noexcept { return slots_->used == slots_->headers.size(); }
std::uint64_t UdpReceiver::oversized() const noexcept { return slots_->oversized; }

// ---- sending

struct UdpSender::Batch {
    Batch(std::size_t slots, std::size_t size)
        : capacity(size), buffer(std::make_unique<std::uint8_t[]>(size)), entries(slots), headers(slots)
    {
        for (std::size_t i = 0; i < slots; ++i) {
            msghdr& header = headers[i].msg_hdr;
            header.msg_iov = &entries[i].vector;
            header.msg_iovlen = 1;
            header.msg_name = &entries[i].peer;
        }
    }

    struct Entry {
        int fd;
        std::uint16_t segment_size;
        std::uint8_t ecn;
        Address peer;
        iovec vector;
        base::Endpoint local;
        Control control;
    };

    void fill(Entry& entry, msghdr& header, bool segments) noexcept
    {
        ControlWriter writer{entry.control};
        const bool v4 = entry.peer.any.sa_family == AF_INET;
        if (!is_unset(entry.local.address)) add_source(writer, entry.local);
        if (entry.ecn != 0)
            writer.add(v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, v4 ? IP_TOS : IPV6_TCLASS, int{entry.ecn});
        if (segments) writer.add(IPPROTO_UDP, UDP_SEGMENT, entry.segment_size);
        header.msg_control = writer.size() == 0 ? nullptr : &entry.control;
        header.msg_controllen = writer.size();
    }

    void send_all() noexcept
    {
        for (std::size_t first = 0; first < count;) {
            std::size_t last = first + 1;
            while (last < count && entries[last].fd == entries[first].fd) ++last;
            send_run(first, last);
            first = last;
        }
        count = 0;
        filled = 0;
    }

    void send_run(std::size_t first, std::size_t last) noexcept
    {
        while (first < last) {
            const int sent =
                ::sendmmsg(entries[first].fd, &headers[first], static_cast<unsigned>(last - first), MSG_DONTWAIT);
            if (sent > 0) {
                first += static_cast<std::size_t>(sent);
            } else if (errno == EAGAIN || errno == ENOBUFS) {
                dropped += last - first;
                return;
            } else if (errno != EINTR) {
                send_failed(first++, errno);
            }
        }
    }

    void send_failed(std::size_t i, int error) noexcept
    {
        Entry& entry = entries[i];
        if (entry.segment_size == 0 || (error != EIO && error != EINVAL)) {
            ++dropped;
            return;
        }
        // The kernel or the device has no UDP_SEGMENT: it is not asked again.
        no_segments = true;
        send_segments(entry, headers[i].msg_hdr);
    }

    void send_segments(Entry& entry, msghdr& header) noexcept
    {
        fill(entry, header, false);
        auto* const data = static_cast<std::uint8_t*>(entry.vector.iov_base);
        const std::size_t size = entry.vector.iov_len;
        for (std::size_t at = 0; at < size; at += entry.segment_size) {
            entry.vector = {data + at, std::min<std::size_t>(entry.segment_size, size - at)};
            if (::sendmsg(entry.fd, &header, MSG_DONTWAIT) < 0) ++dropped;
        }
    }

    std::size_t capacity;
    std::unique_ptr<std::uint8_t[]> buffer;
    std::vector<Entry> entries;
    std::vector<mmsghdr> headers;
    std::size_t count = 0;
    std::size_t filled = 0;
    std::uint64_t dropped = 0;
    bool no_segments = false;
};

UdpSender::UdpSender(std::size_t slots, std::size_t bytes) : batch_(std::make_unique<Batch>(slots, bytes)) {}
UdpSender::~UdpSender() = default;

void UdpSender::add(int fd, base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                    std::uint16_t segment_size) noexcept
{
    Batch& batch = *batch_;
    if (data.size() > batch.capacity) {
        ++batch.dropped;
        return;
    }
    if (segment_size != 0 && segment_size < data.size() && batch.no_segments) {
        for (std::size_t at = 0; at < data.size(); at += segment_size)
            add(fd, data.subspan(at, std::min<std::size_t>(segment_size, data.size() - at)), peer, local, ecn);
        return;
    }
    if (batch.count == batch.entries.size() || batch.filled + data.size() > batch.capacity) flush();
    Batch::Entry& entry = batch.entries[batch.count];
    msghdr& header = batch.headers[batch.count].msg_hdr;
    entry.fd = fd;
    entry.segment_size = segment_size < data.size() ? segment_size : std::uint16_t{0};
    entry.ecn = ecn;
    entry.local = local;
    header.msg_namelen = static_cast<socklen_t>(to_address(peer, entry.peer));
    std::memcpy(batch.buffer.get() + batch.filled, data.data(), data.size());
    entry.vector = {batch.buffer.get() + batch.filled, data.size()};
    batch.fill(entry, header, entry.segment_size != 0);
    batch.filled += data.size();
    ++batch.count;
}

void UdpSender::flush() noexcept
{
    if (batch_->count != 0) batch_->send_all();
}

std::uint64_t UdpSender::dropped() const noexcept { return batch_->dropped; }

} // namespace sallyport::net
