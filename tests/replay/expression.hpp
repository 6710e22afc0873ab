#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::replay {

/// What stands between blanks.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view text);

/// Macros of scenarios: `${…}`, innermost first; `$name`, numbers, `+ - * /` from left to right, `${time}`,
/// `${timeout}`, `${range lo v hi}`, `${ctime s}`.
class Variables {
public:
    /// The text with its macros replaced; nothing where one means nothing, or a `range` is left.
    [[nodiscard]] std::optional<std::string> expand(std::string_view text, double time, double timeout) const;
    [[nodiscard]] std::optional<double> evaluate(std::string_view text, double time, double timeout) const;
    /// `name = expression`
    [[nodiscard]] bool assign(std::string_view text, double time, double timeout);

private:
    [[nodiscard]] std::optional<std::string> macro(std::string_view text, double time, double timeout) const;
    [[nodiscard]] std::optional<double> total_of(std::string_view text) const;
    [[nodiscard]] std::optional<double> number(std::string_view word) const;
    std::map<std::string, std::string, std::less<>> values_;
};

} // namespace sallyport::replay
