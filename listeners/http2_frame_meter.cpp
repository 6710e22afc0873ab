#include "listeners/http2_frame_meter.hpp"

namespace sallyport::listeners {

namespace {

enum : std::uint8_t { kData = 0, kHeaders = 1, kPriority = 2, kRstStream = 3, kSettings = 4, kContinuation = 9 };
enum : std::uint8_t { kEndStream = 0x01, kEndHeaders = 0x04, kPadded = 0x08 };
constexpr std::size_t kSettingsEntry = 6;
constexpr std::size_t kMostPadding = 256;

} // namespace

Http2FrameMeter::Found Http2FrameMeter::look(base::Bytes octets, base::Instant now) noexcept
{
    std::size_t at = 0;
    while (at < octets.size()) {
        if (left_ > 0) {
            const std::size_t step = std::min(left_, octets.size() - at);
            left_ -= step;
            at += step;
            continue;
        }
        const std::size_t frame = at;
        if (header_size_ == 0) ++frames_;
        while (header_size_ < kFrameHeader && at < octets.size()) header_[header_size_++] = octets[at++];
        if (header_size_ < kFrameHeader) break;
        const Breach breach = begin_frame(now);
        header_size_ = 0;
        if (breach != Breach::none) return {breach, frame};
    }
    return {Breach::none, octets.size()};
}

bool Http2FrameMeter::offend(base::Instant now) noexcept
{
    if (excused_ > 0) {
        --excused_;
        return true;
    }
    return offences_.take(now);
}

Http2FrameMeter::Breach Http2FrameMeter::begin_frame(base::Instant now) noexcept
{
    const std::size_t size = base::load_be32(header_, 0) >> 8U;
    const std::uint8_t type = header_[3];
    const std::uint8_t flags = header_[4];
    left_ = size;
    switch (type) {
    case kData: {
        // Without content and not the last: nothing but work.
        const bool empty = size == 0 && (flags & kEndStream) == 0;
        const bool padding = (flags & kPadded) != 0 && size <= kMostPadding;
        return empty || padding ? draw(now) : Breach::none;
    }
    case kHeaders: {
        ++blocks_;
        continuations_ = 0;
        block_size_ = 0;
        const Breach breach = header_block_grows(size, (flags & kEndHeaders) != 0);
        // Excused when a request begins with it; a header block for a stream that is gone is only work.
        return breach != Breach::none ? breach : draw(now);
    }
    case kContinuation:
        if (++continuations_ > limits_.continuations) return Breach::continuations;
        return header_block_grows(size, (flags & kEndHeaders) != 0);
    case kPriority:
        // nghttp2 ignores priorities, their errors too (RFC 9113 §6.3).
        if ((base::load_be32(header_, 5) & 0x7FFF'FFFFU) == 0) return Breach::priority_of_none;
        return draw(now);
    case kRstStream: return Breach::none; // has a budget of its own
    case kSettings:
        if (size / kSettingsEntry > limits_.settings_per_frame) return Breach::settings;
        return draw(now);
    default: return draw(now);
    }
}

Http2FrameMeter::Breach Http2FrameMeter::header_block_grows(std::size_t size, bool end) noexcept
{
    block_size_ += size;
    in_block_ = !end;
    return block_size_ > limits_.header_block ? Breach::header_block : Breach::none;
}

} // namespace sallyport::listeners
