#include "apps/rollover.hpp"

#include "apps/gateway.hpp"
#include "apps/statistics.hpp"
#include "base/atomic_file.hpp"
#include "base/log.hpp"
#include "cache/cache.hpp"
#include "dnssec/sentinel.hpp"
#include "resolver/resolver.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace sallyport::apps {

namespace log = base::log;
using namespace std::chrono_literals;

namespace {

// A worker that did not answer until now will not: its resolver was replaced, or it hangs.
constexpr auto kProbePatience = 60s;
constexpr auto kFirstRest = 5s;
constexpr unsigned kMoreQuestions = 5; // after 5, 10, 20, 40 and 80 s
constexpr auto kSignalEvery = 24h;     // RFC 8145 §5.3 leaves it to us; a day is the root's usual TTL
constexpr auto kSaveAgain = 5min;
constexpr std::size_t kMaxState = 4U << 20U;

std::int64_t date_of(const base::Clock& clock)
{
    return std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
}

/// Nothing: there is no such file.
std::optional<base::Result<std::string>> read_state(const std::string& file)
{
    struct stat status{};
    const bool is_there = ::stat(file.c_str(), &status) == 0;
    if (!is_there && errno == ENOENT) return std::nullopt;
    // To open a pipe would wait for who writes to it.
    if (is_there && !S_ISREG(status.st_mode))
        return base::Error{base::ErrorCode::unreadable, "the state of trust anchors: no regular file", {file, 0, 0}};
    std::ifstream input(file, std::ios::binary);
    if (!input) return base::system_error("the state of trust anchors '" + file + "' can not be read", errno);
    std::string text(kMaxState + 1, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(input.gcount(), 0)));
    if (text.size() > kMaxState)
        return base::Error{base::ErrorCode::limit, "no state of trust anchors: over 4 MiB", {file, 0, 0}};
    return text;
}

/// What the zone says its TTL is, whatever is left of it (RFC 5011 §2.3).
wire::Ttl original_ttl(const cache::Rrset& keys)
{
    for (const base::Bytes rdata : keys.signatures) {
        if (const auto signature = dnssec::read_rrsig(rdata)) return wire::Ttl{signature->original_ttl};
    }
    return keys.ttl;
}

} // namespace

std::optional<base::Duration> rest_after(unsigned questions) noexcept
{
    // What failed is remembered for 5 s (RFC 9520): before that nobody would be asked.
    if (questions == 0 || questions > kMoreQuestions) return std::nullopt;
    return kFirstRest * (1U << (questions - 1));
}

std::string anchor_state_file(const dnssec::Options& options)
{
    if (!options.follow_rollover.value_or(true)) return {};
    if (!options.state_file.empty()) return options.state_file;
    const char* const directory = std::getenv("STATE_DIRECTORY"); // of the service manager; several stand with colons
    if (directory == nullptr || *directory == '\0') return {};
    const std::string first{directory};
    return first.substr(0, first.find(':')) + "/trust-anchors";
}

std::shared_ptr<FollowedAnchors> follow_anchors(resolver::RecurseOptions& options, std::int64_t date,
                                                const FollowedAnchors* before)
{
    const std::string file = anchor_state_file(options.dnssec);
    if (file.empty() || !options.engine.anchors || options.engine.anchors->empty()) return nullptr;
    auto followed = std::make_shared<FollowedAnchors>(
        FollowedAnchors{{*options.engine.anchors, options.engine.policy, date}, file});
    if (before != nullptr && before->file == file && before->unsaved) {
        (void)followed->book.read(before->book.to_text(), file);
        followed->untouchable = before->untouchable && read_state(file).has_value();
    } else if (const auto text = read_state(file)) {
        const auto read = *text ? followed->book.read(**text, file) : base::Result<void>{text->error()};
        if (!read) followed->damage = read.error();
    }
    options.engine.anchors = std::make_shared<const dnssec::TrustAnchors>(followed->book.anchors());
    return followed;
}

