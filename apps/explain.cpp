#include "apps/explain.hpp"

#include "apps/ask_query.hpp"
#include "apps/ask_trace_print.hpp"
#include "base/random.hpp"
#include "wire/edns.hpp"
#include "wire/message_view.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

namespace sallyport::apps {
namespace {

constexpr std::size_t kMostRecords = 100;
// Any but those that are ignored because they reflect (0, 7, 19).
constexpr std::uint16_t kClientPort = 40'000;

constexpr std::array<std::pair<std::string_view, base::Transport>, 10> kDoorNames{{
    {"do53", base::Transport::udp},
    {"udp", base::Transport::udp},
    {"tcp", base::Transport::tcp},
    {"dot", base::Transport::dot},
    {"doh", base::Transport::doh2},
    {"doh1", base::Transport::doh1},
    {"doh2", base::Transport::doh2},
    {"doh3", base::Transport::doh3},
    {"doq", base::Transport::doq},
    {"", base::Transport::udp},
}};

std::string_view source_text(pipeline::Source source) noexcept
{
    switch (source) {
    case pipeline::Source::none: return "";
    case pipeline::Source::pipeline: return "the gateway itself";
    case pipeline::Source::rule: return "a rule";
    case pipeline::Source::zone: return "a local zone";
    case pipeline::Source::cache: return "the cache";
    case pipeline::Source::stale_cache: return "the cache, past its time";
    case pipeline::Source::upstream: return "upstream";
    }
    return "";
}

/// RFC 8914 §2: a code and text of whoever made it, shown with its control characters taken out.
std::string error_text(base::Bytes data)
{
    const auto code = static_cast<wire::ExtendedError>(base::load_be16(data, 0));
    std::string text = std::to_string(base::load_be16(data, 0)) + " " + std::string(wire::to_string(code));
    if (data.size() > 2) text += ": " + std::string(base::as_text(data.subspan(2)));
    std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
    return text;
}

void read_errors(const wire::MessageView& message, std::vector<std::string>& errors)
{
    if (message.edns() == nullptr) return;
    wire::EdnsOptions options{message.edns()->options};
    while (const auto option = options.next())
        if (option->code == wire::EdnsOptionCode::EDE && option->data.size() >= 2)
            errors.push_back(error_text(option->data));
}

void read_records(const wire::MessageView& message, const wire::RecordRange& section, std::vector<std::string>& lines)
{
    for (const wire::RecordView& record : section) {
        if (lines.size() >= kMostRecords) return;
        std::vector<std::uint8_t> rdata;
        if (!wire::decompress_rdata(message.bytes(), record.rdata_offset,
                                    static_cast<std::uint16_t>(record.rdata.size()), record.type, rdata))
            continue;
        lines.push_back(record.owner.to_name().to_text() + " " + std::to_string(record.ttl.seconds()) + " " +
                        wire::to_string(record.rr_class) + " " + wire::to_string(record.type) + " " +
                        wire::rdata_to_text(record.type, rdata));
    }
}

std::string column(std::string_view text, std::size_t width)
{
    std::string out{text};
    out.resize(std::max(width, out.size() + 2), ' ');
    return out;
}

std::string end_text(const Explanation& explanation)
{
    switch (explanation.end) {
    case Explanation::End::none: return "no answer in time";
    case Explanation::End::answered: break;
    case Explanation::End::dropped: return "no answer: dropped";
    case Explanation::End::ignored: return "no answer: not taken as a query";
    case Explanation::End::upstream: return "to be asked upstream; not done offline";
    }
    std::string text = explanation.rcode;
    if (!explanation.source.empty()) text += ", from " + explanation.source;
    if (!explanation.rule.empty()) text += " (" + explanation.rule + ")";
    return text;
}

/// What `error_text` begins with.
std::optional<wire::ExtendedError> code_of(const std::string& error)
{
    std::uint16_t code = 0;
    const auto read = std::from_chars(error.data(), error.data() + error.size(), code);
    return read.ec == std::errc{} ? std::optional{static_cast<wire::ExtendedError>(code)} : std::nullopt;
}

std::string trust_text(const Explanation& explanation)
{
    if (explanation.trust.empty()) return {};
    std::size_t zones = 0, states = 0;
    for (const TrustStep& step : explanation.trust) {
        zones = std::max(zones, step.zone.size() + 2);
        states = std::max(states, step.state.size() + 2);
    }
    std::string text = "chain of trust\n";
    for (const TrustStep& step : explanation.trust)
        text += "  " + column(step.zone, zones) + column(step.state, states) + step.why + "\n";
    return text;
}

} // namespace

base::Result<ExplainQuestion> understand(const ExplainRequest& request)
{
    const auto bad = [](std::string message) { return base::Error{base::ErrorCode::invalid, std::move(message)}; };
    ExplainQuestion question;
    auto asked = read_question({request.name, request.type});
    if (!asked) return asked.error();
    question.question = std::move(*asked);
    const auto client = base::IpAddress::parse(request.client);
    if (!client) return client.error();
    question.client = *client;
    const auto* const door = std::find_if(kDoorNames.begin(), kDoorNames.end(),
                                          [&](const auto& known) { return known.first == request.door; });
    if (door == kDoorNames.end())
        return bad("'" + request.door + "' is no door; expected do53, dot, doh or doq, or udp, tcp, doh1, doh2, doh3");
    question.transport = door->second;
    question.server_name = request.server_name;
    std::transform(question.server_name.begin(), question.server_name.end(), question.server_name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    question.path = request.path;
    question.dnssec_ok = request.dnssec_ok;
    question.checking_disabled = request.checking_disabled;
    return question;
}

void ExplainWalk::begin(pipeline::Pipeline& pipeline, const base::Clock& clock, std::function<void()> done)
{
    clock_ = &clock;
    done_ = std::move(done);
    began_ = clock.now();
    AskQueryOptions options;
    options.dnssec_ok = question_.dnssec_ok;
    options.checking_disabled = question_.checking_disabled;
    base::SystemRandom random;
    const auto message = make_query(question_.question, options, 0, random);
    pipeline::Client client;
    client.peer = {question_.client, kClientPort, 0};
    client.transport = question_.transport;
    client.server_name = question_.server_name;
    client.path = question_.path;
    const pipeline::Arrival arrival{message, client, *this, 0, waiting_, began_};
    if (pipeline.explain(arrival, *this) != pipeline::Intake::taken) end(Explanation::End::ignored);
}

void ExplainWalk::step(std::string_view stage, std::string_view decision, std::string_view why)
{
    if (result_.steps.size() < kMostSteps)
        result_.steps.push_back({std::string(stage), std::string(decision), std::string(why)});
}

void ExplainWalk::reply(const pipeline::Reply& reply) noexcept
{
    result_.rcode = wire::to_string(reply.rcode);
    result_.source = source_text(reply.query.source);
    result_.rule = reply.query.rule;
    if (const auto message = wire::MessageView::parse(reply.message); message) {
        read_errors(*message, result_.errors);
        read_records(*message, message->answers(), result_.records);
        read_records(*message, message->authorities(), result_.records);
    }
    end(Explanation::End::answered);
}

void ExplainWalk::dropped(std::uint64_t) noexcept { end(Explanation::End::dropped); }

void ExplainWalk::end(Explanation::End end) noexcept
{
    if (result_.end != Explanation::End::none) return;
    result_.end = end;
    result_.milliseconds = std::chrono::duration<double, std::milli>(clock_->now() - began_).count();
    if (done_) done_();
}

void add_trust(const resolver::Resolver& resolver, const wire::Name& qname, Explanation& explanation)
{
    constexpr std::array<const char*, 5> kStates{"unchecked", "secure", "insecure", "BOGUS", "indeterminate"};
    const bool looked_up = explanation.source == source_text(pipeline::Source::cache) ||
                           std::any_of(explanation.steps.begin(), explanation.steps.end(),
                                       [](const ExplainStep& step) { return step.stage == "resolver"; });
    if (!looked_up) return;
    resolver.explain_trust(qname, [&](const wire::Name& zone, wire::ValidationState state, const std::string& why) {
        explanation.trust.push_back({zone.to_text(), kStates[static_cast<std::size_t>(state)], why});
    });
    if (explanation.trust.empty() || explanation.trust.back().state != "secure") return;
    // Where each zone is to be believed, it is the data that is not.
    for (const std::string& error : explanation.errors)
        if (explanation.rcode == "SERVFAIL" && is_validation_failure(code_of(error)))
            explanation.trust.push_back({qname.to_text(), "BOGUS", "extended error " + error});
}

std::string to_text(const ExplainRequest& request, const Explanation& explanation)
{
    std::string text = request.name + " " + request.type + " from " + request.client + " over " + request.door;
    if (!request.server_name.empty()) text += " as " + request.server_name;
    text += "\n";
    std::size_t stages = 0, decisions = 0;
    for (const ExplainStep& step : explanation.steps) {
        stages = std::max(stages, step.stage.size() + 2);
        decisions = std::max(decisions, step.decision.size() + 2);
    }
    for (const ExplainStep& step : explanation.steps) {
        std::string line = "  " + column(step.stage, stages);
        line += step.why.empty() ? step.decision : column(step.decision, decisions) + step.why;
        text += line + "\n";
    }
    std::array<char, 32> took{};
    (void)std::snprintf(took.data(), took.size(), "%.3f ms", explanation.milliseconds);
    text += end_text(explanation);
    if (explanation.end == Explanation::End::answered) text += std::string(", ") + took.data();
    text += "\n";
    for (const auto& error : explanation.errors) text += "  extended error " + error + "\n";
    for (const auto& record : explanation.records) text += "  " + record + "\n";
    return text + trust_text(explanation);
}

} // namespace sallyport::apps
