#include "apps/run.hpp"

#include "apps/control.hpp"
#include "apps/exit_codes.hpp"
#include "apps/gateway.hpp"
#include "apps/hints.hpp"
#include "apps/limit_log.hpp"
#include "apps/service.hpp"
#include "apps/watchdog.hpp"
#include "base/log.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>

namespace sallyport::apps {
namespace {

namespace log = base::log;
using namespace std::chrono_literals;

/// For a worker that was told to end at once.
constexpr auto kLastPatience = 5s;

/// Every connection is a descriptor: take what the system allows without asking.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

void tell_limits(const Gateway& gateway, LimitLog& limits)
{
    const auto now = base::SystemClock{}.now();
    if (!limits.due(now)) return;
    Statistics statistics;
    gateway.collect(statistics);
    for (const auto& line : limits.look(statistics, now)) log::warning(line);
}

std::chrono::milliseconds pause_of(const Gateway& gateway, const Watchdog& watchdog)
{
    return std::min(gateway.pause(), std::chrono::duration_cast<std::chrono::milliseconds>(watchdog.pause()));
}

void serve(Gateway& gateway, Control& control, Signals& signals)
{
    const base::SystemClock clock;
    LimitLog limits;
    Watchdog watchdog;
    for (;;) {
        const int signal = control.wait(signals, pause_of(gateway, watchdog));
        if (signal == SIGINT || signal == SIGTERM) return;
        if (signal == SIGHUP) (void)gateway.reload();
        if (signal == SIGUSR1) {
            Statistics statistics;
            gateway.collect(statistics);
            std::ostringstream text; // one write: a line of the log in the midst would break a line of this
            statistics.print(text);
            std::cerr << text.str();
        }
        gateway.tick();
        tell_limits(gateway, limits);
        watchdog.tick(clock.now(), [&](const auto& beat) { return gateway.on_every_worker(beat); });
        gateway.tell_silence(watchdog.silence(clock.now()));
    }
}

void stop(Gateway& gateway, Control& control, Signals& signals)
{
    notify_stopping();
    // Whoever waits for this thread by the management API hears that it will not come.
    control.close();
    log::info("ending: connections may finish; once more to end at once");
    // The doors keep to the drain time themselves; the rest is for a worker that hangs.
    const auto deadline = std::chrono::steady_clock::now() + gateway.loaded().configuration.listeners.drain + 2s;
    gateway.begin_stop();
    bool at_once = false;
    while (!gateway.ended()) {
        const int signal = signals.wait(20ms);
        const auto now = std::chrono::steady_clock::now();
        at_once = at_once || signal == SIGINT || signal == SIGTERM;
        if (signal == SIGINT || signal == SIGTERM || now > deadline) gateway.hurry();
        if (now > deadline + kLastPatience) {
            log::error("a worker hangs: ending without it");
            std::_Exit(exit_failed); // everything else would wait for it
        }
    }
    if (!at_once) gateway.keep_cache();
    log::info("ended");
}

std::string started_line(const Gateway& gateway)
{
    const auto& loaded = gateway.loaded();
    return "serving " + std::to_string(gateway.ports().size()) + " ports with " +
           std::to_string(loaded.configuration.workers) + " workers, " + std::to_string(loaded.zones->zone_count()) +
           " zones, " + std::to_string(loaded.zones->record_count()) + " records";
}

} // namespace

int run(const RunOptions& options)
{
    // One that comes before we listen for it must not end the program.
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGUSR1, SIG_IGN);
    base::Problems problems;
    auto loaded = load_everything(options.config, nullptr, problems);
    if (!loaded) {
        print_problems(problems);
        return exit_bad_input;
    }
    auto log_options = loaded->configuration.log;
    if (under_service_manager()) log_options.timestamps = false;
    log::configure(log_options);
    raise_descriptor_limit();
    const std::string user = loaded->configuration.run_as;
    Signals signals;
    Control control;
    Gateway gateway{std::move(loaded), control};
    // Whoever waits for this thread is let go before the gateway waits for them, whatever ended it.
    const std::unique_ptr<Control, void (*)(Control*)> closing{&control, [](Control* c) { c->close(); }};
    if (!gateway.open(problems)) {
        std::cerr << problems.front().to_string();
        // A second gateway finds every address taken: one line says it.
        if (problems.size() > 1) std::cerr << " (and " << problems.size() - 1 << " more addresses)";
        std::cerr << '\n';
        return exit_cannot_bind;
    }
    if (auto became = become_user(user); !became) {
        std::cerr << became.error().to_string() << '\n';
        return exit_failed;
    }
    if (auto started = gateway.start(); !started) {
        std::cerr << started.error().to_string() << '\n';
        return exit_failed;
    }
    log::info(started_line(gateway));
    if (options.hints) print_hints(gateway, std::cout);
    notify_ready(started_line(gateway));
    serve(gateway, control, signals);
    stop(gateway, control, signals);
    return exit_ok;
}

} // namespace sallyport::apps
