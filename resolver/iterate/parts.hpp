#pragma once

#include "base/hash.hpp"
#include "base/siphash.hpp"
#include "dnssec/dnssec.hpp"
#include "dnssec/known_signatures.hpp"
#include "resolver/iterate/crowd.hpp"
#include "resolver/iterate/delegations.hpp"
#include "resolver/iterate/denials.hpp"
#include "resolver/iterate/event.hpp"
#include "resolver/iterate/iterate.hpp"
#include "resolver/iterate/no_cuts.hpp"
#include "resolver/iterate/servers.hpp"
#include "resolver/iterate/subnet_cache.hpp"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>

/// What the engine is made of. Read by this folder alone.
namespace sallyport::resolver::iterate {

using cache::RrsetPtr;

/// What one client query has cost so far; carried through everything done for it, never refilled on the way.
struct Budget {
    Budget(const Options& options, base::Instant now, const dnssec::Limits& limits, const base::Clock* clock,
           dnssec::Stats* stats, dnssec::KnownSignatures* known = nullptr)
        : deadline(now + options.limits.time), validation(limits, clock, stats, known)
    {
    }
    unsigned packets = 0;
    unsigned lookups = 0;
    bool spent = false;
    base::Instant deadline;
    dnssec::Budget validation;
    Watcher watcher;
};
using BudgetPtr = std::shared_ptr<Budget>;

/// Something that is done in steps and may wait for others. Run from the engine's queue only, so no call nests.
class Job : public std::enable_shared_from_this<Job> {
public:
    Job(Engine::Parts& parts, BudgetPtr budget, unsigned depth)
        : parts_(parts), budget_(std::move(budget)), depth_(depth)
    {
    }
    virtual ~Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    virtual void run() = 0;
    /// Whether this job waits, by any way, for `other`.
    [[nodiscard]] virtual bool waits_for(const Job& other, unsigned depth) const = 0;

    /// Something it waits for did not get a reply in time, and goes on trying.
    virtual void lookup_is_slow() {}

    void add_waiter(const std::shared_ptr<Job>& job) { waiters_.push_back(job); }
    [[nodiscard]] bool is_done() const noexcept { return done_; }
    [[nodiscard]] const BudgetPtr& budget() const noexcept { return budget_; }
    [[nodiscard]] unsigned depth() const noexcept { return depth_; }

    bool queued = false;

protected:
    /// Tells everyone who waits.
    void finish();
    void tell_slow();

    Engine::Parts& parts_;
    BudgetPtr budget_;
    unsigned depth_;
    bool done_ = false;
    std::vector<std::weak_ptr<Job>> waiters_;
};

class Fetch;
class Trust;
class Resolution;

struct Key {
    wire::Name name;
    wire::RrType type{};
    wire::RrClass rr_class{};
    std::optional<base::Prefix> subnet{}; ///< of the client, where it makes a difference: `Parts::subnet_for`
    bool operator==(const Key&) const = default;
};
struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept
    {
        const std::uint64_t hash = key.name.hash() ^ (static_cast<std::size_t>(key.type) * 0x9E37'79B9'7F4A'7C15ULL);
        return key.subnet ? hash + base::keyed_hash(key.subnet->address().octets()) + key.subnet->length() : hash;
    }
};

/// A failure that is remembered for a moment (RFC 9520).
struct Failure {
    base::Instant expires{};
    std::optional<wire::ExtendedError> ede{};
    std::string text;
};

/// A query that is on its way.
struct Pending {
    std::weak_ptr<Fetch> fetch;
    base::Endpoint server;
    wire::Name qname; ///< in the case it was sent
    wire::RrType qtype{};
    wire::RrClass qclass{};
    std::uint16_t id = 0;
    bool tcp = false;
    bool edns = false;
    bool probe = false;
    std::optional<base::Prefix> subnet{}; ///< of the client, where the server may be told; of length 0 it is not
    DelegationPtr group;                  ///< of upstreams that were asked; null: one server was
    bool again = false;                   ///< see `Ask`
    unsigned near_misses = 0;
    std::uint16_t octets = 0;
    base::Instant sent{};
    base::Instant deadline{};
};

/// What is known of the keys of a zone.
struct ZoneTrust {
    wire::Name zone;
    wire::ValidationState state = wire::ValidationState::indeterminate;
    std::shared_ptr<dnssec::ZoneKeys> keys; ///< `secure`
    std::optional<wire::ExtendedError> ede{};
    std::string text;
    base::Instant expires{};
};
using ZoneTrustPtr = std::shared_ptr<const ZoneTrust>;

struct NameHash {
    std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
};

struct Engine::Parts {
    Parts(const base::Clock& clock_, base::RandomSource& random_, Upstream& upstream_, cache::RrsetStore& store_,
          Options options_, const base::Clock* processor);
    ~Parts();

