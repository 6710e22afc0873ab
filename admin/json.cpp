#include "admin/json.hpp"

#include "admin/admin.hpp"

#include <boost/json.hpp>

#include <array>

namespace sallyport::admin {
namespace {

constexpr std::size_t kMostLevels = 64;

/// Octets of the UTF-8 sequence at the start; 0 where there is none (RFC 3629 §4).
std::size_t utf8_size(std::string_view text) noexcept
{
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
    const unsigned first = at(0);
    if (first < 0x80U) return 1;
    if (first >= 0xC2U && first <= 0xDFU) return follows(1) ? 2 : 0;
    if ((first & 0xF0U) == 0xE0U) {
        const bool shortest = first != 0xE0U || at(1) >= 0xA0U;
        const bool no_surrogate = first != 0xEDU || at(1) < 0xA0U;
        return shortest && no_surrogate && follows(1) && follows(2) ? 3 : 0;
    }
    if (first < 0xF0U || first > 0xF4U) return 0;
    const bool in_range = (first != 0xF0U || at(1) >= 0x90U) && (first != 0xF4U || at(1) < 0x90U);
    return in_range && follows(1) && follows(2) && follows(3) ? 4 : 0;
}

void append_escape(std::string& out, unsigned char octet)
{
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u00";
    out += kDigits[octet >> 4U];
    out += kDigits[octet & 0xFU];
}

} // namespace

void append_json(std::string& out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        const auto octet = static_cast<unsigned char>(text.front());
        const std::size_t size = utf8_size(text);
        if (octet == '"' || octet == '\\') {
            out += '\\';
            out += text.front();
        } else if (octet < 0x20 || octet == 0x7F) {
            append_escape(out, octet);
        } else if (size == 0) {
            out += "\xEF\xBF\xBD";
        } else {
            out.append(text.substr(0, size));
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    out += '"';
}

bool is_json(std::string_view text)
{
    boost::json::parse_options options;
    options.max_depth = kMostLevels;
    std::array<unsigned char, 4096> room; // most bodies are small
    boost::json::monotonic_resource memory{room.data(), room.size()};
    boost::system::error_code error;
    static_cast<void>(boost::json::parse({text.data(), text.size()}, error, &memory, options));
    return !error;
}

Response error_response(unsigned status, std::string_view message)
{
    Response response;
    response.status = status;
    response.body = "{\"error\":";
    append_json(response.body, message);
    response.body += "}\n";
    return response;
}

} // namespace sallyport::admin
