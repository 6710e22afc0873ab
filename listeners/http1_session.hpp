#pragma once

#include "listeners/doh_request.hpp"
#include "listeners/doh_sessions.hpp"
#include "net/timer_queue.hpp"
#include "net/worker.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace sallyport::listeners {

/// DoH over HTTP/1.1 and 1.0 (RFC 9112) for old clients and reverse proxies; Boost.Beast's parser reads, strictly.
///
/// One request is in work at a time, so answers leave in order; pipelined requests wait, and reading stops for them.
class Http1Session final : public StreamSession, private pipeline::ReplySink {
public:
    Http1Session(StreamChannel& channel, DohContext& context, base::Instant now);
    ~Http1Session() override;
    Http1Session(const Http1Session&) = delete;
    Http1Session& operator=(const Http1Session&) = delete;

    [[nodiscard]] std::size_t received(base::Bytes octets, base::Instant now) noexcept override;
    void progressed(base::Instant now) noexcept override;
    [[nodiscard]] Activity activity() const noexcept override;
    [[nodiscard]] std::uint64_t begun() const noexcept override { return begun_; }
    void drain() noexcept override;
    void tick(base::Instant now) noexcept override;
    [[nodiscard]] base::Duration idle_timeout() const noexcept override;

private:
    class Parser; // Beast's

    void go_on(base::Instant now) noexcept;
    [[nodiscard]] std::size_t take(base::Bytes octets) noexcept;
    [[nodiscard]] std::size_t parse(base::Bytes octets) noexcept;
    void begin_request() noexcept;
    void header_arrived() noexcept;
    void finish_request() noexcept;
    void ask() noexcept;
    void refuse_and_end(unsigned status) noexcept;
    void respond(const DohResponse& response, base::Bytes content) noexcept;
    void request_over() noexcept;
    [[nodiscard]] bool blocked() const noexcept;
    void keep(base::Bytes rest) noexcept;
    void regulate_reading() noexcept;
    void end() noexcept;

    // pipeline::ReplySink
    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

    StreamChannel& channel_;
    pipeline::Pipeline& pipeline_;
    DohContext& context_;
    const HttpLimits& limits_;
    pipeline::Client client_;
    net::Flush flush_;
    net::Timer turn_timer_;
    DohRequest request_;
    pipeline::QueryList queries_;
    std::unique_ptr<Parser> parser_; // of the request that is coming in
    std::vector<std::uint8_t> kept_; // octets not taken yet
    base::Instant now_;
    base::Instant began_;
    base::Instant last_request_;
    std::uint64_t serial_ = 0;  // of the request in work
    std::uint64_t begun_ = 0;   // requests
    unsigned turn_left_ = 0;    // requests before others get their turn
    std::size_t body_wire_ = 0; // octets of the body as sent, chunk framing too
    bool from_listed_proxy_;
    bool keep_alive_ = true;
    bool version_1_0_ = false;
    bool waiting_ = false; // a query is in work
    bool in_turn_ = false;
    bool paused_ = false;
    bool draining_ = false;
    bool ended_ = false;
};

} // namespace sallyport::listeners
