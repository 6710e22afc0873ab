#include "zones/zone_text.hpp"

#include "wire/rdata.hpp"
#include "wire/text_codec.hpp"
#include "zones/generate.hpp"

#include <algorithm>
#include <filesystem>

namespace sallyport::zones {

using wire::RrType;

namespace {

/// RFC 2181 §8.
constexpr std::uint64_t kLargestTtl = 0x7FFF'FFFF;

[[nodiscard]] bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// What is quoted from the text in a message: not too much, and nothing that could play with a terminal.
[[nodiscard]] std::string shown(std::string_view text)
{
    std::string out{"'"};
    for (const char c : text.substr(0, 64)) out.push_back(c >= ' ' && c <= '~' ? c : '?');
    if (text.size() > 64) out += "...";
    return out + "'";
}

[[nodiscard]] bool equals_nocase(std::string_view left, std::string_view right) noexcept
{
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        return wire::lower(static_cast<std::uint8_t>(a)) == wire::lower(static_cast<std::uint8_t>(b));
    });
}

[[nodiscard]] std::string_view unquoted(std::string_view text) noexcept
{
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
    return text;
}

/// True when `path`, canonical, is `directory` or lies below it.
[[nodiscard]] bool is_below(const std::filesystem::path& path, const std::filesystem::path& directory)
{
    const auto [at, rest] = std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
    return at == directory.end() && rest != path.end();
}

} // namespace

std::optional<std::uint64_t> parse_ttl(std::string_view text) noexcept
{
    if (text.empty() || !is_digit(text.front())) return std::nullopt;
    std::uint64_t total = 0;
    std::uint64_t number = 0;
    bool digits = false;
    for (const char c : text) {
        if (is_digit(c)) {
            number = std::min<std::uint64_t>(number * 10 + static_cast<std::uint64_t>(c - '0'), UINT32_MAX);
            digits = true;
            continue;
        }
        const auto unit = wire::unit_seconds(c);
        if (!unit || !digits) return std::nullopt;
        total = std::min<std::uint64_t>(total + number * *unit, std::uint64_t{1} << 62U);
        number = 0;
        digits = false;
    }
    return total + number;
}

ZoneTextReader::ZoneTextReader(ZoneBuilder& builder, const Limits& limits, TextOrigin origin)
    : builder_(builder), limits_(limits), text_origin_(origin), origin_(builder.apex())
{
}

Place ZoneTextReader::place_of(const Entry& entry, std::size_t token) const noexcept
{
    const Token& at = entry.tokens[std::min(token, entry.tokens.size() - 1)];
    return {at.line, static_cast<std::uint16_t>(std::min<std::uint32_t>(at.column, UINT16_MAX)), file_};
}

void ZoneTextReader::invalid(std::string message, const Place& place)
{
    builder_.problem(base::ErrorCode::invalid, std::move(message), place);
}

void ZoneTextReader::read_file(const std::string& path, const base::SourcePosition& named_at)
{
    const Place named{named_at.line, static_cast<std::uint16_t>(named_at.column),
                      builder_.file_number(named_at.file.empty() ? path : named_at.file)};
    auto input = TextInput::open(path);
    if (!input) {
        builder_.problem(input.error().code, input.error().message + ", expected the zone file", named);
        return;
    }
    std::error_code error;
    directory_ = std::filesystem::canonical(path, error).parent_path().string();
    current_directory_ = directory_;
    origin_ = builder_.apex();
    read_entries(*input, builder_.file_number(path));
}

void ZoneTextReader::read_text(std::string_view text, const base::SourcePosition& position)
{
    std::uint32_t column = std::max<std::uint32_t>(position.column, 1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
        ++column;
    }
    TextInput input{text, std::max<std::uint32_t>(position.line, 1), column};
    origin_ = builder_.apex();
    owner_text_.clear();
    read_entries(input, builder_.file_number(position.file));
}

