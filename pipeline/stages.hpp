#pragma once

#include "pipeline/ddr.hpp"
#include "pipeline/pipeline.hpp"
#include "policy/access_list.hpp"
#include "policy/rate_limit.hpp"
#include "zones/zones.hpp"

#include <memory>

/// The stages of the walk. Each adapts one module to `Query`; `Pipeline` calls them in the order of `Pipeline::Parts`.
namespace sallyport::pipeline {

/// Access list and rate limit: who may ask at all.
class AdmissionStage final : public Stage {
public:
    /// `buckets` are borrowed: a reload must not be a fresh start for whoever was over the limit.
    AdmissionStage(const Options& options, policy::TokenBuckets& buckets, Stats& stats);
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "admission"; }
    /// For what never becomes a query: bytes that do not parse.
    [[nodiscard]] bool allows(const Client& client) const noexcept { return access_.allows(client.peer.address); }
    [[nodiscard]] bool silent() const noexcept { return silent_; }

private:
    Step over_limit(Query& query) noexcept;

    policy::AccessList access_;
    policy::TokenBuckets& buckets_;
    std::vector<base::Prefix> exempt_;
    bool silent_;
    Stats& stats_;
};

/// `_dns.resolver.arpa` and what belongs to it.
class DesignationStage final : public Stage {
public:
    DesignationStage(const DdrOptions& options, Stats& stats) : answers_(options), stats_(stats) {}
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "designations"; }

private:
    DesignationAnswers answers_;
    Stats& stats_;
};

/// `id.server.` and its kin in class CH (RFC 4892), where switched on.
class IdentityStage final : public Stage {
public:
    explicit IdentityStage(const Options& options);
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "identity"; }

private:
    bool enabled_;
    std::vector<std::uint8_t> identity_; ///< TXT RDATA
};

/// Local zones.
class ZonesStage final : public Stage {
public:
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "zones"; }
    void set(std::shared_ptr<const zones::Snapshot> snapshot, const zones::Limits& limits) noexcept;
    [[nodiscard]] const zones::Stats& stats() const noexcept { return stats_; }
    /// Whether someone behind this stage can find out where an alias leads that leaves local data.
    void set_followed(bool followed) noexcept { followed_ = followed; }

private:
    bool followed_ = false;
    std::shared_ptr<const zones::Snapshot> snapshot_;
    zones::Limits limits_;
    zones::Stats stats_;
};

} // namespace sallyport::pipeline
