#pragma once

#include "base/result.hpp"
#include "dnssec/anchors.hpp"
#include "dnssec/options.hpp"
#include "dnssec/rfc5011.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::dnssec {

/// What a look at the keys of a zone led to.
struct AnchorNews {
    bool secure = false;           ///< the set was signed by a key that is trusted
    bool changed = false;          ///< other keys are trusted now than before
    bool lost = false;             ///< one that was trusted is not any more: what it made believed is to be judged anew
    std::vector<std::string> told; ///< a line for each key that came into another state, for the log
    std::string trouble{};         ///< why the set is not secure
};

/// The trust anchors of a configuration, and what has become of those that are followed (RFC 5011). Pure but for its
/// use of the date that it is told; one thread's.
class AnchorBook {
public:
    /// Every zone with an anchor is followed; it begins with what is configured. Negative anchors stay as they are.
    AnchorBook(TrustAnchors configured, const Policy& policy, std::int64_t now, const Rfc5011Timing& timing = {});

    /// Takes over the states that `to_text` wrote, or that another validator wrote for one zone. They count instead of
    /// what is configured; zones without an anchor in the configuration are left out. On an error nothing changes.
    [[nodiscard]] base::Result<void> read(std::string_view text, const std::string& file);
    [[nodiscard]] std::string to_text() const;
    /// Configured anchors that the states which were read know nothing of, a line each: they are not trusted.
    [[nodiscard]] std::vector<std::string> overruled() const;

    /// A zone whose keys are to be looked at now; null where there is none.
    [[nodiscard]] const wire::Name* due(std::int64_t now) const noexcept;
    AnchorNews saw(const wire::Name& zone, const RrsetView& dnskeys, std::int64_t now);
    /// No answer: another look sooner (§2.3).
    void failed(const wire::Name& zone, std::int64_t now) noexcept;

    /// What is trusted now.
    [[nodiscard]] TrustAnchors anchors() const;
    [[nodiscard]] const std::vector<ManagedAnchor>& zones() const noexcept { return zones_; }
    /// Keys of all zones by `KeyState`.
    [[nodiscard]] std::array<std::uint32_t, 6> count_keys() const noexcept;

private:
    [[nodiscard]] ManagedAnchor* find(const wire::Name& zone) noexcept;
    [[nodiscard]] bool is_due(const ManagedAnchor& anchor, std::int64_t now) const noexcept;

    TrustAnchors configured_;
    Policy policy_;
    Rfc5011Timing timing_;
    std::vector<ManagedAnchor> zones_;
};

[[nodiscard]] std::string_view to_string(KeyState state) noexcept;

} // namespace sallyport::dnssec
