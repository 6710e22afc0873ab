#include "resolver/iterate/resolution.hpp"
#include "resolver/iterate/trust.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using wire::Name;
using wire::RrType;

void Job::finish()
{
    done_ = true;
    const auto waiters = std::move(waiters_);
    waiters_.clear();
    for (const std::weak_ptr<Job>& waiter : waiters) {
        if (const auto job = waiter.lock()) parts_.wake(job);
    }
}

Engine::Parts::Parts(const base::Clock& clock_, base::RandomSource& random_, Upstream& upstream_,
                     cache::RrsetStore& store_, Options options_)
    : clock(clock_),
      random(random_),
      upstream(upstream_),
      store(store_),
      options(std::move(options_)),
      servers(options),
      delegations(options)
{
    random.fill(cookie_secret);
}

Engine::Parts::~Parts()
{
    // Jobs let go of what they wait for, and of this, before it is gone.
    resolutions.clear();
    ready.clear();
    next_turn.clear();
}

void Engine::Parts::wake(const std::shared_ptr<Job>& job)
{
    if (job->queued) return;
    job->queued = true;
    ready.push_back(job);
}

void Engine::Parts::drain() noexcept
{
    if (running) return; // whoever drains sees what was added
    running = true;
    while (!ready.empty()) {
        const std::shared_ptr<Job> job = std::move(ready.front());
        ready.pop_front();
        job->queued = false;
        job->run();
        // Those that ended go here, where nothing of them is in use.
        clear_ended();
    }
    running = false;
}

std::shared_ptr<Fetch> Engine::Parts::fetch(const Question& question, const std::shared_ptr<Job>& waiter,
                                            const BudgetPtr& budget, unsigned depth,
                                            const std::vector<base::IpAddress>& avoid, bool whole_name, bool renews)
{
    if (depth > options.limits.depth) {
        ++stats.budget_depth;
        return nullptr;
    }
    const Key key{question.qname, question.qtype, question.qclass};
    const bool shared = avoid.empty() && !whole_name;
    if (shared) {
        const auto it = fetches.find(key);
        if (it != fetches.end()) {
            if (auto known = it->second.lock(); known && !known->is_done()) {
                if (known == waiter || known->waits_for(*waiter, 2 * options.limits.depth)) {
                    ++stats.loops;
                    return nullptr;
                }
                known->add_waiter(waiter);
                return known;
            }
            fetches.erase(it);
        }
    }
    if (fetches_in_flight >= options.max_fetches) {
        ++stats.budget_fetches;
        return nullptr;
    }
    auto made = std::make_shared<Fetch>(*this, question, budget, depth, avoid, whole_name, renews);
    made->add_waiter(waiter);
    if (shared) {
        if (fetches.size() > 2U * options.max_fetches) {
            std::erase_if(fetches, [](const auto& entry) { return entry.second.expired(); });
        }
        fetches.insert_or_assign(key, made);
    }
    wake(made);
    return made;
}

std::shared_ptr<Trust> Engine::Parts::trust(const Name& name, const std::shared_ptr<Job>& waiter,
                                            const BudgetPtr& budget, unsigned depth)
{
    if (depth > options.limits.depth) {
        ++stats.budget_depth;
        return nullptr;
    }
    const auto it = trusts_in_work.find(name);
    if (it != trusts_in_work.end()) {
        // Another client's means are not ours: who began it may run out of them.
        if (auto known = it->second.lock(); known && !known->is_done() && known->budget() == budget) {
            known->add_waiter(waiter);
            return known;
        }
        trusts_in_work.erase(it);
    }
    if (trusts_in_work.size() > 2U * options.max_fetches) {
        std::erase_if(trusts_in_work, [](const auto& entry) { return entry.second.expired(); });
    }
    auto made = std::make_shared<Trust>(*this, name, budget, depth);
    made->add_waiter(waiter);
    trusts_in_work.insert_or_assign(name, made);
    wake(made);
    return made;
}

void Engine::Parts::remember_trust(const ZoneTrustPtr& trust)
{
    if (trusts.size() >= options.max_delegations) {
        std::erase_if(trusts, [this](const auto& entry) { return entry.second->expires <= now(); });
        if (trusts.size() >= options.max_delegations) trusts.erase(trusts.begin());
    }
    trusts.insert_or_assign(trust->zone, trust);
}

