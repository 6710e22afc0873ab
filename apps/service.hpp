#pragma once

#include "base/result.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What ties the program to the system it runs on: signals, the service manager, privileges.
namespace sallyport::apps {

/// Sockets that systemd opened for us, with their names; taken once.
[[nodiscard]] std::vector<std::pair<std::string, int>> inherited_sockets();
[[nodiscard]] bool under_service_manager() noexcept;

/// Any state of sd_notify(3), `STATUS=…`; nothing where no service manager listens. `RELOADING=1` goes out with the
/// time that `Type=notify-reload` demands.
void notify_service_manager(std::string_view state) noexcept;
/// `READY=1`, with a line for `systemctl status`. After the start, and after each reload whatever came of it.
void notify_ready(std::string_view status) noexcept;
/// Until `notify_ready` the watchdog is given more patience: reading takes the control thread's time.
void notify_reloading() noexcept;
void notify_stopping() noexcept;
/// How often the service manager wants to hear that all is well (`WatchdogSec=`); zero: not at all.
[[nodiscard]] std::chrono::microseconds watchdog_interval() noexcept;

/// Gives up what only the start needed, for good: becomes `user` with its groups, clears every capability set, and
/// lets no program that is ever executed gain anything (no_new_privs). An empty `user` stays who we are, which is
/// warned of where that is root and `user: root` was not said. To be called while the program has one thread.
[[nodiscard]] base::Result<void> become_user(const std::string& user);

/// SIGINT, SIGTERM, SIGHUP and SIGUSR1 as readable events, blocked in every thread; SIGPIPE ignored.
class Signals {
public:
    Signals();
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    /// Waits for the next one; 0 when none came in time.
    [[nodiscard]] int wait(std::chrono::milliseconds patience) noexcept;
    /// Readable when one has come.
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_ = -1;
};

} // namespace sallyport::apps
