#include "tests/replay/scenario.hpp"

#include "wire/text_codec.hpp"

#include <algorithm>
#include <charconv>

namespace sallyport::replay {
namespace {

using wire::Name;

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view text)
{
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string_view take_word(std::string_view& rest)
{
    rest = trim(rest);
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest = trim(rest.substr(end));
    return word;
}

template <class Number>
bool read_number(std::string_view text, Number& out)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end != text.data();
}

struct RcodeWord {
    std::string_view word;
    std::uint16_t value;
};
constexpr RcodeWord kRcodes[] = {{"NOERROR", 0}, {"FORMERR", 1},  {"SERVFAIL", 2}, {"NXDOMAIN", 3},  {"NOTIMPL", 4},
                                 {"NOTIMP", 4},  {"REFUSED", 5},  {"YXDOMAIN", 6}, {"YXRRSET", 7},   {"NXRRSET", 8},
                                 {"NOTAUTH", 9}, {"NOTZONE", 10}, {"BADVERS", 16}, {"BADCOOKIE", 23}};
constexpr RcodeWord kFlags[] = {{"QR", 0x8000}, {"AA", 0x0400}, {"TC", 0x0200}, {"RD", 0x0100},
                                {"RA", 0x0080}, {"AD", 0x0020}, {"CD", 0x0010}};
constexpr RcodeWord kOpcodes[] = {{"QUERY", 0}, {"IQUERY", 1}, {"STATUS", 2}, {"NOTIFY", 4}, {"UPDATE", 5}};

template <std::size_t N>
const RcodeWord* find_word(const RcodeWord (&table)[N], std::string_view word)
{
    const auto it =
        std::find_if(std::begin(table), std::end(table), [&](const RcodeWord& e) { return e.word == word; });
    return it == std::end(table) ? nullptr : &*it;
}

class Parser {
public:
    Parser(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

    base::Result<Scenario> parse()
    {
        if (rest_.size() > kMaxFile) return fault("a scenario has at most 4 MiB");
        if (!read_head() || !read_body()) return error_;
        return std::move(scenario_);
    }

private:
    // --- lines

    bool next()
    {
        if (rest_.empty()) return false;
        const std::size_t end = rest_.find('\n');
        raw_ = rest_.substr(0, end);
        rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
        ++line_;
        text_ = trim(raw_);
        return true;
    }
    /// The next line that is neither empty nor a comment.
    bool next_meaningful(bool hash_comments)
    {
        while (next()) {
            if (text_.empty() || text_.front() == ';' || (hash_comments && text_.front() == '#')) continue;
            return true;
        }
        return false;
    }
    [[nodiscard]] bool starts(std::string_view keyword) const { return text_.substr(0, keyword.size()) == keyword; }
    base::Error fault(std::string what) const
    {
        return {base::ErrorCode::invalid, std::move(what), {file_, static_cast<std::uint32_t>(line_), 1}};
    }
    bool fail(std::string what)
    {
        error_ = fault(std::move(what));
        return false;
    }
    bool collect(std::string_view until, std::vector<std::string>& lines)
    {
        while (next()) {
            if (starts(until)) return true;
            lines.emplace_back(raw_);
        }
        return fail("expected " + std::string(until));
    }

    // --- the head

    bool read_head()
    {
        while (next_meaningful(true)) {
            if (starts("CONFIG_END")) return true;
            if (starts("SCENARIO_BEGIN")) return fail("expected CONFIG_END before SCENARIO_BEGIN");
            if (!read_head_line()) return false;
        }
        return fail("expected CONFIG_END");
    }
    bool read_head_line()
    {
        std::string_view rest = text_;
        const std::string_view first = take_word(rest);
        if (first == "COMMANDLINE") {
            scenario_.commands.emplace_back(rest);
            return true;
        }
        if (first == "AUTOTRUST_FILE") {
            section_ = "server";
            config("auto-trust-anchor-file", std::string(rest));
            return collect("AUTOTRUST_END", scenario_.autotrust[std::string(rest)]);
        }
        if (first == "TEMPFILE_CONTENTS") return collect("TEMPFILE_END", scenario_.files[std::string(rest)]);
        if (first == "TEMPFILE_NAME") {
            if (scenario_.config.empty()) return fail("TEMPFILE_NAME without an option before it");
            scenario_.config.back().value = std::string(rest);
            return true;
        }
        return read_option();
    }
    void config(std::string name, std::string value)
    {
        scenario_.config.push_back({line_, section_, block_, std::move(name), std::move(value)});
    }
    bool read_option()
    {
        // `name: value`, several in one line too; `#` begins a comment outside quotes.
        std::string_view rest = trim(text_);
        if (!ends_option(rest.substr(0, rest.find_first_of(" \t")))) {
            const std::size_t colon = rest.find(':');
            if (colon == std::string_view::npos) return fail("expected an option like name: value");
            const std::string_view name = rest.substr(0, colon);
            if (!is_option(name)) return fail("expected an option like name: value");
            return read_value(std::string(name), rest.substr(colon + 1));
        }
        while (!rest.empty() && rest.front() != '#') {
            const std::string_view word = take_word(rest);
            if (!read_value(std::string(word.substr(0, word.size() - 1)), rest)) return false;
            rest = left_;
        }
        return true;
    }
    static bool is_option(std::string_view name)
    {
        return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        });
    }
    static bool ends_option(std::string_view word)
    {
        return word.size() > 1 && word.back() == ':' && is_option(word.substr(0, word.size() - 1));
    }
    /// Words up to the next option of the line; `left_` is what follows.
    bool read_value(const std::string& name, std::string_view rest)
    {
        std::string value;
        rest = trim(rest);
        bool quoted_before = false;
        while (!rest.empty() && rest.front() != '#') {
            std::string_view word;
            if (rest.front() == '"' || rest.front() == '\'') {
                const std::size_t end = rest.find(rest.front(), 1);
                if (end == std::string_view::npos) return fail("expected the closing quote");
                word = rest.substr(1, end - 1);
                rest = trim(rest.substr(end + 1));
                quoted_before = true;
            } else {
                std::string_view probe = rest;
                word = take_word(probe);
                if (ends_option(word)) break;
                rest = probe;
            }
            if (!value.empty()) value += ' ';
            value += word;
        }
        left_ = rest;
        if (value.empty() && !quoted_before && is_section(name)) {
            section_ = name;
            ++block_;
        } else {
            config(name, value);
        }
        return true;
    }
    static bool is_section(std::string_view name)
    {
        constexpr std::string_view kSections[] = {"server",         "stub-zone", "forward-zone", "auth-zone", "rpz",
                                                  "remote-control", "view",      "dnscrypt",     "cachedb",   "python",
                                                  "dynlib",         "ipset",     "dnstap"};
        return std::find(std::begin(kSections), std::end(kSections), name) != std::end(kSections);
    }

