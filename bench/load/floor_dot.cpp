// The floor of the DoT door: OpenSSL alone. Reads what is there, decrypts it, sets QR in each message, encrypts all of
// them as one record and sends it with one call. No DNS is done.
// Usage: sallyport-floor-dot ADDRESS PORT CERTIFICATE KEY

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr std::size_t kBuffer = 65536;

struct Connection {
    int fd = -1;
    SSL* ssl = nullptr;
    std::vector<std::uint8_t> plain;

    explicit Connection(int socket, SSL_CTX* context) : fd(socket), ssl(SSL_new(context))
    {
        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl);
    }
    ~Connection()
    {
        SSL_free(ssl);
        ::close(fd);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
};

int listen_at(const char* address, const char* port)
{
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::inet_pton(AF_INET, address, &where.sin_addr) != 1 ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 || ::listen(fd, 1024) != 0) {
        std::perror("sallyport-floor-dot");
        std::exit(1);
    }
    return fd;
}

// Sets QR in every whole message; returns how many octets those take.
std::size_t answer_all(std::vector<std::uint8_t>& plain)
{
    std::size_t at = 0;
    while (plain.size() - at >= 2) {
        const std::size_t size = (std::size_t{plain[at]} << 8U) | plain[at + 1];
        if (plain.size() - at - 2 < size) break;
        if (size > 2) plain[at + 4] |= 0x80U;
        at += 2 + size;
    }
    return at;
}

void send_pending(const Connection& connection)
{
    char* data = nullptr;
    BIO* const out = SSL_get_wbio(connection.ssl);
    const long size = BIO_get_mem_data(out, &data);
    if (size <= 0) return;
    if (::send(connection.fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL) < 0) std::perror("send");
    BIO_reset(out);
}

bool serve(Connection& connection)
{
    static std::array<std::uint8_t, kBuffer> buffer;
    const ssize_t got = ::recv(connection.fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    BIO_write(SSL_get_rbio(connection.ssl), buffer.data(), static_cast<int>(got));
    while (true) {
        const int size = SSL_read(connection.ssl, buffer.data(), static_cast<int>(buffer.size()));
        if (size <= 0) {
            const int error = SSL_get_error(connection.ssl, size);
            if (error != SSL_ERROR_WANT_READ) return false;
            break;
        }
        connection.plain.insert(connection.plain.end(), buffer.data(), buffer.data() + size);
    }
    if (const std::size_t size = answer_all(connection.plain); size > 0) {
        SSL_write(connection.ssl, connection.plain.data(), static_cast<int>(size));
        connection.plain.erase(connection.plain.begin(), connection.plain.begin() + static_cast<std::ptrdiff_t>(size));
    }
    send_pending(connection);
    return true;
}

void accept_all(int listener, int poller, SSL_CTX* context)
{
    for (int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0;
         fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = new Connection(fd, context); // freed where `serve` says so
        ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: sallyport-floor-dot ADDRESS PORT CERTIFICATE KEY\n");
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1) {
        std::fprintf(stderr, "sallyport-floor-dot: certificate or key cannot be read\n");
        return 1;
    }
    const int listener = listen_at(argv[1], argv[2]);
    const int poller = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    std::array<epoll_event, 64> ready;
    while (true) {
        const int count = ::epoll_wait(poller, ready.data(), static_cast<int>(ready.size()), -1);
        for (int i = 0; i < count; ++i) {
            auto* const connection = static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
            if (connection == nullptr) {
                accept_all(listener, poller, context);
            } else if (!serve(*connection)) {
                delete connection;
            }
        }
    }
}
