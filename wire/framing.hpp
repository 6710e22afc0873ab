#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>

namespace sallyport::wire {

/// Finds whole messages in a stream where each has a two-octet length before it (RFC 1035 §4.2.2, RFC 7858, RFC 9250).
class FrameReader {
public:
    explicit FrameReader(base::Bytes bytes) noexcept : rest_(bytes) {}

    /// The next whole message, borrowed; nothing when what is left is not whole. An empty frame (length 0) is handed
    /// out as an empty message.
    [[nodiscard]] std::optional<base::Bytes> next() noexcept
    {
        if (rest_.size() < 2) return std::nullopt;
        const std::size_t size = base::load_be16(rest_, 0);
        if (rest_.size() - 2 < size) return std::nullopt;
        const auto message = rest_.subspan(2, size);
        rest_ = rest_.subspan(2 + size);
        return message;
    }
    /// What is left: the start of a message that has not arrived whole.
    [[nodiscard]] base::Bytes rest() const noexcept { return rest_; }

private:
    base::Bytes rest_;
};

} // namespace sallyport::wire
