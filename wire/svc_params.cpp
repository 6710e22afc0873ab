#include "wire/svc_params.hpp"

#include "wire/text_codec.hpp"

#include <algorithm>
#include <bitset>
#include <optional>

namespace sallyport::wire {
namespace {

using Checked = base::Result<void, ParseError>;

constexpr std::string_view kKeyNames[] = {
    "mandatory", "alpn",     "no-default-alpn", "port",  "ipv4hint",
    "ech",       "ipv6hint", "dohpath",         "ohttp", "tls-supported-groups",
};
constexpr std::uint16_t kInvalidKey = 65535; // RFC 9460 §14.3.2
constexpr std::size_t kMaxValue = 65535;

std::string key_to_text(std::uint16_t key)
{
    return key < std::size(kKeyNames) ? std::string{kKeyNames[key]} : "key" + std::to_string(key);
}

std::optional<std::uint16_t> parse_key(std::string_view text) noexcept
{
    for (std::size_t i = 0; i < std::size(kKeyNames); ++i) {
        if (text == kKeyNames[i]) return static_cast<std::uint16_t>(i);
    }
    if (!text.starts_with("key")) return std::nullopt;
    text.remove_prefix(3);
    if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt; // §2.1: no leading zeros
    const auto key = parse_decimal(text, kInvalidKey - 1);
    return key ? std::optional{static_cast<std::uint16_t>(*key)} : std::nullopt;
}

/// One SvcParam in wire format.
struct ParamView {
    std::uint16_t key = 0;
    base::Bytes value;
};

/// The next SvcParam, taken off the front; nothing where none stands there whole.
std::optional<ParamView> take_param(base::Bytes& params) noexcept
{
    if (params.size() < 4) return std::nullopt;
    const std::size_t size = base::load_be16(params, 2);
    if (params.size() - 4 < size) return std::nullopt;
    const ParamView param{base::load_be16(params, 0), params.subspan(4, size)};
    params = params.subspan(4 + size);
    return param;
}

/// §7.1.1: protocol names, none empty, each with its length before it.
bool is_alpn_list(base::Bytes value) noexcept
{
    if (value.empty()) return false;
    while (!value.empty()) {
        const std::size_t size = value[0];
        if (size == 0 || value.size() < 1 + size) return false;
        value = value.subspan(1 + size);
    }
    return true;
}

/// §8: keys in strictly increasing order, itself not among them.
bool is_mandatory_list(base::Bytes value) noexcept
{
    if (value.empty() || value.size() % 2 != 0) return false;
    unsigned before = 0; // the key `mandatory`
    for (std::size_t at = 0; at < value.size(); at += 2) {
        const unsigned key = base::load_be16(value, at);
        if (key <= before) return false;
        before = key;
    }
    return true;
}

/// draft-ietf-tls-key-share-prediction §3.1: group numbers, none twice. The bits are on the stack: the list may be
/// long.
bool is_group_list(base::Bytes value) noexcept
{
    if (value.empty() || value.size() % 2 != 0) return false;
    std::bitset<65536> seen;
    for (std::size_t at = 0; at < value.size(); at += 2) {
        const std::size_t group = base::load_be16(value, at);
        if (seen[group]) return false;
        seen.set(group);
    }
    return true;
}

bool is_good_value(std::uint16_t key, base::Bytes value) noexcept
{
    switch (static_cast<SvcParamKey>(key)) {
    case SvcParamKey::mandatory: return is_mandatory_list(value);
    case SvcParamKey::alpn: return is_alpn_list(value);
    case SvcParamKey::no_default_alpn:
    case SvcParamKey::ohttp: return value.empty();
    case SvcParamKey::port: return value.size() == 2;
    case SvcParamKey::ipv4hint: return !value.empty() && value.size() % 4 == 0;
    case SvcParamKey::ipv6hint: return !value.empty() && value.size() % 16 == 0;
    case SvcParamKey::tls_supported_groups: return is_group_list(value);
    case SvcParamKey::ech:
    case SvcParamKey::dohpath: return !value.empty();
    }
    return key != kInvalidKey;
}

bool has_mandatory_keys(base::Bytes params) noexcept
{
    base::Bytes rest = params;
    const auto first = take_param(rest); // key 0 stands first
    if (!first || first->key != 0) return true;
    // Both lists are in order, so one pass over each is enough.
    auto param = take_param(rest);
    for (std::size_t at = 0; at < first->value.size(); at += 2) {
        const unsigned wanted = base::load_be16(first->value, at);
        while (param && param->key < wanted) param = take_param(rest);
        if (!param || param->key != wanted) return false;
    }
    return true;
}

base::Error param_problem(std::string message) { return {base::ErrorCode::invalid, std::move(message), {}}; }

/// §A.1: elements between commas; `\,` and `\\` stand for the characters themselves.
std::optional<std::vector<Octets>> split_list(const Octets& value)
{
    std::vector<Octets> elements(1);
    for (std::size_t at = 0; at < value.size(); ++at) {
        if (value[at] == ',') {
            elements.emplace_back();
            continue;
        }
        if (value[at] == '\\' && (++at == value.size() || (value[at] != ',' && value[at] != '\\'))) return std::nullopt;
        elements.back().push_back(value[at]);
    }
    return elements;
}

void push_be16(Octets& out, unsigned value)
{
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value & 0xFFU));
}

