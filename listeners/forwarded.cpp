#include "listeners/forwarded.hpp"

#include "listeners/http_blank.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sallyport::listeners {

namespace {

constexpr std::size_t kLongestAddress = 45; // an IPv6 address with an IPv4 tail

/// RFC 9110 §5.6.2
bool is_token_letter(char letter) noexcept
{
    if ((letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))
        return true;
    return std::string_view{"!#$%&'*+-.^_`|~"}.find(letter) != std::string_view::npos;
}

bool is_for(std::string_view name) noexcept
{
    return name.size() == 3 && (name[0] | 0x20) == 'f' && (name[1] | 0x20) == 'o' && (name[2] | 0x20) == 'r';
}

/// RFC 7239 §6: `port` or `obfport`; nothing: neither.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept
{
    if (text.size() > 1 && text.front() == '_') return std::uint16_t{0};
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

std::optional<base::Endpoint> endpoint(std::string_view address, std::string_view port, bool with_port) noexcept
{
    if (address.empty() || address.size() > kLongestAddress) return std::nullopt;
    const auto parsed = base::IpAddress::parse(address);
    if (!parsed) return std::nullopt;
    base::Endpoint result{*parsed, 0, 0};
    if (with_port) {
        const auto number = parse_port(port);
        if (!number) return std::nullopt;
        result.port = *number;
    }
    return result;
}

/// The parameters of a `Forwarded` field, one after the other (RFC 7239 §4).
class Parameters {
public:
    explicit Parameters(std::string_view text) noexcept : rest_(text) {}

    enum class Step { parameter, end_of_element, end, malformed };

    /// Reads up to the next `;`, `,` or the end.
    Step next() noexcept
    {
        skip_space();
        if (rest_.empty()) return Step::end;
        if (rest_.front() == ',') return rest_.remove_prefix(1), Step::end_of_element;
        if (rest_.front() == ';') return rest_.remove_prefix(1), next_after_separator();
        return read();
    }

    std::string_view name;
    [[nodiscard]] std::string_view value() const noexcept { return {value_.data(), value_size_}; }

private:
    Step next_after_separator() noexcept
    {
        name = {};
        value_size_ = 0;
        return Step::parameter; // an empty one says nothing
    }

    Step read() noexcept
    {
        std::size_t size = 0;
        while (size < rest_.size() && is_token_letter(rest_[size])) ++size;
        name = rest_.substr(0, size);
        rest_.remove_prefix(size);
        if (name.empty() || rest_.empty() || rest_.front() != '=') return Step::malformed;
        rest_.remove_prefix(1);
        value_size_ = 0;
        const bool fine = !rest_.empty() && rest_.front() == '"' ? read_quoted() : read_token();
        skip_space();
        const bool separated = rest_.empty() || rest_.front() == ',' || rest_.front() == ';';
        return fine && separated ? Step::parameter : Step::malformed;
    }

    bool read_token() noexcept
    {
        // Colons and brackets need quotes, but proxies are seen that leave them out.
        while (!rest_.empty() && (is_token_letter(rest_.front()) || rest_.front() == ':' || rest_.front() == '[' ||
                                  rest_.front() == ']')) {
            take(rest_.front());
            rest_.remove_prefix(1);
        }
        return true;
    }

    bool read_quoted() noexcept
    {
        rest_.remove_prefix(1);
        while (!rest_.empty()) {
            char letter = rest_.front();
            rest_.remove_prefix(1);
            if (letter == '"') return true;
            if (letter == '\\') {
                if (rest_.empty()) return false;
                letter = rest_.front();
                rest_.remove_prefix(1);
            }
            take(letter);
        }
        return false;
    }

    // What is longer than any node is cut, and then is none.
    void take(char letter) noexcept
    {
        if (value_size_ < value_.size()) value_[value_size_++] = letter;
    }

    void skip_space() noexcept
    {
        while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    }

    std::string_view rest_;
    std::array<char, 80> value_{};
    std::size_t value_size_ = 0;
};

} // namespace

std::optional<base::Endpoint> parse_forwarded_node(std::string_view text) noexcept
{
    text = trim(text);
    if (!text.empty() && text.front() == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        const std::string_view after = text.substr(close + 1);
        if (!after.empty() && after.front() != ':') return std::nullopt;
        const auto result =
            endpoint(text.substr(1, close - 1), after.empty() ? after : after.substr(1), !after.empty());
        const bool v6_text = text.substr(1, close - 1).find(':') != std::string_view::npos;
        return v6_text ? result : std::nullopt;
    }
    const std::size_t colon = text.find(':');
    const bool one_colon = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
    if (one_colon) return endpoint(text.substr(0, colon), text.substr(colon + 1), true);
    return endpoint(text, {}, false);
}

void ForwardedClient::Chain::append(std::optional<base::Endpoint> hop, std::span<const base::Prefix> proxies) noexcept
{
    const bool listed = hop && std::any_of(proxies.begin(), proxies.end(),
                                           [&](const base::Prefix& proxy) { return proxy.contains(hop->address); });
    // A listed proxy vouches for what stands left of it; anyone else, named or not, is where the chain begins anew.
    if (!listed || !client) client = hop;
}

void ForwardedClient::forwarded(std::string_view value, std::span<const base::Prefix> proxies) noexcept
{
    Parameters parameters{value};
    std::optional<base::Endpoint> hop;
    bool any = false;
    const auto element_ends = [&] {
        if (any) forwarded_.append(hop, proxies);
        hop.reset();
        any = false;
    };
    forwarded_.seen = true;
    for (;;) {
        switch (parameters.next()) {
        case Parameters::Step::parameter:
            any = any || !parameters.name.empty();
            if (is_for(parameters.name)) hop = parse_forwarded_node(parameters.value());
            break;
        case Parameters::Step::end_of_element: element_ends(); break;
        case Parameters::Step::end: element_ends(); return;
        case Parameters::Step::malformed: malformed_ = true; return;
        }
    }
}

void ForwardedClient::x_forwarded_for(std::string_view value, std::span<const base::Prefix> proxies) noexcept
{
    x_forwarded_for_.seen = true;
    while (!value.empty()) {
        const std::size_t comma = std::min(value.find(','), value.size());
        const std::string_view node = trim(value.substr(0, comma));
        if (!node.empty()) x_forwarded_for_.append(parse_forwarded_node(node), proxies);
        value.remove_prefix(std::min(comma + 1, value.size()));
    }
}

std::optional<base::Endpoint> ForwardedClient::client() const noexcept
{
    return forwarded_.client ? forwarded_.client : x_forwarded_for_.client;
}

bool ForwardedClient::contradictory() const noexcept
{
    if (malformed_) return true;
    if (!forwarded_.seen || !x_forwarded_for_.seen) return false;
    if (forwarded_.client.has_value() != x_forwarded_for_.client.has_value()) return true;
    return forwarded_.client && forwarded_.client->address != x_forwarded_for_.client->address;
}

} // namespace sallyport::listeners
