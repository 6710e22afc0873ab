#include "tests/replay/scenario.hpp"

#include "wire/rdata.hpp"
#include "wire/text_codec.hpp"

#include <algorithm>

namespace sallyport::replay {
namespace {

using wire::Name;
using wire::RrType;

base::Error problem(std::string message) { return {base::ErrorCode::invalid, std::move(message), {}}; }

/// Takes the next word off the line.
std::string_view take_word(std::string_view& rest)
{
    const std::size_t begin = rest.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(begin);
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end);
    return word;
}

/// Comments go, parentheses become blanks: a record is one line.
std::string clean(std::string_view line)
{
    std::string out;
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '\\' && i + 1 < line.size()) {
            out += c;
            out += line[++i];
            continue;
        }
        if (c == '"') quoted = !quoted;
        if (!quoted && c == ';') break;
        out += !quoted && (c == '(' || c == ')') ? ' ' : c;
    }
    while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r')) out.pop_back();
    return out;
}

bool is_number(std::string_view word)
{
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether a type comes next: ANY is a class then.
bool is_type(std::string_view rest) { return wire::parse_rr_type(take_word(rest)).has_value(); }

/// RFC 3597 §5 without its demand that the length fit the type.
base::Result<std::vector<std::uint8_t>> opaque_rdata(std::string_view rest)
{
    const std::string_view count = take_word(rest);
    const auto size = wire::parse_decimal(count, 65535);
    if (!size) return problem("expected a length after \\#");
    std::string digits;
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) digits += word;
    std::vector<std::uint8_t> octets;
    if (!wire::decode_hex(digits, octets)) return problem("expected hexadecimal digits");
    return octets;
}

/// An RRSIG whose signature is missing or no base64: the fields before it, and what can be read of it.
base::Result<std::vector<std::uint8_t>> damaged_signature(std::string_view text, const Name& origin)
{
    std::string_view rest = text;
    std::string fields;
    for (unsigned i = 0; i < 8; ++i) {
        fields += std::string(take_word(rest)) + ' ';
    }
    auto made = wire::rdata_from_text(RrType::RRSIG, fields + "AAAA", origin);
    if (!made) return made.error();
    made->resize(made->size() - 3);
    std::string base64;
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) base64 += word;
    while (!base64.empty() && base64.back() == '=') base64.pop_back();
    base64.resize(base64.size() - base64.size() % 4);
    std::vector<std::uint8_t> signature;
    if (wire::decode_base64(base64, signature)) made->insert(made->end(), signature.begin(), signature.end());
    return made;
}

/// Numbers behind those an SOA has are left out.
std::string without_surplus(RrType type, std::string_view text)
{
    if (type != RrType::SOA) return std::string(text);
    std::string kept;
    std::string_view rest = text;
    for (unsigned i = 0; i < 7; ++i) kept += std::string(take_word(rest)) + ' ';
    return kept;
}

} // namespace

base::Result<Record> parse_record(std::string_view line, const Name& origin, std::uint32_t ttl)
{
    const std::string text = clean(line);
    std::string_view rest = text;
    const std::string_view owner = take_word(rest);
    Record record;
    record.ttl = ttl;
    const auto name = Name::from_text(owner == "@" ? std::string_view{"@"} : owner, &origin);
    if (owner == "@") {
        record.owner = origin;
    } else if (!name) {
        return problem("expected an owner name, not '" + std::string(owner) + "'");
    } else {
        record.owner = *name;
    }
    std::string_view word = take_word(rest);
    for (unsigned i = 0; i < 2; ++i) {
        if (is_number(word) || (!word.empty() && word.front() >= '0' && word.front() <= '9')) {
            const auto seconds = wire::parse_seconds(word);
            if (!seconds) return problem("expected a TTL, not '" + std::string(word) + "'");
            record.ttl = *seconds;
            word = take_word(rest);
        } else if (const auto rr_class = wire::parse_rr_class(word);
                   rr_class && (*rr_class != wire::RrClass::ANY || is_type(rest))) {
            record.rr_class = *rr_class;
            word = take_word(rest);
        }
    }
    const auto type = wire::parse_rr_type(word);
    if (!type) return problem("expected a record type, not '" + std::string(word) + "'");
    record.type = *type;
    std::string_view probe = rest;
    if (take_word(probe) == "\\#") {
        auto octets = opaque_rdata(probe);
        if (!octets) return octets.error();
        record.rdata = std::move(*octets);
        return record;
    }
    auto rdata = wire::rdata_from_text(*type, without_surplus(*type, rest), origin);
    if (!rdata && *type == RrType::RRSIG) rdata = damaged_signature(rest, origin);
    if (!rdata) return rdata.error();
    record.rdata = std::move(*rdata);
    return record;
}

