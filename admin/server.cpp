#include "admin/admin.hpp"
#include "admin/connection.hpp"
#include "admin/gate.hpp"
#include "admin/job_thread.hpp"
#include "admin/token_file.hpp"
#include "base/log.hpp"
#include "net/socket.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <list>
#include <mutex>
#include <thread>

namespace sallyport::admin {
namespace {

constexpr std::uint16_t kDefaultPort = 8080;
constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kAcceptsPerTurn = 16;
constexpr auto kAcceptPause = std::chrono::seconds{1}; // without descriptors

bool is_unix(const std::string& on) noexcept { return on.starts_with(kUnix); }

/// Whoever may open a socket file of ours may do what needs a token. While only its owner may, that is asked of the
/// kernel too, because the mode is set a moment after the socket is there.
bool let_in_by_file(int fd, SocketMode mode) noexcept
{
    if (mode == SocketMode::group) return true;
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == ::geteuid() || peer.uid == 0);
}

/// It is a door for operators, without TLS: one that strangers find was probably not meant.
void warn_where_exposed(const std::string& on, const std::string& address)
{
    const auto endpoint = base::Endpoint::parse(on, kDefaultPort);
    if (is_unix(on) || !endpoint || endpoint->address.is_loopback()) return;
    base::log::warning("management API on " + address +
                       ": whoever reaches it reads metrics and what is in the cache, and tokens come over it in "
                       "clear; loopback or a Unix socket keeps it to this machine ('admin.on')");
}

} // namespace

struct Server::Prepared {
    Options options;
    std::string token;
    net::Descriptor listener; ///< nothing where the address stays as it is, or none is configured
    bool keep_listener = false;
    std::string address;
};

void Server::PreparedDeleter::operator()(Prepared* prepared) const noexcept { delete prepared; }

struct Server::Parts {
    explicit Parts(std::vector<Route> routes) : gate(std::move(routes), stats) {}

    ServerStats stats;
    Gate gate;
    base::SystemClock clock;
    Options options;
    net::Descriptor listener;
    net::Descriptor wake;
    std::list<Connection> connections;
    std::uint64_t next_id = 1;
    base::Instant accept_after{};
    // What only asks does not wait behind a reload.
    JobThread changes, questions;
    std::thread thread;
    std::atomic<bool> stopping{false};

    // Between the control thread and the server's.
    mutable std::mutex mutex;
    PreparedHandle arriving;
    std::string on, address; ///< of what was adopted last

    void run();
    void turn();
    void take_arriving();
    void accept_all(base::Instant now);
    void accept_one(net::Descriptor socket, base::Instant now);
    [[nodiscard]] bool make_room();
    void serve(Connection& connection, short events, base::Instant now);
    void read(Connection& connection, base::Instant now);
    void go_on(Connection& connection, HttpReader::Step step, base::Instant now);
    void answer(Connection& connection, base::Instant now);
    void job_done(std::uint64_t id, Response response);
    void ring() const noexcept;
    [[nodiscard]] int patience(base::Instant now) const noexcept;
};

