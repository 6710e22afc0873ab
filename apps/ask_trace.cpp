#include "apps/ask_trace.hpp"

#include "apps/ask_print.hpp"
#include "apps/ask_trace_print.hpp"
#include "apps/recursion.hpp"
#include "base/clock.hpp"
#include "dnssec/anchors.hpp"
#include "net/worker.hpp"
#include "resolver/recurse.hpp"
#include "wire/message_view.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace sallyport::apps {
namespace {

namespace iterate = resolver::iterate;

/// Whether the system knows a way to a public address; nothing is sent.
bool knows_way_to(const char* address)
{
    const base::Endpoint to{*base::IpAddress::parse(address), 53, 0};
    sockaddr_storage storage{};
    const socklen_t size = to.to_sockaddr(storage);
    const int fd = ::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool known = ::connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0;
    ::close(fd);
    return known;
}

/// Name servers of a family that this host does not speak would fill the trace with failures.
void choose_families(const AskTrace& trace, iterate::Options& options)
{
    if (trace.ipv4_only || trace.ipv6_only) {
        options.ipv4 = trace.ipv4_only;
        options.ipv6 = trace.ipv6_only;
        return;
    }
    if (!options.ipv4 || !options.ipv6) return;
    const bool ipv4 = knows_way_to("198.41.0.4"), ipv6 = knows_way_to("2001:503:ba3e::2:30");
    if (ipv4 != ipv6) (ipv4 ? options.ipv6 : options.ipv4) = false;
}

/// What is answered here is asked of nobody else: upstreams belong to a gateway.
void leave_out_groups(iterate::Options& options)
{
    const auto gone = std::erase_if(options.fixed, [](const iterate::FixedZone& zone) { return !zone.group.empty(); });
    if (gone > 0) std::cerr << "sallyport ask: zones that go to groups of upstreams are traced from the root\n";
}

/// As the gateway would be set up, and what the command line says instead.
std::unique_ptr<Loaded> load_for_trace(const AskOptions& asked, base::Problems& problems)
{
    const AskTrace& trace = asked.trace;
    auto loaded = std::make_unique<Loaded>();
    if (!trace.config.empty()) loaded->configuration = conf::read_configuration(trace.config, problems);
    auto& options = loaded->configuration.resolver;
    options.mode = resolver::Mode::recurse;
    auto& recurse = options.recurse;
    recurse.fingerprint.clear();
    if (!trace.root_hints.empty()) recurse.root_hints = trace.root_hints;
    if (!trace.trust_anchors.empty()) {
        recurse.dnssec.anchor_files = trace.trust_anchors;
        recurse.dnssec.anchors.clear();
    }
    // What a gateway has learned of its anchors (RFC 5011) counts where its configuration does; it is read, never
    // written.
    if (trace.config.empty() || !trace.trust_anchors.empty()) recurse.dnssec.follow_rollover = false;
    if (trace.port) recurse.engine.port = *trace.port;
    if (trace.allow_loopback) recurse.allow_loopback = true;
    if (trace.time) recurse.engine.limits.time = *trace.time;
    choose_families(trace, recurse.engine);
    if (problems.empty()) load_recursion(*loaded, nullptr, problems);
    leave_out_groups(recurse.engine);
    recurse.engine.serve_stale = recurse.engine.prefetch = false;
    return loaded;
}

std::string anchors_text(const iterate::Options& options)
{
    if (!options.anchors || options.anchors->empty()) return "nothing is validated";
    std::string text = "trusting ";
    for (const dnssec::AnchorPoint& point : options.anchors->points()) {
        if (!text.ends_with(' ')) text += ", ";
        text += point.zone.to_text();
        for (const std::uint16_t tag : point.key_tags()) text += ' ' + std::to_string(tag);
    }
    return text;
}

std::string servers_text(const resolver::RecurseOptions& options)
{
    const auto root = std::find_if(options.engine.fixed.begin(), options.engine.fixed.end(),
                                   [](const iterate::FixedZone& zone) { return zone.zone.is_root(); });
    std::string text = root == options.engine.fixed.end() ? "built-in hints" : options.root_hints;
    if (options.engine.port != 53) text += ", port " + std::to_string(options.engine.port);
    return text;
}

/// Where a chain of trust has to lead: the name, and those that aliases lead to.
std::vector<wire::Name> names_of(const iterate::Question& question, const iterate::Answer& answer)
{
    std::vector<wire::Name> names{question.qname};
    for (const cache::RrsetPtr& set : answer.answers)
        if (std::find(names.begin(), names.end(), set->owner) == names.end()) names.push_back(set->owner);
    return names;
}

bool leads_to_same(const TraceChain& a, const TraceChain& b)
{
    return !a.links.empty() && !b.links.empty() && a.links.size() == b.links.size() &&
           a.links.back().zone == b.links.back().zone;
}

/// One run of `ask --trace`: all questions one after the other, in one engine.
class Tracing {
public:
    Tracing(const AskOptions& options, const Loaded& loaded)
        : options_(options),
          recurse_(loaded.configuration.resolver.recurse),
          recursor_(worker_, recurse_, stats_),
          style_{options.print_json, recurse_.engine.port}
    {
    }

