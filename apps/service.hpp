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
/// `READY=1`, `RELOADING=1`, `STOPPING=1`, `WATCHDOG=1`; nothing where no service manager listens.
void notify_service_manager(std::string_view state) noexcept;
[[nodiscard]] bool under_service_manager() noexcept;

/// Becomes `user` for good, with its groups. Nothing is done when it is empty or we are that user already.
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

private:
    int fd_ = -1;
};

} // namespace sallyport::apps