void Rollover::take_over(const std::shared_ptr<FollowedAnchors>& followed)
{
    if (followed == followed_) return;
    followed_ = followed;
    inbox_ = std::make_shared<Inbox>();
    probe_.reset();
    if (!followed_) {
        count_keys();
        return;
    }
    if (followed_->damage) {
        log::error(followed_->damage->to_string());
        put_aside();
    }
    for (const std::string& line : followed_->book.overruled())
        log::warning(line + "; remove " + followed_->file + " to begin anew with what is configured");
    save();
}

/// What an operator may still want to look into.
void Rollover::put_aside()
{
    struct stat status{};
    if (::stat(followed_->file.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        log::error("the state of trust anchors is not kept: " + followed_->file +
                   " is no regular file; the configured anchors count");
        followed_->untouchable = true;
        return;
    }
    const std::string aside = followed_->file + ".damaged";
    if (std::rename(followed_->file.c_str(), aside.c_str()) == 0) {
        log::error("the state of trust anchors is damaged and was put aside as " + aside +
                   "; the configured anchors count");
        return;
    }
    const auto why = base::system_error("can not be put aside", errno);
    log::error("the state of trust anchors is damaged, " + why.to_string() + "; the configured anchors count");
    followed_->untouchable = true;
}

void Rollover::tick(Gateway& gateway)
{
    if (gateway.workers() == 0) return;
    const base::Instant now = gateway.clock().now();
    const std::int64_t date = date_of(gateway.clock());
    take_over(gateway.loaded().followed);
    if (switching_ && switching_->load(std::memory_order_acquire) == 0) {
        // Answers that a key made believed which is not trusted any more.
        gateway.cache_flushed();
        (void)gateway.cache().flush_all();
        switching_.reset();
    }
    signal(gateway, now);
    if (!followed_) return;
    // Until it is written a restart would trust what has been revoked.
    if (followed_->unsaved && !followed_->untouchable && now >= next_save_) {
        next_save_ = now + kSaveAgain;
        save();
    }
    if (probe_)
        end_probe(gateway, date, now);
    else
        begin_probe(gateway, date, now);
}

void Rollover::begin_probe(Gateway& gateway, std::int64_t date, base::Instant now)
{
    const wire::Name* const zone = followed_->book.due(date);
    if (zone == nullptr) return;
    probe_ = Probe{.zone = *zone};
    ++probes_;
    ask(gateway, now);
}

void Rollover::ask(Gateway& gateway, base::Instant now)
{
    probe_->number = ++number_;
    probe_->until = now + kProbePatience;
    probe_->resting = false;
    ++probe_->questions;
    gateway.post_to_worker(0, [zone = probe_->zone, number = number_, inbox = inbox_](const LaneView& lane) {
        lane.resolver.ask_anew(zone, wire::RrType::DNSKEY, [number, inbox](cache::RrsetPtr keys) {
            const std::lock_guard lock{inbox->lock};
            inbox->seen.push_back({number, std::move(keys)});
        });
    });
}

void Rollover::end_probe(Gateway& gateway, std::int64_t date, base::Instant now)
{
    if (probe_->resting) {
        if (now >= probe_->until) ask(gateway, now);
        return;
    }
    std::optional<Seen> seen;
    {
        const std::lock_guard lock{inbox_->lock};
        for (Seen& one : inbox_->seen)
            if (one.number == probe_->number) seen = std::move(one);
        inbox_->seen.clear();
    }
    if (!seen && now < probe_->until) return;
    const bool found = seen && seen->keys && seen->keys->is_data();
    const auto rest = found ? std::nullopt : rest_after(probe_->questions);
    if (rest) {
        probe_->until = now + *rest;
        probe_->resting = true;
        return;
    }
    const wire::Name zone = probe_->zone;
    probe_.reset();
    if (found) {
        learn(gateway, zone, *seen->keys, date);
    } else {
        ++failures_;
        followed_->book.failed(zone, date);
        log::warning("trust anchor of " + zone.to_text() + ": its keys are not to be had; another look later");
    }
    save();
}

void Rollover::learn(Gateway& gateway, const wire::Name& zone, const cache::Rrset& keys, std::int64_t date)
{
    std::vector<base::Bytes> rdatas;
    std::vector<base::Bytes> signatures;
    for (const base::Bytes rdata : keys.records) rdatas.push_back(rdata);
    for (const base::Bytes rdata : keys.signatures) signatures.push_back(rdata);
    const dnssec::AnchorNews news = followed_->book.saw(
        zone, {&keys.owner, keys.type, keys.rr_class, original_ttl(keys), rdatas, signatures}, date);
    if (!news.secure) {
        ++failures_;
        log::warning("trust anchor of " + zone.to_text() +
                     ": no key that is trusted speaks for its keys: " + news.trouble);
    }
    for (const std::string& line : news.told) {
        ++changes_;
        log::info(line);
    }
    if (news.changed) publish(gateway, news.lost);
}

void Rollover::publish(Gateway& gateway, bool lost)
{
    const auto anchors = std::make_shared<const dnssec::TrustAnchors>(followed_->book.anchors());
    const auto left = std::make_shared<std::atomic<unsigned>>(gateway.workers());
    for (unsigned i = 0; i < gateway.workers(); ++i)
        gateway.post_to_worker(i, [anchors, left](const LaneView& lane) {
            lane.resolver.set_anchors(anchors);
            left->fetch_sub(1, std::memory_order_release);
        });
    if (lost || switching_) switching_ = left;
}

void Rollover::save()
{
    count_keys();
    followed_->unsaved = true;
    if (followed_->untouchable) {
        ++writes_failed_;
        return;
    }
    const auto written = base::write_file_atomically(followed_->file, followed_->book.to_text());
    followed_->unsaved = !written;
    if (written) return;
    ++writes_failed_;
    log::error("the state of trust anchors is not kept: " + written.error().to_string());
}

void Rollover::count_keys()
{
    const auto counts = followed_ ? followed_->book.count_keys() : std::array<std::uint32_t, 6>{};
    for (std::size_t i = 0; i < counts.size(); ++i) keys_[i].set(counts[i]);
}

/// RFC 8145 §5.1: the query, of type NULL, is the message; what is answered does not matter.
void Rollover::signal(Gateway& gateway, base::Instant now)
{
    const auto& recurse = gateway.loaded().resolver->recurse;
    if (!recurse.dnssec.signal_anchors || !recurse.engine.anchors) {
        next_signal_.reset();
        return;
    }
    if (next_signal_ && now < *next_signal_) return;
    next_signal_ = now + kSignalEvery;
    const dnssec::TrustAnchors anchors = followed_ ? followed_->book.anchors() : *recurse.engine.anchors;
    for (const dnssec::AnchorPoint& point : anchors.points()) {
        const auto tags = point.key_tags();
        if (tags.empty()) continue;
        ++signals_;
        gateway.post_to_worker(0, [name = dnssec::key_tag_query_name(point.zone, tags)](const LaneView& lane) {
            lane.resolver.ask_anew(name, wire::RrType{10}, [](const cache::RrsetPtr&) {});
        });
    }
}

void Rollover::collect(Statistics& statistics) const
{
    statistics.add("trust_anchor_probes_total", "Looks at the keys of zones with a trust anchor", probes_);
    statistics.add("trust_anchor_probe_failures_total", "Of these, without keys that a trusted key speaks for",
                   failures_);
    statistics.add("trust_anchor_changes_total", "Keys of trust anchors that came into another state", changes_);
    statistics.add("trust_anchor_write_failures_total", "Times that the state of trust anchors could not be written",
                   writes_failed_);
    statistics.add("trust_anchor_signals_total", "Queries that tell a zone which of its keys are trusted", signals_);
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        const auto state = static_cast<dnssec::KeyState>(i);
        if (state == dnssec::KeyState::start || state == dnssec::KeyState::removed) continue; // never last
        statistics.add("trust_anchor_keys", "Keys of followed trust anchors by state", keys_[i],
                       labels_of({{"state", std::string{dnssec::to_string(state)}}}));
    }
}

} // namespace sallyport::apps