    int run()
    {
        worker_.post([this] { ask_next(); });
        worker_.run();
        return exit_code_;
    }

private:
    void ask_next();
    void heard(const iterate::Event& event);
    void answered(const iterate::Answer& answer);
    void print_begin() const;
    void print_end(const iterate::Answer& answer) const;
    [[nodiscard]] std::vector<TraceChain> chains_of(const iterate::Answer& answer) const;
    [[nodiscard]] std::vector<std::uint8_t> message_of(const iterate::Answer& answer) const;

    const AskOptions& options_;
    const resolver::RecurseOptions& recurse_;
    base::SystemClock clock_;
    net::Worker worker_{0, clock_};
    resolver::RecurseStats stats_;
    resolver::Recursor recursor_;
    TraceStyle style_;
    TraceTotals totals_;
    iterate::Question question_;
    std::size_t next_ = 0;
    base::Instant began_{};
    int exit_code_ = ask_answered;
};

void show(const std::string& text)
{
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout); // a step is seen when it is done
}

void Tracing::ask_next()
{
    if (next_ == options_.questions.size()) return worker_.stop();
    const AskQuestion& asked = options_.questions[next_++];
    question_ = {asked.qname.lower(), asked.qtype, asked.qclass, options_.query.checking_disabled};
    totals_ = {};
    print_begin();
    began_ = clock_.now();
    recursor_.resolve(
        question_, [this](const iterate::Answer& answer) { answered(answer); },
        [this](const iterate::Event& event) { heard(event); });
}

void Tracing::heard(const iterate::Event& event)
{
    const std::string line = to_line(event, style_, totals_);
    if (!options_.print_short && !line.empty()) show(line);
}

void Tracing::answered(const iterate::Answer& answer)
{
    totals_.time = clock_.now() - began_;
    if (answer.rcode == wire::Rcode::SERVFAIL) exit_code_ = ask_no_answer;
    print_end(answer);
    worker_.post([this] { ask_next(); });
}

void Tracing::print_begin() const
{
    if (options_.print_json || options_.print_short) return;
    show(";; TRACE of " + question_.qname.to_text() + ' ' + wire::to_string(question_.qtype) + " from the root (" +
         servers_text(recurse_) + "), " + anchors_text(recurse_.engine) + "\n" + trace_heading());
}

std::vector<TraceChain> Tracing::chains_of(const iterate::Answer& answer) const
{
    std::vector<TraceChain> chains;
    if (!recurse_.engine.anchors || options_.query.checking_disabled) return chains;
    for (const wire::Name& name : names_of(question_, answer)) {
        TraceChain chain{name, recursor_.engine().chain_of_trust(name)};
        const bool known = std::any_of(chains.begin(), chains.end(),
                                       [&](const TraceChain& other) { return leads_to_same(other, chain); });
        const bool begun = !chain.links.empty() && chain.links.front().state != wire::ValidationState::unchecked;
        if (!known && begun) chains.push_back(std::move(chain));
    }
    // Where each zone is to be believed, it is the data that is not.
    const bool is_bogus = answer.rcode == wire::Rcode::SERVFAIL && is_validation_failure(answer.ede);
    if (is_bogus && !chains.empty() && chains.back().links.back().state == wire::ValidationState::secure)
        chains.back().links.push_back({question_.qname, wire::ValidationState::bogus, answer.ede_text, answer.ede});
    return chains;
}

/// What a client of a gateway would get.
std::vector<std::uint8_t> Tracing::message_of(const iterate::Answer& answer) const
{
    std::vector<std::uint8_t> room(wire::kMaxMessageSize);
    wire::MessageWriter writer{room, room.size()};
    writer.begin(0, wire::flag::QR | wire::flag::RD);
    if (!writer.question(question_.qname, question_.qtype, question_.qclass)) return {};
    (void)iterate::write_answer(answer, question_, options_.query.dnssec_ok, clock_.now(), writer);
    if ((answer.ede || options_.query.dnssec_ok) &&
        writer.begin_opt(options_.query.payload_size, options_.query.dnssec_ok)) {
        std::vector<std::uint8_t> data;
        if (answer.ede) {
            const auto code = static_cast<std::uint16_t>(*answer.ede);
            data = {static_cast<std::uint8_t>(code >> 8U), static_cast<std::uint8_t>(code)};
            data.insert(data.end(), answer.ede_text.begin(), answer.ede_text.end());
            (void)writer.option(wire::EdnsOptionCode::EDE, data);
        }
        writer.end_opt();
    }
    const base::Bytes message = writer.message();
    return {message.begin(), message.end()};
}

void Tracing::print_end(const iterate::Answer& answer) const
{
    const auto message = message_of(answer);
    const auto chains = chains_of(answer);
    if (options_.print_short) {
        AskItem item;
        item.answer = message;
        show(to_short_text(item));
        return;
    }
    const TraceEnd end{answer, message, chains, totals_};
    show(options_.print_json ? to_json(end) : '\n' + to_text(end));
}

} // namespace

int trace(const AskOptions& options)
{
    base::Problems problems;
    const auto loaded = load_for_trace(options, problems);
    if (!problems.empty()) {
        for (const auto& problem : problems) std::cerr << "sallyport ask: " << problem.to_string() << '\n';
        return ask_usage;
    }
    return Tracing{options, *loaded}.run();
}

} // namespace sallyport::apps
