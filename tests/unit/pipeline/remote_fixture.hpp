#pragma once

#include "asking.hpp"
#include "pipeline/observer.hpp"
#include "pipeline/remote_stages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

/// What the tests of remote answers share: a resolver under their command, and a gate that asks it.
namespace sallyport::pipeline::testing {

using wire::Rcode;
using wire::RrType;

/// A resolver that holds questions until the test answers them.
class FakeBackend final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question& question, resolver::Waiter& waiter,
                            base::Instant) noexcept override
    {
        asked.push_back(question);
        if (taken == resolver::Taken::waiting) waiters.add(waiter);
        return taken;
    }
    void fetch(const resolver::Question& question, base::Instant) noexcept override { fetched.push_back(question); }
    void explain(const resolver::Question&, const resolver::Tell& tell) const override { tell("route", "to the fake"); }

    /// Answers everyone who waits.
    void tell(const resolver::Outcome& outcome, base::Instant now) { waiters.tell(outcome, now); }

    resolver::Taken taken = resolver::Taken::waiting;
    std::vector<resolver::Question> asked;
    std::vector<resolver::Question> fetched;
    Waiters waiters;
};

/// A response as an upstream would send it, prepared.
class Upstream {
public:
    Upstream(const std::string& qname, RrType qtype, Rcode rcode,
             const std::vector<std::tuple<std::string, RrType, std::string>>& answers, const std::string& soa = {})
        : qname_(*wire::Name::from_text(qname)), room_(65'535)
    {
        wire::MessageWriter writer{buffer_, buffer_.size()};
        writer.begin(0x99, wire::flag::QR | wire::flag::RD | wire::flag::RA | wire::flag::AD);
        EXPECT_TRUE(writer.question(qname_, qtype, wire::RrClass::IN));
        for (const auto& [owner, type, text] : answers)
            EXPECT_TRUE(writer.record(wire::Section::answer, *wire::Name::from_text(owner), type, wire::RrClass::IN,
                                      wire::Ttl{300}, *wire::rdata_from_text(type, text, wire::Name{})));
        if (!soa.empty()) {
            EXPECT_TRUE(writer.record(wire::Section::authority, *wire::Name::from_text(soa), RrType::SOA,
                                      wire::RrClass::IN, wire::Ttl{300},
                                      *wire::rdata_from_text(RrType::SOA, "ns. host. 1 2 3 4 60", wire::Name{})));
        }
        writer.set_rcode(rcode);
        key_.qname = &qname_;
        key_.qtype = qtype;
        const auto view = wire::MessageView::parse(writer.message());
        prepared_ = cache::prepare(*view, key_, cache::Options{}, room_);
        EXPECT_TRUE(prepared_);
    }
    [[nodiscard]] resolver::Outcome outcome() const
    {
        resolver::Outcome outcome;
        outcome.answer = &*prepared_;
        outcome.upstream = "fake-1";
        return outcome;
    }
    void keep(cache::Cache& cache, base::Instant now) { EXPECT_TRUE(cache.store(key_, *prepared_, {}, now)); }

private:
    wire::Name qname_;
    std::array<std::uint8_t, 4096> buffer_{};
    std::vector<std::uint8_t> room_;
    cache::Key key_;
    std::optional<cache::Prepared> prepared_;
};

struct Diary final : Observer {
    struct Entry {
        Source source;
        std::string upstream;
        std::string rule;
        Rcode rcode;
        bool answered;
        base::Duration took;
        std::uint64_t id;
    };
    void ended(const Query& query, base::Bytes answer, Rcode rcode, base::Duration took) noexcept override
    {
        entries.push_back({query.source, std::string{query.upstream}, std::string{query.rule}, rcode, !answer.empty(),
                           took, query.id});
    }
    std::vector<Entry> entries;
};

struct Steps final : Trace {
    void step(std::string_view stage, std::string_view decision, std::string_view why) override
    {
        lines.push_back(std::string{stage} + ": " + std::string{decision} + ": " + std::string{why});
    }
    [[nodiscard]] bool has(std::string_view start) const
    {
        return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.starts_with(start); });
    }
    std::vector<std::string> lines;
};

struct RemoteGate : Gate {
    explicit RemoteGate(bool with_cache = true) : cache(small())
    {
        services.cache = with_cache ? &cache : nullptr;
        services.resolver = &backend;
        services.observer = &diary;
        pipeline.set_services(services);
    }
    static cache::Options small()
    {
        cache::Options options;
        options.bytes = 4U << 20U;
        options.shards = 2;
        options.serve_stale = true;
        return options;
    }
    cache::Cache cache;
    FakeBackend backend;
    Diary diary;
    Services services;
};

} // namespace sallyport::pipeline::testing
