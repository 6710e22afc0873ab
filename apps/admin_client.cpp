#include "apps/admin_client.hpp"

#include "admin/token_file.hpp"
#include "base/ip_address.hpp"
#include "conf/configuration.hpp"
#include "net/socket.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace sallyport::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kQuickstart = "127.0.0.1:8080";
constexpr std::uint16_t kDefaultPort = 8080;
constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kMostAnswer = 256U << 20U; // a listing of a large cache

base::Error error_of(base::ErrorCode code, std::string message) { return {code, std::move(message), {}}; }

base::Error refused(const std::string& address, int reason)
{
    // A socket file with its mode is a matter of leave, not of configuration.
    if (reason == EACCES || reason == EPERM) return base::system_error("cannot open " + address, reason);
    return error_of(base::ErrorCode::not_found,
                    "no gateway answers on " + address + " (" + std::strerror(reason) + "); is 'admin' configured?");
}

/// A connection that gives up when the time is over.
class Wire {
public:
    explicit Wire(Clock::time_point deadline) : deadline_(deadline) {}

    [[nodiscard]] base::Result<void> connect(const std::string& address)
    {
        sockaddr_storage target{};
        socklen_t size = 0;
        if (address.starts_with(kUnix)) {
            auto& local = reinterpret_cast<sockaddr_un&>(target);
            const auto path = std::string_view{address}.substr(kUnix.size());
            if (path.empty() || path.size() >= sizeof local.sun_path)
                return error_of(base::ErrorCode::invalid, "'" + address + "' is no socket's path");
            local.sun_family = AF_UNIX;
            std::memcpy(local.sun_path, path.data(), path.size());
            size = sizeof local;
        } else {
            const auto endpoint = base::Endpoint::parse(address, kDefaultPort);
            if (!endpoint) return endpoint.error();
            size = endpoint->to_sockaddr(target);
        }
        socket_.reset(::socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket_) return base::system_error("cannot make a socket", errno);
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target), size) != 0) {
            if (errno != EINPROGRESS) return refused(address, errno);
            if (!wait(POLLOUT)) return refused(address, ETIMEDOUT);
            int reason = 0;
            socklen_t length = sizeof reason;
            if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &reason, &length) != 0 || reason != 0)
                return refused(address, reason);
        }
        return {};
    }

    [[nodiscard]] bool send(std::string_view octets)
    {
        while (!octets.empty()) {
            const auto size = ::send(socket_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
            if (size > 0) {
                octets.remove_prefix(static_cast<std::size_t>(size));
            } else if (size < 0 && errno == EAGAIN) {
                if (!wait(POLLOUT)) return false;
            } else if (size == 0 || errno != EINTR) {
                return false;
            }
        }
        return true;
    }

    /// Everything until the other side closes; false when that is not in time, or too much.
    [[nodiscard]] bool read_all(std::string& out)
    {
        std::array<char, 65'536> room;
        for (;;) {
            const auto size = ::recv(socket_.get(), room.data(), room.size(), 0);
            if (size == 0) return true;
            if (size > 0) {
                out.append(room.data(), static_cast<std::size_t>(size));
                if (out.size() > kMostAnswer) return false;
            } else if (errno == EAGAIN) {
                if (!wait(POLLIN)) return false;
            } else if (errno != EINTR) {
                return false;
            }
        }
    }

private:
    [[nodiscard]] bool wait(short events) const
    {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
        pollfd waiting{socket_.get(), events, 0};
        return left > 0 && ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 600'000))) > 0;
    }

    Clock::time_point deadline_;
    net::Descriptor socket_;
};

/// We always ask for `connection: close`, so the body is everything behind the head.
std::optional<AdminAnswer> read_answer(std::string_view text)
{
    constexpr std::string_view kStart = "HTTP/1.1 ";
    const auto end = text.find("\r\n\r\n");
    if (!text.starts_with(kStart) || end == std::string_view::npos) return std::nullopt;
    AdminAnswer answer;
    const char* const digits = text.data() + kStart.size();
    if (std::from_chars(digits, text.data() + end, answer.status).ec != std::errc{}) return std::nullopt;
    answer.body = text.substr(end + 4);
    return answer;
}