void Engine::Parts::remember_failure(const Key& key, std::optional<wire::ExtendedError> ede, const std::string& text,
                                     std::chrono::seconds ttl)
{
    if (failures.size() >= options.max_failures_kept) {
        std::erase_if(failures, [this](const auto& entry) { return entry.second.expires <= now(); });
        if (failures.size() >= options.max_failures_kept) failures.erase(failures.begin());
    }
    failures.insert_or_assign(key, Failure{now() + ttl, ede, text});
}

const Failure* Engine::Parts::find_failure(const Key& key) const
{
    const auto it = failures.find(key);
    return it == failures.end() || it->second.expires <= now() ? nullptr : &it->second;
}

RrsetPtr Engine::Parts::find_known(const Question& question, cache::Rank least, bool stale)
{
    const base::Instant when = now();
    const auto get = [&](const Name& name, RrType type) {
        return stale ? store.find_stale(name, type, question.qclass, when)
                     : store.find(name, type, question.qclass, when);
    };
    const auto get_nxdomain = [&](const Name& name) {
        return stale ? store.find_stale_nxdomain(name, question.qclass, when)
                     : store.find_nxdomain(name, question.qclass, when);
    };
    // A DS that is proven needs no rank: a referral is where it is told (RFC 4035 §3.1.4.1).
    const auto good = [least](const RrsetPtr& set) {
        const bool proven_ds =
            set && set->type == RrType::DS && set->is_data() && set->state == wire::ValidationState::secure;
        return set && (set->rank >= least || proven_ds);
    };
    if (RrsetPtr set = get(question.qname, question.qtype); good(set)) return set;
    // DS is the parent's to tell, an alias the child's.
    if (question.qtype != RrType::CNAME && question.qtype != RrType::DS) {
        if (RrsetPtr set = get(question.qname, RrType::CNAME); good(set) && set->is_data()) return set;
    }
    if (RrsetPtr set = get_nxdomain(question.qname)) return set;
    // What is configured stands whatever is proven of the names above it.
    const DelegationPtr cut = delegations.closest(question.qname, when);
    const Name floor = cut->fixed ? cut->zone : Name{};
    for (Name above = question.qname; !above.is_root() && !(above == floor);) {
        above = above.parent();
        // Unsigned, one forged DNAME would lead a whole subtree astray: it counts for the name it came for alone.
        if (RrsetPtr set = get(above, RrType::DNAME);
            good(set) && set->is_data() && !above.is_root() && set->state == wire::ValidationState::secure) {
            if (auto made = make_cname(set, question.qname)) return std::make_shared<const Rrset>(std::move(*made));
        }
        // RFC 8020: below a name that does not exist nothing does. Without proof many servers do not mean it so.
        if (!options.nothing_below_nxdomain) continue;
        RrsetPtr set = get_nxdomain(above);
        if (set && (set->state == wire::ValidationState::secure || options.trust_unsigned_nxdomain)) return set;
    }
    if (options.aggressive_denial && is_anchored(question.qname) && !stale && question.qtype != RrType::ANY) {
        RrsetPtr set = denials.prove(question.qname, question.qtype, store, when);
        if (set && set->zone.is_under(floor)) {
            ++stats.denials_synthesised;
            return set;
        }
    }
    return nullptr;
}

bool Engine::Parts::is_anchored(const Name& name) const
{
    if (!validates()) return false;
    const auto date = std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
    return options.anchors->find(name, date).status == dnssec::TrustAnchors::Status::anchored;
}

void Engine::Parts::refresh(const Question& question) { begin(question, nullptr, true); }

void Engine::Parts::begin(const Question& question, Done done, bool again)
{
    auto budget = std::make_shared<Budget>(options, now(), options.policy.limits, &clock, &validation_stats);
    const std::uint64_t number = ++next_resolution;
    auto resolution = std::make_shared<Resolution>(*this, question, budget, std::move(done), number, again);
    resolutions.emplace(number, resolution);
    resolution_timers.emplace(budget->deadline, number);
    if (options.serve_stale && options.stale_client_timeout > 0ms) {
        resolution_timers.emplace(now() + options.stale_client_timeout, number);
    }
    wake(resolution);
}

