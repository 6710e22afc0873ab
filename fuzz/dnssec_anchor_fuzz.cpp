// fuzz: links sallyport_dnssec
#include "dnssec/anchor_book.hpp"
#include "dnssec/anchors.hpp"
#include "dnssec/rfc5011.hpp"

#include <algorithm>
#include <cstdlib>

using namespace sallyport;
using namespace sallyport::dnssec;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;

void require(bool holds)
{
    if (!holds) std::abort();
}

/// What was read is printed and read again: the same anchors.
void check_anchors(std::string_view text)
{
    TrustAnchors anchors;
    base::Problems problems;
    read_anchors(text, "input", kNow, anchors, problems);
    require(problems.size() <= 101);
    std::string printed = "; so that no owner's name makes it look like XML\n";
    for (const AnchorPoint& point : anchors.points()) {
        require(!point.ds.empty() || !point.dnskeys.empty());
        for (const auto& ds : point.ds) printed += to_text(point.zone, wire::RrType::DS, ds) + '\n';
        for (const auto& key : point.dnskeys) printed += to_text(point.zone, wire::RrType::DNSKEY, key) + '\n';
    }
    TrustAnchors again;
    base::Problems none;
    read_anchors(printed, "again", kNow, again, none);
    require(none.empty());
    require(again.points().size() == anchors.points().size());
    for (const AnchorPoint& point : anchors.points()) {
        const AnchorPoint* other = again.at(point.zone);
        require(other != nullptr && other->ds == point.ds && other->dnskeys == point.dnskeys);
    }
}

/// A state that was read is written, and read again: the same trust, and the same text after the order has turned
/// round twice.
void check_state(std::string_view text)
{
    const auto state = ManagedAnchor::from_text(text, "input");
    if (!state) return;
    const auto second = ManagedAnchor::from_text(state->to_text(), "second");
    if (!second) {
        require(state->anchor().ds.empty() && state->anchor().dnskeys.empty()); // nothing was worth writing
        return;
    }
    require(second->anchor().ds == state->anchor().ds);
    require(second->anchor().dnskeys.size() == state->anchor().dnskeys.size());
    const auto third = ManagedAnchor::from_text(second->to_text(), "third");
    require(third.has_value());
    require(third->to_text() == state->to_text());
}

/// States of several zones in one file: what one book writes another reads, and they trust the same.
void check_book(std::string_view text)
{
    TrustAnchors configured;
    base::Problems problems;
    read_anchors(text, "input", kNow, configured, problems);
    if (configured.points().size() > 100) return;
    AnchorBook book{configured, Policy{}, kNow};
    if (!book.read(text, "input")) return;
    AnchorBook again{configured, Policy{}, kNow};
    if (book.zones().empty()) return;
    const bool readable = std::all_of(book.zones().begin(), book.zones().end(), [](const ManagedAnchor& zone) {
        const AnchorPoint point = zone.anchor();
        return zone.keys().size() <= 256 && (zone.is_revoked() || !point.ds.empty() || !point.dnskeys.empty());
    });
    const bool read = again.read(book.to_text(), "again").has_value();
    require(read || !readable);
    if (!read) return;
    for (const KeyState state : {KeyState::addpend, KeyState::valid, KeyState::missing, KeyState::revoked}) {
        const auto index = static_cast<std::size_t>(state);
        require(again.count_keys()[index] == book.count_keys()[index]);
    }
    const TrustAnchors trusted = book.anchors();
    const TrustAnchors trusted_again = again.anchors();
    require(trusted.points().size() == trusted_again.points().size());
    (void)book.overruled();
    (void)book.due(kNow);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 8'192) return 0;
    const auto text = base::as_text({data, size});
    check_anchors(text);
    check_state(text);
    check_book(text);
    return 0;
}