    const base::Clock& clock;
    const base::Clock& processor_time; ///< of this thread
    base::RandomSource& random;
    Upstream& upstream;
    cache::RrsetStore& store;
    const Options options;
    std::shared_ptr<const dnssec::TrustAnchors> anchors; ///< those of the options until others are set
    std::uint32_t anchors_set = 0;                       ///< how often others were: what was begun before is not kept
    std::uint64_t trust_mark = 0;                        ///< by it the store tells those who trust the same
    bool trust_told = false;                             ///< to the store
    std::vector<std::uint8_t> plain;                     ///< a reply whose question is in lower case again
    Stats stats;
    dnssec::Stats validation_stats;
    dnssec::KnownSignatures known_signatures;
    Servers servers;
    Delegations delegations;
    NoCuts no_cuts;
    Denials denials;
    SubnetCache subnets;
    Tell tell;

    std::deque<std::shared_ptr<Job>> ready;
    std::vector<std::shared_ptr<Job>> next_turn; ///< heavy work that lets others run
    bool running = false;

    std::unordered_map<Key, std::weak_ptr<Fetch>, KeyHash> fetches;
    std::unordered_map<wire::Name, std::weak_ptr<Trust>, NameHash> trusts_in_work;
    std::unordered_map<wire::Name, ZoneTrustPtr, NameHash> trusts;
    std::unordered_map<std::uint64_t, std::shared_ptr<Resolution>> resolutions;
    /// When questions end, and when their clients do not want to wait any more. Each is as long as the next, so that
    /// the first comes first.
    using Dates = std::deque<std::pair<base::Instant, std::uint64_t>>;
    Dates ends;
    Dates ends_of_patience;
    std::uint64_t next_resolution = 0;
    std::vector<std::uint64_t> ended; ///< resolutions that are done, until nothing of them is in use
    std::unordered_map<Token, Pending> pending;
    std::set<std::pair<base::Instant, Token>> timers;
    Token next_token = 0;
    Crowd fetches_in_flight;
    std::uint64_t search = 0; ///< for loops, the running number
    std::unordered_map<wire::Name, Crowd, NameHash> fetches_by_zone;
    std::unordered_map<base::IpAddress, Crowd, Servers::Hash> fetches_by_server; ///< with a query on its way there
    std::unordered_map<Key, Failure, KeyHash> failures;

    [[nodiscard]] base::Instant now() const noexcept { return clock.now(); }
    [[nodiscard]] bool validates() const noexcept { return options.dnssec && anchors && !anchors->empty(); }

    [[nodiscard]] bool is_anchored(const wire::Name& name) const;
    void wake(const std::shared_ptr<Job>& job);
    void wake_next_turn(const std::shared_ptr<Job>& job) { next_turn.push_back(job); }
    void drain() noexcept;
    /// Asked before an event is put together.
    [[nodiscard]] bool is_watched(const Budget& by) const noexcept { return tell || by.watcher; }
    void say(const Budget& by, const Event& event) const;

