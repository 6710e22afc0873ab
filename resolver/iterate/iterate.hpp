#pragma once

/// Part `iterate` of the resolver: finds answers by asking the name servers of the DNS from the root down.
///
/// A pure state machine: it opens no socket and reads no clock. It hands queries to an `Upstream`; its caller feeds
/// back what arrives and tells it when time has passed. All the work one client query may cause has limits
/// (`WorkLimits`). It keeps what it learned in a `cache::RrsetStore`. Start reading at `Engine::resolve`; a look-up
/// from zone to zone is `fetch.cpp`, a client's question with its aliases `resolution.cpp`.

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/transport.hpp"
#include "cache/rrset_store.hpp"
#include "resolver/iterate/options.hpp"
#include "resolver/iterate/stats.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::dnssec {
struct Stats;
}

namespace sallyport::resolver::iterate {

using Token = std::uint64_t;

/// One query to one server, to be sent now. Borrowed for the call.
struct Ask {
    Token token = 0;
    base::Endpoint server;
    bool tcp = false;
    base::Bytes message;
    const wire::Name* qname = nullptr;
    wire::RrType qtype{};
    const wire::Name* zone = nullptr; ///< whose server it is thought to be
    std::string_view group{};         ///< of upstreams, see `FixedZone::group`: they are asked, by whatever transport
    bool again = false;               ///< what the group said was bogus: whoever said it need not be asked again
};

/// The network, as the engine sees it. Both calls must return at once and not call the engine.
class Upstream {
public:
    virtual ~Upstream() = default;
    /// UDP: from a fresh socket, connected to the server. What comes back goes to `Engine::answer`.
    virtual void send(const Ask& ask) noexcept = 0;
    /// Nobody waits for that token any more.
    virtual void cancel(Token token) noexcept = 0;
};

struct Question {
    wire::Name qname;
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
    bool checking_disabled = false; ///< CD: bogus data is handed out, too
    /// Of the client, where zones that may be told of it are asked (RFC 7871); cut to what `Options::subnet` allows.
    std::optional<base::Prefix> subnet{};
};

/// What came of a question.
struct Answer {
    wire::Rcode rcode = wire::Rcode::SERVFAIL;
    wire::ValidationState state = wire::ValidationState::unchecked;
    std::vector<cache::RrsetPtr> answers;   ///< in the order of the alias chain
    std::vector<cache::RrsetPtr> authority; ///< SOA and proofs
    std::optional<wire::ExtendedError> ede{};
    std::string ede_text{};
    bool stale = false;
    wire::Ttl stale_ttl;     ///< what stale sets are given out with (RFC 8767 §4)
    bool from_store = false; ///< no server was asked
    /// The answer is meant for clients within so many bits of the question's subnet; nothing: for everybody.
    std::optional<std::uint8_t> subnet_scope{};
};

/// Writes it behind the question of a begun response; RRSIG, NSEC and NSEC3 only with `dnssec_ok` or where they were
/// asked for. False where it does not fit: then TC is set and no record stands there.
bool write_answer(const Answer& answer, const Question& question, bool dnssec_ok, base::Instant now,
                  wire::MessageWriter& out);

/// One zone on the way from the trust anchor down to a name (RFC 4035 §5), as far as it is known.
struct TrustLink {
    wire::Name zone;
    /// `secure`: its keys are believed. `unchecked`: nobody has needed to know, or not for a while.
    wire::ValidationState state = wire::ValidationState::unchecked;
    std::string detail; ///< what its keys are believed by and which they are, or why they are not
    std::optional<wire::ExtendedError> ede{};
};

/// Called once, from `Engine::run` or whatever fed it.
using Done = std::function<void(const Answer& answer)>;
/// Every step, for a trace: what was asked of whom, and what came of it.
using Tell = std::function<void(std::string_view what, std::string_view detail)>;
struct Event;
/// The same for one question, as what it is made of (event.hpp).
using Watcher = std::function<void(const Event& event)>;

/// Resolution on one worker; its thread only. The store may be shared by several engines.
class Engine {
public:
    /// `processor` measures the work of validation: a busy machine must not pass for costly data. Null: `clock`.
    Engine(const base::Clock& clock, base::RandomSource& random, Upstream& upstream, cache::RrsetStore& store,
           Options options, const base::Clock* processor = nullptr);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Takes a question up. `done` may be called before this returns where the answer is known. `watcher` hears of what
    /// is done for this question, not of look-ups begun for others that it waits for.
    void resolve(const Question& question, Done done, Watcher watcher = {});
    /// The same, but servers are asked even where the answer is known.
    void resolve_anew(const Question& question, Done done);
    /// What is known without asking anybody (RD=0); nothing where it is not.
    [[nodiscard]] std::optional<Answer> find_known(const Question& question);

    /// The closest zone cut that is known, at or above the name.
    [[nodiscard]] wire::Name known_cut(const wire::Name& name) const;

    /// The zones from the closest trust anchor down to the name, each with its state, made of what is known without
    /// asking anybody. It ends at the first that is not secure: that is the failing link. Never empty.
    [[nodiscard]] std::vector<TrustLink> chain_of_trust(const wire::Name& name) const;

    /// A message arrived for `token`. False: it is not the reply to what was asked, and the wait goes on.
    bool answer(Token token, base::Bytes message) noexcept;
    /// The server did not reply in time. `expire` says so by itself; this is for a network that knows better.
    void timed_out(Token token) noexcept;
    /// The connection closed, or the system knows no way to it.
    void failed(Token token) noexcept;

    /// When `expire` should be called next.
    [[nodiscard]] std::optional<base::Instant> due() const noexcept;
    void expire(base::Instant now) noexcept;

    /// Of all questions.
    void set_trace(Tell tell);
    /// From the next validation on; what was believed by other anchors is judged anew (RFC 5011).
    void set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors);
    /// Feeds one round trip of a server into the server cache.
    void note_rtt(const base::IpAddress& server, std::chrono::milliseconds rtt);
    [[nodiscard]] std::size_t in_flight() const noexcept; ///< look-ups
    [[nodiscard]] const Stats& stats() const noexcept;
    [[nodiscard]] const dnssec::Stats& validation_stats() const noexcept;
    [[nodiscard]] const Options& options() const noexcept;

    struct Parts;

private:
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::resolver::iterate
