#include "dnssec/anchors.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sallyport::dnssec {

namespace {

constexpr std::size_t kMostProblems = 100;

[[nodiscard]] bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r'; }

/// A record may go over several lines within parentheses; comments are gone, places are kept.
struct Entry {
    struct Word {
        std::string_view text;
        std::uint32_t line;
        std::uint32_t column;
    };
    std::vector<Word> words;
    bool starts_blank = false;
    bool unbalanced = false;
    std::uint32_t line = 0;
};

/// Cuts zone text into entries (RFC 1035 §5.1). DS and DNSKEY have no quoted strings, so quotes are plain characters.
class AnchorLexer {
public:
    explicit AnchorLexer(std::string_view text) noexcept : rest_(text) {}

    /// The next entry that has words; nothing at the end.
    [[nodiscard]] std::optional<Entry> next()
    {
        Entry entry;
        unsigned depth = 0;
        while (!rest_.empty()) {
            ++line_;
            if (entry.words.empty()) {
                entry.line = line_;
                entry.starts_blank = is_blank(rest_[0]);
            }
            take_line(entry, depth);
            if (depth == 0 && !entry.words.empty()) return entry;
        }
        if (entry.words.empty() && depth == 0) return std::nullopt;
        entry.unbalanced = true;
        return entry;
    }

private:
    void take_line(Entry& entry, unsigned& depth)
    {
        std::string_view line = rest_.substr(0, rest_.find('\n'));
        rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
        line = line.substr(0, line.find(';'));
        std::size_t at = 0;
        while (at < line.size()) {
            const char c = line[at];
            if (c == '(' || c == ')') {
                if (c == ')' && depth == 0) entry.unbalanced = true;
                depth = c == '(' ? depth + 1 : depth - (depth > 0 ? 1 : 0);
            }
            if (is_blank(c) || c == '(' || c == ')') {
                ++at;
                continue;
            }
            const std::size_t end = std::min(line.find_first_of(" \t\r()", at), line.size());
            entry.words.push_back({line.substr(at, end - at), line_, static_cast<std::uint32_t>(at + 1)});
            at = end;
        }
    }

    std::string_view rest_;
    std::uint32_t line_ = 0;
};

class AnchorReader {
public:
    AnchorReader(const std::string& file, TrustAnchors& anchors, base::Problems& problems)
        : file_(file), anchors_(anchors), problems_(problems)
    {
    }

    void read(std::string_view text)
    {
        AnchorLexer lexer{text};
        while (const auto entry = lexer.next()) {
            if (problems_.size() >= kMostProblems) return;
            if (entry->unbalanced) {
                fault("parentheses do not match", entry->line, 1);
            } else {
                read_entry(*entry);
            }
        }
    }

private:
    void fault(std::string message, std::uint32_t line, std::uint32_t column)
    {
        problems_.push_back({base::ErrorCode::invalid, std::move(message), {file_, line, column}});
    }
    void fault(std::string message, const Entry::Word& word) { fault(std::move(message), word.line, word.column); }

    void read_entry(const Entry& entry)
    {
        if (entry.words[0].text == "$ORIGIN" && entry.words.size() == 2) {
            if (const auto name = read_name(entry.words[1])) origin_ = *name;
            return;
        }
        if (entry.words[0].text == "$TTL") return; // TTLs of anchors mean nothing
        if (entry.words[0].text.starts_with('$')) {
            fault("a directive that is not understood here; expected $ORIGIN or $TTL", entry.words[0]);
            return;
        }
        std::size_t at = 0;
        if (!entry.starts_blank || !owner_) {
            owner_ = read_name(entry.words[at++]);
            if (!owner_) return;
        }
        read_record(entry, at);
    }