/// What the gateway said was wrong.
std::string reason_in(const AdminAnswer& answer)
{
    boost::system::error_code error;
    const auto body = boost::json::parse(answer.body, error);
    if (!error && body.is_object()) {
        for (const char* key : {"error", "reason"}) {
            const auto* const text = body.get_object().if_contains(key);
            if (text != nullptr && text->is_string()) return std::string{std::string_view{text->get_string()}};
        }
    }
    return "the gateway answered " + std::to_string(answer.status);
}

std::string address_in(std::string url)
{
    constexpr std::string_view kScheme = "http://";
    if (url.starts_with(kScheme)) url.erase(0, kScheme.size());
    while (!url.starts_with(kUnix) && url.ends_with('/')) url.pop_back();
    constexpr std::string_view kLocalhost = "localhost";
    if (url.starts_with(kLocalhost)) url.replace(0, kLocalhost.size(), "127.0.0.1");
    return url;
}

} // namespace

void add_admin_options(CLI::App& command, AdminTarget& target)
{
    command.add_option("--admin", target.url, "Where the management API is [127.0.0.1:8080]")
        ->type_name("URL|unix:PATH");
    command.add_option("--token-file", target.token_file, "File with the token that changes need")->type_name("FILE");
    command
        .add_option("-c,--config", target.config,
                    "Configuration of the gateway; its 'admin' section says where and how")
        ->type_name("FILE");
}

base::Result<AdminClient> AdminClient::make(const AdminTarget& target)
{
    AdminClient client;
    client.address_ = target.url.empty() ? kQuickstart : address_in(target.url);
    std::string token_file = target.token_file;
    if (!target.config.empty()) {
        base::Problems problems;
        const auto configuration = conf::read_configuration(target.config, problems);
        if (!problems.empty()) return problems.front();
        if (configuration.admin.on.empty() && target.url.empty())
            return error_of(base::ErrorCode::not_found,
                            target.config + " has no management API: set 'admin.on' and start the gateway again");
        if (target.url.empty()) client.address_ = address_in(configuration.admin.on);
        if (token_file.empty()) token_file = configuration.admin.token_file;
    }
    const bool by_name = !client.address_.starts_with(kUnix) && !base::Endpoint::parse(client.address_, kDefaultPort);
    if (by_name)
        return error_of(base::ErrorCode::invalid, "'" + client.address_ +
                                                      "' is no place of a management API; expected "
                                                      "http://127.0.0.1:8080 or unix:PATH");
    base::Problems problems;
    client.token_ = admin::read_token(token_file, {}, problems);
    if (!problems.empty()) return problems.front();
    return client;
}

base::Result<AdminAnswer> AdminClient::request(std::string_view method, const std::string& target,
                                               std::string_view body, std::chrono::milliseconds patience) const
{
    Wire wire{Clock::now() + patience};
    if (auto connected = wire.connect(address_); !connected) return connected.error();
    std::string text{method};
    text += " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    if (!token_.empty()) text += "Authorization: Bearer " + token_ + "\r\n";
    if (method != "GET")
        text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    text += "\r\n";
    text += body;
    std::string received;
    // A refusal may come before everything was taken.
    const bool sent = wire.send(text);
    const bool whole = wire.read_all(received);
    auto answer = read_answer(received);
    if (answer && whole) return std::move(*answer);
    if (!sent || !whole)
        return error_of(base::ErrorCode::system, "the gateway on " + address_ + " did not answer in time");
    return error_of(base::ErrorCode::invalid, "what answers on " + address_ + " is no gateway");
}

base::Result<std::string> AdminClient::require(std::string_view method, const std::string& target,
                                               std::string_view body) const
{
    auto answer = request(method, target, body);
    if (!answer) return answer.error();
    if (answer->ok()) return std::move(answer->body);
    std::string reason = reason_in(*answer);
    if (answer->status == 401 && token_.empty()) reason += " (give it with --token-file, or -c for the configuration)";
    return error_of(base::ErrorCode::conflict, std::move(reason));
}

std::string percent_encode(std::string_view text)
{
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    constexpr std::string_view kPlain = "-._~";
    std::string encoded;
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           kPlain.find(c) != std::string_view::npos;
        if (plain) {
            encoded += c;
            continue;
        }
        encoded += '%';
        encoded += kDigits[octet >> 4U];
        encoded += kDigits[octet & 0xFU];
    }
    return encoded;
}

} // namespace sallyport::apps
