#include "wire/rdata.hpp"

#include "wire/ldns_text.hpp"
#include "wire/rdata_fields.hpp"
#include "wire/rdata_tokens.hpp"
#include "wire/svc_params.hpp"
#include "wire/text_codec.hpp"

#include <algorithm>
#include <limits>

namespace sallyport::wire {
namespace {

constexpr std::size_t kMaxRdata = 65535;
constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();

struct NamedNumber {
    std::uint16_t value;
    std::string_view text;
};

constexpr NamedNumber kAlgorithms[] = {
    {1, "RSAMD5"},
    {2, "DH"},
    {3, "DSA"},
    {5, "RSASHA1"},
    {6, "DSA-NSEC3-SHA1"},
    {7, "RSASHA1-NSEC3-SHA1"},
    {8, "RSASHA256"},
    {10, "RSASHA512"},
    {12, "ECC-GOST"},
    {13, "ECDSAP256SHA256"},
    {14, "ECDSAP384SHA384"},
    {15, "ED25519"},
    {16, "ED448"},
    {252, "INDIRECT"},
    {253, "PRIVATEDNS"},
    {254, "PRIVATEOID"},
};

constexpr NamedNumber kCertificateTypes[] = {
    {1, "PKIX"}, {2, "SPKI"},   {3, "PGP"},     {4, "IPKIX"}, {5, "ISPKI"},
    {6, "IPGP"}, {7, "ACPKIX"}, {8, "IACPKIX"}, {253, "URI"}, {254, "OID"},
};

base::Error problem(std::string message) { return {base::ErrorCode::invalid, std::move(message), {}}; }

std::optional<std::uint16_t> find_mnemonic(std::span<const NamedNumber> table, std::string_view text) noexcept
{
    for (const NamedNumber& entry : table) {
        if (entry.text.size() == text.size() &&
            std::equal(text.begin(), text.end(), entry.text.begin(), [](char a, char b) {
                return lower(static_cast<std::uint8_t>(a)) == lower(static_cast<std::uint8_t>(b));
            })) {
            return entry.value;
        }
    }
    return std::nullopt;
}

std::string_view expected(TextField field)
{
    switch (field) {
    case TextField::number8: return "a number from 0 to 255";
    case TextField::number16: return "a number from 0 to 65535";
    case TextField::number32: return "a number from 0 to 4294967295";
    case TextField::seconds: return "seconds, as a number or like 1h30m";
    case TextField::time: return "a time like 20260131235959 or seconds since 1970";
    case TextField::rr_type: return "a record type";
    case TextField::algorithm: return "a DNSSEC algorithm";
    case TextField::certificate_type: return "a certificate type";
    case TextField::ipv4: return "an IPv4 address";
    case TextField::ipv6: return "an IPv6 address";
    case TextField::eui48: return "an EUI-48 like 00-00-5e-00-53-2a";
    case TextField::eui64: return "an EUI-64 like 00-00-5e-ef-10-00-00-2a";
    case TextField::locator64: return "four groups of hexadecimal digits like 2001:db8:1140:1000";
    case TextField::name: return "a domain name";
    case TextField::string:
    case TextField::strings: return "a string of at most 255 octets";
    case TextField::bare_string: return "a tag of letters and digits";
    case TextField::quoted_rest: return "a string";
    case TextField::hex_rest: return "hexadecimal digits";
    case TextField::base64_rest: return "base64";
    case TextField::salt: return "a salt in hexadecimal digits, or -";
    case TextField::hashed_name: return "a hashed name in base32hex";
    case TextField::types: return "record types";
    case TextField::svc_params: return "service parameters";
    case TextField::gateway: return "a gateway as its type says: ., an address or a name";
    case TextField::base64_or_none: return "base64 or nothing";
    case TextField::host_identity: return "algorithm, HIT, public key and rendezvous servers";
    }
    return "something else";
}

/// Type bit maps from types, which are sorted for it (RFC 4034 §4.1.2).
void put_bitmap(std::vector<std::uint16_t>& types, Octets& out)
{
    std::sort(types.begin(), types.end());
    for (std::size_t at = 0; at < types.size();) {
        const unsigned window = types[at] >> 8U;
        std::uint8_t bits[32] = {};
        std::size_t size = 0;
        for (; at < types.size() && types[at] >> 8U == window; ++at) {
            const unsigned low = types[at] & 0xFFU;
            bits[low / 8] = static_cast<std::uint8_t>(bits[low / 8] | (0x80U >> (low % 8)));
            size = low / 8 + 1;
        }
        out.push_back(static_cast<std::uint8_t>(window));
        out.push_back(static_cast<std::uint8_t>(size));
        out.insert(out.end(), bits, bits + size);
    }
}

/// Reads the fields of one RDATA.
class FieldReader {
public:
    FieldReader(std::string_view text, const Name& origin) : tokens_(text), origin_(origin) { out_.reserve(64); }

