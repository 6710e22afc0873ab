// fuzz: links sallyport_listeners
#include "listeners/base64url.hpp"

#include <cstdlib>
#include <string>
#include <vector>

using namespace sallyport;

namespace {

std::string encode(const std::vector<std::uint8_t>& octets)
{
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const std::uint8_t octet : octets) {
        bits = (bits << 8U) | octet;
        for (count += 8; count >= 6; count -= 6) text += kAlphabet[(bits >> (count - 6)) & 63U];
    }
    if (count > 0) text += kAlphabet[(bits << (6 - count)) & 63U];
    return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text = listeners::without_padding({reinterpret_cast<const char*>(data), size});
    const auto decoded = listeners::base64url_decoded_size(text.size());
    if (!decoded) return 0;
    std::vector<std::uint8_t> out(*decoded);
    // What is taken has exactly one spelling.
    if (listeners::base64url_decode(text, out) && encode(out) != text) std::abort();
    return 0;
}
