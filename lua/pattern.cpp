#include "lua/pattern.hpp"

#include <cstring>

namespace sallyport::lua {
namespace {

constexpr char kEscape = '%';

bool is_digit(unsigned char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(unsigned char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_upper(unsigned char c) noexcept { return c >= 'A' && c <= 'Z'; }
bool is_alpha(unsigned char c) noexcept { return is_lower(c) || is_upper(c); }
bool is_graph(unsigned char c) noexcept { return c > ' ' && c < 0x7F; }
bool is_hexadecimal(unsigned char c) noexcept
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// Classes are those of ASCII, whatever the locale.
bool in_class(unsigned char c, unsigned char letter) noexcept
{
    bool inside = false;
    switch (letter | 0x20U) {
    case 'a': inside = is_alpha(c); break;
    case 'c': inside = c < ' ' || c == 0x7F; break;
    case 'd': inside = is_digit(c); break;
    case 'g': inside = is_graph(c); break;
    case 'l': inside = is_lower(c); break;
    case 'p': inside = is_graph(c) && !is_alpha(c) && !is_digit(c); break;
    case 's': inside = c == ' ' || (c >= '\t' && c <= '\r'); break;
    case 'u': inside = is_upper(c); break;
    case 'w': inside = is_alpha(c) || is_digit(c); break;
    case 'x': inside = is_hexadecimal(c); break;
    case 'z': inside = c == 0; break; // as Lua 5.1 had it, and 5.4 still takes it
    default: return c == letter;      // `%.` is the point itself
    }
    return inside != is_upper(letter);
}

} // namespace

Pattern::Place Pattern::fail(Outcome outcome) noexcept
{
    if (failure_ == Outcome::no_match) failure_ = outcome;
    return nullptr;
}

bool Pattern::step() noexcept
{
    if (failure_ != Outcome::no_match) return false;
    if (--steps_ >= 0) return true;
    fail(Outcome::too_complex);
    return false;
}

Pattern::Outcome Pattern::match_at(std::size_t offset) noexcept
{
    level_ = 0;
    depth_ = 0;
    const Place end = match(text_.data() + offset, pattern_.data());
    if (failure_ != Outcome::no_match) return failure_;
    if (end == nullptr) return Outcome::no_match;
    for (std::size_t i = 0; i < level_; ++i)
        if (captures_[i].size == Capture::kOpen) return failure_ = Outcome::malformed;
    end_ = static_cast<std::size_t>(end - text_.data());
    return Outcome::match;
}

Pattern::Place Pattern::match(Place s, Place p) noexcept
{
    if (depth_ >= kMostDepth) return fail(Outcome::too_complex);
    ++depth_;
    const Place result = match_items(s, p);
    --depth_;
    return result;
}

// Plain items follow each other in a loop; only what may have to come back recurses.
Pattern::Place Pattern::match_items(Place s, Place p) noexcept
{
    while (step()) {
        if (p == pattern_end()) return s;
        if (is_special(p)) return special(s, p);
        const Place end = item_end(p);
        if (end == nullptr) return nullptr;
        const char suffix = end == pattern_end() ? '\0' : *end;
        if (suffix == '*' || suffix == '+' || suffix == '-' || suffix == '?') return repeated(s, p, end);
        if (!single(s, p, end)) return nullptr;
        ++s;
        p = end;
    }
    return nullptr;
}

bool Pattern::is_special(Place p) const noexcept
{
    if (*p == '(' || *p == ')') return true;
    if (p + 1 == pattern_end()) return *p == '$';
    return *p == kEscape && (p[1] == 'b' || p[1] == 'f' || is_digit(static_cast<unsigned char>(p[1])));
}

Pattern::Place Pattern::special(Place s, Place p) noexcept
{
    switch (*p) {
    case '(': {
        const bool is_position = p + 1 != pattern_end() && p[1] == ')';
        return is_position ? open_capture(s, p + 2, Capture::kPosition) : open_capture(s, p + 1, Capture::kOpen);
    }
    case ')': return close_capture(s, p + 1);
    case '$': return s == text_end() ? s : nullptr;
    default: break;
    }
    if (p[1] == 'b') return balanced(s, p + 2);
    if (p[1] == 'f') return frontier(s, p + 2);
    return back_reference(s, p);
}

Pattern::Place Pattern::repeated(Place s, Place p, Place end) noexcept
{
    switch (*end) {
    case '*': return longest(s, p, end);
    case '-': return shortest(s, p, end);
    case '+': return single(s, p, end) ? longest(s + 1, p, end) : nullptr;
    default: break;
    }
    if (single(s, p, end))
        if (const Place result = match(s + 1, end + 1); result != nullptr) return result;
    return match(s, end + 1);
}

Pattern::Place Pattern::longest(Place s, Place p, Place end) noexcept
{
    std::ptrdiff_t count = 0;
    while (step() && single(s + count, p, end)) ++count;
    for (; count >= 0; --count) {
        if (const Place result = match(s + count, end + 1); result != nullptr) return result;
        if (failure_ != Outcome::no_match) return nullptr;
    }
    return nullptr;
}

Pattern::Place Pattern::shortest(Place s, Place p, Place end) noexcept
{
    while (step()) {
        if (const Place result = match(s, end + 1); result != nullptr) return result;
        if (!single(s, p, end)) return nullptr;
        ++s;
    }
    return nullptr;
}

Pattern::Place Pattern::balanced(Place s, Place p) noexcept
{
    if (pattern_end() - p < 2) return fail(Outcome::malformed);
    if (s == text_end() || *s != p[0]) return nullptr;
    std::size_t open = 1;
    for (Place at = s + 1; at != text_end() && step(); ++at) {
        if (*at == p[1]) {
            if (--open == 0) return match(at + 1, p + 2);
        } else if (*at == p[0]) {
            ++open;
        }
    }
    return nullptr;
}

Pattern::Place Pattern::frontier(Place s, Place p) noexcept
{
    if (p == pattern_end() || *p != '[') return fail(Outcome::malformed);
    const Place end = item_end(p);
    if (end == nullptr) return nullptr;
    const auto before = static_cast<unsigned char>(s == text_.data() ? '\0' : s[-1]);
    const auto here = static_cast<unsigned char>(s == text_end() ? '\0' : *s);
    if (in_set(before, p, end - 1) || !in_set(here, p, end - 1)) return nullptr;
    return match(s, end);
}

Pattern::Place Pattern::back_reference(Place s, Place p) noexcept
{
    const auto index = static_cast<std::size_t>(p[1] - '1');
    if (index >= level_ || captures_[index].size == Capture::kOpen) return fail(Outcome::malformed);
    const auto size = captures_[index].size;
    if (size == Capture::kPosition) return nullptr; // a position is no text that could stand here again
    steps_ -= size / 16;
    if (text_end() - s < size || std::memcmp(captures_[index].begin, s, static_cast<std::size_t>(size)) != 0)
        return nullptr;
    return match(s + size, p + 2);
}

Pattern::Place Pattern::open_capture(Place s, Place p, std::ptrdiff_t kind) noexcept
{
    if (level_ >= kMostCaptures) return fail(Outcome::malformed);
    captures_[level_] = {s, kind};
    ++level_;
    const Place result = match(s, p);
    if (result == nullptr) --level_;
    return result;
}

Pattern::Place Pattern::close_capture(Place s, Place p) noexcept
{
    std::size_t index = level_;
    while (index > 0 && captures_[index - 1].size != Capture::kOpen) --index;
    if (index == 0) return fail(Outcome::malformed);
    Capture& capture = captures_[index - 1];
    capture.size = s - capture.begin;
    const Place result = match(s, p);
    if (result == nullptr) capture.size = Capture::kOpen;
    return result;
}

Pattern::Place Pattern::item_end(Place p) noexcept
{
    const char first = *p++;
    if (first == kEscape) return p == pattern_end() ? fail(Outcome::malformed) : p + 1;
    if (first != '[') return p;
    if (p != pattern_end() && *p == '^') ++p;
    do { // a `]` that comes first belongs to the set
        if (p == pattern_end()) return fail(Outcome::malformed);
        if (*p++ == kEscape) {
            if (p == pattern_end()) return fail(Outcome::malformed);
            ++p;
        }
    } while (p == pattern_end() || *p != ']');
    return p + 1;
}

bool Pattern::single(Place s, Place p, Place end) noexcept
{
    if (s == text_end()) return false;
    const auto c = static_cast<unsigned char>(*s);
    switch (*p) {
    case '.': return true;
    case kEscape: return in_class(c, static_cast<unsigned char>(p[1]));
    case '[': steps_ -= (end - p) / 8; return in_set(c, p, end - 1);
    default: return static_cast<unsigned char>(*p) == c;
    }
}

bool Pattern::in_set(unsigned char c, Place p, Place set_end) const noexcept
{
    bool wanted = true;
    ++p;
    if (*p == '^') {
        wanted = false;
        ++p;
    }
    for (; p < set_end; ++p) {
        if (*p == kEscape) {
            ++p;
            if (in_class(c, static_cast<unsigned char>(*p))) return wanted;
        } else if (p + 2 < set_end && p[1] == '-') {
            if (static_cast<unsigned char>(*p) <= c && c <= static_cast<unsigned char>(p[2])) return wanted;
            p += 2;
        } else if (static_cast<unsigned char>(*p) == c) {
            return wanted;
        }
    }
    return !wanted;
}

} // namespace sallyport::lua
