#pragma once

#include "pipeline/client_subnets.hpp"
#include "pipeline/finish.hpp"
#include "pipeline/pipeline.hpp"
#include "pipeline/remote_stages.hpp"
#include "pipeline/stages.hpp"
#include "pipeline/waiting.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

/// What a `Pipeline` is made of. How queries come in and walk: `pipeline.cpp`; how they wait: `suspended.cpp`; how
/// their answers leave: `deliver.cpp`.
namespace sallyport::pipeline {

// Two octets before the answer for the length prefix of stream transports (`Reply::framed`).
inline constexpr std::size_t kPrefixRoom = 2;

[[nodiscard]] inline std::string_view to_string(Step step) noexcept
{
    switch (step) {
    case Step::next: return "goes on";
    case Step::answered: return "answered";
    case Step::drop: return "dropped";
    case Step::suspended: return "waits";
    }
    return {};
}

inline base::SipKey secret_from(const std::string& hex, base::RandomSource& random)
{
    base::SipKey key{};
    if (hex.size() != key.size() * 2) {
        random.fill(key);
        return key;
    }
    for (std::size_t i = 0; i < key.size(); ++i) std::from_chars(&hex[i * 2], &hex[i * 2] + 2, key[i], 16);
    return key;
}

struct Pipeline::Parts {
    Parts(Pipeline& pipeline, const Options& options, const base::Clock& clock_, base::RandomSource& random,
          Stats& stats)
        : clock(clock_),
          secret(secret_from(options.cookie_secret, random)),
          buffer(new std::uint8_t[kBufferSize]),
          writer(base::MutableBytes{buffer.get() + kPrefixRoom, wire::kMaxMessageSize}, wire::kMaxMessageSize),
          script(clock, texts),
          cache(chain, subnets, stats),
          waiting(stats),
          resolve(pipeline, cache, chain, waiting, subnets, stats)
    {
        std::array<std::uint8_t, 4> base{};
        random.fill(base);
        next_id = std::uint64_t{base::load_be32(base, 0)} << 32U;
        rebuild(options, stats);
    }

    static constexpr std::size_t kBufferSize = kPrefixRoom + wire::kMaxMessageSize;

    /// Made anew only where the limit is another: what clients used up so far still counts after a reload.
    static void renew(std::unique_ptr<policy::TokenBuckets>& buckets, const policy::TokenBuckets::Rate& rate,
                      std::uint32_t table_size)
    {
        if (buckets && buckets->is_for(rate, table_size)) return;
        buckets = std::make_unique<policy::TokenBuckets>(rate, table_size);
    }

    void rebuild(const Options& options, Stats& stats)
    {
        in_flight_limit = options.queries_in_flight;
        in_flight_octets_limit = options.queries_in_flight_octets;
        const auto& limit = options.rate_limit;
        renew(queries, {limit.per_second, limit.burst, limit.v4_prefix, limit.v6_prefix}, limit.table_size);
        renew(errors, {limit.errors_per_second, limit.errors_per_second, 24, 56}, limit.table_size);
        admission = std::make_unique<AdmissionStage>(options, *queries, stats);
        designation = std::make_unique<DesignationStage>(options.ddr, stats);
        identity = std::make_unique<IdentityStage>(options);
        finisher = std::make_unique<Finisher>(options, secret, stats);
        subnets = ClientSubnets{options.client_subnet};
        waiting.configure(options.waiting, options.rate_limit.exempt, in_flight_limit);
        script.set(options.block);
        put_in_order();
    }

    /// The order of the walk is the behaviour of the gateway. What is not there costs nothing.
    void put_in_order()
    {
        order = {admission.get(), identity.get(), designation.get()};
        if (script.asks()) order.push_back(&script);
        order.push_back(&zones);
        if (services.cache != nullptr) order.push_back(&cache);
        if (services.resolver != nullptr) order.push_back(&resolve);
        for (const auto& stage : appended) order.push_back(stage.get());
        zones.set_followed(services.resolver != nullptr);
    }

    void set_services(const Services& given)
    {
        services = given;
        script.set(given.script);
        cache.set(given.cache, given.resolver);
        resolve.set(given.resolver);
        waiting.set(given.alarm);
        put_in_order();
    }

    void set_now(base::Instant now) noexcept
    {
        cache.set_now(now);
        resolve.set_now(now);
    }

    /// Seconds since 1970 for cookies. The wall clock is asked once a second, not once a query.
    std::uint32_t unix_time(base::Instant now) noexcept
    {
        if (now - wall_read_at >= std::chrono::seconds{1} || wall_seconds == 0) {
            wall_read_at = now;
            wall_seconds = static_cast<std::uint32_t>(
                std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count());
        }
        return wall_seconds;
    }

    const base::Clock& clock;
    base::SipKey secret;
    std::unique_ptr<std::uint8_t[]> buffer;
    wire::MessageWriter writer;
    base::Instant wall_read_at{};
    std::uint32_t wall_seconds = 0;

    std::unique_ptr<policy::TokenBuckets> queries, errors; // of a client network
    std::unique_ptr<AdmissionStage> admission;
    std::unique_ptr<DesignationStage> designation;
    std::unique_ptr<IdentityStage> identity;
    ClientSubnets subnets;
    ZonesStage zones;
    Services services;
    Texts texts;
    ChainWriter chain;
    ScriptStage script;
    CacheStage cache;
    Waiting waiting;
    ResolveStage resolve;
    std::uint64_t next_id = 0;
    Trace* trace = nullptr; ///< of the query that begins next
    std::vector<std::unique_ptr<Stage>> appended;
    std::vector<Stage*> order;
    std::unique_ptr<Finisher> finisher;

    std::vector<std::unique_ptr<Query[]>> chunks;
    Query* free = nullptr;
    Query spare; ///< for errors that are answered on the spot, never suspended
    std::uint64_t in_flight_limit = 0;
    std::uint64_t in_flight_octets_limit = 0;
};

} // namespace sallyport::pipeline
