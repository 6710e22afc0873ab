#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sallyport::cache {

/// Zeroed memory straight from the system: it costs what is touched, and goes back when it is dropped.
class Pages {
public:
    Pages() = default;
    /// Empty where the system has none.
    explicit Pages(std::size_t size) noexcept;
    ~Pages() { release(); }
    Pages(Pages&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Pages& operator=(Pages&& other) noexcept
    {
        if (this != &other) {
            release();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }

    [[nodiscard]] std::uint8_t* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    explicit operator bool() const noexcept { return data_ != nullptr; }
    /// Gives the memory back and keeps the addresses: what is read next is zero.
    void discard() noexcept;

private:
    void release() noexcept;
    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace sallyport::cache
