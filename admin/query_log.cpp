#include "admin/query_log.hpp"

#include "admin/job_thread.hpp"
#include "admin/log_event.hpp"
#include "admin/log_output.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sallyport::admin {
namespace {

constexpr std::size_t kEventOctets = 256; // what an event takes on average
constexpr unsigned kEventsPerTurn = 512;  // of one worker, before the others get their turn
constexpr unsigned kMostTurns = 8192;     // for what was asked before a change; then the rest goes the new way
constexpr auto kPause = std::chrono::milliseconds{5}; // workers do not wake the writer: that would be a system call
constexpr std::array<const char*, 3> kKinds{"{output=\"file\"}", "{output=\"stdout\"}", "{output=\"syslog\"}"};

} // namespace

struct QueryLog::Prepared {
    QueryLogOptions options;
    std::vector<std::unique_ptr<LogSink>> sinks;
};

void QueryLog::PreparedDeleter::operator()(Prepared* prepared) const noexcept { delete prepared; }

struct QueryLog::Parts {
    Parts(unsigned workers, const base::Clock& given) : clock(given)
    {
        for (unsigned i = 0; i < workers; ++i) observers.push_back(std::make_unique<LogObserver>());
    }

    const base::Clock& clock;
    std::vector<std::unique_ptr<LogObserver>> observers; ///< with rings once the log is switched on first
    std::array<OutputStats, kKinds.size()> stats;
    JobThread jobs; ///< compresses
    std::thread writer;
    bool on = false; ///< as the control thread sees it

    std::mutex mutex;
    std::condition_variable changed;
    PreparedHandle arriving;
    bool stopping = false;
    std::atomic<bool> reopening{false};

    // The writer's own.
    std::vector<std::unique_ptr<LogSink>> sinks;
    LineStyle style;
    std::vector<std::uint8_t> event;
    std::string line, short_line;

    void run();
    [[nodiscard]] bool wait();
    void take_arriving(PreparedHandle fresh);
    [[nodiscard]] std::size_t drain();
    void write_event(base::Instant now, base::WallTime wall);
};

QueryLog::QueryLog(unsigned workers, const base::Clock& clock) : parts_(std::make_unique<Parts>(workers, clock)) {}

QueryLog::~QueryLog() { close(); }

QueryLog::PreparedHandle QueryLog::prepare(const QueryLogOptions& options, base::Problems& problems)
{
    PreparedHandle prepared{new Prepared{options, {}}};
    const std::size_t before = problems.size();
    for (const LogOutput& output : options.outputs) {
        auto sink =
            open_sink(output, parts_->clock.wall(), parts_->stats[static_cast<std::size_t>(output.kind)],
                      [parts = parts_.get()](std::function<void()> task) { return parts->jobs.add(std::move(task)); });
        if (sink)
            prepared->sinks.push_back(std::move(*sink));
        else
            problems.push_back(sink.error());
    }
    if (problems.size() != before) return nullptr;
    return prepared;
}

void QueryLog::adopt(PreparedHandle prepared)
{
    parts_->on = !prepared->sinks.empty();
    for (auto& observer : parts_->observers) {
        if (parts_->on) observer->make_ring(std::size_t{prepared->options.ring} * kEventOctets);
        observer->set(parts_->on, prepared->options.response_data);
    }
    {
        const std::lock_guard lock{parts_->mutex};
        parts_->arriving = std::move(prepared);
    }
    parts_->changed.notify_all();
}

bool QueryLog::open(const QueryLogOptions& options, base::Problems& problems)
{
    auto prepared = prepare(options, problems);
    if (!prepared) return false;
    adopt(std::move(prepared));
    return true;
}

void QueryLog::start()
{
    if (parts_->writer.joinable()) return;
    parts_->jobs.start();
    parts_->writer = std::thread([parts = parts_.get()] { parts->run(); });
}

