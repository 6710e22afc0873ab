#pragma once

#include <atomic>
#include <cstdint>

namespace sallyport::base {

/// A number written by one thread (its worker's) and read by any (the scraper).
///
/// An increment is a plain load, add and store: no lock prefix, so it costs what an `int` costs.
/// A module declares a `Stats` struct of these, with
/// `template <class V> void each(V&& visit) const { visit("name", "help", counter); … }`.
class Counter {
public:
    void add(std::uint64_t n = 1) noexcept
    {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::uint64_t n = 1) noexcept
    {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
    void operator++() noexcept { add(1); }

private:
    std::atomic<std::uint64_t> value_{0};
};

} // namespace sallyport::base
