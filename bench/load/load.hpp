#pragma once

#include "base/ip_address.hpp"
#include "bench/load/latency.hpp"
#include "bench/load/server_gauge.hpp"
#include "net/client/factory.hpp"
#include "net/worker.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::load {

class LoadConnection;

struct LoadOptions {
    net::client::PeerOptions peer;
    base::Endpoint server;
    unsigned connections = 16;
    unsigned outstanding = 8;  ///< queries in flight on each connection
    unsigned in_flight = 0;    ///< queries in flight over all connections, taken in turn; 0: no such limit
    std::uint64_t queries = 0; ///< to be asked in all; 0: as many as `seconds` allow
    double seconds = 10;
    unsigned ramp = 64; ///< connections being made at once
    std::chrono::milliseconds timeout{5000};
    pid_t server_pid = 0;
    double settle = 0.5; ///< seconds between the end and the last look at the server's memory
};

/// A query to be asked again and again; its id is written when it goes.
struct Template {
    std::vector<std::uint8_t> query;
    std::size_t question_size = 0; ///< octets after the header that the answer must repeat
};

struct LoadResult {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t wrong = 0;      ///< answers that fit no question of ours
    std::uint64_t unanswered = 0; ///< HTTP statuses, stream resets, queries lost with their connection
    std::uint64_t truncated = 0;
    std::uint64_t failed_connections = 0;
    std::uint64_t octets_out = 0;
    std::uint64_t octets_in = 0;
    std::array<std::uint64_t, 16> rcodes{};
    Latency latency;
    base::Duration duration{};                       ///< from the first query to the last answer
    base::Duration ramp{};                           ///< until all connections were there
    ServerGauge before, connected, finished, closed; ///< the server at these moments
    std::uint64_t rss_peak_kib = 0;
    std::uint64_t descriptors_peak = 0;
    std::string first_failure;

    [[nodiscard]] std::uint64_t errors() const noexcept { return timeouts + wrong + unanswered + failed_connections; }
    void failed(const std::string& why)
    {
        if (first_failure.empty()) first_failure = why;
    }
};

/// One run: makes all connections, then keeps every one of them busy, then looks at what it cost.
class Load {
public:
    Load(const LoadOptions& options, std::vector<Template> templates, const net::client::SessionFactory& factory);
    ~Load();

    LoadResult run();

    [[nodiscard]] net::Worker& worker() noexcept { return worker_; }
    [[nodiscard]] const base::Clock& clock() const noexcept { return clock_; }
    [[nodiscard]] const LoadOptions& options() const noexcept { return options_; }
    [[nodiscard]] const net::client::SessionFactory& factory() const noexcept { return factory_; }
    [[nodiscard]] LoadResult& result() noexcept { return result_; }
    /// The next query to ask; null when enough were asked or the time is over.
    [[nodiscard]] const Template* next_query() noexcept;
    /// A query is over, one way or the other.
    void query_over() noexcept;
    /// Whether connections ask only when it is their turn.
    [[nodiscard]] bool takes_turns() const noexcept { return options_.in_flight > 0; }
    /// Lets the connections next in turn ask, as far as the limit of queries in flight allows.
    void give_turns();
    void connection_ready();
    /// A connection is gone before it was ready, or with queries in flight.
    void connection_lost(bool was_ready);

private:
    void open_more();
    void begin_asking();
    void tick(base::Instant now) noexcept;
    void look_at_server();
    [[nodiscard]] bool asked_enough() const noexcept;

    LoadOptions options_;
    std::vector<Template> templates_;
    const net::client::SessionFactory& factory_;
    base::SystemClock clock_;
    net::Worker worker_;
    net::Timer tick_;
    LoadResult result_;
    std::vector<std::unique_ptr<LoadConnection>> connections_;
    std::size_t opened_ = 0;
    std::size_t ready_ = 0;
    std::size_t lost_ = 0;
    std::uint64_t in_flight_ = 0;
    std::size_t next_template_ = 0;
    std::size_t turn_ = 0;
    bool giving_turns_ = false;
    bool asking_ = false;
    bool finished_ = false;
    base::Instant started_at_{};
    base::Instant asking_at_{};
    base::Instant last_answer_at_{};
    base::Instant looked_at_{};
};

} // namespace sallyport::load
