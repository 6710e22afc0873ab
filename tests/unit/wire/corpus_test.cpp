#include "wire/rdata.hpp"
#include "wire/summary.hpp"
#include "wire_test_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <tuple>

/// Material of other projects: what they read we read, and it comes out the same.
namespace sallyport::wire {
namespace {

using test::Octets;

#define NEED_CORPUS(part)                                                                                              \
    if (!std::filesystem::exists(test::corpus(part))) GTEST_SKIP() << "no corpus at " << test::corpus(part)

std::vector<std::string> lines_of(const std::filesystem::path& path)
{
    std::istringstream in{test::read_file(path)};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// Octets of names, in lower case, so that what compression spelled otherwise compares equal.
Octets comparable(const MessageView& message, const RecordView& record)
{
    Octets rdata;
    const auto size = static_cast<std::uint16_t>(record.rdata.size());
    if (!decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)) return {0xFF};
    for (auto& octet : rdata) octet = lower(octet);
    return rdata;
}

/// False where a record cannot be written because its data do not fit their type.
bool write_again(const MessageView& message, MessageWriter& writer)
{
    const Header& header = message.header();
    if (!writer.begin_response(header.id, header.flags, message.question_bytes(), header.question_count)) return false;
    const auto write = [&](Section section, const RecordRange& records) {
        for (const RecordView& record : records) {
            if (record.type == RrType::OPT) continue;
            Octets rdata;
            const auto size = static_cast<std::uint16_t>(record.rdata.size());
            if (!decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)) return false;
            if (!writer.record(section, record.owner.to_name(), record.type, record.rr_class, record.ttl, rdata))
                return false;
        }
        return true;
    };
    return write(Section::answer, message.answers()) && write(Section::authority, message.authorities()) &&
           write(Section::additional, message.additionals());
}

void expect_same(const MessageView& left, const MessageView& right)
{
    auto other = right.records().begin();
    for (const RecordView& record : left.records()) {
        if (record.type == RrType::OPT) continue;
        ASSERT_FALSE(other == std::default_sentinel);
        EXPECT_EQ(record.owner.to_name(), other->owner.to_name());
        EXPECT_EQ(record.type, other->type);
        EXPECT_EQ(record.ttl, other->ttl);
        EXPECT_EQ(comparable(left, record), comparable(right, *other));
        ++other;
    }
    EXPECT_TRUE(other == std::default_sentinel);
}

/// The packets of one of Unbound's files, in hexadecimal: of `.3` each line is one (a short line is a number), in the
/// others they stand between lines of comment, broken anywhere, with comments at line ends.
std::vector<Octets> packets_of(const std::string& file)
{
    constexpr std::size_t kMostDigitsOfNumber = 8;
    const bool packet_a_line = file.ends_with(".3");
    std::vector<Octets> packets;
    std::string digits;
    const auto end = [&] {
        if (digits.size() > kMostDigitsOfNumber) packets.push_back(test::from_hex(digits));
        digits.clear();
    };
    for (const std::string& line : lines_of(test::corpus("unbound-unit") / file)) {
        if (packet_a_line || line.starts_with(';')) end();
        digits += line.substr(0, line.find(';'));
    }
    end();
    return packets;
}

/// `.3` was cut from a capture whatever its protocol: 37 lines are TCP from the acknowledgement number on. There the
/// octets of QDCOUNT hold data offset (5 or 7 words) and flags, and the urgent pointer, ARCOUNT here, is zero.
/// Read as DNS they claim over 20,000 questions and hold none.
bool is_tcp_segment(base::Bytes packet)
{
    return packet.size() >= 12 && (packet[4] == 0x50 || packet[4] == 0x70) && base::load_be16(packet, 10) == 0;
}

TEST(Corpus, PacketsOfUnboundComeOutTheSame)
{
    NEED_CORPUS("unbound-unit");
    std::vector<std::uint8_t> buffer(kMaxMessageSize);
    unsigned segments = 0;
    unsigned same = 0;
    for (const char* file :
         {"test_packets.3", "test_packets.4", "test_packets.6", "test_packets.7", "test_packets.9"}) {
        for (const Octets& packet : packets_of(file)) {
            const auto message = MessageView::parse(packet);
            ASSERT_EQ(message.has_value(), !is_tcp_segment(packet)) << file << " after " << same;
            if (!message) {
                ++segments;
                continue;
            }
            EXPECT_FALSE(to_dig_text(*message).empty());
            MessageWriter writer{buffer, buffer.size()};
            ASSERT_TRUE(write_again(*message, writer)) << file << "\n" << to_dig_text(*message);
            const auto again = MessageView::parse(writer.message());
            ASSERT_TRUE(again) << file;
            expect_same(*message, *again);
            ++same;
        }
    }
    EXPECT_EQ(segments, 37U);
    EXPECT_EQ(same, 217U);
}

/// Types whose data have no text here but `\# LENGTH HEX`: nobody serves them any more, or they are not for zones.
bool has_generic_text_only(std::string_view type)
{
    constexpr std::string_view kTypes[] = {"WKS", "NSAP", "ATMA", "SINK",     "APL",
                                           "NXT", "TSIG", "DOA",  "AMTRELAY", "IPN"};
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

/// A line of the `.c` files: wire format in hexadecimal, and below it owner, TTL, class, type and data.
void expect_reads_as(const std::string& digits, const std::string& line)
{
    const Octets record = test::from_hex(digits);
    const auto owner_size = measure_name(record);
    ASSERT_TRUE(owner_size);
    const base::Bytes fields = base::Bytes{record}.subspan(*owner_size);
    const auto type = static_cast<RrType>(base::load_be16(fields, 0));
    const Octets rdata = test::bytes_of(fields.subspan(10));

    std::istringstream words{line};
    std::string owner;
    std::string ttl;
    std::string rr_class;
    std::string type_text;
    words >> owner >> ttl >> rr_class >> type_text;
    EXPECT_EQ(test::bytes_of(test::name(owner).wire()), test::bytes_of(base::Bytes{record}.first(*owner_size)));
    EXPECT_EQ(parse_rr_type(type_text), type);
    EXPECT_TRUE(check_rdata(type, rdata));
    if (has_generic_text_only(type_text)) {
        EXPECT_TRUE(rdata_to_text(type, rdata).starts_with("\\#"));
        return;
    }
    std::string text;
    std::getline(words, text);
    const auto read = rdata_from_text(type, text, Name{});
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, rdata);
    const auto again = rdata_from_text(type, rdata_to_text(type, rdata), Name{});
    ASSERT_TRUE(again) << rdata_to_text(type, rdata);
    EXPECT_EQ(*again, rdata);
}

/// Three lines where Unbound is wrong: NSAP-PTR holds a name, as PTR does (RFC 1348), not a string; and a quote
/// begins a string (RFC 1035 §5.1), so a name cannot have one as it stands.
bool is_misread_by_unbound(const std::string& line)
{
    return line.find("\tNSAP-PTR\t") != std::string::npos || line.ends_with(" \"foo.");
}

TEST(Corpus, RecordsOfUnboundReadAsUnboundReadsThem)
{
    NEED_CORPUS("unbound-unit");
    unsigned compared = 0;
    for (const char* file : {"test_ldnsrr.c3", "test_ldnsrr.c4", "test_ldnsrr.c5"}) {
        const auto lines = lines_of(test::corpus("unbound-unit") / file);
        for (std::size_t i = 0; i + 1 < lines.size(); i += 2) {
            if (is_misread_by_unbound(lines[i + 1])) continue;
            SCOPED_TRACE(std::string{file} + ":" + std::to_string(i + 2) + " " + lines[i + 1]);
            expect_reads_as(lines[i], lines[i + 1]);
            ++compared;
        }
    }
    EXPECT_EQ(compared, 683U);
}

TEST(Corpus, MessagesOfCaresDoNoHarm)
{
    NEED_CORPUS("cares-messages");
    unsigned good = 0;
    for (const auto& entry : std::filesystem::directory_iterator{test::corpus("cares-messages")}) {
        const std::string content = test::read_file(entry.path());
        const auto message = MessageView::parse(base::as_bytes(content));
        if (!message) continue;
        ++good;
        EXPECT_FALSE(to_dig_text(*message).empty());
        EXPECT_TRUE(to_json(*message).ends_with("}"));
    }
    EXPECT_GT(good, 1U);
}

TEST(Corpus, NamesOfCaresReadOrAreRefused)
{
    NEED_CORPUS("cares-names");
    for (const auto& entry : std::filesystem::directory_iterator{test::corpus("cares-names")}) {
        const std::string content = test::read_file(entry.path());
        const auto parsed = Name::from_text(content);
        if (parsed) {
            EXPECT_EQ(test::name(parsed->to_text()), *parsed);
        }
    }
}

/// One record of zone text.
struct ZoneRecord {
    Name origin;
    Name owner;
    std::string type;
    std::string rdata;
    std::string line; ///< whole, for people
};

/// The entries of zone text: lines, those between parentheses as one, without their comments.
std::vector<std::string> entries_of(const std::filesystem::path& path)
{
    std::vector<std::string> entries(1);
    int depth = 0;
    for (const std::string& line : lines_of(path)) {
        std::string& entry = entries.back();
        bool quoted = false;
        for (std::size_t i = 0; i < line.size(); ++i) {
            const char c = line[i];
            if (c == '"') quoted = !quoted;
            if (!quoted && c == ';') break;
            if (!quoted && (c == '(' || c == ')')) depth += c == '(' ? 1 : -1;
            entry += c;
            if (c == '\\' && i + 1 < line.size()) entry += line[++i];
        }
        entry += '\n';
        if (depth == 0) entries.emplace_back();
    }
    return entries;
}

std::vector<ZoneRecord> records_of(const std::filesystem::path& path)
{
    const auto is_ttl_or_class = [](const std::string& word) {
        return word == "IN" || word.find_first_not_of("0123456789") == std::string::npos;
    };
    std::vector<ZoneRecord> records;
    Name origin;
    Name owner;
    for (const std::string& entry : entries_of(path)) {
        std::istringstream words{entry};
        std::string word;
        if (!(words >> word)) continue;
        if (word == "$ORIGIN" && words >> word) origin = Name::from_text(word, &origin).value();
        if (entry.starts_with('$')) continue;
        if (entry[0] != ' ' && entry[0] != '\t') { // otherwise the owner is that of the record before
            owner = Name::from_text(word, &origin).value();
            words >> word;
        }
        while (is_ttl_or_class(word) && words >> word) {}
        ZoneRecord record{origin, owner, word, {}, entry};
        std::getline(words, record.rdata, '\0');
        records.push_back(std::move(record));
    }
    return records;
}

bool is_svcb(const ZoneRecord& record) { return record.type == "SVCB" || record.type == "HTTPS"; }

base::Result<Octets> read_record(const ZoneRecord& record)
{
    return rdata_from_text(parse_rr_type(record.type).value(), record.rdata, record.origin);
}

TEST(Corpus, SvcbVectorsReadAsTheirOctets)
{
    NEED_CORPUS("unbound-svcb");
    const auto text = records_of(test::corpus("unbound-svcb") / "svcb.test-vectors-pf.zone");
    const auto octets = records_of(test::corpus("unbound-svcb") / "svcb.test-vectors-wf.zone");
    ASSERT_EQ(text.size(), octets.size());
    unsigned compared = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_svcb(text[i])) continue;
        const auto left = read_record(text[i]);
        const auto right = read_record(octets[i]);
        ASSERT_TRUE(left) << text[i].line << left.error().message;
        ASSERT_TRUE(right) << octets[i].line << right.error().message;
        EXPECT_EQ(*left, *right) << text[i].line;
        ++compared;
    }
    EXPECT_GE(compared, 20U);
}

