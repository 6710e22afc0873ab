#include "conf/parts.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sallyport::conf {
namespace {

constexpr std::array<std::string_view, 3> kYes{"yes", "true", "on"};
constexpr std::array<std::string_view, 3> kNo{"no", "false", "off"};

} // namespace

/// `yes`, `no`, or a list of names to leave out.
void read_local_only(Section& resolve, zones::LocalOnlyOptions& options)
{
    std::vector<std::string> words;
    resolve.texts("local_only", words);
    options.position = resolve.position_of("local_only");
    options.enabled = true;
    if (words.size() == 1 && std::ranges::find(kYes, words.front()) != kYes.end()) return;
    if (words.size() == 1 && std::ranges::find(kNo, words.front()) != kNo.end()) {
        options.enabled = false;
        return;
    }
    options.leave_out = std::move(words);
}

} // namespace sallyport::conf
