#pragma once

#include "net/worker.hpp"

#include <array>
#include <string_view>

namespace sallyport::listeners {

/// The `date` field of every response (RFC 9110 §6.6.1), written once a second. One a worker.
class HttpDate {
public:
    explicit HttpDate(const net::Worker& worker) noexcept : worker_(worker) {}
    HttpDate(const HttpDate&) = delete;
    HttpDate& operator=(const HttpDate&) = delete;

    /// The time as IMF-fixdate (RFC 9110 §5.6.7), always of the same length and at the same place.
    [[nodiscard]] std::string_view text() noexcept;

private:
    void write(base::WallTime time) noexcept;

    const net::Worker& worker_;
    base::Instant written_{};
    bool any_ = false;
    std::array<char, 29> text_{};
};

} // namespace sallyport::listeners
