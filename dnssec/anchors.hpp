#pragma once

#include "base/result.hpp"
#include "dnssec/options.hpp"
#include "dnssec/records.hpp"
#include "dnssec/verify.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::dnssec {

/// What is trusted at one name: DS and DNSKEY RDATA.
struct AnchorPoint {
    wire::Name zone;
    std::vector<std::vector<std::uint8_t>> ds;
    std::vector<std::vector<std::uint8_t>> dnskeys;

    /// For `KeysVerifier`: views of both, which live as long as this object and are not changed.
    [[nodiscard]] std::vector<base::Bytes> ds_views() const;
    [[nodiscard]] std::vector<base::Bytes> dnskey_views() const;
    /// Key tags of all, sorted, each once.
    [[nodiscard]] std::vector<std::uint16_t> key_tags() const;
};

/// What is believed without proof, and what is not believed although it could be. Immutable once published.
class TrustAnchors {
public:
    enum class Status : std::uint8_t {
        none,     ///< no anchor above the name: indeterminate, treated as insecure
        insecure, ///< a negative anchor or `domain-insecure` is closer than any anchor
        anchored,
    };
    struct Trust {
        Status status = Status::none;
        const AnchorPoint* anchor = nullptr;  ///< `anchored`: the closest at or above the name
        const wire::Name* negative = nullptr; ///< `insecure`: the name it begins at
        std::int64_t until = 0;               ///< `insecure`: seconds since 1970; 0 has no end
    };

    void add_ds(const wire::Name& zone, base::Bytes rdata);
    void add_dnskey(const wire::Name& zone, base::Bytes rdata);
    /// Everything that is trusted at that name is replaced.
    void replace(AnchorPoint point);
    void remove(const wire::Name& zone);
    /// `until` in seconds since 1970; 0 has no end.
    void add_insecure(const wire::Name& name, std::int64_t until = 0);
    /// KSK-2017 and KSK-2024 of the root as DS with SHA-256.
    void add_built_in();

    [[nodiscard]] Trust find(const wire::Name& name, std::int64_t now) const noexcept;
    [[nodiscard]] const AnchorPoint* at(const wire::Name& zone) const noexcept;
    [[nodiscard]] std::span<const AnchorPoint> points() const noexcept { return points_; }
    [[nodiscard]] bool empty() const noexcept { return points_.empty(); }
    /// Alike where the same is trusted and the same is not; of this process alone.
    [[nodiscard]] std::uint64_t mark() const;

private:
    struct Negative {
        wire::Name name;
        std::int64_t until;
    };
    [[nodiscard]] AnchorPoint& point(const wire::Name& zone);
    std::vector<AnchorPoint> points_;
    std::vector<Negative> negatives_;
};

/// Reads DS and DNSKEY records in zone text (owner, TTL and class optional but the owner; `$ORIGIN`, `$TTL`, comments,
/// parentheses), or the `root-anchors.xml` of IANA (RFC 9718): which of the two, the text shows. Anchors of the XML
/// that are not valid at `now` are left out. Every fault is noted with file, line and column.
void read_anchors(std::string_view text, const std::string& file, std::int64_t now, TrustAnchors& anchors,
                  base::Problems& problems);

/// All that the options name: files, single records, negative anchors, and the built-in ones where nothing else is
/// given for the root.
[[nodiscard]] TrustAnchors load_anchors(const Options& options, std::int64_t now, base::Problems& problems);

/// One line of zone text.
[[nodiscard]] std::string to_text(const wire::Name& owner, wire::RrType type, base::Bytes rdata);

} // namespace sallyport::dnssec