void ZoneTextReader::read_entries(TextInput& input, std::uint16_t file)
{
    file_ = file;
    ZoneLexer lexer{input, limits_.entry_octets};
    Entry entry;
    while (!builder_.given_up()) {
        const auto status = lexer.next(entry);
        if (status == ZoneLexer::Status::end) return;
        if (status == ZoneLexer::Status::entry) {
            read_entry(entry);
            continue;
        }
        const auto& error = lexer.error();
        builder_.problem(error.code, error.message,
                         {error.position.line,
                          static_cast<std::uint16_t>(std::min<std::uint32_t>(error.position.column, UINT16_MAX)),
                          file_});
        if (input.failed()) return;
    }
}

void ZoneTextReader::read_entry(const Entry& entry)
{
    if (!entry.starts_blank && entry.token(0).starts_with('$')) {
        read_directive(entry);
    } else {
        read_record(entry);
    }
}

void ZoneTextReader::read_record(const Entry& entry)
{
    if (!read_owner(entry)) return;
    const auto fields = read_fields(entry, entry.starts_blank ? 0 : 1);
    if (!fields) return;
    add(*fields, entry.rest(fields->rdata_token), place_of(entry, 0), place_of(entry, fields->rdata_token));
}

bool ZoneTextReader::read_owner(const Entry& entry)
{
    if (entry.starts_blank) {
        if (owner_known_) return true;
        invalid("line begins with a blank but no owner came before, expected an owner name", place_of(entry, 0));
        return false;
    }
    if (entry.token(0) == owner_text_) return true;
    // A wrong owner must not leave the records of the following lines to the owner before it.
    owner_known_ = false;
    owner_added_ = false;
    owner_text_.clear();
    const auto owner = name_from(entry.token(0), place_of(entry, 0));
    if (!owner) return false;
    owner_ = *owner;
    owner_text_ = entry.token(0);
    owner_known_ = true;
    return true;
}

std::optional<wire::Name> ZoneTextReader::name_from(std::string_view text, const Place& place)
{
    if (text == "@") return origin_;
    const auto name = text.starts_with('"') ? base::Result<wire::Name, wire::ParseError>{wire::ParseError::bad_text}
                                            : wire::Name::from_text(text, &origin_);
    if (name) return *name;
    std::string_view expected = "a domain name";
    if (name.error() == wire::ParseError::name_too_long) expected = "a name of at most 255 octets";
    if (name.error() == wire::ParseError::bad_label) expected = "labels of 1 to 63 octets";
    invalid(shown(text) + " is no domain name, expected " + std::string{expected}, place);
    return std::nullopt;
}

std::optional<wire::Ttl> ZoneTextReader::ttl_from(std::string_view text, const Place& place)
{
    const auto seconds = parse_ttl(text);
    if (seconds && *seconds <= kLargestTtl) return wire::Ttl{static_cast<std::uint32_t>(*seconds)};
    invalid(seconds ? "TTL " + shown(text) + " is too large, expected at most 2147483647 seconds"
                    : shown(text) + " is no TTL, expected seconds or a time like 1h30m",
            place);
    return std::nullopt;
}

bool ZoneTextReader::read_field(const Entry& entry, std::size_t token, Fields& fields, bool& class_seen)
{
    const auto text = entry.token(token);
    if (!fields.ttl && parse_ttl(text)) {
        fields.ttl = ttl_from(text, place_of(entry, token));
        return fields.ttl.has_value();
    }
    const auto rr_class = class_seen ? std::nullopt : wire::parse_rr_class(text);
    if (!rr_class) return false;
    class_seen = true;
    if (*rr_class == wire::RrClass::IN) return true;
    builder_.problem(base::ErrorCode::unsupported, "class " + shown(text) + " is not served, expected IN",
                     place_of(entry, token));
    return false;
}