Server::Server(std::vector<Route> routes) : parts_(std::make_unique<Parts>(std::move(routes)))
{
    parts_->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

Server::~Server() { close(); }

const ServerStats& Server::stats() const noexcept { return parts_->stats; }

std::string Server::address() const
{
    const std::lock_guard lock{parts_->mutex};
    return parts_->address;
}

Server::PreparedHandle Server::prepare(const Options& options, base::Problems& problems)
{
    PreparedHandle prepared{new Prepared{}};
    prepared->options = options;
    const std::size_t before = problems.size();
    prepared->token = read_token(options.token_file, options.token_position, problems);
    {
        const std::lock_guard lock{parts_->mutex};
        prepared->keep_listener = !options.on.empty() && options.on == parts_->on;
        prepared->address = parts_->address;
    }
    if (problems.size() != before) return nullptr;
    if (prepared->keep_listener || options.on.empty()) return prepared;

    net::SocketOptions socket_options;
    socket_options.reuse_port = false;
    socket_options.fast_open_queue = 0;
    socket_options.backlog = 128;
    base::Result<net::Descriptor> opened = base::Error{};
    if (is_unix(options.on)) {
        opened = net::open_unix_listener(options.on.substr(kUnix.size()), socket_options);
    } else if (const auto endpoint = base::Endpoint::parse(options.on, kDefaultPort)) {
        opened = net::open_tcp_listener(*endpoint, socket_options);
    } else {
        opened = endpoint.error();
    }
    if (!opened) {
        problems.push_back(opened.error());
        problems.back().position = options.position;
        return nullptr;
    }
    prepared->listener = std::move(*opened);
    prepared->address = is_unix(options.on) ? options.on : net::local_endpoint(prepared->listener.get()).to_string();
    return prepared;
}

void Server::adopt(PreparedHandle prepared)
{
    if (is_unix(prepared->options.on))
        static_cast<void>(::chmod(prepared->options.on.substr(kUnix.size()).c_str(),
                                  prepared->options.socket_mode == SocketMode::group ? 0660 : 0600));
    const std::lock_guard lock{parts_->mutex};
    // A socket file that we leave is not left behind.
    if (parts_->on != prepared->options.on) warn_where_exposed(prepared->options.on, prepared->address);
    if (is_unix(parts_->on) && parts_->on != prepared->options.on) ::unlink(parts_->on.substr(kUnix.size()).c_str());
    parts_->on = prepared->options.on;
    parts_->address = parts_->on.empty() ? std::string{} : prepared->address;
    // One that was not taken yet is replaced whole, but for the socket that only it has.
    if (parts_->arriving && prepared->keep_listener && parts_->arriving->listener) {
        prepared->listener = std::move(parts_->arriving->listener);
        prepared->keep_listener = false;
    }
    parts_->arriving = std::move(prepared);
    parts_->ring();
}

bool Server::open(const Options& options, base::Problems& problems)
{
    auto prepared = prepare(options, problems);
    if (!prepared) return false;
    adopt(std::move(prepared));
    return true;
}

void Server::start()
{
    if (parts_->thread.joinable()) return;
    parts_->changes.start();
    parts_->questions.start();
    parts_->thread = std::thread([parts = parts_.get()] { parts->run(); });
}

void Server::close() noexcept
{
    parts_->stopping = true;
    parts_->ring();
    if (parts_->thread.joinable()) parts_->thread.join();
    parts_->changes.stop();
    parts_->questions.stop();
    parts_->connections.clear();
    parts_->listener.reset();
    const std::lock_guard lock{parts_->mutex};
    parts_->arriving.reset();
    if (is_unix(parts_->on)) ::unlink(parts_->on.substr(kUnix.size()).c_str());
    parts_->on.clear();
    parts_->address.clear();
}

void Server::Parts::ring() const noexcept
{
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake.get(), &one, sizeof one));
}

void Server::Parts::run()
{
    while (!stopping) {
        try {
            turn();
        } catch (const std::exception& error) {
            // Memory that is not there for an operator's request must not end the gateway.
            static base::log::Limiter limiter;
            if (limiter.admit(clock.now()) != 0) base::log::error(std::string("management API: ") + error.what());
            connections.clear();
            stats.connections.set(0);
        }
    }
}

/// One wake-up: waits, then gives every connection its turn.
void Server::Parts::turn()
{
    take_arriving();
    std::vector<pollfd> waiting{{wake.get(), POLLIN, 0}};
    const bool accepting = listener && clock.now() >= accept_after;
    waiting.push_back({accepting ? listener.get() : -1, POLLIN, 0});
    std::vector<Connection*> asked;
    for (Connection& connection : connections) {
        waiting.push_back({connection.socket(), connection.events(), 0});
        asked.push_back(&connection);
    }
    if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), patience(clock.now())) < 0 && errno != EINTR)
        throw std::runtime_error("poll failed");
    const auto now = clock.now();
    if (waiting[0].revents != 0) {
        std::uint64_t rung = 0;
        static_cast<void>(!::read(wake.get(), &rung, sizeof rung));
        for (auto* jobs : {&changes, &questions})
            for (auto& [id, response] : jobs->take_done()) job_done(id, std::move(response));
    }
    for (std::size_t i = 0; i < asked.size(); ++i)
        if (waiting[i + 2].revents != 0) serve(*asked[i], waiting[i + 2].revents, now);
    if (waiting[1].revents != 0) accept_all(now);
    connections.remove_if([&](Connection& connection) {
        if (!connection.ended() && now >= connection.deadline()) {
            if (!connection.idle()) ++stats.timeouts;
            connection.end();
        }
        return connection.ended();
    });
    stats.connections.set(connections.size());
}

