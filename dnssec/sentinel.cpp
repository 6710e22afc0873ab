#include "dnssec/sentinel.hpp"

#include <algorithm>
#include <array>

namespace sallyport::dnssec {

namespace {

constexpr std::string_view kIsTa = "root-key-sentinel-is-ta-";
constexpr std::string_view kNotTa = "root-key-sentinel-not-ta-";
constexpr std::size_t kDigits = 5; // RFC 8509 §2: with leading zeros

/// The number behind `prefix`, where the label is just that.
[[nodiscard]] std::optional<std::uint16_t> tag_behind(std::string_view label, std::string_view prefix) noexcept
{
    if (label.size() != prefix.size() + kDigits || !label.starts_with(prefix)) return std::nullopt;
    unsigned tag = 0;
    for (const char c : label.substr(prefix.size())) {
        if (c < '0' || c > '9') return std::nullopt;
        tag = tag * 10 + static_cast<unsigned>(c - '0');
    }
    if (tag > 0xFFFFU) return std::nullopt;
    return static_cast<std::uint16_t>(tag);
}

} // namespace

std::optional<Sentinel> find_sentinel(const wire::Name& qname) noexcept
{
    std::array<std::uint8_t, wire::kMaxLabelSize> lowered;
    const base::Bytes octets = qname.wire();
    const std::size_t size = octets[0];
    wire::lower_copy(lowered.data(), octets.data() + 1, size);
    const auto label = base::as_text({lowered.data(), size});
    if (const auto tag = tag_behind(label, kIsTa)) return Sentinel{true, *tag};
    if (const auto tag = tag_behind(label, kNotTa)) return Sentinel{false, *tag};
    return std::nullopt;
}

bool sentinel_refuses(const Sentinel& sentinel, std::span<const std::uint16_t> root_tags) noexcept
{
    const bool trusted = std::find(root_tags.begin(), root_tags.end(), sentinel.key_tag) != root_tags.end();
    return trusted != sentinel.is_ta;
}

wire::Name key_tag_query_name(const wire::Name& zone, std::span<const std::uint16_t> tags)
{
    std::vector<std::uint16_t> sorted{tags.begin(), tags.end()};
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    if (sorted.empty()) return zone;
    std::string label = "_ta";
    for (const std::uint16_t tag : sorted) {
        constexpr std::string_view kHex = "0123456789abcdef";
        label += '-';
        for (const unsigned shift : {12U, 8U, 4U, 0U}) label += kHex[(tag >> shift) & 0xFU];
    }
    if (label.size() > wire::kMaxLabelSize) return zone;
    const auto name = zone.prepend(base::as_bytes(label));
    return name ? *name : zone;
}

} // namespace sallyport::dnssec
