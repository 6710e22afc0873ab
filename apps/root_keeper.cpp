#include "apps/root_keeper.hpp"

#include "apps/gateway.hpp"
#include "apps/rollover.hpp"
#include "apps/root_file.hpp"
#include "apps/statistics.hpp"
#include "base/atomic_file.hpp"
#include "base/log.hpp"
#include "resolver/resolver.hpp"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

namespace sallyport::apps {

namespace log = base::log;
using WhyNot = zones::TransferFailure::Kind;

namespace {

/// The workers come first: this is what the scheduler is told of a thread that has time.
constexpr int kRootNice = 10;

std::string serial_text(const zones::SoaNumbers& soa) { return "serial " + std::to_string(soa.serial); }

std::shared_ptr<const dnssec::TrustAnchors> anchors_of(const Loaded& loaded)
{
    if (loaded.followed) return std::make_shared<const dnssec::TrustAnchors>(loaded.followed->book.anchors());
    const auto& anchors = loaded.resolver->recurse.engine.anchors;
    return anchors ? anchors : std::make_shared<const dnssec::TrustAnchors>();
}

} // namespace

// ---- the control thread's

void RootKeeper::tick(Gateway& gateway)
{
    if (gateway.workers() == 0) return;
    const Loaded& loaded = gateway.loaded();
    if (taken_over_ != loaded.resolver) {
        taken_over_ = loaded.resolver;
        const auto& recurse = loaded.resolver->recurse;
        // What the workers have is what was loaded with the configuration.
        published_ = std::dynamic_pointer_cast<const RootZone>(recurse.local_root);
        take_over({loaded.root, anchors_of(loaded), recurse.engine.policy});
    } else if (loaded.root && loaded.followed) {
        // What is trusted may change while the configuration stays as it is (RFC 5011).
        auto anchors = anchors_of(loaded);
        if (anchors->mark() != job_.anchors->mark())
            take_over({loaded.root, std::move(anchors), loaded.resolver->recurse.engine.policy});
    }
    if (loaded.root && !thread_.joinable()) start_thread();
    publish(gateway);
}

void RootKeeper::take_over(Job job)
{
    const bool same = job.root == job_.root;
    auto copy = same && job.root ? job.root->copy() : nullptr;
    const bool distrusted =
        copy && !find_root_distrust(*copy, *job.anchors, job.policy, seconds_of(clock_.wall())).empty();
    if (distrusted) job.root->set_copy(nullptr);
    const std::lock_guard lock{mutex_};
    job_ = std::move(job);
    if (!same || distrusted) {
        next_ = clock_.now();
        wake_thread();
    }
}

/// Where there is no room for it now, there may be later.
void RootKeeper::start_thread()
{
    std::string trouble;
    cancel_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!cancel_) {
        trouble = base::system_error("no event descriptor", errno).to_string();
    } else {
        try {
            thread_ = std::thread([this] { run(); });
            return;
        } catch (const std::system_error& error) {
            trouble = error.what();
        }
    }
    if (!std::exchange(told_of_thread_, true))
        log::error("the root zone is not transferred until there is room for a thread: " + trouble);
}

void RootKeeper::publish(Gateway& gateway)
{
    const auto& root = gateway.loaded().root;
    if (!root) return;
    auto copy = root->copy();
    if (copy == published_) return;
    // No worker shall be the last to hold a zone: to free it takes time.
    before_ = std::exchange(published_, copy);
    for (unsigned i = 0; i < gateway.workers(); ++i)
        gateway.post_to_worker(i, [copy](const LaneView& lane) { lane.resolver.set_root_copy(copy); });
}

/// With the lock. Whoever waits looks again; what is under way is given up.
void RootKeeper::wake_thread() noexcept
{
    // Full is as good: it is readable then.
    if (cancel_) (void)::eventfd_write(cancel_.get(), 1);
    changed_.notify_all();
}

void RootKeeper::close()
{
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock{mutex_};
        ending_ = true;
        wake_thread();
    }
    thread_.join();
}

// ---- the thread's

void RootKeeper::run() noexcept
{
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kRootNice);
    std::unique_lock lock{mutex_};
    while (!ending_) {
        if (!job_.root)
            changed_.wait(lock);
        else if (clock_.now() < next_)
            changed_.wait_until(lock, next_);
        else
            work(lock);
    }
}

void RootKeeper::work(std::unique_lock<std::mutex>& lock)
{
    const Job job = job_;
    eventfd_t old = 0; // never waits: EFD_NONBLOCK
    (void)::eventfd_read(cancel_.get(), &old);
    lock.unlock();
    std::optional<std::chrono::milliseconds> pause;
    try {
        begin(job);
        pause = look(job);
    } catch (const std::exception& error) { // memory: a zone that does not fit beside the one that is there
        ++failures_;
        log::error(std::string("the root zone is not transferred: ") + error.what());
        pause = refresh_ ? refresh_->failed(nullptr) : job.root->options.most_pause;
    }
    lock.lock();
    // What was judged by other anchors meanwhile is looked at again at once.
    if (pause && job_.root == job.root && job_.anchors == job.anchors) next_ = clock_.now() + *pause;
}

