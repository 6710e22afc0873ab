#include "certs/server_names.hpp"

#include <algorithm>
#include <array>

namespace sallyport::certs {

namespace {

constexpr std::size_t kMaxHostName = 253; // 255 octets on the wire, RFC 1035 §2.3.4
constexpr std::size_t kMaxLabel = 63;

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool is_host_character(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string_view without_final_dot(std::string_view name) noexcept
{
    if (name.ends_with('.')) name.remove_suffix(1);
    return name;
}

bool is_label(std::string_view label) noexcept
{
    return !label.empty() && label.size() <= kMaxLabel && std::ranges::all_of(label, is_host_character);
}

} // namespace

bool ServerNames::add(std::string_view name, std::size_t identity)
{
    if (name.starts_with("*.")) return below_.emplace(name.substr(2), identity).second;
    return exact_.emplace(name, identity).second;
}

std::optional<std::size_t> ServerNames::find(std::string_view server_name) const noexcept
{
    server_name = without_final_dot(server_name);
    if (server_name.empty() || server_name.size() > kMaxHostName) return std::nullopt;
    std::array<char, kMaxHostName> buffer;
    std::ranges::transform(server_name, buffer.begin(), lower);
    const std::string_view name{buffer.data(), server_name.size()};
    if (const auto found = exact_.find(name); found != exact_.end()) return found->second;
    const auto dot = name.find('.');
    if (dot == std::string_view::npos || dot == 0) return std::nullopt;
    if (const auto found = below_.find(name.substr(dot + 1)); found != below_.end()) return found->second;
    return std::nullopt;
}

std::optional<std::string> canonical_host_name(std::string_view text)
{
    text = without_final_dot(text);
    if (text.empty() || text.size() > kMaxHostName) return std::nullopt;
    std::string name(text.size(), '\0');
    std::ranges::transform(text, name.begin(), lower);
    std::string_view rest = name;
    if (rest.starts_with("*.")) rest.remove_prefix(2);
    while (!rest.empty()) {
        const auto dot = rest.find('.');
        if (!is_label(rest.substr(0, dot))) return std::nullopt;
        if (dot == std::string_view::npos) return name;
        rest.remove_prefix(dot + 1);
    }
    return std::nullopt;
}

} // namespace sallyport::certs
