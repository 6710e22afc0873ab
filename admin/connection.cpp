#include "admin/connection.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace sallyport::admin {
namespace {

constexpr std::string_view reason(unsigned status) noexcept
{
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Other";
    }
}

} // namespace

Connection::Connection(std::uint64_t id, net::Descriptor socket, Peer peer, const Options& options, base::Instant now)
    : id_(id),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      reader_(options),
      patience_(options.request),
      deadline_(now + options.request)
{
}

short Connection::events() const noexcept
{
    switch (state_) {
    case State::reading:
    case State::lingering: return POLLIN;
    case State::writing: return POLLOUT;
    case State::working:
    case State::ended: break;
    }
    return 0; // a hang-up is told all the same
}

base::Instant Connection::deadline() const noexcept
{
    return state_ == State::working ? base::Instant::max() : deadline_;
}

bool Connection::may_go_on() noexcept { return state_ == State::reading && std::exchange(answered_, false); }

void Connection::request_began(base::Instant now) noexcept
{
    if (reader_.idle()) deadline_ = now + patience_;
}

void Connection::respond(Response&& response, std::string_view field, bool may_keep, base::Instant now)
{
    if (!may_keep) keep_alive_ = false;
    out_ = "HTTP/1.1 " + std::to_string(response.status) + " ";
    out_ += reason(response.status);
    out_ += "\r\nContent-Length: " + std::to_string(response.body.size());
    if (!response.body.empty()) out_ += "\r\nContent-Type: " + response.content_type;
    // Nothing that is told here may be kept, guessed at or framed by a browser.
    out_ += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
    out_ += field;
    if (!keep_alive_) out_ += "Connection: close\r\n";
    out_ += "\r\n";
    if (!head_only_) out_ += response.body;
    sent_ = 0;
    deadline_ = now + patience_;
    state_ = State::writing;
    write_more();
}

void Connection::write_continue() noexcept
{
    // A few octets into an empty buffer; where they find no room the client goes on by itself.
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    static_cast<void>(::send(socket_.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL));
}

void Connection::write_more() noexcept
{
    while (state_ == State::writing) {
        if (sent_ == out_.size()) return answer_is_out();
        const auto size = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
        if (size >= 0) {
            sent_ += static_cast<std::size_t>(size);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            return end();
        }
    }
}

void Connection::answer_is_out() noexcept
{
    out_ = {};
    if (keep_alive_) {
        state_ = State::reading;
        answered_ = true;
        return;
    }
    // Closing while octets of the client are unread would reset the connection, and the answer be lost with it
    // (RFC 9112 §9.6): what still comes is read and thrown away until the client closes, or its time is over.
    ::shutdown(socket_.get(), SHUT_WR);
    state_ = State::lingering;
}

} // namespace sallyport::admin