    /// `[TTL] [class] type RDATA`
    void read_record(const Entry& entry, std::size_t at)
    {
        std::optional<wire::RrType> type;
        for (; at < entry.words.size() && !type; ++at) {
            const std::string_view word = entry.words[at].text;
            const bool is_ttl = word[0] >= '0' && word[0] <= '9';
            if (is_ttl || wire::parse_rr_class(word) == wire::RrClass::IN) continue;
            type = wire::parse_rr_type(word);
            if (!type || (*type != wire::RrType::DS && *type != wire::RrType::DNSKEY)) {
                fault("expected DS or DNSKEY instead of \"" + printable(word) + '"', entry.words[at]);
                return;
            }
        }
        if (!type || at >= entry.words.size()) {
            fault("expected DS or DNSKEY and its data", entry.line, 1);
            return;
        }
        std::string rest;
        for (std::size_t i = at; i < entry.words.size(); ++i) rest.append(entry.words[i].text) += ' ';
        const auto rdata = wire::rdata_from_text(*type, rest, origin_);
        if (!rdata) {
            fault(rdata.error().message, entry.words[at]);
            return;
        }
        add(*type, *rdata, entry.words[at]);
    }

    void add(wire::RrType type, base::Bytes rdata, const Entry::Word& word)
    {
        if (type == wire::RrType::DS) {
            if (!read_ds(rdata)) return fault("a DS without a digest", word);
            anchors_.add_ds(*owner_, rdata);
            return;
        }
        const auto key = read_dnskey(rdata);
        if (!key) return fault("a DNSKEY without a key", word);
        if (!key->is_zone_key())
            return fault("a DNSKEY without the zone bit is no anchor: flags 256 or 257 expected", word);
        if (key->is_revoked()) return fault("a DNSKEY that is revoked is no anchor", word);
        anchors_.add_dnskey(*owner_, rdata);
    }

    [[nodiscard]] std::optional<wire::Name> read_name(const Entry::Word& word)
    {
        if (word.text == "@") return origin_;
        const auto name = wire::Name::from_text(word.text, &origin_);
        if (name) return *name;
        fault('"' + printable(word.text) + "\" is no domain name", word);
        return std::nullopt;
    }

    [[nodiscard]] static std::string printable(std::string_view text)
    {
        std::string out{text.substr(0, 64)};
        for (char& c : out) {
            if (c < ' ' || c > '~') c = '?';
        }
        return out;
    }

    const std::string& file_;
    TrustAnchors& anchors_;
    base::Problems& problems_;
    wire::Name origin_;
    std::optional<wire::Name> owner_;
};

// --- root-anchors.xml (RFC 9718 §2): elements and attributes are few and known, so they are searched for.

/// The text between `<name …>` and `</name>`, and the tag itself; nothing where there is none.
struct Element {
    std::string_view tag;
    std::string_view content;
    std::size_t end = 0; ///< behind it, in the text searched
};

[[nodiscard]] std::optional<Element> find_element(std::string_view text, std::string_view name)
{
    const std::string open = '<' + std::string{name};
    const std::string close = "</" + std::string{name} + '>';
    for (std::size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at + 1)) {
        const char after = at + open.size() < text.size() ? text[at + open.size()] : '\0';
        if (after != '>' && after != ' ' && after != '\t' && after != '\n' && after != '\r') continue; // a longer name
        const std::size_t tag_end = text.find('>', at);
        const std::size_t end = text.find(close, at);
        if (tag_end == std::string_view::npos || end == std::string_view::npos || end < tag_end) return std::nullopt;
        return Element{text.substr(at, tag_end - at), text.substr(tag_end + 1, end - tag_end - 1), end + close.size()};
    }
    return std::nullopt;
}

[[nodiscard]] std::optional<std::string_view> find_attribute(std::string_view tag, std::string_view name)
{
    const std::string start = ' ' + std::string{name} + "=\"";
    const std::size_t at = tag.find(start);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view value = tag.substr(at + start.size());
    return value.substr(0, value.find('"'));
}

[[nodiscard]] std::optional<int> number_at(std::string_view text, std::size_t at, std::size_t size)
{
    if (text.size() < at + size) return std::nullopt;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + size, value);
    if (error != std::errc{} || end != text.data() + at + size || value < 0) return std::nullopt;
    return value;
}

