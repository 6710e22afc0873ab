#pragma once

#include "dnssec/anchors.hpp"
#include "dnssec/options.hpp"
#include "resolver/root_copy.hpp"
#include "zones/transfer.hpp"
#include "zones/zones.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace sallyport::apps {

/// A root zone that is asked in the place of its servers, for as long after a moment as its SOA allows.
class RootZone final : public resolver::RootCopy {
public:
    /// `snapshot` has the root. `confirmed`: when it was known to be the zone that is served, in seconds since 1970.
    RootZone(std::shared_ptr<const zones::Snapshot> snapshot, std::int64_t confirmed);

    [[nodiscard]] std::size_t answer(base::Bytes query, base::MutableBytes room) const noexcept override;
    [[nodiscard]] bool is_good(base::WallTime now) const noexcept override;

    /// The same zone, known to be served at another moment.
    [[nodiscard]] std::shared_ptr<const RootZone> confirmed_at(std::int64_t date) const;
    [[nodiscard]] const zones::SoaNumbers& soa() const noexcept { return soa_; }
    /// Seconds since 1970.
    [[nodiscard]] std::int64_t expires() const noexcept { return confirmed_ + soa_.expire; }
    [[nodiscard]] std::uint64_t records() const noexcept { return zone_->record_count(); }
    [[nodiscard]] const zones::Zone& zone() const noexcept;
    /// Whether its digest (RFC 8976) was compared and holds.
    [[nodiscard]] bool is_digested() const noexcept { return digested_; }
    void set_digested(bool digested) noexcept { digested_ = digested; }

private:
    std::shared_ptr<const zones::Snapshot> zone_;
    zones::SoaNumbers soa_;
    std::int64_t confirmed_;
    bool digested_ = false;
};

/// Empty, or why a root zone is not to be believed. Looks at the signatures over the root's keys, its SOA and its
/// ZONEMD, or the proof that there is no ZONEMD, by the anchors; where these say nothing of the root, nothing has to be
/// signed.
[[nodiscard]] std::string find_root_distrust(const RootZone& root, const dnssec::TrustAnchors& anchors,
                                             const dnssec::Policy& policy, std::int64_t now);
/// That, and the digest, where there is one; the zone then knows that it was compared. Takes some milliseconds.
[[nodiscard]] std::string judge_root(RootZone& root, const dnssec::TrustAnchors& anchors, const dnssec::Policy& policy,
                                     std::int64_t now);

[[nodiscard]] std::int64_t seconds_of(base::WallTime time) noexcept;

} // namespace sallyport::apps