TEST(Corpus, BadSvcbRecordsAreRefused)
{
    unsigned seen = 0;
    for (const char* folder : {"nsd", "unbound-svcb"}) {
        NEED_CORPUS(folder);
        for (const auto& entry : std::filesystem::directory_iterator{test::corpus(folder)}) {
            const std::string file = entry.path().filename().string();
            if (file.find("failure-cases") == std::string::npos) continue;
            // Unbound holds at most 63 parameters; RFC 9460 has no such limit, and RDLENGTH is limit enough for us.
            const bool is_too_long_for_unbound = std::string_view{folder} == "unbound-svcb" && file.ends_with("03");
            for (const ZoneRecord& record : records_of(entry.path())) {
                if (!is_svcb(record)) continue;
                EXPECT_EQ(read_record(record).has_value(), is_too_long_for_unbound) << file << ": " << record.line;
                ++seen;
            }
        }
    }
    EXPECT_EQ(seen, 21U);
}

/// Unbound reads these and RFC 9460 does not:
/// `echconfig`, a draft's name for `ech` (RFC 9460 §14.3.2 has `ech` alone);
/// `ech` without a value and `ech=0`, Unbound's own word for it: an ECHConfigList is never empty (RFC 9848);
/// `dohpath` without a value: the URI template has to name the variable `dns` (RFC 9461).
bool is_refused_by_rfc_9460(const std::string& line)
{
    const auto ends = [&](std::string_view text) { return line.ends_with(std::string{text} + "\n"); };
    return line.find("echconfig") != std::string::npos || ends(" ech") || ends(" ech=0") || ends(" dohpath") ||
           ends(" dohpath=") || ends(" dohpath=\"\"");
}

