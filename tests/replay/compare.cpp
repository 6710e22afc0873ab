#include "tests/replay/compare.hpp"

#include "wire/edns.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <set>

namespace sallyport::replay {
namespace {

using wire::RrType;

constexpr std::uint16_t kAllFlags = 0x8000 | 0x0400 | 0x0200 | 0x0100 | 0x0080 | 0x0020 | 0x0010;
constexpr std::uint16_t kComparedFlags = kAllFlags & ~0x0400; // all but AA

/// RDATA with its names in lower case.
std::vector<std::uint8_t> lower_rdata(RrType type, const std::vector<std::uint8_t>& rdata)
{
    std::vector<std::uint8_t> out = rdata;
    std::size_t at = 0;
    const auto skip_name = [&] {
        const auto size = wire::measure_name(base::Bytes{out}.subspan(at));
        if (!size) return false;
        wire::lower_copy(out.data() + at, out.data() + at, *size);
        at += *size;
        return true;
    };
    if (type == RrType::RRSIG) {
        at = 18;
        if (out.size() > at) static_cast<void>(skip_name());
        return out;
    }
    for (const wire::RdataPart part : wire::rdata_layout(type)) {
        std::size_t size = 0;
        switch (part) {
        case wire::RdataPart::octet1: size = 1; break;
        case wire::RdataPart::octet2: size = 2; break;
        case wire::RdataPart::octet4: size = 4; break;
        case wire::RdataPart::octet6: size = 6; break;
        case wire::RdataPart::octet8: size = 8; break;
        case wire::RdataPart::octet16: size = 16; break;
        case wire::RdataPart::name:
        case wire::RdataPart::compressible_name:
            if (at >= out.size() || !skip_name()) return out;
            continue;
        default: return out;
        }
        at += size;
        if (at > out.size()) return out;
    }
    return out;
}

std::string record_key(const Record& record, bool with_ttl)
{
    const auto rdata = lower_rdata(record.type, record.rdata);
    std::string text = record.owner.lower().to_text() + ' ';
    if (with_ttl) text += std::to_string(record.ttl) + ' ';
    text += wire::to_string(record.rr_class) + ' ' + wire::to_string(record.type) + ' ';
    text += wire::rdata_to_text(record.type, rdata);
    return text;
}

std::multiset<std::string> keys_of(const std::vector<Record>& records, bool with_ttl)
{
    std::multiset<std::string> keys;
    for (const Record& record : records) keys.insert(record_key(record, with_ttl));
    return keys;
}

RrType covered(const Record& record)
{
    return record.type == RrType::RRSIG && record.rdata.size() >= 2 ? RrType{base::load_be16(record.rdata, 0)}
                                                                    : record.type;
}

/// Of the authority section what a denial is made of.
std::vector<Record> denial_records(const std::vector<Record>& records)
{
    std::vector<Record> kept;
    for (const Record& record : records) {
        const RrType type = covered(record);
        if (type == RrType::SOA || type == RrType::NSEC || type == RrType::NSEC3) kept.push_back(record);
    }
    return kept;
}

std::vector<std::string> alias_chain(const Message& message)
{
    std::vector<std::string> chain;
    for (const Record& record : message.sections[0]) {
        if (record.type == RrType::CNAME || record.type == RrType::DNAME) {
            const std::string owner = record.owner.lower().to_text() + wire::to_string(record.type);
            if (chain.empty() || chain.back() != owner) chain.push_back(owner);
        }
    }
    return chain;
}

bool is_negative(const Message& message)
{
    if (message.questions.empty()) return false;
    return std::all_of(message.sections[0].begin(), message.sections[0].end(), [](const Record& record) {
        const RrType type = covered(record);
        return type == RrType::CNAME || type == RrType::DNAME;
    });
}

std::string describe(const std::multiset<std::string>& expected, const std::multiset<std::string>& actual)
{
    for (const std::string& key : expected) {
        if (actual.count(key) < expected.count(key)) return "missing: " + key;
    }
    for (const std::string& key : actual) {
        if (expected.count(key) < actual.count(key)) return "not expected: " + key;
    }
    return {};
}

std::optional<std::string> compare_records(const std::vector<Record>& expected, const std::vector<Record>& actual,
                                           bool with_ttl, const char* section)
{
    const auto left = keys_of(expected, with_ttl);
    const auto right = keys_of(actual, with_ttl);
    if (left == right) return std::nullopt;
    return std::string(section) + " differs, " + describe(left, right);
}

/// Cuts the option out; its data where it was there.
std::optional<std::vector<std::uint8_t>> take_option(Message& message, wire::EdnsOptionCode code)
{
    std::vector<std::uint8_t> kept;
    std::optional<std::vector<std::uint8_t>> found;
    wire::EdnsOptions options(message.edns_data);
    while (const auto option = options.next()) {
        if (option->code == code && !found) {
            found.emplace(option->data.begin(), option->data.end());
            continue;
        }
        const std::uint8_t head[4] = {static_cast<std::uint8_t>(static_cast<unsigned>(option->code) >> 8U),
                                      static_cast<std::uint8_t>(static_cast<unsigned>(option->code) & 0xFFU),
                                      static_cast<std::uint8_t>(option->data.size() >> 8U),
                                      static_cast<std::uint8_t>(option->data.size() & 0xFFU)};
        kept.insert(kept.end(), std::begin(head), std::end(head));
        kept.insert(kept.end(), option->data.begin(), option->data.end());
    }
    message.edns_data = std::move(kept);
    return found;
}

bool same_question(const Message& left, const Message& right)
{
    if (left.questions.size() != right.questions.size()) return false;
    for (std::size_t i = 0; i < left.questions.size(); ++i) {
        const QuestionLine& a = left.questions[i];
        const QuestionLine& b = right.questions[i];
        if (!(a.qname == b.qname) || a.qtype != b.qtype || a.qclass != b.qclass) return false;
    }
    return true;
}

RrType type_of(const Message& message)
{
    return message.questions.empty() ? RrType{0} : message.questions.front().qtype;
}

std::string rcode_text(const Message& message) { return wire::to_string(static_cast<wire::Rcode>(message.rcode)); }

std::string flags_text(std::uint16_t flags)
{
    std::string text;
    const std::pair<std::uint16_t, const char*> names[] = {
        {0x8000, "QR"}, {0x0400, "AA"}, {0x0200, "TC"}, {0x0100, "RD"}, {0x0080, "RA"}, {0x0020, "AD"}, {0x0010, "CD"}};
    for (const auto& [bit, name] : names) {
        if ((flags & bit) != 0) text += std::string(text.empty() ? "" : " ") + name;
    }
    return text;
}

std::optional<std::string> compare_header(const Message& want, const Message& got, std::uint16_t flags)
{
    if (want.rcode != got.rcode) return "rcode is " + rcode_text(got) + ", expected " + rcode_text(want);
    if (((want.flags ^ got.flags) & flags) != 0) {
        return "flags are " + flags_text(got.flags) + ", expected " + flags_text(want.flags);
    }
    if (!same_question(want, got)) return "the question differs";
    return std::nullopt;
}

std::optional<std::string> compare_edns(const Message& want, const Message& got)
{
    if (want.edns != got.edns) return got.edns ? "an OPT record" : "no OPT record";
    return std::nullopt;
}

/// RPL-FORMAT's level "semantic".
std::optional<std::string> compare_meaning(const Message& want, const Message& got, const Match& match)
{
    if (auto difference = compare_header(want, got, kComparedFlags)) return difference;
    if (auto difference = compare_records(want.sections[0], got.sections[0], match.ttl, "answer")) return difference;
    if (alias_chain(want) != alias_chain(got)) return "the aliases stand in another order";
    if (is_negative(want)) {
        if (auto difference = compare_records(denial_records(want.sections[1]), denial_records(got.sections[1]),
                                              match.ttl, "authority")) {
            return difference;
        }
    }
    return match.all_noedns ? std::nullopt : compare_edns(want, got);
}

/// Everything but the order of records.
std::optional<std::string> compare_strictly(const Message& want, const Message& got, const Match& match)
{
    constexpr const char* kSections[] = {"answer", "authority", "additional"};
    if (auto difference = compare_header(want, got, kAllFlags)) return difference;
    for (std::size_t i = 0; i < 3; ++i) {
        if (auto difference =
                compare_records(want.sections[i], got.sections[i], match.ttl || match.whole, kSections[i]))
            return difference;
    }
    if (alias_chain(want) != alias_chain(got)) return "the aliases stand in another order";
    if (match.all_noedns) return std::nullopt;
    if (auto difference = compare_edns(want, got)) return difference;
    if (want.edns && want.edns_data != got.edns_data) return "other EDNS options";
    if (match.whole && want.edns && (want.udp_size != got.udp_size || want.dnssec_ok != got.dnssec_ok)) {
        return "another OPT record";
    }
    return std::nullopt;
}

} // namespace

bool fits_query(const Entry& pattern, const Message& query, bool tcp)
{
    const Match& match = pattern.match;
    const Message& want = pattern.message;
    if (match.opcode && want.opcode != query.opcode) return false;
    if (match.qtype && type_of(want) != type_of(query)) return false;
    const bool has_name = !want.questions.empty() && !query.questions.empty();
    if (match.qname && (!has_name || !(want.questions[0].qname == query.questions[0].qname))) return false;
    if (match.subdomain && (!has_name || !query.questions[0].qname.is_under(want.questions[0].qname))) return false;
    if (match.question && !same_question(want, query)) return false;
    if (match.rcode && want.rcode != query.rcode) return false;
    if (match.dnssec_ok && !query.dnssec_ok) return false;
    if (match.no_edns && query.edns) return false;
    if (match.udp && tcp) return false;
    if (match.tcp && !tcp) return false;
    if (match.edns_data && want.edns_data != query.edns_data) return false;
    if (match.client_cookie || match.server_cookie) {
        Message copy = query;
        const auto cookie = take_option(copy, wire::EdnsOptionCode::COOKIE);
        if (!cookie || cookie->size() != (match.server_cookie ? 24U : 8U)) return false;
    }
    if (match.serial) return false; // nobody here asks for zone transfers
    return true;
}

std::optional<std::string> find_difference(const Entry& expected, Message got, bool tcp, Level level)
{
    const Match& match = expected.match;
    const Message& want = expected.message;
    if (match.any_ede || match.ede) {
        const auto option = take_option(got, wire::EdnsOptionCode::EDE);
        if (!option || option->size() < 2) return "no extended error";
        const std::uint16_t code = base::load_be16(*option, 0);
        if (match.ede && code != *match.ede) {
            return "extended error " + std::to_string(code) + ", expected " + std::to_string(*match.ede);
        }
    }
    if (match.opcode && want.opcode != got.opcode) return "the opcode differs";
    if (match.qtype && type_of(want) != type_of(got)) return "the type of the question differs";
    if (match.qname && !same_question(want, got)) return "the name of the question differs";
    if (match.rcode && want.rcode != got.rcode) return "rcode is " + rcode_text(got) + ", expected " + rcode_text(want);
    if (match.question && !same_question(want, got)) return "the question differs";
    if (match.udp && tcp) return "over TCP";
    if (match.tcp && !tcp) return "over UDP";
    if (match.no_edns && got.edns) return "an OPT record";
    if (match.edns_data && want.edns_data != got.edns_data) return "other EDNS options";
    if (match.answer && !match.all) {
        if (auto difference = compare_records(want.sections[0], got.sections[0], match.ttl, "answer"))
            return difference;
    }
    if (match.whole || (level == Level::strict && (match.all || match.all_noedns))) {
        return compare_strictly(want, got, match);
    }
    return match.all || match.all_noedns ? compare_meaning(want, got, match) : std::nullopt;
}

std::string to_text(const Message& message)
{
    std::string text = rcode_text(message) + " [" + flags_text(message.flags) + "]" + (message.edns ? " edns" : "");
    for (const QuestionLine& question : message.questions) {
        text += "\n    ? " + question.qname.to_text() + ' ' + wire::to_string(question.qtype);
    }
    for (const auto& section : message.sections) {
        for (const Record& record : section) text += "\n    " + record_key(record, true).substr(0, 150);
        text += "\n    --";
    }
    return text;
}

} // namespace sallyport::replay
