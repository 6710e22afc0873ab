#pragma once

#include "cache/cache.hpp"
#include "lua/lua.hpp"
#include "pipeline/client_subnets.hpp"
#include "pipeline/pipeline.hpp"
#include "pipeline/stages.hpp"
#include "pipeline/verdicts.hpp"
#include "pipeline/waiting.hpp"
#include "resolver/waiter.hpp"

#include <array>
#include <memory>
#include <optional>
#include <vector>

/// The stages behind the local zones: scripts, the cache, the resolver. Each is in the walk only where its service is
/// there.
namespace sallyport::pipeline {

/// The operator's script: `on.query` as a stage, `on.answer` from `Pipeline::deliver`.
class ScriptStage final : public Stage {
public:
    ScriptStage(const base::Clock& clock, Texts& texts) : clock_(clock), texts_(texts) {}
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "script"; }
    /// What the script makes of a written answer; `proceed` where it has nothing to say. Borrowed until the next call.
    [[nodiscard]] const policy::Verdict& judge(const Query& query) noexcept;
    /// Does what a verdict says; the answer has been begun anew.
    [[nodiscard]] Step carry_out(const policy::Verdict& verdict, Query& query) noexcept
    {
        return apply(verdict, block_, texts_, query);
    }
    void set(lua::Runtime* runtime) noexcept { runtime_ = runtime; }
    void set(const BlockOptions& block) { block_ = block; }
    [[nodiscard]] bool asks() const noexcept { return runtime_ != nullptr && runtime_->has_query_hook(); }
    [[nodiscard]] bool judges() const noexcept { return runtime_ != nullptr && runtime_->has_answer_hook(); }

private:
    const base::Clock& clock_;
    Texts& texts_;
    BlockOptions block_;
    lua::Runtime* runtime_ = nullptr;
    policy::Verdict verdict_;
};

/// Puts what others know of a name behind what the local zones wrote: the rest of a chain of aliases.
class ChainWriter {
public:
    /// Appends the answers of `message` (and SOA of a negative one) to the answer of `query`; TC where they do not fit.
    void append(const wire::MessageView& message, Query& query) noexcept;
    /// A response to the rest of the chain, begun: for the cache to be written to.
    [[nodiscard]] wire::MessageWriter& begin(const Query& query) noexcept;

private:
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::unique_ptr<wire::MessageWriter> writer_;
    std::vector<std::uint8_t> rdata_;
};

[[nodiscard]] cache::Key key_of(const Query& query) noexcept;
[[nodiscard]] resolver::Question question_of(const Query& query, const ClientSubnets& subnets) noexcept;

/// Answers that were given before.
class CacheStage final : public Stage {
public:
    CacheStage(ChainWriter& chain, const ClientSubnets& subnets, Stats& stats)
        : chain_(chain), subnets_(subnets), stats_(stats)
    {
    }
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "cache"; }
    /// An answer past its time, when nobody can be reached (RFC 8767). True when there is one.
    [[nodiscard]] bool answer_stale(Query& query) noexcept;
    void set(cache::Cache* cache, resolver::Backend* resolver) noexcept
    {
        cache_ = cache;
        resolver_ = resolver;
    }
    void set_now(base::Instant now) noexcept { now_ = now; }
    /// What was kept before is not given out past its time.
    void policy_changed(base::Instant now) noexcept { policy_since_ = now; }

private:
    void note_stale(Query& query) noexcept;
    [[nodiscard]] bool look_up(Query& query, cache::Stale stale) noexcept;

    ChainWriter& chain_;
    const ClientSubnets& subnets_;
    Stats& stats_;
    cache::Cache* cache_ = nullptr;
    resolver::Backend* resolver_ = nullptr;
    base::Instant now_{};
    std::optional<base::Instant> policy_since_;
    std::array<char, 96> ede_text_{};
};

/// Everything else: asked of upstreams.
class ResolveStage final : public Stage {
public:
    ResolveStage(Pipeline& pipeline, CacheStage& cache, ChainWriter& chain, const Waiting& waiting,
                 const ClientSubnets& subnets, Stats& stats)
        : pipeline_(pipeline), cache_(cache), chain_(chain), waiting_(waiting), subnets_(subnets), stats_(stats)
    {
    }
    Step handle(Query& query) noexcept override;
    [[nodiscard]] std::string_view name() const noexcept override { return "resolver"; }
    /// Writes what was found out; the answer has been begun, with the start of the chain where there is one.
    void write(Query& query, const resolver::Outcome& outcome) noexcept;
    void set(resolver::Backend* resolver) noexcept { resolver_ = resolver; }
    void set_now(base::Instant now) noexcept { now_ = now; }

private:
    Step answer_any(Query& query) noexcept;
    Step refuse(Query& query, std::string_view why) noexcept;

    Pipeline& pipeline_;
    CacheStage& cache_;
    ChainWriter& chain_;
    const Waiting& waiting_;
    const ClientSubnets& subnets_;
    Stats& stats_;
    resolver::Backend* resolver_ = nullptr;
    base::Instant now_{};
};

} // namespace sallyport::pipeline