    [[nodiscard]] base::Result<Octets> run(std::span<const TextField> fields)
    {
        for (const TextField field : fields) {
            const auto done = read(field);
            if (!done) return done.error();
        }
        const auto rest = tokens_.next();
        if (tokens_.is_broken()) return problem("expected \" at the end of a string");
        if (rest) return problem("expected nothing more, found " + shown(rest->text));
        if (out_.size() > kMaxRdata) return problem("expected at most 65535 octets of data");
        return std::move(out_);
    }

private:
    using Done = base::Result<void>;

    static std::string shown(std::string_view text)
    {
        constexpr std::size_t kMostShown = 40;
        std::string out;
        append_quoted(out, base::as_bytes(text.substr(0, kMostShown)));
        return out;
    }
    [[nodiscard]] base::Error unexpected(TextField field, std::string_view found) const
    {
        return problem("expected " + std::string{expected(field)} + ", found " + shown(found));
    }
    [[nodiscard]] base::Error missing(TextField field) const
    {
        if (tokens_.is_broken()) return problem("expected \" at the end of a string");
        return problem("expected " + std::string{expected(field)} + ", found the end");
    }

    void put(std::uint32_t value, unsigned octets)
    {
        for (unsigned shift = octets * 8; shift > 0; shift -= 8) {
            out_.push_back(static_cast<std::uint8_t>((value >> (shift - 8)) & 0xFFU));
        }
    }
    [[nodiscard]] bool put_number(std::optional<std::uint32_t> value, unsigned octets)
    {
        if (value) put(*value, octets);
        return value.has_value();
    }
    [[nodiscard]] bool put_string(std::string_view text)
    {
        const std::size_t at = out_.size();
        out_.push_back(0);
        if (!decode_escapes(text, out_) || out_.size() - at - 1 > 255) return false;
        out_[at] = static_cast<std::uint8_t>(out_.size() - at - 1);
        return true;
    }
    [[nodiscard]] bool put_name(std::string_view text)
    {
        const auto name = Name::from_text(text, &origin_);
        if (!name) return false;
        const base::Bytes wire = name->wire();
        out_.insert(out_.end(), wire.begin(), wire.end());
        return true;
    }
    template <class Address>
    [[nodiscard]] bool put_address(const std::optional<Address>& address)
    {
        if (address) out_.insert(out_.end(), address->begin(), address->end());
        return address.has_value();
    }
    [[nodiscard]] bool put_eui(std::string_view text, std::size_t octets)
    {
        if (text.size() != octets * 3 - 1) return false;
        for (std::size_t at = 0; at < text.size(); at += 3) {
            if (at > 0 && text[at - 1] != '-') return false;
            if (!decode_hex(text.substr(at, 2), out_)) return false;
        }
        return true;
    }
    [[nodiscard]] bool put_locator(std::string_view text)
    {
        for (unsigned group = 0; group < 4; ++group) {
            const std::size_t size = group < 3 ? text.find(':') : text.size();
            if (size == std::string_view::npos || size == 0 || size > 4) return false;
            const std::string digits = std::string(4 - size, '0').append(text.substr(0, size));
            if (!decode_hex(digits, out_)) return false;
            text.remove_prefix(group < 3 ? size + 1 : size);
        }
        return true;
    }
    /// `decode` with its length before it, 1 to 255 octets.
    template <class Decode>
    [[nodiscard]] bool put_counted(std::string_view text, Decode decode)
    {
        const std::size_t at = out_.size();
        out_.push_back(0);
        if (!decode(text, out_) || out_.size() - at - 1 > 255 || out_.size() == at + 1) return false;
        out_[at] = static_cast<std::uint8_t>(out_.size() - at - 1);
        return true;
    }
    [[nodiscard]] bool put_mnemonic(std::span<const NamedNumber> table, std::string_view text, unsigned octets)
    {
        if (const auto known = find_mnemonic(table, text)) {
            put(*known, octets);
            return true;
        }
        return put_number(parse_decimal(text, octets == 1 ? 255 : 65535), octets);
    }
    [[nodiscard]] bool put_type(std::string_view text)
    {
        const auto type = parse_rr_type(text);
        if (type) put(static_cast<std::uint32_t>(*type), 2);
        return type.has_value();
    }

