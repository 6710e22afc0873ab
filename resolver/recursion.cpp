#include "resolver/recursion.hpp"

#include "dnssec/anchors.hpp"
#include "resolver/recurse.hpp"

#include <algorithm>
#include <string>

namespace sallyport::resolver {
namespace {

using wire::Rcode;

using namespace std::chrono_literals;

constexpr std::string_view kUpstream = "recursion";
constexpr std::string_view kUpstreams = "upstreams, validated";

base::MutableBytes writing_room()
{
    static thread_local const std::unique_ptr<std::uint8_t[]> room{new std::uint8_t[wire::kMaxMessageSize]};
    return {room.get(), wire::kMaxMessageSize};
}

iterate::Question question_of(const FlightKey& key)
{
    const Inquiry& asked = key.inquiry;
    return {asked.qname, asked.qtype, asked.qclass, asked.checking_disabled, asked.subnet};
}

/// Whether a reason is that of data which must not be believed, not of servers that can not be reached (RFC 8914 §4).
bool says_bogus(std::optional<wire::ExtendedError> ede) noexcept
{
    if (!ede) return false;
    const auto code = static_cast<std::uint16_t>(*ede);
    return code >= static_cast<std::uint16_t>(wire::ExtendedError::dnssec_bogus) &&
           code <= static_cast<std::uint16_t>(wire::ExtendedError::nsec_missing);
}

bool is_negative(const iterate::Answer& answer, wire::RrType qtype)
{
    if (answer.rcode == Rcode::NXDOMAIN) return true;
    return std::none_of(answer.answers.begin(), answer.answers.end(),
                        [qtype](const cache::RrsetPtr& set) { return set->type == qtype; });
}

/// An answer as it is told and kept (RFC 4035 §3.2.3: AD says that all of it is secure).
void write_result(const iterate::Answer& answer, const FlightKey& key, base::Instant now, FlightResult& result)
{
    const base::MutableBytes room = writing_room();
    wire::MessageWriter writer{room, room.size()};
    writer.begin(0, wire::flag::QR | wire::flag::RD);
    if (!writer.question(key.inquiry.qname, key.inquiry.qtype, key.inquiry.qclass)) return;
    const bool whole = iterate::write_answer(answer, question_of(key), key.inquiry.dnssec_ok, now, writer);
    const base::Bytes message = writer.message();
    result.message.assign(message.begin(), message.end());
    result.has_answer = true;
    result.answer.message = result.message;
    result.answer.rcode = answer.rcode;
    result.answer.negative = is_negative(answer, key.inquiry.qtype);
    result.answer.authentic = (writer.flags() & wire::flag::AD) != 0;
    const bool lasting = whole && !answer.stale && answer.state != wire::ValidationState::bogus;
    if (lasting) result.answer.lifetime = std::chrono::seconds{writer.smallest_ttl(wire::Ttl{0}).seconds()};
}

FlightResult result_of(const iterate::Answer& answer, const FlightKey& key, base::Instant now)
{
    FlightResult result;
    // The engine calls every failure bogus; others are told which of them are.
    const bool failed = answer.rcode == Rcode::SERVFAIL && !says_bogus(answer.ede);
    result.validation = failed ? wire::ValidationState::indeterminate : answer.state;
    result.ede = answer.ede;
    result.ede_text = answer.ede_text;
    result.upstream = kUpstream;
    result.subnet_scope = answer.subnet_scope;
    if (answer.rcode != Rcode::SERVFAIL) write_result(answer, key, now, result);
    return result;
}

void add(std::deque<base::Counter>& sums, const iterate::Stats& more)
{
    std::size_t at = 0;
    more.each([&](const char*, const char*, const base::Counter& counter) {
        if (at == sums.size()) sums.emplace_back();
        sums[at++].add(counter.get());
    });
}

bool is_same(const RecurseOptions& before, const RecurseOptions& now) noexcept
{
    return !now.fingerprint.empty() && before.fingerprint == now.fingerprint && before.store == now.store;
}

void explain_anchor(const dnssec::TrustAnchors& anchors, const wire::Name& qname, const base::Clock& clock,
                    const Tell& tell)
{
    const auto date = std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
    const auto trust = anchors.find(qname, date);
    if (trust.negative != nullptr) tell("validation", "none: a negative trust anchor at " + trust.negative->to_text());
    if (trust.anchor == nullptr) return;
    std::string tags;
    for (const std::uint16_t tag : trust.anchor->key_tags()) tags += ' ' + std::to_string(tag);
    tell("trust anchor", "of " + trust.anchor->zone.to_text() + ", keys" + tags);
}

/// Of the store that all workers share: told by one of them.
void tell_store(const cache::RrsetCounts& counts, const cache::CutCounts& cuts, const auto& visit)
{
    const auto tell = [&](const char* name, const char* help, std::uint64_t value) {
        base::Counter counter;
        counter.set(value);
        visit(name, help, counter);
    };
    tell("recursion_record_sets", "Record sets kept", counts.entries);
    tell("recursion_record_sets_octets", "Memory of record sets kept", counts.octets);
    tell("recursion_record_sets_hits_total", "Look-ups that found a record set", counts.hits);
    tell("recursion_record_sets_misses_total", "Look-ups that found no record set", counts.misses);
    tell("recursion_record_sets_stored_total", "Record sets stored", counts.stored);
    tell("recursion_record_sets_outranked_total", "Record sets not stored: a more trusted one was there",
         counts.outranked);
    tell("recursion_record_sets_evicted_total", "Record sets that made room for others", counts.evicted);
    tell("recursion_record_sets_too_large_total", "Record sets not stored for their size", counts.too_large);
    tell("recursion_zone_cuts", "Zone cuts kept for the snapshot", cuts.entries);
    tell("recursion_zone_cuts_octets", "Memory of zone cuts kept for the snapshot", cuts.octets);
    tell("recursion_zone_cuts_evicted_total", "Zone cuts kept for the snapshot that made room for others",
         cuts.evicted);
}

} // namespace

void forget_sets(cache::RrsetStore& store, const wire::Name& apex, bool subtree)
{
    std::vector<cache::RrsetPtr> sets;
    for (std::optional<cache::RrsetStore::Position> next{std::in_place}; next;) {
        sets.clear();
        next = store.page(*next, sets);
        for (const cache::RrsetPtr& set : sets) {
            if (set->owner != apex && !(subtree && set->owner.is_under(apex))) continue;
            // That a name does not exist is kept beside all its types.
            const bool absent = set->kind == cache::RrsetKind::nxdomain;
            store.erase(set->owner, absent ? cache::RrsetStore::kNameError : set->type, set->rr_class);
        }
    }
    store.cuts().clear(); // as each engine's: which of them led to what is flushed nobody knows
}

/// One engine, and the options it was made by.
struct Recursion::Running {
    Running(net::Worker& worker, std::shared_ptr<const Options> given, RecurseStats& stats, GroupAsker* groups)
        : options(std::move(given)), recursor(worker, options->recurse, stats, groups)
    {
    }
    std::shared_ptr<const Options> options;
    Recursor recursor;

