#pragma once

/// Module `dnssec`: what may be believed.
///
/// Signatures, the chain from an anchor to a zone's keys, proofs that something does not exist, trust anchors and
/// their rollover. Pure computation: it asks nobody, has no clock and no globals; what is to be judged, the date and
/// the budget are handed in. It does not fetch what is missing, decides no RCODE, and never spends more on a query than
/// its `Budget` grants: what takes longer is done in steps.
///
/// Start reading at `RrsetVerifier` (verify.hpp), then `KeysVerifier`, `choose_ds` (keys.hpp) and `DenialProver`
/// (denial.hpp). A zone is entered so: `TrustAnchors::find`, `KeysVerifier` on its DNSKEY RRset, `RrsetVerifier` on
/// what it signed; at a cut the DS RRset by `RrsetVerifier`, or its absence by `DenialProver` with `Claim::no_ds`.

#include "dnssec/anchors.hpp"
#include "dnssec/budget.hpp"
#include "dnssec/canonical.hpp"
#include "dnssec/denial.hpp"
#include "dnssec/keys.hpp"
#include "dnssec/nsec3_hash.hpp"
#include "dnssec/options.hpp"
#include "dnssec/records.hpp"
#include "dnssec/rfc5011.hpp"
#include "dnssec/sentinel.hpp"
#include "dnssec/verdict.hpp"
#include "dnssec/verify.hpp"
