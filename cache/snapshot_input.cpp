#include "cache/snapshot_input.hpp"

#include <algorithm>

namespace sallyport::cache {

SnapshotInput::Got SnapshotInput::read(base::MutableBytes room)
{
    while (!room.empty()) {
        if (rest_.empty()) {
            const auto size = source_(room_);
            if (!size) return Got::failed;
            if (*size == 0) return Got::end;
            rest_ = base::Bytes{room_}.first(*size);
        }
        const std::size_t size = std::min(room.size(), rest_.size());
        std::copy_n(rest_.begin(), size, room.begin());
        rest_ = rest_.subspan(size);
        room = room.subspan(size);
        offset_ += size;
    }
    return Got::all;
}

} // namespace sallyport::cache
