#include "zones/hosts_file.hpp"

#include <algorithm>

namespace sallyport::zones {

namespace {

constexpr wire::Ttl kHostsTtl{300}; // such files are changed by hand and looked at again soon

[[nodiscard]] bool is_host_character(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

[[nodiscard]] std::string shown_word(std::string_view text)
{
    std::string out{"'"};
    for (const char c : text.substr(0, 64)) out.push_back(c >= ' ' && c <= '~' ? c : '?');
    return out + (text.size() > 64 ? "...'" : "'");
}

} // namespace

wire::Name reverse_name(const base::IpAddress& address)
{
    constexpr std::string_view kDigits = "0123456789abcdef";
    const base::Bytes octets = address.octets();
    std::string text;
    for (std::size_t i = octets.size(); i-- > 0;) {
        if (address.is_v4()) {
            text += std::to_string(octets[i]);
        } else {
            text.push_back(kDigits[octets[i] & 0xFU]);
            text.push_back('.');
            text.push_back(kDigits[octets[i] >> 4U]);
        }
        text.push_back('.');
    }
    return wire::Name::from_text(text + (address.is_v4() ? "in-addr.arpa." : "ip6.arpa.")).value();
}

void HostsFileReader::problem(std::string message, const Place& place)
{
    builder_.problem(base::ErrorCode::invalid, std::move(message), place);
}

void HostsFileReader::read_file(const std::string& path, const base::SourcePosition& named_at)
{
    auto input = TextInput::open(path);
    if (input) return read(*input, path);
    builder_.problem(input.error().code, input.error().message + ", expected the hosts file",
                     {named_at.line, static_cast<std::uint16_t>(named_at.column),
                      builder_.file_number(named_at.file.empty() ? path : named_at.file)});
}

void HostsFileReader::read(TextInput& input, const std::string& file)
{
    file_ = builder_.file_number(file);
    std::vector<Word> words;
    while (!builder_.given_up() && read_line(input, words)) take_line(words);
    if (input.failed()) problem("the file cannot be read on", {input.line(), 1, file_});
}

void HostsFileReader::skip_line(TextInput& input)
{
    for (int octet = input.peek(); octet != TextInput::kEnd && octet != '\n'; octet = input.peek()) input.skip();
}

bool HostsFileReader::read_line(TextInput& input, std::vector<Word>& words)
{
    words.clear();
    if (input.peek() == TextInput::kEnd) return false;
    std::size_t octets = 0;
    bool inside = false;
    for (int octet = input.peek(); octet != TextInput::kEnd && octet != '\n'; octet = input.peek()) {
        const Place here{input.line(), static_cast<std::uint16_t>(std::min<std::uint32_t>(input.column(), UINT16_MAX)),
                         file_};
        if (octet == '#') {
            skip_line(input);
            break;
        }
        if (octet == 0 || ++octets > limits_.entry_octets) {
            problem(octet == 0 ? "octet 0 in a hosts file, expected text"
                               : "line is longer than " + std::to_string(limits_.entry_octets) + " octets",
                    here);
            words.clear();
            skip_line(input);
            break;
        }
        const bool blank = octet == ' ' || octet == '\t' || octet == '\r';
        if (!blank && !inside) words.push_back({{}, here});
        if (!blank) words.back().text.push_back(static_cast<char>(octet));
        inside = !blank;
        input.skip();
    }
    if (input.peek() == '\n') input.skip();
    return true;
}

void HostsFileReader::take_line(const std::vector<Word>& words)
{
    if (words.empty()) return;
    const auto address = base::IpAddress::parse(words.front().text);
    if (!address) {
        problem(shown_word(words.front().text) + " is no address, expected ADDRESS NAME [ALIAS...]",
                words.front().place);
        return;
    }
    if (words.size() == 1) {
        problem("the line ends after the address, expected a name", words.front().place);
        return;
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (!add_name(words[i], *address, i == 1)) return;
    }
}

bool HostsFileReader::add_name(const Word& word, const base::IpAddress& address, bool first)
{
    const std::string_view text = word.text;
    // A dot, be it the last, makes a name whole.
    const bool is_short = text.find('.') == std::string_view::npos;
    const auto name = std::all_of(text.begin(), text.end(), is_host_character) && text != "."
                          ? wire::Name::from_text(text, is_short ? &builder_.apex() : nullptr)
                          : base::Result<wire::Name, wire::ParseError>{wire::ParseError::bad_text};
    if (!name) {
        problem(shown_word(text) + " is no host name, expected letters, digits, '-', '_' and dots", word.place);
        return false;
    }
    if (!name->is_under(builder_.apex())) {
        problem(shown_word(text) + " is outside the zone, expected a name without a dot or one below " +
                    builder_.apex().to_text(),
                word.place);
        return true; // the other names of the line stand for themselves
    }
    const auto type = address.is_v4() ? wire::RrType::A : wire::RrType::AAAA;
    if (!builder_.add(*name, type, kHostsTtl, address.octets(), word.place)) return false;
    if (first) reverse_.try_emplace(reverse_name(address).to_text(), *name);
    return true;
}

} // namespace sallyport::zones
