#include "tests/replay/expression.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <vector>

namespace sallyport::replay {
namespace {

constexpr std::size_t kMaxExpansions = 1000;
constexpr std::size_t kMaxText = 1U << 16U;

std::string_view trim(std::string_view text)
{
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

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

std::optional<std::string> Variables::macro(std::string_view text, double time, double timeout) const
{
    const auto words = words_of(text);
    if (words.empty()) return std::nullopt;
    if (words[0] == "time") return print(time);
    if (words[0] == "timeout") return print(timeout);
    if (words[0] == "ctime") {
        const auto seconds = words.size() == 2 ? number(words[1]) : std::nullopt;
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
    auto total = number(words[0]);
    for (std::size_t i = 1; total && i + 1 < words.size(); i += 2) {
        const auto next = number(words[i + 1]);
        if (!next || words[i].size() != 1) return std::nullopt;
        switch (words[i][0]) {
        case '+': *total += *next; break;
        case '-': *total -= *next; break;
        case '*': *total *= *next; break;
        case '/': *total /= *next; break;
        default: return std::nullopt;
        }
    }
    if (!total || words.size() % 2 == 0 || !std::isfinite(*total)) return std::nullopt;
    return print(*total);
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
