#pragma once

#include "wire/name.hpp"
#include "wire/types.hpp"
#include "zones/options.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_lexer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::zones {

/// Who wrote the text.
enum class TextOrigin : std::uint8_t {
    operators_own, ///< may `$INCLUDE` files below the directory of the zone file
    imported,      ///< from elsewhere: no `$INCLUDE` at all
};

/// Reads zone text (RFC 1035 §5, RFC 2308 §4, `$GENERATE` as other servers have it) into a builder.
///
/// Files are streamed; what is held is one entry. Everything wrong is noted in the builder with file, line and column,
/// and reading goes on with the next entry. Zone state ($ORIGIN, $TTL, the last owner) is kept from one call of
/// `read_text` to the next, the origin excepted.
class ZoneTextReader {
public:
    ZoneTextReader(ZoneBuilder& builder, const Limits& limits, TextOrigin origin);

    /// TTL of records that nothing else gives one; without it that is a problem.
    void set_fallback_ttl(wire::Ttl ttl) noexcept { fallback_ttl_ = ttl; }
    /// `path` may be relative to the working directory. `named_at` is where the path stands, for a file that cannot be
    /// opened.
    void read_file(const std::string& path, const base::SourcePosition& named_at);
    /// Text that stands at `position` in another file; blanks before it do not mean "same owner".
    void read_text(std::string_view text, const base::SourcePosition& position);

private:
    /// What stands before the RDATA of an entry.
    struct Fields {
        std::optional<wire::Ttl> ttl;
        wire::RrType type{};
        std::size_t rdata_token = 0;
    };

    void read_entries(TextInput& input, std::uint16_t file);
    void read_entry(const Entry& entry);
    void read_record(const Entry& entry);
    void read_directive(const Entry& entry);
    void read_origin(const Entry& entry);
    void read_default_ttl(const Entry& entry);
    void read_include(const Entry& entry);
    void read_generate(const Entry& entry);
    [[nodiscard]] bool generate_one(const Entry& entry, const Fields& fields, std::uint32_t number);
    [[nodiscard]] std::optional<std::string> confined_path(const Entry& entry);

    [[nodiscard]] bool read_owner(const Entry& entry);
    [[nodiscard]] std::optional<Fields> read_fields(const Entry& entry, std::size_t token);
    [[nodiscard]] bool read_field(const Entry& entry, std::size_t token, Fields& fields, bool& class_seen);
    [[nodiscard]] std::optional<wire::Name> name_from(std::string_view text, const Place& place);
    [[nodiscard]] std::optional<wire::Ttl> ttl_from(std::string_view text, const Place& place);
    [[nodiscard]] std::optional<wire::Ttl> ttl_for(const Fields& fields, base::Bytes rdata, const Place& place);
    bool add(const Fields& fields, std::string_view rdata_text, const Place& owner_place, const Place& rdata_place);

    [[nodiscard]] Place place_of(const Entry& entry, std::size_t token) const noexcept;
    void invalid(std::string message, const Place& place);

    ZoneBuilder& builder_;
    const Limits& limits_;
    TextOrigin text_origin_;
    wire::Name origin_;
    wire::Name owner_;
    std::string owner_text_;               // the owner as spelled last, to save reading it again
    bool owner_known_ = false;             // there is a last owner
    bool owner_added_ = false;             // and the builder's last record is its
    std::optional<wire::Ttl> default_ttl_; // $TTL
    std::optional<wire::Ttl> previous_ttl_;
    std::optional<wire::Ttl> soa_minimum_;
    std::optional<wire::Ttl> fallback_ttl_;
    std::string directory_; // canonical; files that $INCLUDE names lie below it
    std::string current_directory_;
    std::uint32_t depth_ = 0;
    std::uint16_t file_ = 0;
    std::string scratch_;
};

/// Seconds, or numbers with the units w d h m s: `1h30m`. Nothing where it is no TTL; values above 2^31-1 are given as
/// they are, up to 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_ttl(std::string_view text) noexcept;

} // namespace sallyport::zones
