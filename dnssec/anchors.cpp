#include "dnssec/anchors.hpp"

#include "base/hash.hpp"
#include "wire/rdata.hpp"
#include "wire/text_codec.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace sallyport::dnssec {

namespace {

constexpr std::string_view kBuiltIn =
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

[[nodiscard]] std::vector<base::Bytes> views(const std::vector<std::vector<std::uint8_t>>& octets)
{
    return {octets.begin(), octets.end()};
}

void add_once(std::vector<std::vector<std::uint8_t>>& list, base::Bytes rdata)
{
    const bool there =
        std::any_of(list.begin(), list.end(), [&](const auto& other) { return base::equal(other, rdata); });
    if (!there) list.emplace_back(rdata.begin(), rdata.end());
}

[[nodiscard]] base::Result<std::string> read_whole(const std::string& path)
{
    constexpr std::size_t kMost = 1U << 20U; // an anchor file has a few lines
    std::ifstream file{path, std::ios::binary};
    if (!file) return base::Error{base::ErrorCode::unreadable, "can not open the anchor file " + path, {}};
    std::string text(kMost + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad()) return base::Error{base::ErrorCode::unreadable, "can not read the anchor file " + path, {}};
    if (text.size() > kMost) return base::Error{base::ErrorCode::limit, path + " is no anchor file: over 1 MiB", {}};
    return text;
}

} // namespace

std::vector<base::Bytes> AnchorPoint::ds_views() const { return views(ds); }
std::vector<base::Bytes> AnchorPoint::dnskey_views() const { return views(dnskeys); }

std::vector<std::uint16_t> AnchorPoint::key_tags() const
{
    std::vector<std::uint16_t> tags;
    for (const auto& rdata : ds) {
        if (const auto view = read_ds(rdata)) tags.push_back(view->key_tag);
    }
    for (const auto& rdata : dnskeys) tags.push_back(key_tag(rdata));
    std::sort(tags.begin(), tags.end());
    tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
    return tags;
}

AnchorPoint& TrustAnchors::point(const wire::Name& zone)
{
    const auto found =
        std::find_if(points_.begin(), points_.end(), [&](const AnchorPoint& point) { return point.zone == zone; });
    if (found != points_.end()) return *found;
    points_.push_back(AnchorPoint{zone, {}, {}});
    return points_.back();
}

const AnchorPoint* TrustAnchors::at(const wire::Name& zone) const noexcept
{
    const auto found =
        std::find_if(points_.begin(), points_.end(), [&](const AnchorPoint& point) { return point.zone == zone; });
    return found == points_.end() ? nullptr : &*found;
}

void TrustAnchors::add_ds(const wire::Name& zone, base::Bytes rdata) { add_once(point(zone).ds, rdata); }
void TrustAnchors::add_dnskey(const wire::Name& zone, base::Bytes rdata) { add_once(point(zone).dnskeys, rdata); }

void TrustAnchors::replace(AnchorPoint replacement)
{
    AnchorPoint& old = point(replacement.zone);
    old = std::move(replacement);
}

void TrustAnchors::remove(const wire::Name& zone)
{
    std::erase_if(points_, [&](const AnchorPoint& point) { return point.zone == zone; });
}

std::uint64_t TrustAnchors::mark() const
{
    std::vector<std::uint8_t> all;
    const auto add = [&all](base::Bytes octets) {
        all.push_back(static_cast<std::uint8_t>(octets.size() >> 8U));
        all.push_back(static_cast<std::uint8_t>(octets.size() & 0xFFU));
        all.insert(all.end(), octets.begin(), octets.end());
    };
    for (const AnchorPoint& point : points_) {
        add(point.zone.lower().wire());
        for (const auto& rdata : point.ds) add(rdata);
        add({});
        for (const auto& rdata : point.dnskeys) add(rdata);
        add({});
    }
    add({});
    for (const Negative& negative : negatives_) {
        add(negative.name.lower().wire());
        add(base::as_bytes(std::to_string(negative.until)));
    }
    return base::keyed_hash(all);
}

void TrustAnchors::add_insecure(const wire::Name& name, std::int64_t until) { negatives_.push_back({name, until}); }

void TrustAnchors::add_built_in()
{
    base::Problems none;
    read_anchors(kBuiltIn, "built-in", 0, *this, none);
}

TrustAnchors::Trust TrustAnchors::find(const wire::Name& name, std::int64_t now) const noexcept
{
    Trust trust;
    unsigned depth = 0;
    for (const AnchorPoint& candidate : points_) {
        const unsigned labels = candidate.zone.label_count();
        if (!name.is_under(candidate.zone) || (trust.anchor != nullptr && labels <= depth)) continue;
        trust = {Status::anchored, &candidate, nullptr, 0};
        depth = labels;
    }
    for (const Negative& negative : negatives_) {
        const unsigned labels = negative.name.label_count();
        if (negative.until != 0 && negative.until <= now) continue;
        // At one name the negative anchor wins: it is there for an anchor that does harm (RFC 7646 §2).
        if (!name.is_under(negative.name) || (trust.status != Status::none && labels < depth)) continue;
        trust = {Status::insecure, nullptr, &negative.name, negative.until};
        depth = labels;
    }
    return trust;
}

namespace {

void load_file(const std::string& path, std::int64_t now, TrustAnchors& anchors, base::Problems& problems)
{
    const auto text = read_whole(path);
    if (!text) {
        problems.push_back(text.error());
        return;
    }
    const std::size_t before = anchors.points().size();
    const std::size_t faults = problems.size();
    read_anchors(*text, path, now, anchors, problems);
    if (anchors.points().size() == before && before == 0 && problems.size() == faults) {
        problems.push_back({base::ErrorCode::invalid, "no anchor in it: DS or DNSKEY records expected", {path, 0, 0}});
    }
}

} // namespace

TrustAnchors load_anchors(const Options& options, std::int64_t now, base::Problems& problems)
{
    TrustAnchors anchors;
    for (const std::string& path : options.anchor_files) load_file(path, now, anchors, problems);
    for (std::size_t i = 0; i < options.anchors.size(); ++i) {
        base::Problems found;
        read_anchors(options.anchors[i], "", now, anchors, found);
        for (base::Error& error : found) {
            if (i < options.anchor_positions.size()) error.position = options.anchor_positions[i];
            problems.push_back(std::move(error));
        }
    }
    if (options.built_in_anchors && anchors.at(wire::Name{}) == nullptr) anchors.add_built_in();
    for (const NegativeAnchor& negative : options.insecure) {
        const auto name = wire::Name::from_text(negative.name);
        if (name) {
            anchors.add_insecure(*name, negative.until);
        } else {
            problems.push_back(
                {base::ErrorCode::invalid, "\"" + negative.name + "\" is no domain name", negative.position});
        }
    }
    return anchors;
}

std::string to_text(const wire::Name& owner, wire::RrType type, base::Bytes rdata)
{
    return owner.to_text() + " IN " + wire::to_string(type) + ' ' + wire::rdata_to_text(type, rdata);
}

} // namespace sallyport::dnssec