TEST(Corpus, GoodSvcbRecordsAreRead)
{
    NEED_CORPUS("unbound-svcb");
    unsigned read = 0;
    unsigned refused = 0;
    for (const char* file : {"svcb.success-cases.zone", "crypto.cloudflare.com.zone"}) {
        for (const ZoneRecord& record : records_of(test::corpus("unbound-svcb") / file)) {
            if (!is_svcb(record)) continue;
            const auto rdata = read_record(record);
            ASSERT_EQ(rdata.has_value(), !is_refused_by_rfc_9460(record.line)) << record.line;
            if (!rdata) {
                ++refused;
                continue;
            }
            const RrType type = *parse_rr_type(record.type);
            EXPECT_EQ(rdata_from_text(type, rdata_to_text(type, *rdata), Name{}).value(), *rdata);
            ++read;
        }
    }
    EXPECT_EQ(read, 12U);
    EXPECT_EQ(refused, 8U);
}

/// What a zone says, whatever it is written like.
using ZoneContent = std::multiset<std::tuple<std::string, RrType, Octets>>;

ZoneContent content_of(const std::filesystem::path& path)
{
    ZoneContent content;
    for (const ZoneRecord& record : records_of(path)) {
        const auto type = parse_rr_type(record.type);
        EXPECT_TRUE(type) << record.line;
        if (!type || has_generic_text_only(record.type)) continue;
        const auto rdata = read_record(record);
        EXPECT_TRUE(rdata) << record.line << rdata.error().message;
        if (rdata) content.insert({record.owner.lower().to_text(), *type, *rdata});
    }
    return content;
}

TEST(Corpus, EveryTypeOfTheZoneOfNsdReadsAsNsdPrintsIt)
{
    NEED_CORPUS("nsd");
    const auto source = content_of(test::corpus("nsd") / "rr-test.zone");
    const auto printed = content_of(test::corpus("nsd") / "rr-test.cmp_zone");
    EXPECT_GT(source.size(), 60U);
    std::vector<ZoneContent::value_type> differences;
    std::set_symmetric_difference(source.begin(), source.end(), printed.begin(), printed.end(),
                                  std::back_inserter(differences));
    for (const auto& [owner, type, rdata] : differences) {
        ADD_FAILURE() << owner << " " << to_string(type) << " " << rdata_to_text(type, rdata);
    }
}

} // namespace
} // namespace sallyport::wire