    [[nodiscard]] bool put_gateway(std::string_view text)
    {
        switch (out_[1]) {
        case 0: return text == ".";
        case 1: return put_address(parse_ipv4(text));
        case 2: return put_address(parse_ipv6(text));
        case 3: return put_name(text);
        default: return false;
        }
    }

    /// Fields that are one word.
    [[nodiscard]] bool put_word(TextField field, std::string_view text)
    {
        switch (field) {
        case TextField::number8: return put_number(parse_decimal(text, 255), 1);
        case TextField::number16: return put_number(parse_decimal(text, 65535), 2);
        case TextField::number32: return put_number(parse_decimal(text, kMax32), 4);
        case TextField::seconds: return put_number(parse_seconds(text), 4);
        case TextField::time: return put_number(parse_time(text), 4);
        case TextField::rr_type: return put_type(text);
        case TextField::algorithm: return put_mnemonic(kAlgorithms, text, 1);
        case TextField::certificate_type: return put_mnemonic(kCertificateTypes, text, 2);
        case TextField::ipv4: return put_address(parse_ipv4(text));
        case TextField::ipv6: return put_address(parse_ipv6(text));
        case TextField::eui48: return put_eui(text, 6);
        case TextField::eui64: return put_eui(text, 8);
        case TextField::locator64: return put_locator(text);
        case TextField::name: return put_name(text);
        case TextField::string:
        case TextField::bare_string: return put_string(text);
        case TextField::quoted_rest: return decode_escapes(text, out_);
        case TextField::salt:
            if (text == "-") return put_number(0, 1);
            return put_counted(text, decode_hex);
        case TextField::hashed_name: return put_counted(text, decode_base32hex);
        case TextField::gateway: return put_gateway(text);
        default: return false;
        }
    }

    [[nodiscard]] Done read(TextField field)
    {
        switch (field) {
        case TextField::strings: return read_strings();
        case TextField::hex_rest: return read_rest(field, decode_hex);
        case TextField::base64_rest: return read_rest(field, decode_base64);
        case TextField::types: return read_types();
        case TextField::svc_params: return read_svc_params();
        case TextField::base64_or_none: return TextTokens{tokens_}.next() ? read_rest(field, decode_base64) : Done{};
        case TextField::host_identity: return read_host_identity();
        default: break;
        }
        const auto token = tokens_.next();
        if (!token) return missing(field);
        if (!put_word(field, token->text)) return unexpected(field, token->text);
        return {};
    }
    [[nodiscard]] Done read_strings()
    {
        auto token = tokens_.next();
        if (!token) return missing(TextField::strings);
        for (; token; token = tokens_.next()) {
            if (!put_string(token->text)) return unexpected(TextField::strings, token->text);
        }
        return {};
    }
    template <class Decode>
    [[nodiscard]] Done read_rest(TextField field, Decode decode)
    {
        auto token = tokens_.next();
        if (!token) return missing(field);
        std::string digits; // blanks may stand anywhere, not only between whole octets
        for (; token; token = tokens_.next()) digits += token->text;
        if (!decode(digits, out_)) return unexpected(field, digits);
        return {};
    }
    [[nodiscard]] Done read_types()
    {
        std::vector<std::uint16_t> types;
        while (const auto token = tokens_.next()) {
            const auto type = parse_rr_type(token->text);
            if (!type) return unexpected(TextField::types, token->text);
            types.push_back(static_cast<std::uint16_t>(*type));
        }
        put_bitmap(types, out_);
        return {};
    }
    [[nodiscard]] Done read_host_identity()
    {
        const auto algorithm = tokens_.next();
        const auto tag = tokens_.next();
        const auto key = tokens_.next();
        if (!algorithm || !tag || !key) return missing(TextField::host_identity);
        const auto number = parse_decimal(algorithm->text, 255);
        Octets tag_octets;
        Octets key_octets;
        if (!number) return unexpected(TextField::number8, algorithm->text);
        if (!decode_hex(tag->text, tag_octets) || tag_octets.size() > 255)
            return unexpected(TextField::hex_rest, tag->text);
        if (!decode_base64(key->text, key_octets)) return unexpected(TextField::base64_rest, key->text);
        put(static_cast<std::uint32_t>(tag_octets.size()), 1);
        put(*number, 1);
        put(static_cast<std::uint32_t>(key_octets.size()), 2);
        out_.insert(out_.end(), tag_octets.begin(), tag_octets.end());
        out_.insert(out_.end(), key_octets.begin(), key_octets.end());
        while (const auto server = tokens_.next()) {
            if (!put_name(server->text)) return unexpected(TextField::name, server->text);
        }
        return {};
    }
    [[nodiscard]] Done read_svc_params()
    {
        SvcParamsReader reader;
        while (const auto token = tokens_.next_with_quotes()) {
            const auto added = reader.add(*token);
            if (!added) return problem(added.error().message + ", found " + shown(*token));
        }
        return reader.finish(out_);
    }

