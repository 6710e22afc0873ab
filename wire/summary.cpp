#include "wire/summary.hpp"

#include "wire/rdata.hpp"
#include "wire/text_codec.hpp"

namespace sallyport::wire {
namespace {

struct FlagName {
    std::uint16_t bit;
    std::string_view upper;
    std::string_view lower;
};

constexpr FlagName kFlags[] = {
    {flag::QR, "QR", "qr"}, {flag::AA, "AA", "aa"}, {flag::TC, "TC", "tc"}, {flag::RD, "RD", "rd"},
    {flag::RA, "RA", "ra"}, {flag::AD, "AD", "ad"}, {flag::CD, "CD", "cd"},
};

struct Question {
    Name qname;
    RrType qtype{};
    RrClass qclass{};
};

/// Each question of a message to `use`.
template <class Use>
void each_question(const MessageView& message, Use use)
{
    std::uint16_t at = kHeaderSize;
    for (unsigned left = message.header().question_count; left > 0; --left) {
        const NameRef qname{message.bytes(), at};
        const std::size_t end = qname.end_offset();
        use(Question{qname.to_name(), static_cast<RrType>(base::load_be16(message.bytes(), end)),
                     static_cast<RrClass>(base::load_be16(message.bytes(), end + 2))});
        at = static_cast<std::uint16_t>(end + 4);
    }
}

std::string data_text(const MessageView& message, const RecordView& record)
{
    std::vector<std::uint8_t> rdata;
    const auto size = static_cast<std::uint16_t>(record.rdata.size());
    // What does not fit its type is shown as octets, so that nothing is hidden.
    if (decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)) {
        return rdata_to_text(record.type, rdata);
    }
    return rdata_to_text(RrType{}, record.rdata);
}

std::string hex(base::Bytes octets)
{
    std::string text;
    append_hex(text, octets);
    return text;
}

std::string quoted(base::Bytes octets)
{
    std::string text;
    append_quoted(text, octets);
    return text;
}

std::string subnet_text(base::Bytes option)
{
    const auto subnet = read_client_subnet(option);
    if (!subnet) return "malformed " + hex(option);
    std::uint8_t address[16] = {};
    std::copy(subnet->address.begin(), subnet->address.end(), address);
    std::string text;
    if (subnet->family == 1) append_ipv4(text, {address, 4});
    if (subnet->family == 2) append_ipv6(text, {address, 16});
    return text + "/" + std::to_string(subnet->source_prefix) + "/" + std::to_string(subnet->scope_prefix);
}

std::string extended_error_text(base::Bytes option)
{
    if (option.size() < 2) return "malformed " + hex(option);
    const unsigned code = base::load_be16(option, 0);
    std::string text = std::to_string(code) + " (" + std::string{to_string(static_cast<ExtendedError>(code))} + ")";
    if (option.size() > 2) text += ": " + quoted(option.subspan(2));
    return text;
}

std::string keepalive_text(base::Bytes option)
{
    if (option.size() != 2) return "none";
    const unsigned tenths = base::load_be16(option, 0); // RFC 7828 §3.1: units of 100 ms
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

std::string option_name(EdnsOptionCode code)
{
    switch (code) {
    case EdnsOptionCode::NSID: return "NSID";
    case EdnsOptionCode::DAU: return "DAU";
    case EdnsOptionCode::DHU: return "DHU";
    case EdnsOptionCode::N3U: return "N3U";
    case EdnsOptionCode::CLIENT_SUBNET: return "CLIENT-SUBNET";
    case EdnsOptionCode::EXPIRE: return "EXPIRE";
    case EdnsOptionCode::COOKIE: return "COOKIE";
    case EdnsOptionCode::TCP_KEEPALIVE: return "TCP-KEEPALIVE";
    case EdnsOptionCode::PADDING: return "PADDING";
    case EdnsOptionCode::CHAIN: return "CHAIN";
    case EdnsOptionCode::KEY_TAG: return "KEY-TAG";
    case EdnsOptionCode::EDE: return "EDE";
    case EdnsOptionCode::REPORT_CHANNEL: return "REPORT-CHANNEL";
    case EdnsOptionCode::ZONEVERSION: return "ZONEVERSION";
    }
    return "OPT" + std::to_string(static_cast<unsigned>(code));
}

std::string option_text(const EdnsOption& option)
{
    switch (option.code) {
    case EdnsOptionCode::NSID: return hex(option.data) + (option.data.empty() ? "" : " ") + quoted(option.data);
    case EdnsOptionCode::CLIENT_SUBNET: return subnet_text(option.data);
    case EdnsOptionCode::TCP_KEEPALIVE: return keepalive_text(option.data);
    case EdnsOptionCode::PADDING: return std::to_string(option.data.size()) + " octets";
    case EdnsOptionCode::EDE: return extended_error_text(option.data);
    default: return hex(option.data);
    }
}

void append_header(std::string& text, const MessageView& message)
{
    const Header& header = message.header();
    text += ";; ->>HEADER<<- opcode: ";
    text += to_string(header.opcode());
    text += ", status: " + to_string(message.rcode()) + ", id: " + std::to_string(header.id) + "\n;; flags:";
    for (const FlagName& entry : kFlags) {
        if (header.has(entry.bit)) text.append(" ").append(entry.lower);
    }
    text += "; QUERY: " + std::to_string(header.question_count) + ", ANSWER: " + std::to_string(header.answer_count);
    text += ", AUTHORITY: " + std::to_string(header.authority_count);
    text += ", ADDITIONAL: " + std::to_string(header.additional_count) + "\n";
}

void append_edns(std::string& text, const EdnsView& edns)
{
    text += "\n;; OPT PSEUDOSECTION:\n; EDNS: version: " + std::to_string(edns.version) + ", flags:";
    if (edns.dnssec_ok) text += " do";
    text += "; udp: " + std::to_string(edns.udp_payload_size) + "\n";
    EdnsOptions options{edns.options};
    while (const auto option = options.next()) {
        text += "; " + option_name(option->code) + ": " + option_text(*option) + "\n";
    }
}

void append_section(std::string& text, const MessageView& message, std::string_view title, const RecordRange& records)
{
    bool first = true;
    for (const RecordView& record : records) {
        if (record.type == RrType::OPT) continue;
        if (first) text.append("\n;; ").append(title).append(" SECTION:\n");
        first = false;
        text += record.owner.to_name().to_text() + "\t" + std::to_string(record.ttl.seconds()) + "\t";
        text += to_string(record.rr_class) + "\t" + to_string(record.type) + "\t" + data_text(message, record) + "\n";
    }
}

/// Writes JSON; every value is ASCII by the time it comes here, so that escaping is short.
class JsonWriter {
public:
    void open(char bracket)
    {
        separate();
        text_ += bracket;
        first_ = true;
    }
    void close(char bracket)
    {
        text_ += bracket;
        first_ = false;
    }
    void key(std::string_view name)
    {
        string(name);
        text_ += ':';
        first_ = true; // no comma between a key and its value
    }
    void string(std::string_view value)
    {
        separate();
        text_ += '"';
        for (const char c : value) {
            const auto octet = static_cast<unsigned char>(c);
            if (octet < 0x20 || octet >= 0x7F) {
                constexpr std::string_view kDigits = "0123456789abcdef";
                text_ += "\\u00";
                text_ += kDigits[octet >> 4U];
                text_ += kDigits[octet & 0xFU];
                continue;
            }
            if (c == '"' || c == '\\') text_ += '\\';
            text_ += c;
        }
        text_ += '"';
    }
    void number(std::uint32_t value)
    {
        separate();
        text_ += std::to_string(value);
    }
    void boolean(bool value)
    {
        separate();
        text_ += value ? "true" : "false";
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void separate()
    {
        if (!first_) text_ += ',';
        first_ = false;
    }
    std::string text_;
    bool first_ = true;
};

void write_class_and_type(JsonWriter& json, RrType type, RrClass rr_class)
{
    json.key("type");
    json.number(static_cast<std::uint32_t>(type));
    json.key("typeName");
    json.string(to_string(type));
    json.key("class");
    json.string(to_string(rr_class));
}

void write_header(JsonWriter& json, const MessageView& message)
{
    const Header& header = message.header();
    json.key("ID");
    json.number(header.id);
    json.key("Opcode");
    json.number(static_cast<std::uint32_t>(header.opcode()));
    json.key("Status");
    json.number(static_cast<std::uint32_t>(message.rcode()));
    json.key("StatusName");
    json.string(to_string(message.rcode()));
    for (const FlagName& entry : kFlags) {
        json.key(entry.upper);
        json.boolean(header.has(entry.bit));
    }
}

void write_questions(JsonWriter& json, const MessageView& message)
{
    json.key("Question");
    json.open('[');
    each_question(message, [&](const Question& question) {
        json.open('{');
        json.key("name");
        json.string(question.qname.to_text());
        write_class_and_type(json, question.qtype, question.qclass);
        json.close('}');
    });
    json.close(']');
}

void write_section(JsonWriter& json, const MessageView& message, std::string_view name, const RecordRange& records)
{
    json.key(name);
    json.open('[');
    for (const RecordView& record : records) {
        if (record.type == RrType::OPT) continue;
        json.open('{');
        json.key("name");
        json.string(record.owner.to_name().to_text());
        write_class_and_type(json, record.type, record.rr_class);
        json.key("TTL");
        json.number(record.ttl.seconds());
        json.key("data");
        json.string(data_text(message, record));
        json.close('}');
    }
    json.close(']');
}

void write_edns(JsonWriter& json, const EdnsView& edns)
{
    json.key("EDNS");
    json.open('{');
    json.key("version");
    json.number(edns.version);
    json.key("udp");
    json.number(edns.udp_payload_size);
    json.key("DO");
    json.boolean(edns.dnssec_ok);
    json.key("options");
    json.open('[');
    EdnsOptions options{edns.options};
    while (const auto option = options.next()) {
        json.open('{');
        json.key("code");
        json.number(static_cast<std::uint32_t>(option->code));
        json.key("name");
        json.string(option_name(option->code));
        json.key("data");
        json.string(option_text(*option));
        json.close('}');
    }
    json.close(']');
    json.close('}');
}

} // namespace

std::string to_dig_text(const MessageView& message)
{
    std::string text;
    append_header(text, message);
    if (const EdnsView* edns = message.edns()) append_edns(text, *edns);
    if (message.header().question_count > 0) text += "\n;; QUESTION SECTION:\n";
    each_question(message, [&](const Question& question) {
        text += ";" + question.qname.to_text() + "\t\t" + to_string(question.qclass) + "\t" +
                to_string(question.qtype) + "\n";
    });
    append_section(text, message, "ANSWER", message.answers());
    append_section(text, message, "AUTHORITY", message.authorities());
    append_section(text, message, "ADDITIONAL", message.additionals());
    return text;
}

std::string to_json(const MessageView& message)
{
    JsonWriter json;
    json.open('{');
    write_header(json, message);
    write_questions(json, message);
    write_section(json, message, "Answer", message.answers());
    write_section(json, message, "Authority", message.authorities());
    write_section(json, message, "Additional", message.additionals());
    if (const EdnsView* edns = message.edns()) write_edns(json, *edns);
    json.close('}');
    return json.take();
}

} // namespace sallyport::wire
