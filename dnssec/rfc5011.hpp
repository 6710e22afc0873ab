#pragma once

#include "base/atomic_file.hpp"
#include "base/result.hpp"
#include "dnssec/anchors.hpp"
#include "dnssec/records.hpp"
#include "wire/name.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Trust anchors that follow the zone's own announcements (RFC 5011).
namespace sallyport::dnssec {

/// RFC 5011 §4
enum class KeyState : std::uint8_t { start, addpend, valid, missing, revoked, removed };

struct ManagedKey {
    std::vector<std::uint8_t> rdata; ///< of DNSKEY, the revoked bit as last seen
    KeyState state = KeyState::start;
    std::uint32_t count = 0;   ///< looks at which a new key was there
    std::int64_t changed = 0;  ///< when it came into this state, seconds since 1970
    std::uint32_t ttl = 3'600; ///< of the set it was first seen in
    bool seen = false;         ///< in the set looked at last
};

struct Rfc5011Timing {
    std::int64_t add_hold_down = 30 * 86'400;    ///< §2.4.1
    std::int64_t remove_hold_down = 30 * 86'400; ///< §2.4.2
    std::int64_t keep_missing = 366 * 86'400;    ///< a key that is missing for so long is forgotten; 0: never
    std::uint32_t most_keys = 32;                ///< held for one zone; further new ones are not looked at
};

/// The anchors of one zone. Pure: it is told what was seen and when, and says when to look again.
class ManagedAnchor {
public:
    explicit ManagedAnchor(const wire::Name& zone) : zone_(zone) {}

    /// Begins with configured anchors where there is no state yet: they are trusted at once. DS anchors are kept until
    /// the keys they name are seen.
    void begin(const AnchorPoint& configured, std::int64_t now);

    /// What a look at the DNSKEY RRset brought: the set, whether `anchor()` has found it secure, and the date. When to
    /// look again follows §2.3. Checks a signature for each key that calls itself revoked. Returns whether the state
    /// changed in more than dates; it is to be written either way.
    bool update(const RrsetView& dnskeys, bool secure, const Policy& policy, std::int64_t now,
                const Rfc5011Timing& timing = {});
    /// No answer, or one that is not secure: retry sooner (§2.3).
    void failed(std::int64_t now) noexcept;

    [[nodiscard]] const wire::Name& zone() const noexcept { return zone_; }
    /// When to look again; 0: never, all keys are revoked.
    [[nodiscard]] std::int64_t next_probe() const noexcept { return next_probe_; }
    /// What is trusted now: keys in `valid` and `missing`, and DS not met yet.
    [[nodiscard]] AnchorPoint anchor() const;
    [[nodiscard]] const std::vector<ManagedKey>& keys() const noexcept { return keys_; }
    /// Every key was revoked: the zone is insecure from now on (§5).
    [[nodiscard]] bool is_revoked() const noexcept;

    /// The state file, in the text that other validators use: DNSKEY records with `;;state=` behind them.
    [[nodiscard]] std::string to_text() const;
    /// Errors name the line of `file`, where so many lines stand before `text`.
    [[nodiscard]] static base::Result<ManagedAnchor> from_text(std::string_view text, const std::string& file,
                                                               std::uint32_t lines_before = 0);

private:
    friend class StateReader;
    [[nodiscard]] ManagedKey* find(base::Bytes rdata) noexcept;
    [[nodiscard]] bool is_named_by_ds(base::Bytes rdata) const noexcept;
    void revoke_what_says_so(const RrsetView& dnskeys, const Policy& policy, std::int64_t now);
    void see(const RrsetView& dnskeys, base::Bytes rdata, const Policy& policy, std::int64_t now,
             const Rfc5011Timing& timing);
    [[nodiscard]] bool has_valid_key() const noexcept;
    void take_first_keys(std::int64_t now);
    void advance(ManagedKey& key, std::int64_t now, const Rfc5011Timing& timing);
    void set_state(ManagedKey& key, KeyState state, std::int64_t now);
    void forget(std::int64_t now, const Rfc5011Timing& timing);
    void schedule(const RrsetView& dnskeys, std::int64_t now) noexcept;

    wire::Name zone_;
    std::vector<ManagedKey> keys_;
    std::vector<std::vector<std::uint8_t>> ds_;
    std::int64_t last_queried_ = 0;
    std::int64_t last_success_ = 0;
    std::int64_t next_probe_ = 0;
    std::uint32_t query_failed_ = 0;
    std::int64_t query_interval_ = 3'600;
    std::int64_t retry_time_ = 3'600;
    std::uint32_t original_ttl_ = 3'600;
    bool changed_ = false;
};

/// How the state file is written.
using base::write_file_atomically;

} // namespace sallyport::dnssec