    // --- the scenario

    bool read_body()
    {
        bool begun = false;
        while (next_meaningful(false)) {
            if (starts("SCENARIO_BEGIN")) {
                scenario_.title = trim(text_.substr(14));
                begun = true;
            } else if (!begun) {
                return fail("expected SCENARIO_BEGIN");
            } else if (starts("SCENARIO_END")) {
                return true;
            } else if (starts("RANGE_BEGIN")) {
                if (!read_range()) return false;
            } else if (starts("STEP")) {
                if (!read_step()) return false;
            } else if (starts("$")) {
                Message unused;
                if (!read_content(unused, 0)) return false;
            } else if (!is_left_over()) {
                return fail("expected RANGE_BEGIN, STEP or SCENARIO_END");
            }
        }
        return fail("expected SCENARIO_END");
    }
    /// Some have one end too many, and records before it: nobody misses them.
    [[nodiscard]] bool is_left_over() const
    {
        return starts("RANGE_END") || starts("ENTRY_END") || parse_record(text_, origin_, ttl_).has_value();
    }
    bool read_range()
    {
        Range range;
        std::string_view rest = text_.substr(11);
        if (!read_number(take_word(rest), range.first) || !read_number(take_word(rest), range.last)) {
            return fail("expected two step numbers after RANGE_BEGIN");
        }
        while (next_meaningful(false)) {
            if (starts("RANGE_END")) {
                scenario_.ranges.push_back(std::move(range));
                return true;
            }
            if (starts("ADDRESS")) {
                rest = text_.substr(7);
                std::string_view word = take_word(rest);
                word = word.substr(0, word.find('@'));
                const auto address = base::IpAddress::parse(word);
                if (!address) return fail("expected an address");
                range.address = *address;
            } else if (starts("ENTRY_BEGIN")) {
                Entry entry;
                if (!read_entry(entry)) return false;
                range.entries.push_back(std::move(entry));
            } else if (starts("$")) {
                Message unused;
                if (!read_content(unused, 0)) return false;
            } else {
                return fail("expected ADDRESS, ENTRY_BEGIN or RANGE_END");
            }
        }
        return fail("expected RANGE_END");
    }

