#pragma once

#include "bench/load/load.hpp"
#include "net/client/connection.hpp"

namespace sallyport::load {

/// One connection that keeps its slots filled with queries in flight.
class LoadConnection final : public net::client::SessionUser {
public:
    explicit LoadConnection(Load& load);
    ~LoadConnection() override;

    void open();
    /// Fills the free slots and sends.
    void ask();
    /// Gives up what has waited too long.
    void give_up_before(base::Instant sent_before);
    void close();
    [[nodiscard]] bool ready() const noexcept { return ready_; }

    void session_ready() noexcept override;
    void answered(const net::client::Answer& answer) noexcept override;
    void unanswered(std::uint16_t tag, unsigned http_status, std::string_view reason) noexcept override;

private:
    struct Slot {
        base::Instant sent_at{};
        const Template* asked = nullptr; ///< null: free
        std::uint16_t tag = 0;
    };

    void ready_to_serve(std::uint32_t events, base::Instant now) noexcept;
    void timer_due(base::Instant now) noexcept;
    void after_serving(base::Instant now);
    void fill() noexcept;
    [[nodiscard]] Slot* slot_of(std::uint16_t tag) noexcept;
    [[nodiscard]] std::uint16_t next_tag(std::size_t slot) noexcept;
    void free_slot(Slot& slot) noexcept;
    void lost();
    [[nodiscard]] bool fits(const Slot& slot, base::Bytes message) const noexcept;

    Load& load_;
    bool id_is_tag_;
    bool ready_ = false;
    bool closing_ = false;
    std::unique_ptr<net::client::Connection> connection_;
    std::vector<Slot> slots_;
    std::vector<std::size_t> free_;
    std::vector<std::uint8_t> scratch_;
    std::uint16_t generation_ = 0;
    net::Watch watch_;
    net::Timer timer_;
};

} // namespace sallyport::load
