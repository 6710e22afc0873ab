#include "tests/replay/expression.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <vector>

namespace sallyport::replay {
namespace {

std::string_view trim(std::string_view text)
{
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

} // namespace

std::vector<std::string_view> words_of(std::string_view text)
{
    std::vector<std::string_view> words;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

namespace {

constexpr std::size_t kMaxExpansions = 1000;
constexpr std::size_t kMaxText = 1U << 16U;

/// The same with signs as words of their own, but for one that begins a number: `$t0+3`.
std::vector<std::string_view> terms_of(std::string_view text)
{
    constexpr std::string_view kSigns = "+-*/";
    std::vector<std::string_view> terms;
    for (std::string_view word : words_of(text)) {
        while (!word.empty()) {
            const bool sign_stands_alone =
                kSigns.find(word.front()) != std::string_view::npos && (word.size() == 1 || terms.size() % 2 == 1);
            const std::size_t end = sign_stands_alone ? 1 : std::min(word.find_first_of(kSigns, 1), word.size());
            terms.push_back(word.substr(0, end));
            word.remove_prefix(end);
        }
    }
    return terms;
}

std::string print(double value)
{
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.12g", value);
    return text.data();
}

} // namespace

std::optional<double> Variables::number(std::string_view word) const
{
    if (!word.empty() && word.front() == '$') {
        const auto it = values_.find(word.substr(1));
        if (it == values_.end()) return std::nullopt;
        word = it->second;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return value;
}

/// From the left to the right, whatever the signs.
std::optional<double> Variables::total_of(std::string_view text) const
{
    const auto terms = terms_of(text);
    if (terms.size() % 2 == 0) return std::nullopt;
    auto total = number(terms[0]);
    for (std::size_t i = 1; total && i + 1 < terms.size(); i += 2) {
        const auto next = number(terms[i + 1]);
        if (!next || terms[i].size() != 1) return std::nullopt;
        switch (terms[i][0]) {
        case '+': *total += *next; break;
        case '-': *total -= *next; break;
        case '*': *total *= *next; break;
        case '/': *total /= *next; break;
        default: return std::nullopt;
        }
    }
    return total && std::isfinite(*total) ? total : std::nullopt;
}

std::optional<std::string> Variables::macro(std::string_view text, double time, double timeout) const
{
    const auto words = words_of(text);
    if (words.empty()) return std::nullopt;
    if (words[0] == "time") return print(time);
    if (words[0] == "timeout") return print(timeout);
    if (words[0] == "ctime") {
        const auto seconds = total_of(trim(trim(text).substr(words[0].size())));
        if (!seconds || !(std::abs(*seconds) < 1e11)) return std::nullopt;
        const auto when = static_cast<std::time_t>(*seconds);
        std::tm parts{};
        std::array<char, 64> out{};
        if (gmtime_r(&when, &parts) == nullptr) return std::nullopt;
        std::strftime(out.data(), out.size(), "%a %b %e %H:%M:%S %Y", &parts);
        return std::string(out.data());
    }
    if (words[0] == "range") {
        const auto low = words.size() == 4 ? number(words[1]) : std::nullopt;
        const auto value = words.size() == 4 ? number(words[2]) : std::nullopt;
        const auto high = words.size() == 4 ? number(words[3]) : std::nullopt;
        if (!low || !value || !high || *value < *low || *value > *high) return std::nullopt;
        return print(*value);
    }
    const auto total = total_of(text);
    return total ? std::optional{print(*total)} : std::nullopt;
}

std::optional<std::string> Variables::expand(std::string_view text, double time, double timeout) const
{
    std::string out(text);
    for (std::size_t i = 0; i < kMaxExpansions; ++i) {
        const std::size_t begin = out.rfind("${");
        if (begin == std::string::npos) return out;
        const std::size_t end = out.find('}', begin);
        if (end == std::string::npos || out.size() > kMaxText) return std::nullopt;
        const auto value = macro(std::string_view(out).substr(begin + 2, end - begin - 2), time, timeout);
        if (!value) return std::nullopt;
        out.replace(begin, end - begin + 1, *value);
    }
    return std::nullopt;
}

std::optional<double> Variables::evaluate(std::string_view text, double time, double timeout) const
{
    const auto expanded = expand(text, time, timeout);
    if (!expanded) return std::nullopt;
    const auto value = macro(trim(*expanded), time, timeout);
    return value ? number(*value) : std::nullopt;
}

bool Variables::assign(std::string_view text, double time, double timeout)
{
    const std::size_t sign = text.find('=');
    if (sign == std::string_view::npos || values_.size() >= kMaxExpansions) return false;
    const auto value = expand(trim(text.substr(sign + 1)), time, timeout);
    if (!value) return false;
    values_.insert_or_assign(std::string(trim(text.substr(0, sign))), std::string(trim(*value)));
    return true;
}

} // namespace sallyport::replay