void Engine::Parts::send(const std::shared_ptr<Fetch>& fetch, Pending query, const Name& zone, bool recursion)
{
    const Token token = ++next_token;
    std::uint16_t id = 0;
    random.fill({reinterpret_cast<std::uint8_t*>(&id), sizeof id});
    query.id = id;
    query.sent = now();
    query.deadline = query.sent + servers.timeout(query.server.address);
    const base::Bytes message = write_query(query, recursion);
    fetch->set_token(token);
    timers.emplace(query.deadline, token);
    ++stats.packets;
    if (query.tcp) ++stats.tcp_packets;
    const auto [it, added] = pending.emplace(token, std::move(query));
    static_cast<void>(added);
    upstream.send({token, it->second.server, it->second.tcp, message, &it->second.qname, it->second.qtype, &zone});
}

void Engine::Parts::forget(Token token)
{
    const auto it = pending.find(token);
    if (it == pending.end()) return;
    timers.erase({it->second.deadline, token});
    pending.erase(it);
    upstream.cancel(token);
}

void Engine::Parts::note_cookie(const Pending& query, const wire::MessageView& message)
{
    const wire::EdnsView* edns = message.edns();
    if (!options.cookies || !query.edns || edns == nullptr || !edns->cookie || edns->cookie->size() < 16) return;
    const auto own = client_cookie(query.server.address);
    if (!base::equal(edns->cookie->first(8), own)) return;
    Server& server = servers.get(query.server.address);
    server.cookie_size = static_cast<std::uint8_t>(std::min<std::size_t>(edns->cookie->size() - 8, 32));
    std::copy_n(edns->cookie->begin() + 8, server.cookie_size, server.cookie.begin());
}

// --- the engine, as others see it

Engine::Engine(const base::Clock& clock, base::RandomSource& random, Upstream& upstream, cache::RrsetStore& store,
               Options options)
    : parts_(std::make_unique<Parts>(clock, random, upstream, store, std::move(options)))
{
}

Engine::~Engine() = default;

void Engine::resolve(const Question& question, Done done)
{
    ++parts_->stats.questions;
    parts_->begin(question, std::move(done), false);
    parts_->drain();
}

std::optional<Answer> Engine::find_known(const Question& question)
{
    auto budget =
        std::make_shared<Budget>(parts_->options, parts_->now(), parts_->options.policy.limits, nullptr, nullptr);
    const auto resolution = std::make_shared<Resolution>(*parts_, question, budget, nullptr, 0, false);
    return resolution->known_only();
}

namespace {

/// Puts the question's name in lower case, in a copy that `room` holds. False where the copy does not parse.
bool with_plain_letters(const wire::Name& asked, base::Bytes message, std::optional<wire::MessageView>& view,
                        std::vector<std::uint8_t>& room)
{
    wire::Name plain = asked;
    plain.make_lower();
    const base::Bytes letters = plain.wire();
    if (view->header().question_count == 0 || message.size() < wire::kHeaderSize + letters.size() ||
        base::equal(message.subspan(wire::kHeaderSize, letters.size()), letters))
        return true;
    room.assign(message.begin(), message.end());
    std::copy(letters.begin(), letters.end(), room.begin() + wire::kHeaderSize);
    const auto fresh = wire::MessageView::parse(room);
    if (fresh) view = *fresh;
    return static_cast<bool>(fresh);
}

} // namespace