void RootKeeper::begin(const Job& job)
{
    if (begun_ == job.root) return;
    const bool same_file = begun_ && begun_->file == job.root->file;
    const bool goes_on = same_file && !job.root->kept && job.root->copy() != nullptr;
    begun_ = job.root;
    if (!goes_on) {
        unsaved_.clear();
        untouchable_ = false;
        kept_ = job.root->kept;
    }
    refresh_.emplace(job.root->options.least_pause, job.root->options.most_pause, random_);
    if (!job.root->file.empty()) static_cast<void>(base::remove_leftovers(job.root->file));
    if (job.root->damage) put_aside();
    const auto copy = job.root->copy();
    if (copy) count(*copy);
    if (!job.root->told.empty()) log::write(copy ? log::Level::info : log::Level::warning, job.root->told);
}

/// What an operator may still want to look into.
void RootKeeper::put_aside()
{
    log::error(begun_->damage->to_string());
    struct stat status{};
    const std::string aside = begun_->file + ".damaged";
    const bool regular = ::stat(begun_->file.c_str(), &status) != 0 || S_ISREG(status.st_mode);
    if (regular && std::rename(begun_->file.c_str(), aside.c_str()) == 0) {
        log::error("the kept root zone was put aside as " + aside);
        return;
    }
    log::error("the root zone is not kept on disk: " + begun_->file + " is in the way and can not be put aside");
    untouchable_ = true;
}

/// Signatures may come to their end before the copy does, while no server can be asked.
bool RootKeeper::still_counts(const Job& job, const RootZone& copy)
{
    const std::string about = "the copy of the root zone, " + serial_text(copy.soa()) + ", ";
    if (!copy.is_good(clock_.wall())) {
        log::warning(about + "has expired; the root's servers are asked");
        return false;
    }
    const std::string distrust = find_root_distrust(copy, *job.anchors, job.policy, seconds_of(clock_.wall()));
    if (distrust.empty()) return true;
    ++refused_;
    log::warning(about + "is not used any more: " + distrust);
    return false;
}

/// How long until the next look; nothing where this one was given up.
std::optional<std::chrono::milliseconds> RootKeeper::look(const Job& job)
{
    auto copy = job.root->copy();
    if (copy && !still_counts(job, *copy)) {
        copy.reset();
        job.root->set_copy(nullptr);
    }
    for (const base::Endpoint& server : job.root->options.from) {
        const Outcome outcome = ask(job, server);
        if (outcome == Outcome::cancelled) return std::nullopt;
        if (outcome == Outcome::good) return refresh_->confirmed(latest_);
    }
    return refresh_->failed(copy ? &copy->soa() : nullptr);
}

RootKeeper::Outcome RootKeeper::failed(const base::Endpoint& server, const zones::TransferFailure& failure)
{
    if (failure.kind == WhyNot::cancelled) return Outcome::cancelled;
    ++failures_;
    if (failure.kind == WhyNot::too_slow) ++time_exceeded_;
    if (failure.kind == WhyNot::bad_content && failure.error == zones::TransferError::too_many_octets)
        ++octets_exceeded_;
    if (failure.kind == WhyNot::bad_content && failure.error == zones::TransferError::too_many_records)
        ++records_exceeded_;
    log::warning("the root zone is not to be had from " + server.to_string() + ": " + failure.text);
    return Outcome::failed;
}

RootKeeper::Outcome RootKeeper::ask(const Job& job, const base::Endpoint& server)
{
    const auto& options = job.root->options;
    zones::TransferClient client{wire::Name{},
                                 {{options.octets, options.records}, {options.connect, options.idle, options.whole}},
                                 random_,
                                 clock_,
                                 cancel_.get()};
    ++checks_;
    const auto soa = client.ask_soa(server);
    if (!soa) return failed(server, soa.error());
    const auto copy = job.root->copy();
    if (copy == nullptr || zones::is_newer_serial(soa->serial, copy->soa().serial))
        return transfer(job, server, client, copy.get());
    if (soa->serial == copy->soa().serial) return confirm(job, server, *copy);
    return failed(server, {WhyNot::bad_content,
                           {},
                           "its zone, " + serial_text(*soa) + ", is older than the copy, " + serial_text(copy->soa())});
}