namespace {

std::optional<base::Bytes> find_subnet(const Message& message)
{
    wire::EdnsOptions options(message.edns_data);
    while (const auto option = options.next()) {
        if (option->code == wire::EdnsOptionCode::CLIENT_SUBNET) return option->data;
    }
    return std::nullopt;
}

} // namespace

std::optional<wire::ClientSubnet> Message::subnet() const
{
    const auto data = find_subnet(*this);
    if (!data) return std::nullopt;
    const auto read = wire::read_client_subnet(*data);
    return read ? std::optional{*read} : std::nullopt;
}

std::vector<std::uint8_t> Message::subnet_bytes() const
{
    const auto data = find_subnet(*this);
    return data ? std::vector<std::uint8_t>{data->begin(), data->end()} : std::vector<std::uint8_t>{};
}

std::optional<Message> to_message(base::Bytes bytes)
{
    const auto view = wire::MessageView::parse(bytes);
    if (!view) return std::nullopt;
    Message message;
    const wire::Header& header = view->header();
    message.opcode = header.opcode();
    message.rcode = static_cast<std::uint16_t>(header.rcode());
    message.flags = static_cast<std::uint16_t>(header.flags & 0x87B0U);
    if (header.question_count > 0)
        message.questions.push_back({view->qname().to_name(), view->qtype(), view->qclass()});
    const wire::RecordRange ranges[3] = {view->answers(), view->authorities(), view->additionals()};
    for (std::size_t section = 0; section < 3; ++section) {
        for (const wire::RecordView& record : ranges[section]) {
            if (record.type == RrType::OPT) continue;
            Record made{record.owner.to_name(), record.type, record.rr_class, record.ttl.seconds(), {}};
            if (!wire::decompress_rdata(bytes, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                        record.type, made.rdata)) {
                made.rdata.assign(record.rdata.begin(), record.rdata.end());
            }
            message.sections[section].push_back(std::move(made));
        }
    }
    if (const wire::EdnsView* edns = view->edns()) {
        message.edns = true;
        message.dnssec_ok = edns->dnssec_ok;
        message.udp_size = edns->udp_payload_size;
        message.edns_data.assign(edns->options.begin(), edns->options.end());
    }
    return message;
}

namespace {

void put16(std::vector<std::uint8_t>& out, std::size_t value)
{
    out.push_back(static_cast<std::uint8_t>((value >> 8U) & 0xFFU));
    out.push_back(static_cast<std::uint8_t>(value & 0xFFU));
}

void put(std::vector<std::uint8_t>& out, base::Bytes octets) { out.insert(out.end(), octets.begin(), octets.end()); }

} // namespace

std::vector<std::uint8_t> to_bytes(const Message& message, std::uint16_t id)
{
    std::vector<std::uint8_t> out;
    put16(out, id);
    put16(out, message.flags | (static_cast<unsigned>(message.opcode) << 11U) | (message.rcode & 0xFU));
    put16(out, message.questions.size());
    for (std::size_t i = 0; i < 3; ++i) {
        put16(out, message.sections[i].size() + (i == 2 && message.edns ? 1 : 0));
    }
    for (const QuestionLine& question : message.questions) {
        put(out, question.qname.wire());
        put16(out, static_cast<std::uint16_t>(question.qtype));
        put16(out, static_cast<std::uint16_t>(question.qclass));
    }
    for (const auto& section : message.sections) {
        for (const Record& record : section) {
            put(out, record.owner.wire());
            put16(out, static_cast<std::uint16_t>(record.type));
            put16(out, static_cast<std::uint16_t>(record.rr_class));
            put16(out, record.ttl >> 16U);
            put16(out, record.ttl & 0xFFFFU);
            put16(out, record.rdata.size());
            put(out, record.rdata);
        }
    }
    if (message.edns) {
        out.push_back(0);
        put16(out, static_cast<std::uint16_t>(RrType::OPT));
        put16(out, message.udp_size);
        put16(out, message.rcode >> 4U);
        put16(out, (message.dnssec_ok ? 0x8000U : 0U) | (message.compact_ok ? 0x4000U : 0U));
        put16(out, message.edns_data.size());
        put(out, message.edns_data);
    }
    return out;
}

} // namespace sallyport::replay