bool Engine::answer(Token token, base::Bytes message) noexcept
{
    const auto it = parts_->pending.find(token);
    if (it == parts_->pending.end()) return false;
    Pending& waiting = it->second;
    std::optional<wire::MessageView> view;
    const Fit fit = judge_fit(waiting, message, view);
    const bool fits = fit == Fit::fits || fit == Fit::broken;
    if (!fits) {
        ++parts_->stats.foreign_replies;
        if (fit != Fit::near_miss || waiting.tcp || ++waiting.near_misses < parts_->options.limits.near_misses)
            return false;
    }
    const Pending query = std::move(waiting);
    parts_->timers.erase({query.deadline, token});
    parts_->pending.erase(it);
    const auto fetch = query.fetch.lock();
    if (!fetch) return true;
    if (!fits) {
        // Somebody guesses, or the server changes letters: a connection settles both.
        parts_->upstream.cancel(token);
        fetch->ask_over_tcp(query);
    } else {
        const auto rtt = std::chrono::duration_cast<std::chrono::microseconds>(parts_->now() - query.sent);
        if (!query.tcp) parts_->servers.answered(query.server.address, rtt);
        if (view) parts_->note_cookie(query, *view);
        // Our random letters are not the name's: compression would carry them into owners and RDATA.
        if (view && !with_plain_letters(query.qname, message, view, parts_->plain)) view.reset();
        fetch->reply(query, view ? &*view : nullptr);
    }
    parts_->drain();
    return fits;
}

void Engine::timed_out(Token token) noexcept
{
    const auto it = parts_->pending.find(token);
    if (it == parts_->pending.end()) return;
    const Pending query = std::move(it->second);
    parts_->timers.erase({query.deadline, token});
    parts_->pending.erase(it);
    parts_->upstream.cancel(token);
    ++parts_->stats.timeouts;
    parts_->servers.timed_out(query.server.address, parts_->now());
    if (const auto fetch = query.fetch.lock()) fetch->no_reply(query, true);
    parts_->drain();
}

void Engine::failed(Token token) noexcept
{
    const auto it = parts_->pending.find(token);
    if (it == parts_->pending.end()) return;
    const Pending query = std::move(it->second);
    parts_->timers.erase({query.deadline, token});
    parts_->pending.erase(it);
    parts_->servers.timed_out(query.server.address, parts_->now());
    if (const auto fetch = query.fetch.lock()) fetch->no_reply(query, false);
    parts_->drain();
}

bool Engine::knows_cut_above(const Name& name) const
{
    return !parts_->delegations.closest(name, parts_->now())->zone.is_root();
}

Name Engine::known_cut(const Name& name) const { return parts_->delegations.closest(name, parts_->now())->zone; }

std::optional<base::Instant> Engine::due() const noexcept
{
    if (!parts_->next_turn.empty() || !parts_->ready.empty()) return base::Instant{};
    std::optional<base::Instant> when;
    if (!parts_->timers.empty()) when = parts_->timers.begin()->first;
    if (!parts_->resolution_timers.empty()) {
        const auto other = parts_->resolution_timers.begin()->first;
        when = when ? std::min(*when, other) : other;
    }
    return when;
}

void Engine::expire(base::Instant now) noexcept
{
    const auto turn = std::move(parts_->next_turn);
    parts_->next_turn.clear();
    for (const auto& job : turn) {
        job->budget()->validation.begin_turn();
        parts_->wake(job);
    }
    parts_->drain();
    while (!parts_->timers.empty() && parts_->timers.begin()->first <= now) {
        timed_out(parts_->timers.begin()->second);
    }
    while (!parts_->resolution_timers.empty() && parts_->resolution_timers.begin()->first <= now) {
        const std::uint64_t number = parts_->resolution_timers.begin()->second;
        parts_->resolution_timers.erase(parts_->resolution_timers.begin());
        const auto it = parts_->resolutions.find(number);
        if (it == parts_->resolutions.end()) continue;
        const std::shared_ptr<Resolution> resolution = it->second;
        resolution->timer(now);
        parts_->drain();
        parts_->clear_ended();
    }
}

void Engine::set_trace(Tell tell) { parts_->tell = std::move(tell); }

void Engine::note_rtt(const base::IpAddress& server, std::chrono::milliseconds rtt)
{
    parts_->servers.answered(server, rtt);
}

std::size_t Engine::in_flight() const noexcept { return parts_->fetches_in_flight; }

const Stats& Engine::stats() const noexcept { return parts_->stats; }

const dnssec::Stats& Engine::validation_stats() const noexcept { return parts_->validation_stats; }

const Options& Engine::options() const noexcept { return parts_->options; }

} // namespace sallyport::resolver::iterate
