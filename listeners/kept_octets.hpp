#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::listeners {

/// What a stream has sent and nobody could use yet. Holds no memory while there is nothing; the first remainder is
/// kept in an exact allocation; a message that comes in many pieces is not copied anew for each.
class KeptOctets {
public:
    [[nodiscard]] bool empty() const noexcept { return begin_ == octets_.size(); }
    [[nodiscard]] std::size_t size() const noexcept { return octets_.size() - begin_; }
    [[nodiscard]] base::Bytes view() const noexcept { return base::Bytes{octets_}.subspan(begin_); }
    void append(base::Bytes more) { octets_.insert(octets_.end(), more.begin(), more.end()); }
    void consume(std::size_t count) noexcept
    {
        begin_ += count;
        if (empty()) clear();
    }
    void clear() noexcept
    {
        std::vector<std::uint8_t>{}.swap(octets_);
        begin_ = 0;
    }
    /// Drops what was consumed, when that is most of what is held.
    void compact()
    {
        if (begin_ <= size()) return;
        std::vector<std::uint8_t>(octets_.begin() + static_cast<std::ptrdiff_t>(begin_), octets_.end()).swap(octets_);
        begin_ = 0;
    }

private:
    std::vector<std::uint8_t> octets_;
    std::size_t begin_ = 0;
};

} // namespace sallyport::listeners
