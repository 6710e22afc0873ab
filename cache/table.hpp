#pragma once

#include "cache/pages.hpp"

#include <cstdint>

namespace sallyport::cache {

/// Finds entries by 32 bits of their hash (the tag). Of a fixed size, so that no look-up ever waits for it to grow.
///
/// Linear probing, kept in the order of the tags: a search, successful or not, ends after few neighbours, mostly in
/// one cache line. A slot has the complement of the tag above the reference; zero is empty, and ends every search.
class Table {
public:
    Table() = default;
    /// Empty where the system has no memory.
    explicit Table(std::uint64_t slots) noexcept : pages_((slots + kOverflow) * sizeof(std::uint64_t)), slots_(slots) {}
    explicit operator bool() const noexcept { return static_cast<bool>(pages_); }
    [[nodiscard]] std::uint64_t slots() const noexcept { return slots_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return pages_.size(); }
    [[nodiscard]] static std::uint64_t bytes_for(std::uint64_t slots) noexcept
    {
        return (slots + kOverflow) * sizeof(std::uint64_t);
    }
    /// Where the search for `tag` begins: to be fetched ahead.
    [[nodiscard]] const std::uint64_t* home_of(std::uint32_t tag) const noexcept { return data() + home(tag); }

    /// The first reference under `tag` that `is_it` takes; 0 where there is none. References are never 0.
    template <class Predicate>
    [[nodiscard]] std::uint32_t find(std::uint32_t tag, Predicate&& is_it) const noexcept
    {
        const std::uint64_t* slot = lower_bound(tag);
        for (; *slot >> 32U == std::uint32_t{~tag} && reference(*slot) != 0; ++slot) {
            if (is_it(reference(*slot))) return reference(*slot);
        }
        return 0;
    }
    /// False where the end of the table is full.
    [[nodiscard]] bool insert(std::uint32_t tag, std::uint32_t ref) noexcept;
    void erase(std::uint32_t tag, std::uint32_t ref) noexcept;
    void replace(std::uint32_t tag, std::uint32_t ref, std::uint32_t by) noexcept;
    void clear() noexcept { pages_.discard(); }

private:
    /// Slots behind the last home; the very last stays empty.
    static constexpr std::uint64_t kOverflow = 256;

    [[nodiscard]] std::uint64_t* data() const noexcept { return reinterpret_cast<std::uint64_t*>(pages_.data()); }
    [[nodiscard]] std::uint64_t home(std::uint32_t tag) const noexcept { return (tag * slots_) >> 32U; }
    [[nodiscard]] static std::uint32_t reference(std::uint64_t slot) noexcept
    {
        return static_cast<std::uint32_t>(slot);
    }
    [[nodiscard]] std::uint64_t* lower_bound(std::uint32_t tag) const noexcept
    {
        std::uint64_t* slot = data() + home(tag);
        while (*slot >> 32U > std::uint32_t{~tag}) ++slot;
        return slot;
    }
    [[nodiscard]] std::uint64_t* slot_of(std::uint32_t tag, std::uint32_t ref) const noexcept;

    Pages pages_;
    std::uint64_t slots_ = 0;
};

} // namespace sallyport::cache