    struct Forgotten {
        wire::Name apex;
        bool subtree = false;
    };
    /// What was forgotten while this one had questions in work: by what it knew before it may put it back.
    std::vector<Forgotten> forgotten;

    void note(const wire::Name& apex, bool subtree)
    {
        constexpr std::size_t kMost = 16;
        if (recursor.is_idle()) return;
        if (forgotten.size() == kMost) forgotten.assign(1, {wire::Name{}, true});
        if (forgotten.empty() || !forgotten.front().apex.is_root() || !forgotten.front().subtree)
            forgotten.push_back({apex, subtree});
    }
    void forget_again() const
    {
        for (const Forgotten& one : forgotten) forget_sets(*options->recurse.store, one.apex, one.subtree);
    }
};

Recursion::Recursion(net::Worker& worker, GroupAsker* groups) : worker_(worker), groups_(groups)
{
    add(gone_, iterate::Stats{});
}

Recursion::~Recursion() { stop(); }

void Recursion::retire()
{
    if (!current_) return;
    leaving_.push_back(std::move(current_));
}

/// Those that nobody waits for any more go.
void Recursion::bury()
{
    for (auto it = leaving_.begin(); it != leaving_.end();) {
        if (!(*it)->recursor.is_idle()) {
            ++it;
            continue;
        }
        (*it)->forget_again();
        add(gone_, (*it)->recursor.engine().stats());
        it = leaving_.erase(it);
    }
}

void Recursion::reconfigure(const std::shared_ptr<const Options>& options)
{
    const bool wanted = needs_engine(*options) && options->recurse.store != nullptr;
    if (wanted && current_ && is_same(current_->options->recurse, options->recurse)) {
        current_->options = options;
        current_->recursor.set_root_copy(options->recurse.local_root);
        return;
    }
    anchors_.reset();
    replace(wanted ? make(options) : nullptr);
}

std::unique_ptr<Recursion::Running> Recursion::make(const std::shared_ptr<const Options>& options)
{
    auto made = std::make_unique<Running>(worker_, options, stats_, groups_);
    if (anchors_) made->recursor.set_anchors(anchors_);
    return made;
}

void Recursion::set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors)
{
    anchors_ = std::move(anchors);
    // Those that leave still put what they judge where the others find it.
    for (const auto& one : leaving_) one->recursor.set_anchors(anchors_);
    if (current_) current_->recursor.set_anchors(anchors_);
}