    TextTokens tokens_;
    const Name& origin_;
    Octets out_;
};

/// `\# LENGTH HEX` (RFC 3597 §5); `tokens` stands behind `\#`.
base::Result<Octets> read_generic(RrType type, TextTokens tokens)
{
    const auto size_text = tokens.next();
    const auto size = size_text ? parse_decimal(size_text->text, kMaxRdata) : std::nullopt;
    if (!size) return problem("expected the length of the data after \\#");
    std::string digits;
    while (const auto token = tokens.next()) digits += token->text;
    Octets out;
    if (!decode_hex(digits, out)) return problem("expected hexadecimal digits after \\# and the length");
    if (out.size() != *size) {
        return problem("expected " + std::to_string(*size) + " octets of data, found " + std::to_string(out.size()));
    }
    if (!check_rdata(type, out)) return problem("expected octets that are " + to_string(type) + " data");
    return out;
}

std::string generic_text(base::Bytes rdata)
{
    std::string text = "\\# " + std::to_string(rdata.size());
    if (rdata.empty()) return text;
    text += ' ';
    append_hex(text, rdata);
    return text;
}

/// Prints the fields of one RDATA that `check_rdata` has found good.
class FieldPrinter {
public:
    explicit FieldPrinter(base::Bytes rdata) : whole_(rdata), rest_(rdata) {}