std::optional<ZoneTextReader::Fields> ZoneTextReader::read_fields(const Entry& entry, std::size_t token)
{
    Fields fields;
    bool class_seen = false;
    const auto problems = builder_.problem_count();
    // TTL and class stand in either order, each at most once (RFC 1035 §5.1). No type looks like one of them.
    while (token < entry.tokens.size() && read_field(entry, token, fields, class_seen)) ++token;
    if (builder_.problem_count() != problems) return std::nullopt;
    if (token == entry.tokens.size()) {
        invalid("the record ends here, expected a type", place_of(entry, token));
        return std::nullopt;
    }
    const auto type = wire::parse_rr_type(entry.token(token));
    if (!type || wire::is_meta(*type)) {
        invalid(shown(entry.token(token)) + (type ? " is no type of zone data" : " is no record type") +
                    ", expected a type like A or TYPE65280",
                place_of(entry, token));
        return std::nullopt;
    }
    fields.type = *type;
    fields.rdata_token = token + 1;
    return fields;
}

std::optional<wire::Ttl> ZoneTextReader::ttl_for(const Fields& fields, base::Bytes rdata, const Place& place)
{
    if (fields.type == RrType::SOA && rdata.size() >= 4) {
        const auto minimum = wire::Ttl::from_wire(base::load_be32(rdata, rdata.size() - 4));
        if (!soa_minimum_) soa_minimum_ = minimum;
    }
    // RFC 2308 §4: $TTL before RFC 1035's "the TTL stated last"; the SOA's MINIMUM as RFC 1035 meant it comes last.
    for (const auto& candidate : {fields.ttl, default_ttl_, previous_ttl_, soa_minimum_, fallback_ttl_}) {
        if (candidate) return candidate;
    }
    invalid("the record has no TTL and none came before, expected a TTL or $TTL", place);
    return std::nullopt;
}

bool ZoneTextReader::add(const Fields& fields, std::string_view rdata_text, const Place& owner_place,
                         const Place& rdata_place)
{
    const auto rdata = wire::rdata_from_text(fields.type, rdata_text, origin_);
    if (!rdata) {
        invalid(rdata.error().message, rdata_place);
        return false;
    }
    const auto ttl = ttl_for(fields, *rdata, owner_place);
    if (!ttl) return false;
    if (fields.ttl) previous_ttl_ = fields.ttl;
    if (owner_added_) return builder_.add_same_owner(fields.type, *ttl, *rdata, owner_place);
    owner_added_ = builder_.add(owner_, fields.type, *ttl, *rdata, owner_place);
    return owner_added_;
}

void ZoneTextReader::read_directive(const Entry& entry)
{
    const auto word = entry.token(0);
    if (equals_nocase(word, "$ORIGIN")) return read_origin(entry);
    if (equals_nocase(word, "$TTL")) return read_default_ttl(entry);
    if (equals_nocase(word, "$INCLUDE")) return read_include(entry);
    if (equals_nocase(word, "$GENERATE")) return read_generate(entry);
    invalid(shown(word) + " is no directive, expected $ORIGIN, $TTL, $INCLUDE or $GENERATE", place_of(entry, 0));
}

void ZoneTextReader::read_origin(const Entry& entry)
{
    if (entry.tokens.size() != 2) return invalid("$ORIGIN takes one thing, expected a domain name", place_of(entry, 1));
    const auto origin = name_from(entry.token(1), place_of(entry, 1));
    if (!origin) return;
    origin_ = *origin;
    owner_text_.clear(); // the same spelling means another name now
}

void ZoneTextReader::read_default_ttl(const Entry& entry)
{
    if (entry.tokens.size() != 2) return invalid("$TTL takes one thing, expected a TTL", place_of(entry, 1));
    if (const auto ttl = ttl_from(entry.token(1), place_of(entry, 1))) default_ttl_ = ttl;
}

std::optional<std::string> ZoneTextReader::confined_path(const Entry& entry)
{
    const auto text = unquoted(entry.token(1));
    std::filesystem::path path{text};
    if (path.is_relative()) path = std::filesystem::path{current_directory_} / path;
    // Every link is resolved before the comparison, so that none leads out.
    std::error_code error;
    const auto canonical = std::filesystem::canonical(path, error);
    if (error) {
        builder_.problem(base::ErrorCode::not_found,
                         shown(text) + ": " + error.message() + ", expected a file below " + directory_,
                         place_of(entry, 1));
        return std::nullopt;
    }
    if (is_below(canonical, directory_)) return canonical.string();
    invalid(shown(text) + " is outside the directory of the zone file, expected a file below " + directory_,
            place_of(entry, 1));
    return std::nullopt;
}

