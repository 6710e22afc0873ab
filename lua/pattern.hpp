#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::lua {

/// Lua's patterns (manual §6.4.1) with a count of steps: the library's own can be made to run for years by a text of a
/// few hundred octets.
class Pattern {
public:
    static constexpr std::size_t kMostCaptures = 32;
    static constexpr int kMostDepth = 200; ///< of recursion

    enum class Outcome : std::uint8_t { match, no_match, malformed, too_complex };
    struct Capture {
        const char* begin = nullptr;
        std::ptrdiff_t size = 0; ///< or one of the below
        static constexpr std::ptrdiff_t kOpen = -1;
        static constexpr std::ptrdiff_t kPosition = -2;
    };

    /// All is borrowed.
    Pattern(std::string_view text, std::string_view pattern, std::int64_t steps) noexcept
        : text_(text), pattern_(pattern), steps_(steps)
    {
    }

    /// Matches at `offset` exactly.
    [[nodiscard]] Outcome match_at(std::size_t offset) noexcept;
    /// Past the end of the match.
    [[nodiscard]] std::size_t end() const noexcept { return end_; }
    [[nodiscard]] std::size_t captures() const noexcept { return level_; }
    [[nodiscard]] const Capture& capture(std::size_t index) const noexcept { return captures_[index]; }
    [[nodiscard]] std::int64_t steps_left() const noexcept { return steps_; }

private:
    using Place = const char*;

    [[nodiscard]] Place match(Place s, Place p) noexcept;
    [[nodiscard]] Place match_items(Place s, Place p) noexcept;
    [[nodiscard]] bool is_special(Place p) const noexcept;
    [[nodiscard]] Place special(Place s, Place p) noexcept;
    [[nodiscard]] Place repeated(Place s, Place p, Place end) noexcept;
    [[nodiscard]] Place longest(Place s, Place p, Place end) noexcept;
    [[nodiscard]] Place shortest(Place s, Place p, Place end) noexcept;
    [[nodiscard]] Place balanced(Place s, Place p) noexcept;
    [[nodiscard]] Place frontier(Place s, Place p) noexcept;
    [[nodiscard]] Place back_reference(Place s, Place p) noexcept;
    [[nodiscard]] Place open_capture(Place s, Place p, std::ptrdiff_t kind) noexcept;
    [[nodiscard]] Place close_capture(Place s, Place p) noexcept;
    [[nodiscard]] Place item_end(Place p) noexcept;
    [[nodiscard]] bool single(Place s, Place p, Place end) noexcept;
    [[nodiscard]] bool in_set(unsigned char c, Place p, Place set_end) const noexcept;
    [[nodiscard]] bool step() noexcept;
    Place fail(Outcome outcome) noexcept;

    [[nodiscard]] Place text_end() const noexcept { return text_.data() + text_.size(); }
    [[nodiscard]] Place pattern_end() const noexcept { return pattern_.data() + pattern_.size(); }

    std::string_view text_;
    std::string_view pattern_;
    std::int64_t steps_;
    std::size_t end_ = 0;
    std::size_t level_ = 0;
    int depth_ = 0;
    Outcome failure_ = Outcome::no_match; ///< other than `no_match`: the search is over
    std::array<Capture, kMostCaptures> captures_{};
};

} // namespace sallyport::lua
