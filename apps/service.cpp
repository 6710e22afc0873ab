#include "apps/service.hpp"

#ifdef SALLYPORT_HAS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace sallyport::apps {

std::vector<std::pair<std::string, int>> inherited_sockets()
{
    std::vector<std::pair<std::string, int>> sockets;
#ifdef SALLYPORT_HAS_SYSTEMD
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        sockets.emplace_back(names != nullptr && names[i] != nullptr ? names[i] : "", SD_LISTEN_FDS_START + i);
        if (names != nullptr) std::free(names[i]);
    }
    std::free(static_cast<void*>(names));
#endif
    return sockets;
}

void notify_service_manager([[maybe_unused]] std::string_view state) noexcept
{
#ifdef SALLYPORT_HAS_SYSTEMD
    ::sd_notify(0, std::string(state).c_str());
#endif
}

bool under_service_manager() noexcept { return std::getenv("INVOCATION_ID") != nullptr; }

base::Result<void> become_user(const std::string& user)
{
    if (user.empty()) return {};
    errno = 0;
    const passwd* const entry = ::getpwnam(user.c_str());
    if (entry == nullptr)
        return base::Error{base::ErrorCode::not_found,
                           "there is no user '" + user + "' to become (configuration key 'user')"};
    if (::geteuid() == entry->pw_uid) return {};
    if (::initgroups(user.c_str(), entry->pw_gid) != 0 || ::setgid(entry->pw_gid) != 0 || ::setuid(entry->pw_uid) != 0)
        return base::system_error("cannot become user '" + user + "'", errno);
    // There must be no way back.
    if (::setuid(0) == 0)
        return base::Error{base::ErrorCode::system, "root could be had back after becoming '" + user + "'"};
    return {};
}

Signals::Signals()
{
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) ::sigaddset(&set, number);
    // Before the workers start, so that they inherit it.
    if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) throw std::runtime_error("cannot block signals");
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw std::runtime_error("cannot receive signals as events");
}

Signals::~Signals() { ::close(fd_); }

int Signals::wait(std::chrono::milliseconds patience) noexcept
{
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return 0;
    signalfd_siginfo info{};
    if (::read(fd_, &info, sizeof info) != sizeof info) return 0;
    return static_cast<int>(info.ssi_signo);
}

} // namespace sallyport::apps