int Server::Parts::patience(base::Instant now) const noexcept
{
    auto due = base::Instant::max();
    if (listener && now < accept_after) due = accept_after;
    for (const Connection& connection : connections) due = std::min(due, connection.deadline());
    if (due == base::Instant::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - now).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

void Server::Parts::take_arriving()
{
    PreparedHandle fresh;
    {
        const std::lock_guard lock{mutex};
        fresh = std::move(arriving);
    }
    if (!fresh) return;
    options = fresh->options;
    gate.configure(options, std::move(fresh->token));
    if (fresh->keep_listener) return;
    listener = std::move(fresh->listener);
    // Those who came by the address that is no more get their answer, and that is all.
    for (Connection& connection : connections) connection.close_after_answer();
}

void Server::Parts::accept_all(base::Instant now)
{
    for (std::size_t i = 0; i < kAcceptsPerTurn; ++i) {
        net::Descriptor socket{::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (socket) {
            accept_one(std::move(socket), now);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno != EAGAIN) accept_after = now + kAcceptPause;
            return;
        }
    }
}

void Server::Parts::accept_one(net::Descriptor socket, base::Instant now)
{
    if (connections.size() >= options.connections) {
        ++stats.connections_full;
        if (!make_room()) return;
    }
    Peer peer;
    if (is_unix(options.on)) {
        peer.address = "unix";
        peer.by_socket_file = let_in_by_file(socket.get(), options.socket_mode);
    } else {
        sockaddr_storage remote{};
        socklen_t size = sizeof remote;
        if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&remote), &size) != 0) return;
        peer.address = base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&remote)).address.to_string();
        const auto local = net::local_endpoint(socket.get()).address;
        peer.local = local.is_v4() ? local.to_string() : "[" + local.to_string() + "]";
    }
    connections.emplace_back(next_id++, std::move(socket), std::move(peer), options, now);
}

/// Whoever holds a connection without saying anything, or saying it slowly, goes for a newcomer: a health check must
/// come through whatever others do.
bool Server::Parts::make_room()
{
    auto longest = connections.end();
    for (auto at = connections.begin(); at != connections.end(); ++at)
        if (at->may_make_way() && (longest == connections.end() || at->deadline() < longest->deadline())) longest = at;
    if (longest == connections.end()) return false;
    connections.erase(longest);
    return true;
}

void Server::Parts::serve(Connection& connection, short events, base::Instant now)
{
    if (connection.ended()) return;
    if ((events & POLLOUT) != 0) connection.write_more();
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !connection.ended()) read(connection, now);
    // What the client sent while its answer was on the way.
    while (connection.may_go_on()) go_on(connection, connection.reader().feed({}), now);
}

void Server::Parts::read(Connection& connection, base::Instant now)
{
    std::array<char, 16'384> room;
    const auto size = ::recv(connection.socket(), room.data(), room.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size > 0 && connection.lingering()) return;
    // Whoever hangs up while a route works for him is forgotten; the route ends all the same.
    if (size <= 0 || !connection.reading()) return connection.end();
    connection.request_began(now);
    go_on(connection, connection.reader().feed({room.data(), static_cast<std::size_t>(size)}), now);
}

void Server::Parts::go_on(Connection& connection, HttpReader::Step step, base::Instant now)
{
    if (step == HttpReader::Step::bad) {
        const unsigned status = connection.reader().status();
        ++(status == 413 || status == 431 ? stats.too_large : stats.bad_requests);
        connection.close_after_answer();
        connection.respond(error_response(status, "this is not a request that is answered here"), {}, false, now);
        return;
    }
    if (connection.reader().wants_continue()) connection.write_continue();
    if (step == HttpReader::Step::complete) answer(connection, now);
}

void Server::Parts::answer(Connection& connection, base::Instant now)
{
    HttpRequest http = connection.reader().take();
    if (!http.keep_alive) connection.close_after_answer();
    connection.set_head_only(http.method == "HEAD");
    auto decision = gate.judge(std::move(http), connection.peer(), now);
    if (decision.route == nullptr) return connection.respond(std::move(decision.refusal), decision.field, true, now);
    const Route& route = *decision.route;
    if (!route.changes_state && !route.slow)
        return connection.respond(call(route, decision.request, stats.failed), {}, true, now);
    connection.begin_work();
    auto& jobs = route.changes_state ? changes : questions;
    const bool taken =
        jobs.add([this, &jobs, &route, id = connection.id(), request = std::move(decision.request)]() mutable {
            auto response = call(route, request, stats.failed);
            jobs.done(id, std::move(response));
            ring();
        });
    if (!taken)
        connection.respond(error_response(503, "too much is being worked on; try again"), "Retry-After: 1\r\n", true,
                           now);
}

void Server::Parts::job_done(std::uint64_t id, Response response)
{
    const auto found = std::find_if(connections.begin(), connections.end(),
                                    [id](const Connection& connection) { return connection.id() == id; });
    if (found == connections.end() || found->ended()) return;
    const auto now = clock.now();
    found->respond(std::move(response), {}, true, now);
    while (found->may_go_on()) go_on(*found, found->reader().feed({}), now);
}

} // namespace sallyport::admin