void Recursion::set_root_copy(std::shared_ptr<const RootCopy> copy) noexcept
{
    if (current_) current_->recursor.set_root_copy(std::move(copy));
}

void Recursion::ask_anew(const wire::Name& qname, wire::RrType qtype, std::function<void(cache::RrsetPtr set)> done)
{
    if (!current_) return done(nullptr);
    current_->recursor.resolve_anew(
        {qname, qtype, wire::RrClass::IN, true}, [qtype, told = std::move(done)](const iterate::Answer& answer) {
            const auto found = std::find_if(answer.answers.begin(), answer.answers.end(),
                                            [qtype](const cache::RrsetPtr& set) { return set->type == qtype; });
            told(found == answer.answers.end() ? nullptr : *found);
        });
}

void Recursion::replace(std::unique_ptr<Running> with)
{
    const std::lock_guard lock{mutex_};
    retire();
    bury();
    current_ = std::move(with);
}

void Recursion::forget(const wire::Name& apex, bool subtree)
{
    if (!current_) return;
    cache::RrsetStore& store = *current_->options->recurse.store;
    if (apex.is_root() && subtree)
        store.clear();
    else
        forget_sets(store, apex, subtree);
    current_->note(apex, subtree);
    for (const auto& one : leaving_) one->note(apex, subtree);
    replace(make(current_->options));
}

const iterate::Engine* Recursion::engine() const noexcept { return current_ ? &current_->recursor.engine() : nullptr; }

void Recursion::resolve(const FlightKey& key, Done done, iterate::Watcher watcher)
{
    if (!leaving_.empty()) {
        const std::lock_guard lock{mutex_};
        bury();
    }
    const Running* const by = current_.get();
    current_->recursor.resolve(
        question_of(key),
        [this, key, by, told = std::move(done)](const iterate::Answer& answer) {
            FlightResult result = result_of(answer, key, worker_.clock().now()); // by which its lifetimes were set
            if (by->options->mode == Mode::forward && result.has_answer) result.upstream = kUpstreams;
            // Told to those who asked then; not kept for those who ask now, by other rules or after all was forgotten.
            if (current_.get() != by) result.answer.lifetime = base::Duration{};
            told(std::move(result));
        },
        std::move(watcher));
}

std::chrono::milliseconds Recursion::patience() const noexcept
{
    return current_ ? current_->options->recurse.engine.limits.time : 0ms;
}

void Recursion::explain(const Question& question, const Tell& tell) const
{
    const iterate::Engine& engine = current_->recursor.engine();
    tell("recursion", "name servers are asked from the root down");
    tell("nearest known zone cut", engine.known_cut(question.qname).to_text());
    const auto& anchors = anchors_ ? anchors_ : engine.options().anchors;
    if (!anchors || anchors->empty())
        tell("validation", "no trust anchor is set");
    else
        explain_anchor(*anchors, question.qname, worker_.clock(), tell);
}

void Recursion::stop() noexcept
{
    const std::lock_guard lock{mutex_};
    retire();
    for (const auto& one : leaving_) {
        one->forget_again();
        add(gone_, one->recursor.engine().stats());
    }
    leaving_.clear();
}

void Recursion::each_counter(
    const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const
{
    stats_.each(visit);
    const std::lock_guard lock{mutex_};
    const auto named = [&](const char* name, const char* help, const base::Counter& counter) {
        visit(("recursion_" + std::string{name} + "_total").c_str(), help, counter);
    };
    auto sum = gone_.begin(); // of all that have left: their names are those of any other
    iterate::Stats{}.each([&](const char* name, const char* help, const base::Counter&) { named(name, help, *sum++); });
    const auto tell = [&](const iterate::Stats& stats) { stats.each(named); };
    if (current_) tell(current_->recursor.engine().stats());
    for (const auto& one : leaving_) tell(one->recursor.engine().stats());
    if (worker_.index() != 0) return;
    const cache::RrsetStore* const store = current_ ? current_->options->recurse.store.get() : nullptr;
    tell_store(store != nullptr ? store->counts() : cache::RrsetCounts{},
               store != nullptr ? store->cuts().counts() : cache::CutCounts{}, visit);
}

} // namespace sallyport::resolver