    // --- entries

    bool read_entry(Entry& entry)
    {
        if (++entries_ > kMaxEntries) return fail("a scenario has at most 5,000 entries");
        entry.line = line_;
        Message* message = &entry.message;
        int section = -1;
        while (next_meaningful(true)) {
            std::string_view rest = text_;
            const std::string_view word = take_word(rest);
            if (word.substr(0, 9) == "ENTRY_END") return true;
            if (word == "MATCH") {
                if (!read_match(rest, entry.match)) return false;
            } else if (word == "ADJUST") {
                if (!read_adjust(rest, entry.adjust)) return false;
            } else if (word == "REPLY") {
                if (!read_reply(rest, *message)) return false;
            } else if (word == "SECTION") {
                if (!read_section(rest, section)) return false;
            } else if (word.substr(0, 12) == "EXTRA_PACKET") {
                entry.more.emplace_back();
                message = &entry.more.back();
                section = -1;
            } else if (word.substr(0, 16) == "HEX_ANSWER_BEGIN") {
                if (!read_hex("HEX_ANSWER_END", entry.bytes.emplace())) return false;
            } else if (word.substr(0, 18) == "HEX_EDNSDATA_BEGIN") {
                message->edns = true;
                if (!read_hex("HEX_EDNSDATA_END", message->edns_data)) return false;
            } else if (!read_content(*message, section)) {
                return false;
            }
        }
        return fail("expected ENTRY_END");
    }
    bool read_match(std::string_view rest, Match& match)
    {
        const std::pair<std::string_view, bool Match::*> words[] = {
            {"opcode", &Match::opcode},
            {"qtype", &Match::qtype},
            {"qname", &Match::qname},
            {"subdomain", &Match::subdomain},
            {"rcode", &Match::rcode},
            {"question", &Match::question},
            {"answer", &Match::answer},
            {"all", &Match::all},
            {"all_noedns", &Match::all_noedns},
            {"whole", &Match::whole},
            {"ttl", &Match::ttl},
            {"DO", &Match::dnssec_ok},
            {"CO", &Match::compact_ok},
            {"noedns", &Match::no_edns},
            {"ednsdata", &Match::edns_data},
            {"UDP", &Match::udp},
            {"TCP", &Match::tcp},
            {"client_cookie", &Match::client_cookie},
            {"server_cookie", &Match::server_cookie},
        };
        for (auto word = take_word(rest); !word.empty() && word.front() != ';' && word.front() != '#';
             word = take_word(rest)) {
            const auto it =
                std::find_if(std::begin(words), std::end(words), [&](const auto& each) { return each.first == word; });
            if (it != std::end(words)) {
                match.*(it->second) = true;
            } else if (word == "ede=any") {
                match.any_ede = true;
            } else if (word.substr(0, 4) == "ede=") {
                if (!read_number(word.substr(4), match.ede.emplace())) return fail("expected a number after ede=");
            } else if (word.substr(0, 7) == "serial=") {
                if (!read_number(word.substr(7), match.serial.emplace()))
                    return fail("expected a number after serial=");
            } else {
                return fail("unknown word after MATCH: " + std::string(word));
            }
        }
        return true;
    }
    bool read_adjust(std::string_view rest, Adjust& adjust)
    {
        for (auto word = take_word(rest); !word.empty() && word.front() != ';' && word.front() != '#';
             word = take_word(rest)) {
            if (word == "copy_id") {
                adjust.copy_id = true;
            } else if (word == "copy_query") {
                adjust.copy_query = true;
            } else if (word == "copy_ednsdata_assume_clientsubnet") {
                adjust.copy_subnet = true;
            } else if (word == "increment_ecs_scope") {
                adjust.increment_scope = true;
            } else if (word.substr(0, 10) == "ecs_scope=") {
                if (!read_number(word.substr(10), adjust.scope.emplace()))
                    return fail("expected a number after ecs_scope=");
            } else if (word.substr(0, 6) != "sleep=" && word.substr(0, 13) != "packet_sleep=") {
                return fail("unknown word after ADJUST: " + std::string(word));
            }
        }
        return true;
    }
    bool read_reply(std::string_view rest, Message& message)
    {
        for (auto word = take_word(rest); !word.empty() && word.front() != ';' && word.front() != '#';
             word = take_word(rest)) {
            if (const RcodeWord* flag = find_word(kFlags, word)) {
                message.flags = static_cast<std::uint16_t>(message.flags | flag->value);
            } else if (const RcodeWord* rcode = find_word(kRcodes, word)) {
                message.rcode = rcode->value;
            } else if (const RcodeWord* opcode = find_word(kOpcodes, word)) {
                message.opcode = static_cast<wire::Opcode>(opcode->value);
            } else if (word == "DO") {
                message.edns = message.dnssec_ok = true;
            } else if (word == "CO") {
                message.edns = message.compact_ok = true;
            } else {
                return fail("unknown word after REPLY: " + std::string(word));
            }
        }
        return true;
    }
    bool read_section(std::string_view rest, int& section)
    {
        const std::string_view word = take_word(rest);
        constexpr std::string_view kNames[] = {"QUESTION", "ANSWER", "AUTHORITY", "ADDITIONAL"};
        for (int i = 0; i < 4; ++i) {
            if (word.substr(0, kNames[i].size()) == kNames[i]) {
                section = i - 1;
                return true;
            }
        }
        return fail("expected QUESTION, ANSWER, AUTHORITY or ADDITIONAL");
    }
    bool read_hex(std::string_view until, std::vector<std::uint8_t>& octets)
    {
        std::string digits;
        while (next()) {
            if (starts(until)) {
                if (octets.size() + digits.size() / 2 > wire::kMaxMessageSize || !wire::decode_hex(digits, octets)) {
                    return fail("expected hexadecimal octets, at most 65,535");
                }
                return true;
            }
            for (const char c : text_.substr(0, std::min(text_.find(';'), text_.size()))) {
                if (c != ' ' && c != '\t') digits += c;
            }
        }
        return fail("expected " + std::string(until));
    }
    bool read_content(Message& message, int section)
    {
        std::string_view rest = text_;
        const std::string_view word = take_word(rest);
        if (word == "$ORIGIN") {
            const auto origin = Name::from_text(take_word(rest), &origin_);
            if (!origin) return fail("expected a name after $ORIGIN");
            origin_ = *origin;
            return true;
        }
        if (word == "$TTL") {
            const auto seconds = wire::parse_seconds(take_word(rest));
            if (!seconds) return fail("expected seconds after $TTL");
            ttl_ = *seconds;
            return true;
        }
        if (++records_ > kMaxRecords || text_.size() > kMaxLine) return fail("too many records, or too long a line");
        if (section < 0) return read_question(message);
        auto record = parse_record(text_, origin_, ttl_);
        if (!record) return fail(record.error().message);
        message.sections[section].push_back(std::move(*record));
        return true;
    }
    bool read_question(Message& message)
    {
        std::string_view rest = text_;
        const auto qname = Name::from_text(take_word(rest), &origin_);
        if (!qname) return fail("expected a name");
        QuestionLine line;
        line.qname = *qname;
        std::string_view word = take_word(rest);
        if (std::uint32_t ttl = 0; read_number(word, ttl)) word = take_word(rest);
        std::string_view after = rest;
        const auto second = wire::parse_rr_type(take_word(after));
        if (const auto rr_class = wire::parse_rr_class(word); rr_class && second) {
            line.qclass = *rr_class;
            word = take_word(rest);
        }
        const auto type = wire::parse_rr_type(word);
        if (!type) return fail("expected a type, not '" + std::string(word) + "'");
        line.qtype = *type;
        message.questions.push_back(line);
        return true;
    }

