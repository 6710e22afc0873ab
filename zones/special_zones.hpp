#pragma once

#include "base/result.hpp"
#include "zones/options.hpp"
#include "zones/snapshot_builder.hpp"

#include <vector>

namespace sallyport::zones {

/// Adds zones for names that mean something on this network alone, or nothing anywhere: loopback, private and
/// documentation addresses (RFC 6303, 7793), names reserved for special use (RFC 6761, 6762, 7686, 8375, 8880, 9476).
/// Questions about them tell strangers of this network, and no stranger has an answer.
///
/// A name gives way where the operator has a zone at, above or below it, or tells somebody else to answer there.
/// `configured`: the apexes of his zones. Problems: what is to be left out and is no such name. Control thread.
void add_special_zones(SnapshotBuilder& snapshot, const Options& options, const std::vector<wire::Name>& configured,
                       base::Problems& problems);

} // namespace sallyport::zones
