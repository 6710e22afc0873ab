#include "resolver/iterate/dns64_question.hpp"
#include "resolver/iterate/make_place.hpp"
#include "resolver/iterate/resolution.hpp"
#include "resolver/iterate/subnet.hpp"
#include "resolver/iterate/trust.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using wire::Name;
using wire::RrType;

namespace {

/// Alike for those who trust the same.
std::uint64_t mark_of(const dnssec::TrustAnchors* anchors) { return anchors == nullptr ? 0 : anchors->mark(); }

} // namespace

// In one turn; then whoever waits for an answer that is known gets his. Zones that serve each other are hundreds.
constexpr unsigned kJobsPerTurn = 32;

void Job::finish()
{
    done_ = true;
    const auto waiters = std::move(waiters_);
    waiters_.clear();
    for (const std::weak_ptr<Job>& waiter : waiters) {
        if (const auto job = waiter.lock()) parts_.wake(job);
    }
}

void Job::tell_slow()
{
    for (const std::weak_ptr<Job>& waiter : waiters_) {
        if (const auto job = waiter.lock()) job->lookup_is_slow();
    }
}

Engine::Parts::Parts(const base::Clock& clock_, base::RandomSource& random_, Upstream& upstream_,
                     cache::RrsetStore& store_, Options options_, const base::Clock* processor)
    : clock(clock_),
      processor_time(processor != nullptr ? *processor : clock_),
      random(random_),
      upstream(upstream_),
      store(store_),
      options(std::move(options_)),
      anchors(options.anchors),
      known_signatures(random),
      servers(options),
      delegations(options, store.cuts()),
      no_cuts(options),
      subnets(options.subnet, store.options(), stats)
{
    random.fill(cookie_secret);
    trust_mark = mark_of(anchors.get());
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
    for (unsigned jobs = 0; !ready.empty() && jobs < kJobsPerTurn; ++jobs) {
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
    const Key key{question.qname, question.qtype, question.qclass, question.subnet};
    const bool shared = avoid.empty() && !whole_name;
    if (shared) {
        const auto it = fetches.find(key);
        if (it != fetches.end()) {
            if (auto known = it->second.lock(); known && !known->is_done()) {
                ++search;
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
    if (budget->lookups >= options.limits.lookups) {
        if (!budget->spent) ++stats.budget_work;
        budget->spent = true;
        return nullptr;
    }
    if (!make_room(fetches_in_flight, options.max_fetches, waiter.get())) {
        ++stats.budget_fetches;
        return nullptr;
    }
    ++budget->lookups;
    auto made = std::make_shared<Fetch>(*this, question, budget, depth, avoid, whole_name, renews);
    made->add_waiter(waiter);
    if (shared) {
        made->set_shared();
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
    make_place(trusts_in_work, 2U * options.max_fetches, name,
               [](const auto& entry) { return entry.second.expired(); });
    // Apart from its counts: who keeps only those does not keep its memory.
    auto made = std::shared_ptr<Trust>(new Trust(*this, name, budget, depth));
    made->add_waiter(waiter);
    trusts_in_work.insert_or_assign(name, made);
    wake(made);
    return made;
}

void Engine::Parts::remember_trust(const ZoneTrustPtr& trust)
{
    make_place(trusts, options.max_delegations, trust->zone,
               [at = now()](const auto& entry) { return entry.second->expires <= at; });
    trusts.insert_or_assign(trust->zone, trust);
}

void Engine::Parts::remember_failure(const Key& key, std::optional<wire::ExtendedError> ede, const std::string& text,
                                     std::chrono::seconds ttl)
{
    make_place(failures, options.max_failures_kept, key,
               [at = now()](const auto& entry) { return entry.second.expires <= at; });
    failures.insert_or_assign(key, Failure{now() + ttl, ede, text});
}

const Failure* Engine::Parts::find_failure(const Key& key) const
{
    const auto it = failures.find(key);
    return it == failures.end() || it->second.expires <= now() ? nullptr : &it->second;
}

bool Engine::Parts::is_anchored(const Name& name) const
{
    if (!validates()) return false;
    const auto date = std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
    return anchors->find(name, date).status == dnssec::TrustAnchors::Status::anchored;
}

void Engine::Parts::set_anchors(std::shared_ptr<const dnssec::TrustAnchors> others)
{
    anchors = others ? std::move(others) : std::make_shared<const dnssec::TrustAnchors>();
    ++anchors_set;
    trusts.clear();
    trusts_in_work.clear();
    denials = Denials{};
    failures.clear();
    subnets.clear();
    trust_mark = mark_of(anchors.get());
    trust_told = false;
    tell_trust();
}

void Engine::Parts::tell_trust()
{
    if (trust_told || !options.dnssec) return;
    trust_told = true;
    store.trust_by(trust_mark);
}

std::optional<std::uint32_t> Engine::Parts::judging(std::uint32_t begun) const noexcept
{
    return begun == anchors_set ? store.trusted_by(trust_mark) : std::nullopt;
}

RrsetPtr Engine::Parts::keep_judged(const RrsetPtr& before, Rrset judged, std::uint32_t begun)
{
    const auto by = judging(begun);
    if (!by) return std::make_shared<const Rrset>(std::move(judged));
    if (judged.network) return subnets.replace(before, std::make_shared<const Rrset>(std::move(judged)), now());
    return store.replace(before, std::move(judged), now(), by);
}

RrsetPtr Engine::Parts::keep(Rrset set)
{
    const bool for_everybody = !set.network;
    RrsetPtr kept = store.put(std::move(set), now()); // cuts TTLs; keeps what is for everybody
    return for_everybody ? kept : subnets.put(std::move(kept), now());
}

std::optional<base::Prefix> Engine::Parts::subnet_for(const Name& name, RrType type,
                                                      const std::optional<base::Prefix>& client) const noexcept
{
    const SubnetOptions& rules = options.subnet;
    if (!tells_anybody(rules) || !is_tailored(type) || !may_be_told_of(rules, name)) return std::nullopt;
    return client ? cut_subnet(rules, *client) : base::Prefix{};
}

void Engine::Parts::refresh(const Question& question) { begin(question, nullptr, true); }

void Engine::Parts::begin(const Question& question, Done done, bool again, Watcher watcher)
{
    auto budget = std::make_shared<Budget>(options, now(), options.policy.limits, &processor_time, &validation_stats,
                                           &known_signatures);
    budget->watcher = std::move(watcher);
    if (done && Dns64{options.dns64}.concerns(question)) {
        std::make_shared<Dns64Question>(*this, question, std::move(done), std::move(budget))->begin();
    } else {
        start(question, std::move(done), again, budget);
    }
}

void Engine::Parts::start(const Question& question, Done done, bool again, const BudgetPtr& budget)
{
    const std::uint64_t number = ++next_resolution;
    auto resolution = std::make_shared<Resolution>(*this, question, budget, std::move(done), number, again);
    resolutions.emplace(number, resolution);
    ends.emplace_back(budget->deadline, number);
    if (options.serve_stale && options.stale_client_timeout > 0ms) {
        ends_of_patience.emplace_back(now() + options.stale_client_timeout, number);
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
    // A group has tries and time-outs of its own, and says when it gives up.
    query.deadline = query.sent + (query.group ? options.group_timeout : servers.timeout(query.server.address));
    const base::Bytes message = write_query(query, recursion);
    query.octets = static_cast<std::uint16_t>(message.size());
    fetch->set_token(token);
    timers.emplace(query.deadline, token);
    ++stats.packets;
    if (query.tcp && !query.group) ++stats.tcp_packets;
    const auto [it, added] = pending.emplace(token, std::move(query));
    static_cast<void>(added);
    const Pending& sent = it->second;
    upstream.send({token, sent.server, sent.tcp, message, &sent.qname, sent.qtype, &zone,
                   sent.group ? std::string_view{sent.group->group} : std::string_view{}, sent.again});
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
    if (!options.cookies || !query.edns || query.group || edns == nullptr || !edns->cookie || edns->cookie->size() < 16)
        return;
    const auto own = client_cookie(query.server.address);
    if (!base::equal(edns->cookie->first(8), own)) return;
    Server& server = servers.get(query.server.address);
    server.cookie_size = static_cast<std::uint8_t>(std::min<std::size_t>(edns->cookie->size() - 8, 32));
    std::copy_n(edns->cookie->begin() + 8, server.cookie_size, server.cookie.begin());
}

// --- the engine, as others see it

Engine::Engine(const base::Clock& clock, base::RandomSource& random, Upstream& upstream, cache::RrsetStore& store,
               Options options, const base::Clock* processor)
    : parts_(std::make_unique<Parts>(clock, random, upstream, store, std::move(options), processor))
{
}

Engine::~Engine() = default;

void Engine::resolve(const Question& question, Done done, Watcher watcher)
{
    ++parts_->stats.questions;
    parts_->tell_trust();
    parts_->begin(question, std::move(done), false, std::move(watcher));
    parts_->drain();
}

void Engine::resolve_anew(const Question& question, Done done)
{
    parts_->tell_trust();
    parts_->begin(question, std::move(done), true);
    parts_->drain();
}

std::optional<Answer> Engine::find_known(const Question& question)
{
    parts_->tell_trust();
    const auto find = [this](const Question& asked) {
        auto budget =
            std::make_shared<Budget>(parts_->options, parts_->now(), parts_->options.policy.limits, nullptr, nullptr);
        return std::make_shared<Resolution>(*parts_, asked, budget, nullptr, 0, false)->known_only();
    };
    const Options& options = parts_->options;
    if (!Dns64{options.dns64}.concerns(question)) return find(question);
    return find_known_dns64(options, question, parts_->now(), find);
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
    if (!query.group) parts_->servers.timed_out(query.server.address, parts_->now());
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
    if (!query.group) parts_->servers.timed_out(query.server.address, parts_->now());
    if (const auto fetch = query.fetch.lock()) fetch->no_reply(query, false);
    parts_->drain();
}

Name Engine::known_cut(const Name& name) const { return parts_->delegations.closest(name, parts_->now())->zone; }

std::optional<base::Instant> Engine::due() const noexcept
{
    if (!parts_->next_turn.empty() || !parts_->ready.empty()) return base::Instant{};
    std::optional<base::Instant> when;
    if (!parts_->timers.empty()) when = parts_->timers.begin()->first;
    for (auto* dates : {&parts_->ends, &parts_->ends_of_patience}) {
        const auto* const next = parts_->next_date(*dates);
        if (next != nullptr) when = when ? std::min(*when, next->first) : next->first;
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
    for (auto* dates : {&parts_->ends_of_patience, &parts_->ends}) {
        for (const auto* next = parts_->next_date(*dates); next != nullptr && next->first <= now;
             next = parts_->next_date(*dates)) {
            const std::shared_ptr<Resolution> resolution = parts_->resolutions.at(next->second);
            dates->pop_front();
            resolution->timer(now);
            parts_->drain();
            parts_->clear_ended();
        }
    }
}

void Engine::set_trace(Tell tell) { parts_->tell = std::move(tell); }

void Engine::set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors)
{
    parts_->set_anchors(std::move(anchors));
}

void Engine::note_rtt(const base::IpAddress& server, std::chrono::milliseconds rtt)
{
    parts_->servers.answered(server, rtt);
}

std::size_t Engine::in_flight() const noexcept { return parts_->fetches_in_flight.size(); }

const Stats& Engine::stats() const noexcept { return parts_->stats; }

const dnssec::Stats& Engine::validation_stats() const noexcept { return parts_->validation_stats; }

const Options& Engine::options() const noexcept { return parts_->options; }

} // namespace sallyport::resolver::iterate