/// `2017-02-02T00:00:00+00:00`, in seconds since 1970.
[[nodiscard]] std::optional<std::int64_t> read_date(std::string_view text)
{
    const auto year = number_at(text, 0, 4);
    const auto month = number_at(text, 5, 2);
    const auto day = number_at(text, 8, 2);
    const auto hour = number_at(text, 11, 2);
    const auto minute = number_at(text, 14, 2);
    const auto second = number_at(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    std::int64_t seconds = std::int64_t{std::chrono::sys_days{date}.time_since_epoch().count()} * 86'400 +
                           *hour * 3'600 + *minute * 60 + *second;
    const auto zone_hour = number_at(text, 20, 2);
    const auto zone_minute = number_at(text, 23, 2);
    if (!zone_hour || !zone_minute) return seconds;
    const std::int64_t offset = *zone_hour * 3'600 + *zone_minute * 60;
    return text[19] == '-' ? seconds + offset : seconds - offset;
}

[[nodiscard]] std::uint32_t line_of(std::string_view text, std::string_view part)
{
    const auto before = text.substr(0, static_cast<std::size_t>(part.data() - text.data()));
    return static_cast<std::uint32_t>(1 + std::count(before.begin(), before.end(), '\n'));
}

[[nodiscard]] bool is_valid_at(std::string_view tag, std::int64_t now)
{
    const auto from = find_attribute(tag, "validFrom");
    const auto until = find_attribute(tag, "validUntil");
    const auto begin = from ? read_date(*from) : std::nullopt;
    const auto end = until ? read_date(*until) : std::nullopt;
    if ((from && !begin) || (until && !end)) return false;
    return (!begin || *begin <= now) && (!end || now < *end);
}

/// Comments become blanks: what is in them is not trusted, and lines keep their numbers.
[[nodiscard]] std::string without_comments(std::string_view text)
{
    std::string out{text};
    for (std::size_t at = out.find("<!--"); at != std::string::npos; at = out.find("<!--", at)) {
        const std::size_t close = out.find("-->", at + 4);
        const std::size_t end = close == std::string::npos ? out.size() : close + 3;
        std::replace_if(
            out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(end),
            [](char c) { return c != '\n'; }, ' ');
    }
    return out;
}

void read_xml(std::string_view text, const std::string& file, std::int64_t now, TrustAnchors& anchors,
              base::Problems& problems)
{
    const auto fault = [&](std::string message, std::string_view where) {
        problems.push_back({base::ErrorCode::invalid, std::move(message), {file, line_of(text, where), 1}});
    };
    const auto zone_element = find_element(text, "Zone");
    const auto zone = zone_element ? wire::Name::from_text(zone_element->content) : wire::Name::from_text("");
    if (!zone_element || !zone) return fault("expected <Zone> with a domain name", text.substr(0, 0));
    std::string_view rest = text;
    while (const auto digest = find_element(rest, "KeyDigest")) {
        rest = rest.substr(digest->end);
        if (problems.size() >= kMostProblems) return;
        if (!is_valid_at(digest->tag, now)) continue;
        std::string ds;
        for (const std::string_view part : {"KeyTag", "Algorithm", "DigestType", "Digest"}) {
            const auto element = find_element(digest->content, part);
            if (element) ds.append(element->content) += ' ';
        }
        const auto rdata = wire::rdata_from_text(wire::RrType::DS, ds, wire::Name{});
        if (rdata && read_ds(*rdata)) {
            anchors.add_ds(*zone, *rdata);
        } else {
            fault("expected KeyTag, Algorithm, DigestType and Digest in <KeyDigest>", digest->tag);
        }
    }
}

} // namespace

void read_anchors(std::string_view text, const std::string& file, std::int64_t now, TrustAnchors& anchors,
                  base::Problems& problems)
{
    const std::size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    if (start != std::string_view::npos && text[start] == '<') {
        read_xml(without_comments(text), file, now, anchors, problems);
    } else {
        AnchorReader{file, anchors, problems}.read(text);
    }
}

} // namespace sallyport::dnssec
