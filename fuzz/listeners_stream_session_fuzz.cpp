// fuzz: links sallyport_listeners

#include "listeners/dns_stream_session.hpp"
#include "net/worker.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

using namespace sallyport;

namespace {

/// A connection whose peer reads everything at once.
class Channel final : public listeners::StreamChannel {
public:
    Channel(net::Worker& worker, pipeline::Pipeline& pipeline) : worker_(worker), pipeline_(pipeline)
    {
        client_.peer.address = base::IpAddress::v4({127, 0, 0, 1});
        client_.peer.port = 4000;
        client_.transport = base::Transport::tcp;
    }
    void write(base::Bytes octets) noexcept override { written.insert(written.end(), octets.begin(), octets.end()); }
    [[nodiscard]] std::size_t backlog() const noexcept override { return 0; }
    void end() noexcept override { ended = true; }
    void abort() noexcept override { ended = true; }
    [[nodiscard]] const pipeline::Client& client() const noexcept override { return client_; }
    [[nodiscard]] net::Worker& worker() noexcept override { return worker_; }
    [[nodiscard]] pipeline::Pipeline& pipeline() noexcept override { return pipeline_; }
    void pause_reading() noexcept override { std::abort(); } // nothing waits and nobody is slow
    void resume_reading() noexcept override { again = true; }

    std::vector<std::uint8_t> written;
    bool ended = false;
    bool again = false;

private:
    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    pipeline::Client client_;
};

struct Fixed final : base::RandomSource {
    void fill(base::MutableBytes bytes) noexcept override { std::fill(bytes.begin(), bytes.end(), std::uint8_t{7}); }
};

struct Gate {
    Gate() : worker(0, clock), pipeline(options(), clock, random) {}
    static pipeline::Options options()
    {
        pipeline::Options made;
        made.cookies = false;
        return made;
    }
    base::ManualClock clock;
    Fixed random;
    net::Worker worker;
    pipeline::Pipeline pipeline;
};

/// Hands `input` in as pieces of `step` octets, as a connection does.
std::vector<std::uint8_t> run(Gate& gate, base::Bytes input, std::size_t step)
{
    static const listeners::StreamLimits limits;
    listeners::StreamStats stats;
    Channel channel{gate.worker, gate.pipeline};
    {
        listeners::DnsStreamSession session{channel, limits, stats};
        std::vector<std::uint8_t> kept;
        while (!channel.ended && (!input.empty() || channel.again)) {
            const auto piece = input.first(std::min(step, input.size()));
            input = input.subspan(piece.size());
            kept.insert(kept.end(), piece.begin(), piece.end());
            channel.again = false;
            const std::size_t used = session.received(kept, gate.clock.now());
            if (used > kept.size()) std::abort();
            kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(used));
            session.progressed(gate.clock.now());
            if (!channel.again && !channel.ended && kept.size() >= listeners::StreamSession::kKept) std::abort();
        }
    }
    return channel.written;
}

} // namespace

// The first octet chooses the pieces. However the network cuts a stream, the answers are the same, and each is whole.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1 || size > 8192) return 0;
    static Gate gate;
    const base::Bytes input{data + 1, size - 1};
    const auto whole = run(gate, input, input.size() + 1);
    const auto pieces = run(gate, input, 1 + data[0] % 64U);
    if (whole != pieces) std::abort();
    for (std::size_t at = 0; at < whole.size();) {
        if (whole.size() - at < 2) std::abort();
        const std::size_t length = base::load_be16(whole, at);
        if (length < 12 || whole.size() - at - 2 < length || (whole[at + 4] & 0x80U) == 0) std::abort();
        at += 2 + length;
    }
    return 0;
}
