#pragma once

#include "cache/rrset_store.hpp"
#include "cache/snapshot_format.hpp"

#include <optional>

/// How record sets and zone cuts stand in a snapshot. What is read is believed in form only where it is what a store
/// could have held, and in content not at all: DNSSEC judges it anew.
namespace sallyport::cache::format {

/// Appends a set; false, and nothing, where it is of no use at another time: bogus, of no kept rank, without a
/// lifetime, or larger than anybody needs. `grace`: so long past its time it still is.
[[nodiscard]] bool append(Writer& out, const Rrset& set, base::Instant now, base::Duration grace);
[[nodiscard]] bool append(Writer& out, const wire::Name& zone, const Cut& cut, base::Instant now);

/// Takes a set off, `elapsed` later. Nothing where it is none that a store may have held; `in.good` tells whether it
/// was a whole one all the same.
[[nodiscard]] std::optional<Rrset> take_set(Reader& in, base::Instant now, base::Duration elapsed);

struct NamedCut {
    wire::Name zone;
    Cut cut;
};
/// The same of a zone cut. No lifetime is longer than `most`.
[[nodiscard]] std::optional<NamedCut> take_cut(Reader& in, base::Instant now, base::Duration elapsed, wire::Ttl most);

} // namespace sallyport::cache::format