    // --- steps

    bool read_step()
    {
        Step step;
        step.line = line_;
        std::string_view rest = text_.substr(4);
        if (!read_number(take_word(rest), step.number)) return fail("expected a number after STEP");
        if (!scenario_.steps.empty() && step.number <= scenario_.steps.back().number) {
            return fail("steps must have rising numbers");
        }
        if (!read_kind(take_word(rest), step)) return false;
        std::string_view words = rest;
        if (take_word(words) == "ADDRESS") {
            const auto address = base::IpAddress::parse(take_word(words));
            if (!address) return fail("expected an address");
            step.address = *address;
            rest = words;
        }
        step.words = std::string(rest.substr(0, std::min(rest.find(';'), rest.size())));
        if (!read_step_content(step)) return false;
        scenario_.steps.push_back(std::move(step));
        return true;
    }
    bool read_kind(std::string_view word, Step& step)
    {
        constexpr std::pair<std::string_view, StepKind> kKinds[] = {
            {"QUERY", StepKind::query},
            {"CHECK_ANSWER", StepKind::check_answer},
            {"CHECK_OUT_QUERY", StepKind::check_out_query},
            {"REPLY", StepKind::reply},
            {"TIMEOUT", StepKind::timeout},
            {"ERROR", StepKind::error},
            {"TIME_PASSES", StepKind::time_passes},
            {"TRAFFIC", StepKind::traffic},
            {"NOTHING", StepKind::nothing},
            {"ASSIGN", StepKind::assign},
            {"CHECK_AUTOTRUST", StepKind::check_autotrust},
            {"CHECK_TEMPFILE", StepKind::check_tempfile},
            {"INFRA_RTT", StepKind::infra_rtt},
            {"FLUSH_MESSAGE", StepKind::flush_message},
            {"EXPIRE_MESSAGE", StepKind::expire_message},
        };
        for (const auto& [name, kind] : kKinds) {
            if (word.substr(0, name.size()) != name) continue;
            step.kind = kind;
            return true;
        }
        return fail("unknown step: " + std::string(word));
    }
    bool read_step_content(Step& step)
    {
        switch (step.kind) {
        case StepKind::query:
        case StepKind::check_answer:
        case StepKind::check_out_query:
        case StepKind::reply:
            while (next_meaningful(false)) {
                if (starts("ENTRY_BEGIN")) return read_entry(step.entry.emplace());
                if (!starts("ADDRESS")) break;
                std::string_view rest = text_.substr(7);
                const auto address = base::IpAddress::parse(take_word(rest));
                if (!address) return fail("expected an address");
                step.address = *address;
            }
            return fail("expected ENTRY_BEGIN");
        case StepKind::check_autotrust:
        case StepKind::check_tempfile:
            if (!next_meaningful(false) || !starts("FILE_BEGIN")) return fail("expected FILE_BEGIN");
            return collect("FILE_END", step.text);
        default: return true;
        }
    }

    std::string_view rest_;
    std::string file_;
    std::string_view raw_;
    std::string_view text_;
    std::string_view left_;
    std::size_t line_ = 0;
    std::string section_ = "server";
    unsigned block_ = 0;
    Name origin_;
    std::uint32_t ttl_ = 3600;
    std::size_t entries_ = 0;
    std::size_t records_ = 0;
    base::Error error_;
    Scenario scenario_;
};

} // namespace

base::Result<Scenario> parse_scenario(std::string_view text, const std::string& file)
{
    return Parser(text, file).parse();
}

} // namespace sallyport::replay
