#include "bench/load/load.hpp"

#include "bench/load/load_connection.hpp"

#include <algorithm>
#include <thread>

namespace sallyport::load {

namespace {

constexpr auto kTick = std::chrono::milliseconds{20};
constexpr auto kLook = std::chrono::milliseconds{200};

} // namespace

Load::Load(const LoadOptions& options, std::vector<Template> templates, const net::client::SessionFactory& factory)
    : options_(options),
      templates_(std::move(templates)),
      factory_(factory),
      worker_(0, clock_),
      tick_(net::Timer::of<&Load::tick>(*this))
{
}

Load::~Load() = default;

LoadResult Load::run()
{
    result_.before = ServerGauge::read(options_.server_pid);
    started_at_ = clock_.now();
    for (unsigned i = 0; i < options_.connections; ++i) connections_.push_back(std::make_unique<LoadConnection>(*this));
    worker_.post([this] { open_more(); });
    worker_.arm(tick_, started_at_ + kTick);
    worker_.run();

    result_.finished = ServerGauge::read(options_.server_pid);
    result_.duration = last_answer_at_ - asking_at_;
    look_at_server();
    for (auto& connection : connections_) connection->close();
    std::this_thread::sleep_for(std::chrono::duration<double>{options_.settle});
    result_.closed = ServerGauge::read(options_.server_pid);
    return result_;
}

void Load::open_more()
{
    // What is opened may be ready, or lost, at once.
    while (opened_ < connections_.size() && opened_ - ready_ - lost_ < options_.ramp) connections_[opened_++]->open();
    if (!asking_ && ready_ + lost_ == connections_.size()) begin_asking();
}

void Load::begin_asking()
{
    asking_ = true;
    result_.ramp = clock_.now() - started_at_;
    result_.connected = ServerGauge::read(options_.server_pid);
    asking_at_ = last_answer_at_ = clock_.now();
    if (takes_turns()) {
        give_turns();
        return;
    }
    for (auto& connection : connections_) connection->ask();
}

void Load::give_turns()
{
    if (!asking_ || giving_turns_) return;
    giving_turns_ = true; // asking may come back here
    for (std::size_t tried = 0; tried < connections_.size() && in_flight_ < options_.in_flight; ++tried) {
        connections_[turn_]->ask();
        turn_ = (turn_ + 1) % connections_.size();
    }
    giving_turns_ = false;
}

void Load::connection_ready()
{
    ++ready_;
    worker_.post([this] { open_more(); });
}

void Load::connection_lost(bool was_ready)
{
    ++result_.failed_connections;
    if (was_ready) --ready_;
    ++lost_;
    worker_.post([this] { open_more(); });
}

bool Load::asked_enough() const noexcept
{
    if (options_.queries > 0) return result_.sent >= options_.queries;
    return clock_.now() - asking_at_ >= std::chrono::duration<double>{options_.seconds};
}

const Template* Load::next_query() noexcept
{
    if (!asking_ || asked_enough()) return nullptr;
    if (takes_turns() && in_flight_ >= options_.in_flight) return nullptr;
    const Template* next = &templates_[next_template_];
    next_template_ = (next_template_ + 1) % templates_.size();
    ++in_flight_;
    return next;
}

void Load::query_over() noexcept
{
    --in_flight_;
    last_answer_at_ = clock_.now();
    if (in_flight_ == 0 && asked_enough() && !finished_) {
        finished_ = true;
        worker_.stop();
    }
}

void Load::look_at_server()
{
    const ServerGauge gauge = ServerGauge::read(options_.server_pid);
    result_.rss_peak_kib = std::max(result_.rss_peak_kib, gauge.rss_kib);
    result_.descriptors_peak = std::max(result_.descriptors_peak, gauge.descriptors);
}

void Load::tick(base::Instant now) noexcept
{
    if (options_.server_pid > 0 && now - looked_at_ >= kLook) {
        looked_at_ = now;
        look_at_server();
    }
    for (auto& connection : connections_) {
        if (!asking_) break;
        connection->give_up_before(now - options_.timeout);
        if (!takes_turns()) connection->ask();
    }
    if (takes_turns()) give_turns();
    // Connections that never come to be must not hold up the run for ever.
    if (!asking_ && now - started_at_ > 4 * options_.timeout + std::chrono::seconds{20}) begin_asking();
    const bool nobody_left = asking_ && ready_ == 0;
    if (finished_ || nobody_left || (asking_ && in_flight_ == 0 && asked_enough())) {
        worker_.stop();
        return;
    }
    worker_.arm(tick_, now + kTick);
}

} // namespace sallyport::load