    /// The look-up for a question: one in flight, or a new one. Null where it would wait for itself, or where too much
    /// is in flight or too deep. `avoid`: servers whose data was bogus.
    /// `whole_name`: the name is not minimised. `renews`: see `Fetch`.
    [[nodiscard]] std::shared_ptr<Fetch> fetch(const Question& question, const std::shared_ptr<Job>& waiter,
                                               const BudgetPtr& budget, unsigned depth,
                                               const std::vector<base::IpAddress>& avoid = {}, bool whole_name = false,
                                               bool renews = false);
    [[nodiscard]] std::shared_ptr<Trust> trust(const wire::Name& name, const std::shared_ptr<Job>& waiter,
                                               const BudgetPtr& budget, unsigned depth);
    [[nodiscard]] Crowd& crowd_of_zone(const wire::Name& zone);
    [[nodiscard]] Crowd& crowd_of_server(const base::IpAddress& server);
    /// Whether one more may come; the oldest gives way where it has had its chance. Jobs that waited are only woken.
    [[nodiscard]] bool make_room(Crowd& crowd, std::size_t limit, const Job* newcomer);
    /// Nobody would give way there.
    [[nodiscard]] bool is_crowded(const base::IpAddress& server) const;
    void remember_trust(const ZoneTrustPtr& trust);
    void set_anchors(std::shared_ptr<const dnssec::TrustAnchors> others);
    /// Before the first look at what is kept: what others judged by other anchors is not believed.
    void tell_trust();
    /// The store's number for states by today's anchors; nothing where `begun` (`anchors_set` then) was by others, or
    /// where other workers have gone over to others that are not here yet.
    [[nodiscard]] std::optional<std::uint32_t> judging(std::uint32_t begun) const noexcept;
    /// Puts what was judged in the place of `before`, where it may be kept: `judging`.
    RrsetPtr keep_judged(const RrsetPtr& before, cache::Rrset judged, std::uint32_t begun);
    /// Keeps a set for everybody or, where it has one, for its network; hands out the one that counts.
    RrsetPtr keep(cache::Rrset set);
    /// What a search for this name and type has to know of the client's network: nothing where it makes no difference,
    /// length 0 where it might and nothing may be told.
    [[nodiscard]] std::optional<base::Prefix> subnet_for(const wire::Name& name, wire::RrType type,
                                                         const std::optional<base::Prefix>& client) const noexcept;
    void remember_failure(const Key& key, std::optional<wire::ExtendedError> ede, const std::string& text,
                          std::chrono::seconds ttl);
    [[nodiscard]] const Failure* find_failure(const Key& key) const;
    /// What is known of a name and type, an alias or that there is nothing among it; null where nothing is.
    [[nodiscard]] RrsetPtr find_known(const Question& question, cache::Rank least, bool stale);

    /// Takes a question up; without `done` only to renew what is known.
    void begin(const Question& question, Done done, bool again, Watcher watcher = {});
    /// The same with means that are there already, and as it stands.
    void start(const Question& question, Done done, bool again, const BudgetPtr& budget);
    void refresh(const Question& question);
    /// The first that belongs to a question in work; null without one.
    [[nodiscard]] const Dates::value_type* next_date(Dates& dates) const
    {
        while (!dates.empty() && !resolutions.contains(dates.front().second)) dates.pop_front();
        return dates.empty() ? nullptr : &dates.front();
    }
    void clear_ended()
    {
        for (const std::uint64_t number : ended) resolutions.erase(number);
        ended.clear();
    }

    void send(const std::shared_ptr<Fetch>& fetch, Pending query, const wire::Name& zone, bool recursion);
    void forget(Token token);
    [[nodiscard]] base::Bytes write_query(Pending& query, bool recursion);

    [[nodiscard]] std::array<std::uint8_t, 8> client_cookie(const base::IpAddress& server) const;
    void note_cookie(const Pending& query, const wire::MessageView& message);

    std::vector<std::uint8_t> room; ///< where queries are written
    base::SipKey cookie_secret{};
};

/// Whether a message is the reply to the query, by everything that an attacker has to guess.
enum class Fit : std::uint8_t { fits, near_miss, foreign, broken };
[[nodiscard]] Fit judge_fit(const Pending& query, base::Bytes message, std::optional<wire::MessageView>& view);

} // namespace sallyport::resolver::iterate
