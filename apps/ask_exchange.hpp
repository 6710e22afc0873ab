#pragma once

#include "base/clock.hpp"
#include "net/client/connection.hpp"
#include "net/client/session.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace sallyport::apps {

/// One query of `ask` and what became of it.
struct AskItem {
    std::vector<std::uint8_t> query;
    std::vector<std::uint8_t> answer;
    std::string failure; ///< why there is no answer
    std::string http;    ///< status and headers worth showing
    base::Instant sent_at{};
    base::Instant answered_at{};
    unsigned tries = 0;

    [[nodiscard]] bool finished() const noexcept { return !answer.empty() || !failure.empty(); }
    [[nodiscard]] bool truncated() const noexcept;
};

struct AskRules {
    std::chrono::milliseconds timeout{5000};
    unsigned retries = 0; ///< UDP: how often to send again
    unsigned in_flight = 64;
    bool match_by_id = false; ///< UDP, TCP, DoT; elsewhere the stream says which query is answered
    bool datagrams = false;   ///< what does not fit is ignored, as anybody may send it
};

/// Asks queries over one connection, many at once.
class AskExchange final : public net::client::SessionUser {
public:
    AskExchange(const base::Clock& clock, const AskRules& rules) : clock_(clock), rules_(rules) {}

    /// The connection is the caller's and was made with this object as its user.
    void use(net::client::Connection& connection) noexcept { connection_ = &connection; }
    /// Until all are answered, the time is over or the connection fails. Items that got no answer say why.
    void run(std::vector<AskItem>& items);
    [[nodiscard]] base::Instant ready_at() const noexcept { return ready_at_; }
    /// Answers that did not fit any question and were ignored.
    [[nodiscard]] unsigned ignored() const noexcept { return ignored_; }

    void session_ready() noexcept override { ready_at_ = clock_.now(); }
    void answered(const net::client::Answer& answer) noexcept override;
    void unanswered(std::uint16_t tag, unsigned http_status, std::string_view reason) noexcept override;

private:
    [[nodiscard]] bool all_finished() const noexcept { return finished_ == items_->size(); }
    void ask_more();
    bool send(std::size_t index);
    void send_again(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const noexcept;
    void finish_rest();
    [[nodiscard]] AskItem* take(std::uint16_t tag);

    const base::Clock& clock_;
    AskRules rules_;
    net::client::Connection* connection_ = nullptr;
    std::vector<AskItem>* items_ = nullptr;
    std::unordered_map<std::uint16_t, std::size_t> waiting_;
    std::size_t next_ = 0;
    std::size_t finished_ = 0;
    base::Instant ready_at_{};
    base::Instant progress_at_{};
    unsigned ignored_ = 0;
};

} // namespace sallyport::apps