void QueryLog::reopen() noexcept { parts_->reopening = true; }

void QueryLog::close() noexcept
{
    {
        const std::lock_guard lock{parts_->mutex};
        parts_->stopping = true;
    }
    parts_->changed.notify_all();
    if (parts_->writer.joinable()) parts_->writer.join();
    parts_->jobs.stop();
}

pipeline::Observer* QueryLog::observer(unsigned worker) noexcept
{
    return parts_->on && worker < parts_->observers.size() ? parts_->observers[worker].get() : nullptr;
}

void QueryLog::Parts::run()
{
    while (wait()) {
        try {
            const auto written = drain();
            const bool anew = reopening.exchange(false);
            for (auto& sink : sinks) {
                if (anew) sink->reopen(clock.wall());
                sink->flush(clock.wall());
            }
            if (written != 0) continue;
        } catch (const std::exception&) {
            // No memory for a line: it is lost, and the next one may find some.
            ++stats[0].errors;
        }
        std::unique_lock lock{mutex};
        changed.wait_for(lock, kPause, [this] { return stopping || arriving != nullptr; });
    }
    while (drain() != 0) {}
    for (auto& sink : sinks) sink->flush(clock.wall());
    sinks.clear();
}

/// False when it is over. Without outputs it sleeps until there are some.
bool QueryLog::Parts::wait()
{
    PreparedHandle fresh;
    {
        std::unique_lock lock{mutex};
        if (sinks.empty()) changed.wait(lock, [this] { return stopping || arriving != nullptr; });
        fresh = std::move(arriving);
        if (stopping && !fresh) return false;
    }
    if (fresh) take_arriving(std::move(fresh));
    return true;
}

void QueryLog::Parts::take_arriving(PreparedHandle fresh)
{
    // What was asked before goes where it went before.
    for (unsigned turn = 0; turn < kMostTurns && drain() != 0; ++turn) {}
    for (auto& sink : sinks) sink->flush(clock.wall());
    sinks = std::move(fresh->sinks);
    style = {fresh->options.mask, fresh->options.response_data};
}

std::size_t QueryLog::Parts::drain()
{
    if (sinks.empty()) return 0;
    const auto now = clock.now();
    const auto wall = clock.wall();
    std::size_t written = 0;
    for (auto& observer : observers) {
        for (unsigned i = 0; i < kEventsPerTurn && observer->ring().pop(event); ++i, ++written) write_event(now, wall);
    }
    return written;
}

void QueryLog::Parts::write_event(base::Instant now, base::WallTime wall)
{
    const auto read = read_event(event);
    if (!read) return;
    const auto arrived = wall - std::chrono::duration_cast<base::WallTime::duration>(now - read->arrival);
    line.clear();
    short_line.clear();
    append_line(line, *read, arrived, style);
    for (auto& sink : sinks) {
        if (line.size() <= sink->longest()) {
            sink->write(line);
            continue;
        }
        if (short_line.empty()) append_line(short_line, *read, arrived, {style.mask, false});
        sink->write(short_line);
    }
}

void QueryLog::each_counter(
    const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const
{
    for (const auto& observer : parts_->observers) {
        visit("query_log_events_total", "Queries handed to the query log", observer->events());
        visit("query_log_dropped_total", "Queries not logged because the writer was behind", observer->dropped());
    }
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
        const auto tell = [&](const char* name, const char* help, const base::Counter& counter) {
            visit((std::string(name) + kKinds[i]).c_str(), help, counter);
        };
        tell("query_log_lines_total", "Lines an output of the query log took", parts_->stats[i].lines);
        tell("query_log_lost_total", "Lines an output of the query log could not take", parts_->stats[i].lost);
        tell("query_log_errors_total", "Times an output of the query log failed", parts_->stats[i].errors);
    }
    visit("query_log_rotations_total", "Files of the query log put aside", parts_->stats[0].rotations);
}

} // namespace sallyport::admin
