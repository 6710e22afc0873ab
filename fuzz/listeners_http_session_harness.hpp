#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "listeners/doh_sessions.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <cstdlib>
#include <vector>

/// What the harnesses of the HTTP sessions share.
namespace sallyport::fuzz {

inline void expect(bool holds)
{
    if (!holds) std::abort();
}

class Channel final : public listeners::StreamChannel {
public:
    Channel(net::Worker& worker, pipeline::Pipeline& pipeline) : worker_(worker), pipeline_(pipeline)
    {
        client_.peer.address = base::IpAddress::v4({127, 0, 0, 1});
    }
    void write(base::Bytes octets) noexcept override
    {
        if (!over) out.insert(out.end(), octets.begin(), octets.end());
    }
    std::size_t backlog() const noexcept override { return 0; }
    void end() noexcept override { over = true; }
    void abort() noexcept override { over = true; }
    const pipeline::Client& client() const noexcept override { return client_; }
    net::Worker& worker() noexcept override { return worker_; }
    pipeline::Pipeline& pipeline() noexcept override { return pipeline_; }
    void pause_reading() noexcept override { paused = true; }
    void resume_reading() noexcept override { paused = false; }

    std::vector<std::uint8_t> out;
    bool over = false;
    bool paused = false;

private:
    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    pipeline::Client client_;
};

/// Everything a session needs, made once: a worker costs descriptors.
struct Gateway {
    base::ManualClock clock;
    base::SystemRandom random;
    net::Worker worker{0, clock};
    listeners::DohOptions options;
    listeners::HttpLimits limits;
    listeners::HttpStats stats;
    listeners::HttpBudget budget{limits.answers_in_all};
    listeners::DohContext context{&options, &limits, &stats, &budget, "h3=\":443\""};
    pipeline::Pipeline pipeline{pipeline::Options{}, clock, random};

    Gateway() { options.forwarded_from = {base::Prefix::parse("127.0.0.1").value()}; }
    [[nodiscard]] std::uint64_t requests() const
    {
        return stats.requests_get.get() + stats.requests_head.get() + stats.requests_post.get();
    }
};

/// The first octet says how many octets are given at a time; 0: all.
inline void feed(Gateway& gateway, Channel& channel, listeners::StreamSession& session, base::Bytes octets,
                 std::size_t step)
{
    std::vector<std::uint8_t> kept;
    for (std::size_t at = 0; at < octets.size() && !channel.over;) {
        const std::size_t size = std::min(step == 0 ? octets.size() : step, octets.size() - at);
        kept.insert(kept.end(), octets.begin() + static_cast<std::ptrdiff_t>(at),
                    octets.begin() + static_cast<std::ptrdiff_t>(at + size));
        at += size;
        const std::size_t used = session.received(kept, gateway.clock.now());
        expect(used <= kept.size());
        kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(used));
        expect(channel.over || kept.size() <= listeners::StreamSession::kKept);
        for (int turn = 0; turn < 10'000 && channel.paused && !channel.over; ++turn) {
            gateway.worker.timers().expire(gateway.clock.now());
        }
        if (!channel.over) session.progressed(gateway.clock.now());
    }
}

} // namespace sallyport::fuzz
