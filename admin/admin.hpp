#pragma once

/// Module `admin`: the gateway seen from outside.
///
/// `Server` is the door for operators: HTTP/1.1 on a thread of its own, so that no query ever waits for it. It decides
/// who may do what, in one place and before any route is looked for, and calls the routes that it was given; it knows
/// nothing of what they tell. `QueryLog` (`admin/query_log.hpp`) writes what clients asked. Neither knows the
/// configuration. Start reading at `gate.cpp` (who may), then `http_reader.cpp` (what is taken as HTTP) and
/// `server.cpp`.

#include "admin/options.hpp"
#include "base/counter.hpp"
#include "base/result.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::admin {

/// A request that may be answered.
struct Request {
    std::string method;                                         ///< `GET`, `PUT`, `POST`, `DELETE`; HEAD comes as GET
    std::string path;                                           ///< decoded and normalised
    std::map<std::string, std::string, std::less<>> parameters; ///< of the query string, decoded; the last one counts
    std::string body;                                           ///< of a change: JSON of at most 64 levels, or empty
    bool authorised = false;                                    ///< had the token, or came by the Unix socket
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
};

/// `{"error": "…"}`, the message escaped.
[[nodiscard]] Response error_response(unsigned status, std::string_view message);

/// What is answered where. Method and path fit exactly; another method of a known path is 405.
struct Route {
    std::string method;
    std::string path;
    bool changes_state = false; ///< needs the token, and JSON as content type
    /// Called on the server's own threads; must not touch what belongs to a worker or to the control thread but by
    /// posting to it. Routes that change state run one after the other on a second thread, those that are `slow` on a
    /// third, and may take their time; the others hold up everybody else's requests. What it throws is answered 500.
    std::function<Response(const Request&)> handle;
    bool slow = false;
    /// What it tells is not for everybody who reaches the address: it needs the token, too.
    bool confidential = false;
};

struct ServerStats {
    base::Counter requests, refused, unauthorised, locked_out, bad_requests, too_large, timeouts, connections,
        connections_full, failed;

    template <class V>
    void each(V&& visit) const
    {
        visit("admin_requests_total", "Requests to the management API", requests);
        visit("admin_refused_total", "Requests refused for their Host, Origin, content type or method", refused);
        visit("admin_unauthorised_total", "Requests without the token they need, or with a wrong one", unauthorised);
        visit("admin_locked_out_total", "Requests refused after too many wrong tokens", locked_out);
        visit("admin_bad_requests_total", "Requests that are not proper HTTP", bad_requests);
        visit("admin_too_large_total", "Requests over the limits of head and body", too_large);
        visit("admin_timeouts_total", "Connections closed because a request or its answer took too long", timeouts);
        visit("admin_connections", "Open connections of the management API", connections);
        visit("admin_connections_full_total", "Times a connection had to go because too many were open",
              connections_full);
        visit("admin_failed_total", "Requests whose answer could not be made (500)", failed);
    }
};

/// The door for operators. `open`, `reopen` and `close` belong to one thread (control); routes run on the server's own.
///
/// Start:   `Server server{routes};  server.open(options, problems)`  before privileges are dropped: it binds and reads
///          the token, no more;  `server.start()`  once they are.
/// Reload:  `auto prepared = server.prepare(options, problems)`  beside everything else that is checked;  where all is
///          well  `server.adopt(std::move(prepared))`:  requests that are being answered go on, so that a reload that
///          was asked for here can be answered here. An address that stays keeps its socket and its connections.
/// End:     `server.close()`  waits for the route that runs right now: it must not wait for the caller.
class Server {
public:
    /// What one set of options needs: a bound socket, the token. Opaque.
    struct Prepared;
    struct PreparedDeleter {
        void operator()(Prepared* prepared) const noexcept;
    };
    using PreparedHandle = std::unique_ptr<Prepared, PreparedDeleter>;

    explicit Server(std::vector<Route> routes);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// `prepare` and `adopt` in one, for the start.
    [[nodiscard]] bool open(const Options& options, base::Problems& problems);
    /// Begins to answer. Nothing where no door is configured; a later `adopt` may bring one.
    void start();

    /// Binds what is not bound yet and reads the token. Null where something is wrong. Changes nothing.
    [[nodiscard]] PreparedHandle prepare(const Options& options, base::Problems& problems);
    /// From now on these options; never waits.
    void adopt(PreparedHandle prepared);

    void close() noexcept;

    /// Where it listens, as clients write it: `127.0.0.1:8080` (port 0 resolved), `unix:/…`; empty where it does not.
    [[nodiscard]] std::string address() const;
    /// Any thread.
    [[nodiscard]] const ServerStats& stats() const noexcept;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::admin
