#pragma once

#include "net/worker.hpp"
#include "resolver/address_finder.hpp"
#include "resolver/errands.hpp"
#include "resolver/recursion.hpp"
#include "resolver/resolution.hpp"
#include "resolver/resolver.hpp"
#include "resolver/resolver_stats.hpp"
#include "resolver/routes.hpp"
#include "resolver/shared.hpp"
#include "resolver/udp_exchange.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

/// What a `Resolver` is made of. Its questions in flight: `flights.cpp`; its configuration and what it tells of itself:
/// `resolver.cpp`.
namespace sallyport::resolver {

using Waiters = boost::intrusive::list<
    Waiter,
    boost::intrusive::base_hook<boost::intrusive::list_base_hook<
        boost::intrusive::tag<Waiter>, boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
    boost::intrusive::constant_time_size<false>>;

/// What is asked, and where its answer is kept.
[[nodiscard]] FlightKey flight_key(const Question& question) noexcept;

/// The groups and routes of one configuration, on one worker.
struct Table {
    explicit Table(const Options& options) : routes(options) {}

    Routes routes;
    std::vector<std::shared_ptr<Group>> groups;
};

struct Resolver::Parts final : private ResolutionUser {
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    using WorkHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
    struct ByAge;
    using AgeHook = boost::intrusive::list_base_hook<boost::intrusive::tag<ByAge>,
                                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    struct ByZone;
    using ZoneHook = boost::intrusive::list_base_hook<boost::intrusive::tag<ByZone>,
                                                      boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    /// One question and who waits for it here.
    struct Pending : WorkHook, AgeHook, ZoneHook {
        Pending(Parts& given, const FlightKey& what, std::shared_ptr<Group> whom, base::Instant now)
            : parts(given), key(what), group(std::move(whom)), began(now)
        {
        }
        void expired(base::Instant now) noexcept { parts.follower_expired(*this, now); }

        Parts& parts;
        FlightKey key;
        std::shared_ptr<Group> group;
        base::Instant began;
        Waiters waiters;
        std::uint32_t joined = 0;
        wire::Name zone;                        ///< that it counts in, where `ZoneHook` is linked
        std::uint64_t flight = 0;               ///< 0: not begun
        std::unique_ptr<Resolution> resolution; ///< null where another worker asks, and where this one recurses
        bool recursing = false;                 ///< this worker asks the name servers of the DNS
        FlightResult found;                     ///< by that
        net::Timer timer{net::Timer::of<&Pending::expired>(*this)};
    };
    using PendingList = boost::intrusive::list<Pending, boost::intrusive::base_hook<WorkHook>,
                                               boost::intrusive::constant_time_size<false>>;
    using AgeList = boost::intrusive::list<Pending, boost::intrusive::base_hook<AgeHook>,
                                           boost::intrusive::constant_time_size<false>>;

    /// Those of one zone, the oldest first.
    struct Crowd {
        boost::intrusive::list<Pending, boost::intrusive::base_hook<ZoneHook>,
                               boost::intrusive::constant_time_size<false>>
            members;
        std::uint32_t count = 0;
    };

    // What one question holds: itself, its resolution, and the tries it may have open.
    static constexpr std::uint64_t kOctets =
        sizeof(Pending) + sizeof(Resolution) + 4 * (sizeof(Try) + sizeof(UdpExchange)) + 512;

    Parts(net::Worker& given, Shared& flights, cache::Cache* kept)
        : worker(given), shared(flights), cache(kept), around{given, std::make_shared<const Options>()}
    {
        around.doubt = [this](const Target& target) { doubt(target); };
    }

    Taken resolve(const Question& question, Waiter* waiter, base::Instant now);
    std::shared_ptr<Group> group_for(const Question& question) const;
    std::shared_ptr<Group> named_group(std::string_view name) const;
    bool may_take(const Limits& limits, base::Instant now);
    bool make_room(base::Instant now);
    bool make_way(Pending& oldest, base::Instant now);
    [[nodiscard]] std::optional<wire::Name> zone_of(const Question& question) const;
    bool may_crowd(const wire::Name& zone, base::Instant now);
    void give_way(Pending& gone, base::Instant now);
    Taken join(Pending& pending, Waiter* waiter);
    void work(base::Instant now) noexcept;
    void begin(Pending& pending, base::Instant now);
    void begin_recursion(Pending& pending);
    [[nodiscard]] std::function<void(const iterate::Event& event)> watcher_for(const FlightKey& key) const;
    void recursed(const FlightKey& key, std::uint64_t flight, FlightResult result);
    [[nodiscard]] bool recurses(const Question& question) const;
    void deliver(Pending& pending, base::Instant now);
    void tell(Pending& pending, const FlightResult& result, base::Instant now);
    std::unique_ptr<Pending> take(Pending& pending);
    void keep(const FlightKey& key, const FlightResult& result, base::Instant now);
    void keep_failure(const FlightKey& key, const FlightResult& result, base::Instant now);
    void follower_expired(Pending& pending, base::Instant now);
    void heard(const FlightKey& key, std::uint64_t flight, const FlightResult& result);
    void resolution_ended(Resolution& ended, base::Instant now) noexcept override;
    std::shared_ptr<Upstream> upstream_for(const std::string& group, const UpstreamOptions& options);
    void reconfigure(std::shared_ptr<const Options> options);
    std::shared_ptr<Group> bootstrap_group();
    void look_up_names();
    void doubt(const Target& target) const;
    void looked_up(const Target& target, const AddressFinder::Found& found);
    void addresses_changed(const Target& target, const std::vector<base::IpAddress>& addresses);
    void publish_stats();
    void explain(const Question& question, const Tell& told) const;
    static void explain_group(const Group& group, const std::string& why, const Tell& told);
    void stop() noexcept;

    static void heard_by_mail(void* owner, const FlightKey& key, std::uint64_t flight,
                              const FlightResult& result) noexcept
    {
        static_cast<Parts*>(owner)->heard(key, flight, result);
    }

    net::Worker& worker;
    Shared& shared;
    cache::Cache* cache;
    Surroundings around;
    std::unique_ptr<Table> table;
    ResolverStats stats;
    Errands errands{worker, [this](std::string_view name) { return named_group(name); },
                    [this]() -> const Limits& { return around.options->limits; }};
    Recursion recursion{worker, &errands}; // after what it asks by
    std::shared_ptr<Group> bootstrap;      ///< of this worker where it looks up for all, else null
    AddressFinder finder{worker,
                         [this](const Target& target, const AddressFinder::Found& found) { looked_up(target, found); }};
    std::unordered_map<FlightKey, std::unique_ptr<Pending>, FlightKeyHash> pending_;
    std::unordered_map<wire::Name, Crowd, NameHash> crowds; ///< of zones that names are forwarded for
    PendingList starting;
    PendingList done;
    AgeList by_age;                                ///< the oldest first
    std::vector<std::unique_ptr<Pending>> leaving; ///< made room for others, not told yet
    bool stopped = false;
    struct Watched {
        wire::Name qname;
        wire::RrType qtype{};
        Tell tell; ///< null: whoever wanted to know has gone
    };
    std::shared_ptr<Watched> watched; ///< see `Resolver::watch`
    net::Flush flush{net::Flush::of<&Parts::work>(*this)};
    std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>(worker, this, heard_by_mail);

    struct Labelled {
        std::string labels;
        std::shared_ptr<const UpstreamStats> stats;
    };
    mutable std::mutex published_mutex;
    std::vector<Labelled> published; ///< for other threads
};

} // namespace sallyport::resolver
