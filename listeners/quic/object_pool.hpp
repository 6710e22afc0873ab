#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace sallyport::listeners::quic {

/// Objects that are used again. `T` must be ready for its next use when it is given back.
template <class T>
class ObjectPool {
public:
    [[nodiscard]] T* take()
    {
        if (free_.empty()) return new T;
        T* const object = free_.back().release();
        free_.pop_back();
        return object;
    }
    void give_back(T* object) noexcept
    {
        if (free_.size() < kKept)
            free_.emplace_back(object);
        else
            delete object;
    }

private:
    static constexpr std::size_t kKept = 512;
    std::vector<std::unique_ptr<T>> free_;
};

} // namespace sallyport::listeners::quic
