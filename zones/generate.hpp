#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::zones {

/// The numbers of a `$GENERATE`: `start-stop` or `start-stop/step`.
struct GenerateRange {
    std::uint32_t start = 0;
    std::uint32_t stop = 0;
    std::uint32_t step = 1;

    [[nodiscard]] std::uint64_t count() const noexcept { return (std::uint64_t{stop} - start) / step + 1; }
};

/// Errors: `invalid`, with what was expected.
[[nodiscard]] base::Result<GenerateRange> parse_generate_range(std::string_view text);

/// Appends `pattern` to `out` with `number` put in for `$` and `${offset[,width[,base]]}`; bases are d, o, x, X, and n
/// and N for reversed nibbles with dots. `$$` and `\$` are a dollar sign. Errors: `invalid`.
[[nodiscard]] base::Result<void> expand_generate(std::string_view pattern, std::uint32_t number, std::string& out);

} // namespace sallyport::zones