/// The server has the zone that is there. Signatures may have come to their end meanwhile.
RootKeeper::Outcome RootKeeper::confirm(const Job& job, const base::Endpoint& server, const RootZone& before)
{
    const std::int64_t now = seconds_of(clock_.wall());
    const auto copy = before.confirmed_at(now);
    const std::string distrust = find_root_distrust(*copy, *job.anchors, job.policy, now);
    if (!distrust.empty()) {
        ++refused_;
        job.root->set_copy(nullptr);
        log::warning("the copy of the root zone, " + serial_text(copy->soa()) + ", is not used any more, though " +
                     server.to_string() + " still has it: " + distrust);
        return Outcome::failed;
    }
    ++confirmations_;
    use(job, copy);
    const std::string& file = job.root->file;
    if (file.empty()) return Outcome::good;
    if (!unsaved_.empty()) {
        keep(file);
    } else if (!kept_) {
        return Outcome::good; // what is in the file is another zone, which nobody has confirmed
    } else if (const auto touched = touch_root_file(file, now); !touched) {
        ++write_failures_;
        log::error("the root zone is not kept on disk: " + touched.error().to_string());
    }
    return Outcome::good;
}

RootKeeper::Outcome RootKeeper::transfer(const Job& job, const base::Endpoint& server, zones::TransferClient& client,
                                         const RootZone* before)
{
    const auto zone = client.transfer(server);
    if (!zone) return failed(server, zone.error());
    const auto soa = zone->soa();
    if (before != nullptr && !zones::is_newer_serial(soa.serial, before->soa().serial))
        return failed(server, {WhyNot::bad_content, {}, "it handed out another zone than it told of"});
    const std::string about = "the root zone of " + server.to_string() + ", " + serial_text(soa) + ", ";
    const auto refuse = [&](const std::string& why) {
        ++refused_;
        log::warning(about + "is refused: " + why + (before != nullptr ? "; the copy that was there stays" : ""));
        return Outcome::failed;
    };
    base::Problems problems;
    auto built = zones::build_zone(*zone, server.to_string(), zones::Limits{}, problems);
    if (!built) return refuse(problems.front().message);
    const std::int64_t now = seconds_of(clock_.wall());
    auto copy = std::make_shared<RootZone>(std::move(built), now);
    if (const std::string distrust = judge_root(*copy, *job.anchors, job.policy, now); !distrust.empty())
        return refuse(distrust);
    ++transfers_;
    log::info(about + "was transferred: " + std::to_string(zone->count()) + " records, " +
              (copy->is_digested() ? "its digest holds" : "without a digest that could be compared"));
    use(job, std::move(copy));
    if (!job.root->file.empty()) {
        kept_ = false;
        unsaved_ = write_root_octets(*zone);
        keep(job.root->file);
    }
    return Outcome::good;
}

void RootKeeper::use(const Job& job, std::shared_ptr<const RootZone> copy)
{
    latest_ = copy->soa();
    count(*copy);
    job.root->set_copy(std::move(copy));
}

void RootKeeper::keep(const std::string& file)
{
    if (untouchable_) {
        ++write_failures_;
        unsaved_.clear();
        return;
    }
    const auto written = base::write_file_atomically(file, unsaved_);
    if (written) {
        kept_ = true;
        unsaved_.clear();
        unsaved_.shrink_to_fit();
        return;
    }
    ++write_failures_;
    log::error("the root zone is not kept on disk: " + written.error().to_string());
}

void RootKeeper::count(const RootZone& copy) noexcept
{
    serial_.set(copy.soa().serial);
    records_.set(copy.records());
    expires_.set(static_cast<std::uint64_t>(copy.expires()));
    digested_.set(copy.is_digested() ? 1 : 0);
}

void RootKeeper::collect(Statistics& statistics) const
{
    const auto add = [&](const char* name, const char* help, const base::Counter& counter) {
        statistics.add(name, help, counter);
    };
    add("root_copy_checks_total", "Times a server was asked for the serial of the root zone", checks_);
    add("root_copy_confirmations_total", "Of these, it was that of the copy", confirmations_);
    add("root_copy_transfers_total", "Root zones that were transferred and are used", transfers_);
    add("root_copy_failures_total", "Times a server did not answer, or not as it should", failures_);
    add("root_copy_refused_total", "Root zones that were not to be believed", refused_);
    add("root_copy_octets_exceeded_total", "Transfers given up because they had too many octets", octets_exceeded_);
    add("root_copy_records_exceeded_total", "Transfers given up because they had too many records", records_exceeded_);
    add("root_copy_time_exceeded_total", "Transfers given up because they took too long", time_exceeded_);
    add("root_copy_write_failures_total", "Times the root zone could not be kept on disk", write_failures_);
    add("root_copy_serial", "Serial of the root zone that was transferred last", serial_);
    add("root_copy_records", "Its records", records_);
    add("root_copy_expires_timestamp_seconds", "When it is not used any more, unless it is confirmed", expires_);
    add("root_copy_digested", "1 where its digest was compared and holds", digested_);
}

} // namespace sallyport::apps
