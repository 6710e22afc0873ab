#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "listeners/http_limits.hpp"
#include "listeners/options.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sallyport::listeners {

/// Follows the frames in a peer's octets (RFC 9113 §4.1) before anyone works on them, and says where a limit is passed.
///
/// It sees frame headers only. What it counts costs the peer's budget whatever the HTTP/2 library makes of the frame.
class Http2FrameMeter {
public:
    enum class Breach : std::uint8_t { none, continuations, header_block, settings, offences, priority_of_none };

    struct Found {
        Breach breach = Breach::none;
        std::size_t fine = 0; ///< octets before the frame that breaks a limit
    };

    Http2FrameMeter(const HttpLimits& limits, base::Instant now) noexcept
        : limits_(limits), offences_(limits.offence_burst, limits.offence_per_second, now)
    {
    }

    /// The next octets of the connection, its preface first.
    [[nodiscard]] Found look(base::Bytes octets, base::Instant now) noexcept;
    /// Draws from the budget of offences; false: spent. Frames of control that go with answers are none.
    [[nodiscard]] bool offend(base::Instant now) noexcept;
    /// A frame turned out to be in order, or an answer left: so many control frames are excused.
    void excuse(std::uint32_t frames) noexcept { excused_ = std::min(excused_ + frames, kMostExcused); }

    /// Between two frames, and not within a header block.
    [[nodiscard]] bool between_frames() const noexcept { return left_ == 0 && header_size_ == 0 && !in_block_; }
    [[nodiscard]] bool in_header_block() const noexcept { return in_block_; }
    /// Frames begun so far.
    [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }
    /// Header blocks begun so far.
    [[nodiscard]] std::uint64_t header_blocks() const noexcept { return blocks_; }
    /// Octets of the header block that is coming in or came last, as far as announced.
    [[nodiscard]] std::size_t header_block() const noexcept { return block_size_; }

private:
    static constexpr std::uint32_t kMostExcused = 1'000;
    static constexpr std::size_t kFrameHeader = 9;
    static constexpr std::size_t kPreface = 24;

    [[nodiscard]] Breach begin_frame(base::Instant now) noexcept;
    [[nodiscard]] Breach header_block_grows(std::size_t size, bool end) noexcept;
    [[nodiscard]] Breach draw(base::Instant now) noexcept { return offend(now) ? Breach::none : Breach::offences; }

    const HttpLimits& limits_;
    TokenBucket offences_;
    std::uint32_t excused_ = 0;
    std::size_t left_ = kPreface; // octets of the frame (or the preface) that are still to come
    std::array<std::uint8_t, kFrameHeader> header_{};
    std::size_t header_size_ = 0;
    std::size_t block_size_ = 0;
    std::uint64_t blocks_ = 0;
    std::uint64_t frames_ = 0;
    std::uint32_t continuations_ = 0;
    bool in_block_ = false;
};

} // namespace sallyport::listeners
