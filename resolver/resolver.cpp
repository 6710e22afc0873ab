#include "resolver/resolver.hpp"

#include "base/log.hpp"
#include "resolver/resolver_parts.hpp"

#include <algorithm>
#include <utility>

namespace sallyport::resolver {
namespace {

namespace log = base::log;

std::string label_text(std::string_view text)
{
    std::string clean;
    for (const char c : text) {
        if (c == '"' || c == '\\') clean += '\\';
        clean += c >= ' ' && c != 0x7F ? c : ' ';
    }
    return clean;
}

std::string_view scheme_of(base::Transport transport) noexcept
{
    switch (transport) {
    case base::Transport::udp: return "udp";
    case base::Transport::tcp: return "tcp";
    case base::Transport::dot: return "tls";
    case base::Transport::doh1:
    case base::Transport::doh2: return "https";
    case base::Transport::doh3: return "h3";
    case base::Transport::doq: return "quic";
    }
    return "udp";
}

bool is_validated(const std::vector<RouteOptions>& routes, std::string_view zone)
{
    return std::none_of(routes.begin(), routes.end(), [zone](const RouteOptions& route) {
        return !route.validate && std::find(route.zones.begin(), route.zones.end(), zone) != route.zones.end();
    });
}

std::string_view to_string(Strategy strategy) noexcept
{
    switch (strategy) {
    case Strategy::ordered: return "ordered";
    case Strategy::fastest: return "fastest";
    case Strategy::round_robin: return "round_robin";
    case Strategy::race: return "race";
    }
    return "fastest";
}

} // namespace

std::shared_ptr<Upstream> Resolver::Parts::upstream_for(const std::string& group, const UpstreamOptions& options)
{
    auto factories = shared.factories_for(options, around.options->limits);
    if (!factories) log::error("upstream " + options.name + ": " + factories.error().to_string());
    const auto find_in = [&](const Group& old) -> std::shared_ptr<Upstream> {
        for (const auto& upstream : old.upstreams) {
            if (upstream->group() != group || !is_same(upstream->options(), options)) continue;
            if (factories) upstream->renew(*factories);
            return upstream;
        }
        return nullptr;
    };
    if (bootstrap)
        if (auto found = find_in(*bootstrap)) return found;
    if (table)
        for (const auto& old : table->groups)
            if (auto found = find_in(*old)) return found;
    auto made = std::make_shared<Upstream>(around, group, options, factories ? *factories : Factories{});
    if (needs_look_up(options)) made->set_addresses(*shared.addresses().find(target_of(options)));
    return made;
}

void Resolver::Parts::reconfigure(std::shared_ptr<const Options> options)
{
    around.options = std::move(options);
    // Before any address is read there: what is put afterwards is told.
    (void)shared.addresses().enrol(mailbox);
    auto fresh = std::make_unique<Table>(*around.options);
    for (const GroupOptions& group : around.options->groups) {
        auto made = std::make_shared<Group>();
        made->options = group;
        for (const UpstreamOptions& upstream : group.upstreams)
            made->upstreams.push_back(upstream_for(group.name, upstream));
        fresh->groups.push_back(std::move(made));
    }
    table = std::move(fresh);
    recursion.reconfigure(around.options);
    look_up_names();
    publish_stats();
}

void Resolver::Parts::publish_stats()
{
    std::vector<Labelled> fresh;
    const auto publish = [&](const Group& group) {
        for (const auto& upstream : group.upstreams)
            fresh.push_back({"{group=\"" + label_text(group.options.name) + "\",upstream=\"" +
                                 label_text(upstream->options().name) + "\"}",
                             upstream->shared_stats()});
    };
    for (const auto& group : table->groups) publish(*group);
    if (bootstrap) publish(*bootstrap);
    const std::lock_guard lock{published_mutex};
    published = std::move(fresh);
}

void Resolver::Parts::explain(const Question& question, const Tell& told) const
{
    const auto group = group_for(question);
    if (!group && recurses(question)) {
        const auto match = table->routes.find(question.qname, question.qtype);
        const bool by_group = match && (!match->zone.empty() || around.options->mode == Mode::forward);
        if (by_group) {
            explain_group(*table->groups[match->group],
                          match->zone.empty() ? "the default group" : "route " + std::string{match->zone}, told);
            told("validation", is_validated(around.options->routes, match->zone)
                                   ? "what upstreams say is validated here"
                                   : "none: the route says that its names are insecure");
        } else {
            recursion.explain(question, told);
        }
        if (pending_.contains(flight_key(question))) told("joins", "the same question is in flight");
        return;
    }
    if (!group) {
        told("no route", question.group.empty() ? "no upstream is configured" : "no group has that name");
        return;
    }
    std::string why = "chosen by policy";
    if (question.group.empty()) {
        const auto match = table->routes.find(question.qname, question.qtype);
        why = match && !match->zone.empty() ? "route " + std::string{match->zone} : "the default group";
    }
    explain_group(*group, why, told);
    if (pending_.contains(flight_key(question))) told("joins", "the same question is in flight");
}

void Resolver::Parts::explain_group(const Group& group, const std::string& why, const Tell& told)
{
    told("group " + group.options.name, why);
    const auto candidates = group.candidates();
    const Order order = choose(group.options, candidates, group.turn);
    for (unsigned i = 0; i < order.count; ++i) {
        const Upstream& upstream = *group.upstreams[order.index[i]];
        const Candidate& known = candidates[order.index[i]];
        const auto rtt = std::chrono::duration_cast<std::chrono::microseconds>(known.smoothed_rtt).count();
        std::string state = !upstream.has_address() ? "its name is not looked up yet"
                            : known.open
                                ? "breaker open, the last resort"
                                : (i < order.at_once ? "asked at once" : "asked if those before do not answer");
        if (known.measured) state += ", answers in " + std::to_string(rtt) + " us";
        told("upstream " + upstream.options().name, std::string{to_string(group.options.strategy)} + ": " + state);
    }
}

void Resolver::Parts::stop() noexcept
{
    if (stopped) return;
    stopped = true;
    mailbox->close();
    FlightResult nothing;
    nothing.abandoned = true;
    const auto abandoned = std::make_shared<const FlightResult>(nothing);
    starting.clear();
    done.clear();
    const auto abandon = [&](Pending& pending) {
        pending.waiters.clear();
        if (!pending.resolution && !pending.recursing) return;
        for (const auto& follower : shared.end(pending.key, pending.flight))
            Mailbox::send(follower, pending.key, pending.flight, abandoned);
    };
    for (auto& gone : leaving) abandon(*gone);
    leaving.clear();
    for (auto& [key, pending] : pending_) abandon(*pending);
    crowds.clear();
    pending_.clear();
    recursion.stop();
    errands.stop();
    finder.stop();
    shared.addresses().leave(mailbox);
    stats.in_flight.set(0);
    stats.in_flight_octets.set(0);
    if (bootstrap)
        for (const auto& server : bootstrap->upstreams) server->close(worker.now());
    if (!table) return;
    for (const auto& group : table->groups)
        for (const auto& upstream : group->upstreams) upstream->close(worker.now());
}

Resolver::Resolver(net::Worker& worker, Shared& shared, cache::Cache* cache)
    : parts_(std::make_unique<Parts>(worker, shared, cache))
{
}

Resolver::~Resolver() { parts_->stop(); }

void Resolver::reconfigure(std::shared_ptr<const Options> options) { parts_->reconfigure(std::move(options)); }

Taken Resolver::resolve(const Question& question, Waiter& waiter, base::Instant now) noexcept
{
    return parts_->resolve(question, &waiter, now);
}

void Resolver::fetch(const Question& question, base::Instant now) noexcept
{
    parts_->stats.fetches.add();
    (void)parts_->resolve(question, nullptr, now);
}

void Resolver::explain(const Question& question, const Tell& tell) const { parts_->explain(question, tell); }

void Resolver::forget(const wire::Name& apex, bool subtree) { parts_->recursion.forget(apex, subtree); }

void Resolver::set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors)
{
    parts_->recursion.set_anchors(std::move(anchors));
}

