#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/name.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sallyport::policy {

/// What an entry of a `DomainSet` stands for.
enum class Reach : std::uint8_t {
    itself = 1, ///< the name alone
    below = 2,  ///< what is under it, but not itself: `*.example.`
    both = 3,
};

/// A set of names, immutable once built and shared by all workers. Names are compared label by label: `example.com`
/// holds `www.example.com` and never `notexample.com`.
///
/// A hash table over names kept in one buffer: about 35 octets an entry. A look-up costs one hash for each label of
/// the name that is looked up, whatever the size of the set.
class DomainSet {
public:
    DomainSet() = default;

    /// True where an entry stands for `name`, which must be in lower case. Allocates nothing.
    [[nodiscard]] bool covers(const wire::Name& name) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t octets() const noexcept;

private:
    friend class DomainSetBuilder;
    struct Slot {
        std::uint32_t tag = 0;   ///< upper half of the hash
        std::uint32_t place = 0; ///< in `names_`, plus 1; 0 is free
    };

    /// The place of an entry, 0 where there is none.
    [[nodiscard]] std::uint32_t find(base::Bytes lower_name) const noexcept;
    [[nodiscard]] base::Bytes name_at(std::uint32_t place) const noexcept;
    void link(std::uint64_t hash, std::uint32_t place) noexcept;
    void grow();

    std::vector<Slot> slots_;         ///< a power of two, at most half full
    std::vector<std::uint8_t> names_; ///< reach, size and wire form of each
    std::size_t size_ = 0;
};

/// Fills a set. What does not fit the limits is left out; `full` tells.
class DomainSetBuilder {
public:
    explicit DomainSetBuilder(std::size_t most_names) : most_(most_names) {}

    /// False when the set is full.
    bool add(const wire::Name& name, Reach reach);
    [[nodiscard]] bool full() const noexcept { return full_; }
    [[nodiscard]] DomainSet take()
    {
        set_.names_.shrink_to_fit();
        return std::move(set_);
    }

private:
    DomainSet set_;
    std::size_t most_;
    bool full_ = false;
};

} // namespace sallyport::policy
