#include "apps/service.hpp"

#include "base/log.hpp"

#ifdef SALLYPORT_HAS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>
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

bool under_service_manager() noexcept { return std::getenv("INVOCATION_ID") != nullptr; }

void notify_service_manager([[maybe_unused]] std::string_view state) noexcept
{
#ifdef SALLYPORT_HAS_SYSTEMD
    std::string text{state};
    if (state.starts_with("RELOADING=1")) {
        // The manager tells this reload from an earlier one by it.
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        text +=
            "\nMONOTONIC_USEC=" + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
    }
    ::sd_notify(0, text.c_str());
#endif
}

namespace {

/// Large zones take longer to read than the watchdog waits, and whoever feeds it is the one who reads.
constexpr std::chrono::microseconds kReloadPatience = std::chrono::minutes{10};

/// How long the watchdog is to wait from now on; nothing where there is none.
std::string watchdog_line(std::chrono::microseconds patience)
{
    return watchdog_interval().count() == 0 ? "" : "\nWATCHDOG_USEC=" + std::to_string(patience.count());
}

} // namespace

void notify_ready(std::string_view status) noexcept
{
    notify_service_manager("READY=1\nSTATUS=" + std::string(status) + watchdog_line(watchdog_interval()));
}

void notify_reloading() noexcept
{
    notify_service_manager("RELOADING=1\nSTATUS=reads the configuration again" +
                           watchdog_line(std::max(kReloadPatience, watchdog_interval())));
}

void notify_stopping() noexcept { notify_service_manager("STOPPING=1\nSTATUS=lets connections finish"); }

std::chrono::microseconds watchdog_interval() noexcept
{
    std::uint64_t interval = 0;
#ifdef SALLYPORT_HAS_SYSTEMD
    if (::sd_watchdog_enabled(0, &interval) <= 0) interval = 0;
#endif
    return std::chrono::microseconds{interval};
}

namespace {

/// The capabilities that a program can ever have again; needs those of root.
void empty_bounding_set() noexcept
{
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

/// Raw calls: a library for two of them is one more to depend on.
bool clear_capabilities() noexcept
{
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    return ::syscall(SYS_capset, &header, none) == 0;
}

/// Whether real, effective and saved ids are all the new ones: what is left of root could be had back.
bool only_is(uid_t user, gid_t group) noexcept
{
    uid_t users[3] = {};
    gid_t groups[3] = {};
    if (::getresuid(&users[0], &users[1], &users[2]) != 0 || ::getresgid(&groups[0], &groups[1], &groups[2]) != 0)
        return false;
    for (int i = 0; i < 3; ++i)
        if (users[i] != user || groups[i] != group) return false;
    return user == 0 || ::setuid(0) != 0;
}

/// What is given up here is given up by one thread alone: others would keep it. True where nobody can tell.
bool has_one_thread()
{
    std::error_code error;
    const std::filesystem::directory_iterator threads{"/proc/self/task", error};
    return error || std::distance(begin(threads), end(threads)) <= 1;
}

base::Result<void> change_ids(const std::string& user, const passwd& entry)
{
    if (::initgroups(user.c_str(), entry.pw_gid) != 0 || ::setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) != 0)
        return base::system_error("cannot become user '" + user + "'", errno);
    empty_bounding_set();
    if (::setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) != 0 || !clear_capabilities())
        return base::system_error("cannot become user '" + user + "'", errno);
    if (!only_is(entry.pw_uid, entry.pw_gid))
        return base::Error{base::ErrorCode::system, "root could be had back after becoming '" + user + "'"};
    return {};
}

} // namespace

base::Result<void> become_user(const std::string& user)
{
    if (!has_one_thread())
        return base::Error{base::ErrorCode::system, "privileges must be given up before the first thread is started"};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return base::system_error("cannot set no_new_privs", errno);
    if (user.empty()) {
        if (::geteuid() == 0)
            base::log::warning("runs as root: name a user to become with the configuration key 'user'");
        return {};
    }
    errno = 0;
    const passwd* const entry = ::getpwnam(user.c_str());
    if (entry == nullptr)
        return base::Error{base::ErrorCode::not_found,
                           "there is no user '" + user + "' to become (configuration key 'user')"};
    // Also where `user: root` was said: whoever says so keeps what root has.
    if (::geteuid() == entry->pw_uid) return {};
    return change_ids(user, *entry);
}

Signals::Signals()
{
    ::signal(SIGPIPE, SIG_IGN);
    // A limit on the size of files is an error of the write that meets it, not the end.
    ::signal(SIGXFSZ, SIG_IGN);
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
    // They come in the order of their numbers, SIGHUP first: whoever sends one after the other must not keep us from
    // ending.
    sigset_t endings;
    ::sigemptyset(&endings);
    for (const int number : {SIGINT, SIGTERM}) ::sigaddset(&endings, number);
    const timespec at_once{};
    if (const int number = ::sigtimedwait(&endings, nullptr, &at_once); number > 0) return number;
    signalfd_siginfo info{};
    if (::read(fd_, &info, sizeof info) != sizeof info) return 0;
    return static_cast<int>(info.ssi_signo);
}

} // namespace sallyport::apps
