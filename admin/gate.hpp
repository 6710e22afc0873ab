#pragma once

#include "admin/admin.hpp"
#include "admin/http_reader.hpp"
#include "base/clock.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::admin {

/// Who sent a request, and where to.
struct Peer {
    std::string address; ///< without port; what wrong tokens are counted by
    std::string local; ///< the address it came to, as it stands in a URL: `127.0.0.1`, `[::1]`; empty on a Unix socket
    bool by_socket_file = false; ///< let in by the mode of a Unix socket: needs no token
};

/// Counts wrong tokens by address: after a few each further one shuts out for 1, 2, 4, … seconds, five minutes at most.
class Lockout {
public:
    explicit Lockout(unsigned failures) : failures_(failures) {}
    void set_failures(unsigned failures) noexcept { failures_ = failures; }
    /// How long it is still shut out; zero when it is not.
    [[nodiscard]] base::Duration left(const std::string& address, base::Instant now) const;
    void failed(const std::string& address, base::Instant now);
    void succeeded(const std::string& address) { addresses_.erase(address); }

private:
    struct Entry {
        unsigned failures = 0;
        base::Instant last{}, until{};
    };
    unsigned failures_;
    std::map<std::string, Entry> addresses_;
};

/// The one place that decides whether a request is answered, before any route is looked for. What is open without the
/// token is what routes declare as readable; everything else is closed. No I/O; the server's thread only.
class Gate {
public:
    Gate(std::vector<Route> routes, ServerStats& stats);

    /// `token` empty: nobody can change anything but over the Unix socket.
    void configure(const Options& options, std::string token);

    struct Decision {
        const Route* route = nullptr; ///< null: `refusal` says why
        Request request;
        Response refusal;
        std::string field; ///< a header field of the refusal, with its line end
    };
    [[nodiscard]] Decision judge(HttpRequest&& http, const Peer& peer, base::Instant now);

private:
    enum class Token : std::uint8_t { none, right, wrong, locked_out };

    [[nodiscard]] Token check_token(const HttpRequest& http, const Peer& peer, base::Instant now);
    [[nodiscard]] bool is_own_host(std::string_view host, const Peer& peer) const;
    [[nodiscard]] bool is_open(const Request& request) const noexcept;
    Decision refuse(base::Counter& counter, unsigned status, std::string_view message, std::string field = {});
    Decision refuse_token(Token token, const Request& request, const Peer& peer, base::Instant now);
    Decision find_route(Request&& request, const HttpRequest& http);

    std::vector<Route> routes_;
    std::vector<std::string> hosts_;
    std::string token_;
    Lockout lockout_;
    ServerStats& stats_;
};

/// Takes a request target apart: decoded path and parameters. Nothing where the path is not in its normal form already
/// (empty or dot segments, encoded slashes, control characters), or an escape is none.
[[nodiscard]] std::optional<Request> parse_target(std::string_view target);

/// The same time whatever the first difference is.
[[nodiscard]] bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept;

} // namespace sallyport::admin