std::string_view text_of(const Octets& octets) { return base::as_text(octets); }

bool read_alpn(const Octets& value, Octets& out)
{
    const auto names = split_list(value);
    if (!names) return false;
    for (const Octets& name : *names) {
        if (name.empty() || name.size() > 255) return false;
        out.push_back(static_cast<std::uint8_t>(name.size()));
        out.insert(out.end(), name.begin(), name.end());
    }
    return true;
}

/// Elements of a list without escapes, each given to `read`.
template <class Read>
bool read_elements(std::string_view text, Read read)
{
    for (;;) {
        const std::size_t comma = text.find(',');
        if (!read(text.substr(0, comma))) return false;
        if (comma == std::string_view::npos) return true;
        text.remove_prefix(comma + 1);
    }
}

template <class Address>
bool read_addresses(std::string_view text, std::optional<Address> (*parse)(std::string_view) noexcept, Octets& out)
{
    return read_elements(text, [&](std::string_view element) {
        const auto address = parse(element);
        if (address) out.insert(out.end(), address->begin(), address->end());
        return address.has_value();
    });
}

bool read_mandatory(std::string_view text, Octets& out)
{
    std::vector<std::uint16_t> keys;
    const auto read = [&](std::string_view element) {
        const auto key = parse_key(element);
        if (key) keys.push_back(*key);
        return key.has_value();
    };
    if (!read_elements(text, read)) return false;
    std::sort(keys.begin(), keys.end());
    for (const std::uint16_t key : keys) push_be16(out, key);
    return true; // repeated keys are found by `is_mandatory_list`
}

bool read_numbers(std::string_view text, Octets& out)
{
    return read_elements(text, [&](std::string_view element) {
        const auto number = parse_decimal(element, 65535);
        if (number) push_be16(out, *number);
        return number.has_value();
    });
}

/// Turns a value, escapes undone, into wire format.
bool read_value(std::uint16_t key, const Octets& value, Octets& out)
{
    switch (static_cast<SvcParamKey>(key)) {
    case SvcParamKey::mandatory: return read_mandatory(text_of(value), out);
    case SvcParamKey::alpn: return read_alpn(value, out);
    case SvcParamKey::no_default_alpn:
    case SvcParamKey::ohttp: return value.empty();
    case SvcParamKey::port:
        return text_of(value).find(',') == std::string_view::npos && read_numbers(text_of(value), out);
    case SvcParamKey::ipv4hint: return read_addresses(text_of(value), &parse_ipv4, out);
    case SvcParamKey::ipv6hint: return read_addresses(text_of(value), &parse_ipv6, out);
    case SvcParamKey::tls_supported_groups: return read_numbers(text_of(value), out);
    case SvcParamKey::ech: return decode_base64(text_of(value), out);
    case SvcParamKey::dohpath: break;
    }
    out = value;
    return true;
}

/// `keyNNNNN`: the value is the octets as they are, for keys with a name of their own too (RFC 9460 §2.1).
bool is_generic(std::string_view key_name) noexcept { return key_name.starts_with("key"); }

bool take_octets(const Octets& value, Octets& out)
{
    out = value;
    return true;
}

std::string_view expected_value(std::uint16_t key)
{
    switch (static_cast<SvcParamKey>(key)) {
    case SvcParamKey::mandatory: return "a list of different keys, itself not among them";
    case SvcParamKey::alpn: return "a list of protocol names of 1 to 255 octets";
    case SvcParamKey::no_default_alpn:
    case SvcParamKey::ohttp: return "no value";
    case SvcParamKey::port: return "a port from 0 to 65535";
    case SvcParamKey::ipv4hint: return "a list of IPv4 addresses";
    case SvcParamKey::ech: return "base64";
    case SvcParamKey::ipv6hint: return "a list of IPv6 addresses";
    case SvcParamKey::dohpath: return "a URI template";
    case SvcParamKey::tls_supported_groups: return "a list of group numbers";
    }
    return "up to 65535 octets";
}

