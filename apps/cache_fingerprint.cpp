#include "apps/cache_fingerprint.hpp"

#include "cache/snapshot.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::apps {
namespace {

constexpr std::size_t kMaxFile = 1U << 20U;

/// What the environment says of how questions are answered, in the order of the names.
std::string from_environment()
{
    std::vector<std::string> found;
    for (char** at = environ; at != nullptr && *at != nullptr; ++at)
        if (std::string_view{*at}.starts_with("SALLYPORT_RESOLVE")) found.emplace_back(*at);
    std::ranges::sort(found);
    std::string text;
    for (const std::string& line : found) text += line + '\n';
    return text;
}

void append_file(std::string& text, const std::string& name)
{
    text += "\nfile " + name + '\n';
    std::ifstream input{name, std::ios::binary};
    std::string content(kMaxFile, '\0');
    input.read(content.data(), static_cast<std::streamsize>(content.size()));
    text.append(content, 0, static_cast<std::size_t>(std::max<std::streamsize>(input.gcount(), 0)));
}

} // namespace

std::uint64_t cache_fingerprint_of(const conf::Configuration& configuration)
{
    const auto& recurse = configuration.resolver.recurse;
    std::string text = recurse.fingerprint + '\n' + from_environment();
    for (const auto& zone : configuration.zones.zones) text += "zone " + zone.name + '\n';
    if (!recurse.root_hints.empty()) append_file(text, recurse.root_hints);
    for (const std::string& file : recurse.dnssec.anchor_files) append_file(text, file);
    return cache::fingerprint_of(text);
}

} // namespace sallyport::apps