    /// Nothing where the fields cannot say what the octets are: a number, key or digest of no octets has no text.
    [[nodiscard]] std::optional<std::string> run(std::span<const TextField> fields)
    {
        for (const TextField field : fields) {
            if (!text_.empty() && !brings_blank(field)) text_ += ' ';
            if (!print(field)) return std::nullopt;
        }
        return std::move(text_);
    }

private:
    /// Fields that may be nothing put the blank themselves.
    static bool brings_blank(TextField field)
    {
        return field == TextField::svc_params || field == TextField::types || field == TextField::base64_or_none;
    }
    [[nodiscard]] base::Bytes take(std::size_t size)
    {
        const base::Bytes taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    [[nodiscard]] base::Bytes take_counted() { return take(take(1)[0]); }
    [[nodiscard]] base::Bytes take_all() { return take(rest_.size()); }

    bool print_number(std::uint32_t value)
    {
        text_ += std::to_string(value);
        return true;
    }
    bool print_type(std::uint16_t type)
    {
        text_ += to_string(static_cast<RrType>(type));
        return true;
    }
    bool print_name()
    {
        const auto size = measure_name(rest_);
        if (!size) return false;
        const auto name = Name::from_wire(take(*size));
        if (!name) return false;
        text_ += name->to_text();
        return true;
    }
    bool print_strings()
    {
        for (bool first = true; !rest_.empty(); first = false) {
            if (!first) text_ += ' ';
            append_quoted(text_, take_counted());
        }
        return true;
    }
    bool print_eui(std::size_t octets)
    {
        constexpr std::string_view kDigits = "0123456789abcdef";
        for (std::size_t i = 0; i < octets; ++i) {
            const std::uint8_t octet = take(1)[0];
            if (i > 0) text_ += '-';
            text_ += kDigits[octet >> 4U];
            text_ += kDigits[octet & 0xFU];
        }
        return true;
    }
    bool print_locator()
    {
        constexpr std::string_view kDigits = "0123456789abcdef";
        for (unsigned group = 0; group < 4; ++group) {
            const unsigned value = base::load_be16(take(2), 0);
            if (group > 0) text_ += ':';
            for (unsigned shift = 16; shift > 0; shift -= 4) text_ += kDigits[value >> (shift - 4) & 0xFU];
        }
        return true;
    }
    bool print_types()
    {
        while (!rest_.empty()) {
            const unsigned window = take(1)[0];
            const base::Bytes bits = take_counted();
            for (unsigned low = 0; low < bits.size() * 8; ++low) {
                if ((bits[low / 8] & (0x80U >> (low % 8))) == 0) continue;
                text_ += ' ';
                print_type(static_cast<std::uint16_t>(window * 256 + low));
            }
        }
        return true;
    }
    /// Hexadecimal and base64 need a digit: what is empty has no text of its own.
    bool print_digits(base::Bytes octets, void (*append)(std::string&, base::Bytes))
    {
        append(text_, octets);
        return !octets.empty();
    }

    bool print(TextField field)
    {
        switch (field) {
        case TextField::number8:
        case TextField::algorithm: return print_number(take(1)[0]);
        case TextField::number16: return print_number(base::load_be16(take(2), 0));
        case TextField::number32:
        case TextField::seconds: return print_number(base::load_be32(take(4), 0));
        case TextField::time: text_ += time_to_text(base::load_be32(take(4), 0)); return true;
        case TextField::rr_type: return print_type(base::load_be16(take(2), 0));
        case TextField::certificate_type: return print_number(base::load_be16(take(2), 0));
        case TextField::ipv4: append_ipv4(text_, take(4)); return true;
        case TextField::ipv6: append_ipv6(text_, take(16)); return true;
        case TextField::eui48: return print_eui(6);
        case TextField::eui64: return print_eui(8);
        case TextField::locator64: return print_locator();
        case TextField::name: return print_name();
        case TextField::string: append_quoted(text_, take_counted()); return true;
        case TextField::strings: return print_strings();
        case TextField::bare_string: text_ += base::as_text(take_counted()); return true; // letters and digits
        case TextField::quoted_rest: append_quoted(text_, take_all()); return true;
        case TextField::hex_rest: return print_digits(take_all(), append_hex);
        case TextField::base64_rest: return print_digits(take_all(), append_base64);
        case TextField::salt: print_salt(); return true;
        case TextField::hashed_name: return print_digits(take_counted(), append_base32hex);
        case TextField::types: return print_types();
        case TextField::svc_params: append_svc_params(text_, take_all()); return true;
        case TextField::gateway: return print_gateway();
        case TextField::base64_or_none:
            if (!rest_.empty()) text_ += ' ';
            append_base64(text_, take_all());
            return true;
        case TextField::host_identity: return print_host_identity();
        }
        return false;
    }
    bool print_gateway()
    {
        switch (whole_[1]) {
        case 0: text_ += '.'; return true;
        case 1: append_ipv4(text_, take(4)); return true;
        case 2: append_ipv6(text_, take(16)); return true;
        default: return print_name();
        }
    }
    bool print_host_identity()
    {
        const std::size_t tag_size = take(1)[0];
        print_number(take(1)[0]);
        const std::size_t key_size = base::load_be16(take(2), 0);
        text_ += ' ';
        append_hex(text_, take(tag_size));
        text_ += ' ';
        append_base64(text_, take(key_size));
        while (!rest_.empty()) {
            text_ += ' ';
            if (!print_name()) return false;
        }
        return true;
    }
    void print_salt()
    {
        const base::Bytes octets = take_counted();
        if (octets.empty()) text_ += '-';
        append_hex(text_, octets);
    }

    base::Bytes whole_;
    base::Bytes rest_;
    std::string text_;
};

} // namespace

std::string rdata_to_text(RrType type, base::Bytes rdata)
{
    if (!check_rdata(type, rdata)) return generic_text(rdata);
    std::optional<std::string> text;
    if (is_text_by_ldns(type)) {
        text = ldns_rdata_to_text(type, rdata);
    } else if (const auto fields = text_fields(type); !fields.empty()) {
        text = FieldPrinter{rdata}.run(fields);
    }
    return text ? *std::move(text) : generic_text(rdata);
}

base::Result<std::vector<std::uint8_t>> rdata_from_text(RrType type, std::string_view text, const Name& origin)
{
    TextTokens tokens{text};
    const auto first = tokens.next();
    if (first && !first->quoted && first->text == "\\#") return read_generic(type, tokens);

    const auto fields = text_fields(type);
    if (fields.empty() && !is_text_by_ldns(type)) {
        return problem("expected \\# with length and hexadecimal digits: " + to_string(type) + " has no other text");
    }
    auto rdata = fields.empty() ? ldns_rdata_from_text(type, text, origin) : FieldReader{text, origin}.run(fields);
    if (rdata && !check_rdata(type, *rdata)) return problem("expected values that fit " + to_string(type) + " data");
    return rdata;
}

} // namespace sallyport::wire