void ZoneTextReader::read_include(const Entry& entry)
{
    if (text_origin_ == TextOrigin::imported || directory_.empty()) {
        return invalid("$INCLUDE is not taken here, expected records; only zone files may include", place_of(entry, 0));
    }
    if (entry.tokens.size() < 2 || entry.tokens.size() > 3) {
        return invalid("$INCLUDE takes a file and perhaps an origin, expected $INCLUDE FILE [ORIGIN]",
                       place_of(entry, 1));
    }
    if (depth_ == limits_.include_depth) {
        return builder_.problem(base::ErrorCode::limit,
                                "$INCLUDE nested too deep, expected at most " + std::to_string(depth_) + " levels",
                                place_of(entry, 0));
    }
    auto origin = std::optional<wire::Name>{origin_};
    if (entry.tokens.size() == 3) origin = name_from(entry.token(2), place_of(entry, 2));
    const auto path = confined_path(entry);
    if (!origin || !path) return;
    auto input = TextInput::open(*path);
    if (!input) return builder_.problem(input.error().code, input.error().message, place_of(entry, 1));

    // RFC 1035 §5.1: what the included file says of origin and owner ends with it.
    const auto saved_origin = origin_;
    const auto saved_owner = owner_;
    const auto saved_owner_known = owner_known_;
    const auto saved_directory = current_directory_;
    const auto saved_file = file_;
    origin_ = *origin;
    owner_text_.clear();
    owner_added_ = false;
    current_directory_ = std::filesystem::path{*path}.parent_path().string();
    ++depth_;
    read_entries(*input, builder_.file_number(*path));
    --depth_;
    origin_ = saved_origin;
    owner_ = saved_owner;
    owner_known_ = saved_owner_known;
    owner_added_ = false;
    owner_text_.clear();
    current_directory_ = saved_directory;
    file_ = saved_file;
}

void ZoneTextReader::read_generate(const Entry& entry)
{
    if (entry.tokens.size() < 5) {
        return invalid("$GENERATE is not whole, expected $GENERATE RANGE OWNER [TTL] [CLASS] TYPE RDATA",
                       place_of(entry, entry.tokens.size()));
    }
    const auto range = parse_generate_range(entry.token(1));
    if (!range) return invalid(range.error().message, place_of(entry, 1));
    if (range->count() > limits_.generate_names) {
        return builder_.problem(base::ErrorCode::limit,
                                "$GENERATE makes " + std::to_string(range->count()) + " names, expected at most " +
                                    std::to_string(limits_.generate_names),
                                place_of(entry, 1));
    }
    const auto fields = read_fields(entry, 3);
    if (!fields) return;
    for (std::uint64_t number = range->start; number <= range->stop; number += range->step) {
        // One report for one line: what is wrong with the first is wrong with all.
        if (!generate_one(entry, *fields, static_cast<std::uint32_t>(number))) break;
    }
    owner_text_.clear();
    owner_known_ = false;
    owner_added_ = false;
}

bool ZoneTextReader::generate_one(const Entry& entry, const Fields& fields, std::uint32_t number)
{
    const auto expand = [&](std::string_view pattern, std::size_t token) {
        scratch_.clear();
        const auto good = expand_generate(pattern, number, scratch_);
        if (!good) invalid(good.error().message, place_of(entry, token));
        return good.has_value();
    };
    if (!expand(entry.token(2), 2)) return false;
    const auto owner = name_from(scratch_, place_of(entry, 2));
    if (!owner || !expand(entry.rest(fields.rdata_token), fields.rdata_token)) return false;
    owner_ = *owner;
    owner_added_ = false;
    return add(fields, scratch_, place_of(entry, 2), place_of(entry, fields.rdata_token));
}

} // namespace sallyport::zones
