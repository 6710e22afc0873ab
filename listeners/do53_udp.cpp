#include "listeners/do53_udp.hpp"

#include "listeners/addresses.hpp"

#include <algorithm>
#include <utility>

namespace sallyport::listeners {
namespace {

// More than this is not waiting in a socket's buffer.
constexpr unsigned kRounds = 1024;

} // namespace

Do53Udp::Do53Udp(net::Worker& worker, pipeline::Pipeline& pipeline, net::UdpReceiver& receiver, net::UdpSender& sender,
                 UdpStats& stats, net::Descriptor socket)
    : worker_(worker),
      pipeline_(pipeline),
      receiver_(receiver),
      sender_(sender),
      stats_(stats),
      socket_(std::move(socket)),
      wildcard_(is_wildcard(net::local_endpoint(socket_.get()).address))
{
}

Do53Udp::~Do53Udp()
{
    pipeline_.abandon(waiting_);
    // Answers of this wake-up, whose socket is about to close.
    flush();
}

base::Result<void> Do53Udp::start() { return watch_.start(worker_, socket_.get(), net::kReadable); }

void Do53Udp::ready(std::uint32_t, base::Instant now) noexcept
{
    // One batch a wake-up; while there is more, the next round of the loop comes back here.
    const auto datagrams = receiver_.receive(socket_.get());
    stats_.oversized.set(stats_.oversized_earlier + receiver_.oversized());
    if (datagrams.empty()) return;
    ++stats_.batches;
    stats_.datagrams.add(datagrams.size());
    in_batch_ = true;
    for (const net::Datagram& datagram : datagrams) {
        const pipeline::Client client{datagram.peer, datagram.local, base::Transport::udp};
        (void)pipeline_.receive({datagram.data, client, *this, 0, waiting_, now}); // silence is an answer too
    }
    in_batch_ = false;
    flush();
}

void Do53Udp::serve_rest(base::Instant now) noexcept
{
    for (unsigned round = 0; round < kRounds; ++round) {
        const auto before = stats_.datagrams.get();
        ready(net::kReadable, now);
        if (stats_.datagrams.get() == before) return;
    }
}

void Do53Udp::reply(const pipeline::Reply& reply) noexcept
{
    const pipeline::Client& client = reply.query.client;
    sender_.add(socket_.get(), reply.message, client.peer, wildcard_ ? client.local : base::Endpoint{});
    if (!in_batch_) worker_.flush_later(flush_);
}

void Do53Udp::flush_due(base::Instant) noexcept { flush(); }

void Do53Udp::flush() noexcept
{
    sender_.flush();
    stats_.send_dropped.set(stats_.dropped_earlier + sender_.dropped());
}

} // namespace sallyport::listeners
