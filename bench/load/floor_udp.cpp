// The floor of the UDP door: takes datagrams in batches, sets QR, sends them back. No DNS is done, so no server that
// uses these system calls can cost less.
// Usage: sallyport-floor-udp ADDRESS PORT

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kSize = 1500;
constexpr std::size_t kHeader = 12;

int open_socket(const char* address, const char* port)
{
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int buffer = 1 << 20;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (::inet_pton(AF_INET, address, &where.sin_addr) != 1 ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
        std::perror("sallyport-floor-udp");
        std::exit(1);
    }
    return fd;
}

struct Batch {
    std::array<std::array<std::uint8_t, kSize>, kBatch> data;
    std::array<sockaddr_in, kBatch> peers;
    std::array<iovec, kBatch> parts;
    std::array<mmsghdr, kBatch> messages;

    void prepare(std::size_t i)
    {
        parts[i] = {data[i].data(), kSize};
        messages[i] = {};
        messages[i].msg_hdr.msg_name = &peers[i];
        messages[i].msg_hdr.msg_namelen = sizeof peers[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
};

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: sallyport-floor-udp ADDRESS PORT\n");
        return 2;
    }
    const int fd = open_socket(argv[1], argv[2]);
    static Batch batch;
    for (std::size_t i = 0; i < kBatch; ++i) batch.prepare(i);
    while (true) {
        const int got = ::recvmmsg(fd, batch.messages.data(), kBatch, MSG_WAITFORONE, nullptr);
        if (got <= 0) continue;
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
            if (batch.messages[i].msg_len >= kHeader) batch.data[i][2] |= 0x80U;
            batch.parts[i].iov_len = batch.messages[i].msg_len;
        }
        ::sendmmsg(fd, batch.messages.data(), static_cast<unsigned>(got), 0);
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) batch.prepare(i);
    }
}