void Resolver::set_root_copy(std::shared_ptr<const RootCopy> copy) { parts_->recursion.set_root_copy(std::move(copy)); }

void Resolver::ask_anew(const wire::Name& qname, wire::RrType qtype, std::function<void(cache::RrsetPtr set)> done)
{
    parts_->recursion.ask_anew(qname, qtype, std::move(done));
}

void Resolver::stop() noexcept { parts_->stop(); }

void Resolver::each_counter(
    const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const
{
    parts_->stats.each(visit);
    parts_->recursion.each_counter(visit);
}

void Resolver::each_upstream_counter(
    const std::function<void(const char* name, const char* help, const std::string& labels, const base::Counter&)>&
        visit) const
{
    const std::lock_guard lock{parts_->published_mutex};
    for (const auto& one : parts_->published)
        one.stats->each([&](const char* name, const char* help, const base::Counter& counter) {
            visit(name, help, one.labels, counter);
        });
}

void Resolver::each_upstream_latency(
    const std::function<void(const std::string& labels, const base::Histogram&)>& visit) const
{
    const std::lock_guard lock{parts_->published_mutex};
    for (const auto& one : parts_->published) visit(one.labels, one.stats->latency);
}

void Resolver::each_upstream(const std::function<void(const UpstreamReport&)>& visit) const
{
    if (!parts_->table) return;
    for (const auto& group : parts_->table->groups) {
        for (const auto& upstream : group->upstreams) {
            const UpstreamStats& stats = upstream->stats();
            UpstreamReport report;
            report.group = group->options.name;
            report.name = upstream->options().name;
            report.transport = scheme_of(upstream->options().transport);
            report.open = !upstream->health().is_open() && upstream->has_address();
            report.looked_up = needs_look_up(upstream->options());
            report.addresses = upstream->addresses();
            report.queries = stats.queries.get();
            report.answers = stats.answers.get();
            report.timeouts = stats.timeouts.get();
            report.failures = stats.failures.get();
            report.retries = stats.retries.get();
            report.connections = stats.connections.get();
            report.in_flight = stats.in_flight.get();
            report.smoothed_rtt = upstream->health().smoothed_rtt();
            visit(report);
        }
    }
}

} // namespace sallyport::resolver
