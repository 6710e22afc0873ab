#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "cache/cache.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

/// How others ask a resolver and wait for it.
namespace sallyport::resolver {

/// What is to be found out. Copied; texts are borrowed for the call.
struct Question {
    wire::Name qname; ///< lower case
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
    bool dnssec_ok = false;
    bool checking_disabled = false;
    std::string_view group{}; ///< of upstreams, where policy chose one; empty: as the routes say
    /// Of the client, where servers may be told of it (RFC 7871); of length 0: they may, and this client is not told
    /// of.
    std::optional<base::Prefix> subnet{};
};

/// What came of it; borrowed for the call.
struct Outcome {
    const cache::Prepared* answer = nullptr; ///< null: nobody answered, see `ede`
    wire::ValidationState validation = wire::ValidationState::unchecked;
    std::optional<wire::ExtendedError> ede{};
    std::string_view ede_text{};
    std::string_view upstream{};                ///< who answered: the upstream's name, or an address
    std::optional<std::uint8_t> subnet_scope{}; ///< the answer counts within so many bits of the question's subnet
    bool from_cache = false;                    ///< a stale answer, or one that arrived meanwhile
};

/// Someone who waits for an outcome. Unlinks itself when it goes: nobody is told then.
class Waiter : public boost::intrusive::list_base_hook<boost::intrusive::tag<Waiter>,
                                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// Called once, on the worker's thread, never from within `resolve`. The waiter is unlinked before.
    virtual void resolved(const Outcome& outcome, base::Instant now) noexcept = 0;

protected:
    ~Waiter() = default;
};

enum class Taken : std::uint8_t {
    waiting,    ///< the waiter will hear
    no_route,   ///< nobody is configured who could be asked for this name
    overloaded, ///< too much is in flight
};

/// One thing that was decided, for `explain`.
using Tell = std::function<void(std::string_view what, std::string_view why)>;

/// The partition of the cache that answers of a group chosen by policy go to; 0 for the usual way (no group).
[[nodiscard]] constexpr std::uint32_t partition_of(std::string_view group) noexcept
{
    if (group.empty()) return 0;
    std::uint32_t hash = 2'166'136'261U; // FNV-1a: groups are few and named by the operator
    for (const char c : group) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16'777'619U;
    return hash == 0 ? 1 : hash;
}

/// Whoever finds things out for a pipeline. Its worker's thread only.
class Backend {
public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual Taken resolve(const Question& question, Waiter& waiter, base::Instant now) noexcept = 0;
    /// The same without a waiter: to fill the cache (prefetch).
    virtual void fetch(const Question& question, base::Instant now) noexcept = 0;
    /// What `resolve` would do, without doing it.
    virtual void explain(const Question& question, const Tell& tell) const = 0;
};

} // namespace sallyport::resolver