template <class Append>
void append_list(std::string& text, base::Bytes value, std::size_t step, Append append)
{
    text += '=';
    for (std::size_t at = 0; at < value.size(); at += step) {
        if (at > 0) text += ',';
        append(text, value.subspan(at, step));
    }
}

void append_alpn(std::string& text, base::Bytes value)
{
    Octets list;
    while (!value.empty()) {
        if (!list.empty()) list.push_back(',');
        for (const std::uint8_t octet : value.subspan(1, value[0])) {
            if (octet == ',' || octet == '\\') list.push_back('\\');
            list.push_back(octet);
        }
        value = value.subspan(std::size_t{1} + value[0]);
    }
    text += '=';
    append_quoted(text, list);
}

void append_value(std::string& text, const ParamView& param)
{
    switch (static_cast<SvcParamKey>(param.key)) {
    case SvcParamKey::mandatory:
        return append_list(text, param.value, 2,
                           [](std::string& out, base::Bytes key) { out += key_to_text(base::load_be16(key, 0)); });
    case SvcParamKey::alpn: return append_alpn(text, param.value);
    case SvcParamKey::ipv4hint: return append_list(text, param.value, 4, append_ipv4);
    case SvcParamKey::ipv6hint: return append_list(text, param.value, 16, append_ipv6);
    case SvcParamKey::port:
    case SvcParamKey::tls_supported_groups:
        return append_list(text, param.value, 2, [](std::string& out, base::Bytes number) {
            out += std::to_string(base::load_be16(number, 0));
        });
    case SvcParamKey::ech: text += '='; return append_base64(text, param.value);
    default: break;
    }
    if (param.value.empty()) return;
    text += '=';
    append_quoted(text, param.value);
}

} // namespace

base::Result<void, ParseError> check_svc_params(base::Bytes params) noexcept
{
    int before = -1;
    base::Bytes rest = params;
    while (!rest.empty()) {
        const auto param = take_param(rest);
        if (!param) return ParseError::truncated;
        if (param->key <= before || !is_good_value(param->key, param->value)) return ParseError::bad_rdata;
        before = param->key;
    }
    return has_mandatory_keys(params) ? Checked{} : Checked{ParseError::bad_rdata};
}

void append_svc_params(std::string& text, base::Bytes params)
{
    while (const auto param = take_param(params)) {
        text += ' ';
        text += key_to_text(param->key);
        append_value(text, *param);
    }
}

base::Result<void> SvcParamsReader::add(std::string_view token)
{
    const std::size_t equals = token.find('=');
    const std::string_view name = token.substr(0, equals);
    const auto key = parse_key(name);
    if (!key) return param_problem("expected a SvcParamKey such as alpn, port or key65333");
    std::string_view text = equals == std::string_view::npos ? std::string_view{} : token.substr(equals + 1);
    if (text.starts_with('"')) {
        if (text.size() < 2 || !text.ends_with('"')) return param_problem("expected \" at the end of the value");
        text = text.substr(1, text.size() - 2);
    }
    Octets value;
    Param param{*key, {}};
    if (!decode_escapes(text, value) ||
        !(is_generic(name) ? take_octets(value, param.value) : read_value(*key, value, param.value)) ||
        param.value.size() > kMaxValue || !is_good_value(*key, param.value)) {
        return param_problem("expected " + std::string{expected_value(*key)} + " as value of " + key_to_text(*key));
    }
    params_.push_back(std::move(param));
    return {};
}

base::Result<void> SvcParamsReader::finish(std::vector<std::uint8_t>& out)
{
    std::sort(params_.begin(), params_.end(), [](const Param& a, const Param& b) { return a.key < b.key; });
    const std::size_t start = out.size();
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const Param& param = params_[i];
        if (i > 0 && params_[i - 1].key == param.key)
            return param_problem("the key " + key_to_text(param.key) + " is there twice");
        push_be16(out, param.key);
        push_be16(out, static_cast<unsigned>(param.value.size()));
        out.insert(out.end(), param.value.begin(), param.value.end());
    }
    if (!check_svc_params(base::Bytes{out}.subspan(start)))
        return param_problem("a key that mandatory names is missing");
    return {};
}

} // namespace sallyport::wire
