#pragma once

#include "admin/admin.hpp"
#include "admin/gate.hpp"
#include "admin/http_reader.hpp"
#include "base/clock.hpp"
#include "net/socket.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::admin {

/// One client of the management API: one request at a time. The server's thread only.
class Connection {
public:
    Connection(std::uint64_t id, net::Descriptor socket, Peer peer, const Options& options, base::Instant now);

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }
    [[nodiscard]] const Peer& peer() const noexcept { return peer_; }
    [[nodiscard]] HttpReader& reader() noexcept { return reader_; }

    /// What to wait for, as `poll` wants it.
    [[nodiscard]] short events() const noexcept;
    /// When it is closed whatever it does; never while a route works for it.
    [[nodiscard]] base::Instant deadline() const noexcept;
    [[nodiscard]] bool idle() const noexcept { return state_ == State::reading && reader_.idle(); }
    [[nodiscard]] bool reading() const noexcept { return state_ == State::reading; }
    /// The last answer is out; what still comes is thrown away.
    [[nodiscard]] bool lingering() const noexcept { return state_ == State::lingering; }
    [[nodiscard]] bool ended() const noexcept { return state_ == State::ended; }
    /// Nothing is owed to the client.
    [[nodiscard]] bool may_make_way() const noexcept { return reading() || lingering() || ended(); }
    /// The answer is out and more of the client's octets may be here. True once an answer.
    [[nodiscard]] bool may_go_on() noexcept;

    /// Octets of a request arrived: its time began with the first of them.
    void request_began(base::Instant now) noexcept;
    void begin_work() noexcept { state_ = State::working; }
    void set_head_only(bool head_only) noexcept { head_only_ = head_only; }
    void close_after_answer() noexcept { keep_alive_ = false; }
    /// Sends it, as far as the client takes it now. `field`: a header field with its line end.
    void respond(Response&& response, std::string_view field, bool may_keep, base::Instant now);
    void write_continue() noexcept;
    void write_more() noexcept;
    void end() noexcept { state_ = State::ended; }

private:
    enum class State : std::uint8_t { reading, working, writing, lingering, ended };
    void answer_is_out() noexcept;

    std::uint64_t id_;
    net::Descriptor socket_;
    Peer peer_;
    HttpReader reader_;
    std::chrono::milliseconds patience_;
    State state_ = State::reading;
    bool keep_alive_ = true;
    bool head_only_ = false;
    bool answered_ = false;
    std::string out_;
    std::size_t sent_ = 0;
    base::Instant deadline_;
};

} // namespace sallyport::admin
