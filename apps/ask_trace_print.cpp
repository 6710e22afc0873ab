#include "apps/ask_trace_print.hpp"

#include "apps/ask_print.hpp"
#include "wire/message_view.hpp"
#include "wire/summary.hpp"

#include <algorithm>
#include <cstdio>

namespace sallyport::apps {
namespace {

using resolver::iterate::Event;
using resolver::iterate::keys_text;
using resolver::iterate::result_text;
using resolver::iterate::state_word;
using resolver::iterate::TrustLink;
using resolver::iterate::verdict_text;
using wire::ValidationState;

// Columns; what is longer pushes the rest to the right.
constexpr std::size_t kZone = 16, kServer = 34, kQuestion = 28;

std::string padded(std::string text, std::size_t width)
{
    text.resize(std::max(width, text.size() + 1), ' ');
    return text;
}

std::string right(const std::string& text, std::size_t width)
{
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

std::string question_of(const Event& event) { return event.name->to_text() + ' ' + wire::to_string(event.type); }

std::string server_of(const Event& event, const TraceStyle& style)
{
    const std::string at =
        event.server.port == style.usual_port ? event.server.address.to_string() : event.server.to_string();
    return event.server_name != nullptr ? event.server_name->to_text() + " (" + at + ')' : at;
}

std::string exchange_line(const Event& event, const TraceStyle& style, unsigned number)
{
    std::string question = question_of(event);
    if (!event.edns) question += " (no EDNS)";
    return right(std::to_string(number), 3) + "  " +
           padded(padded(event.zone->to_text(), kZone) + server_of(event, style), kZone + kServer) +
           (event.tcp ? "tcp" : "udp") + right(milliseconds(event.rtt), 8) + " ms  " + padded(question, kQuestion) +
           result_text(event) + '\n';
}

/// Below the exchange that it follows from.
std::string finding_line(const Event& event, std::string& last_reason)
{
    std::string what;
    switch (event.kind) {
    case Event::Kind::cut: what = "DS " + event.name->to_text(); break;
    case Event::Kind::keys: what = "DNSKEY " + event.name->to_text(); break;
    case Event::Kind::zone: what = "zone " + event.name->to_text(); break;
    default: what = question_of(event); break;
    }
    if (event.kind == Event::Kind::failure) return "     given up: " + what + ": " + std::string(event.text) + '\n';
    const bool again = !event.text.empty() && event.text == last_reason;
    last_reason = event.text;
    return "     " + what + ": " +
           (again ? std::string(state_word(event.state)) + ", for the same reason" : verdict_text(event)) + '\n';
}

std::string json_exchange(const Event& event, unsigned number)
{
    std::string text = "{\"step\":" + std::to_string(number) + ",\"zone\":" + json_string(event.zone->to_text());
    if (event.server_name != nullptr) text += ",\"server\":" + json_string(event.server_name->to_text());
    text += ",\"address\":" + json_string(event.server.address.to_string()) +
            ",\"port\":" + std::to_string(event.server.port) + ",\"transport\":" + (event.tcp ? "\"tcp\"" : "\"udp\"") +
            ",\"edns\":" + json_bool(event.edns) + ",\"question\":{\"name\":" + json_string(event.name->to_text()) +
            ",\"type\":" + json_string(wire::to_string(event.type)) + "},\"minimised\":" + json_bool(event.minimised) +
            ",\"rtt_ms\":" + milliseconds(event.rtt) + ",\"sent\":" + std::to_string(event.sent) +
            ",\"received\":" + std::to_string(event.received);
    if (event.answers != nullptr) text += ",\"rcode\":" + json_string(wire::to_string(event.rcode));
    if (event.cut != nullptr) text += ",\"referral\":" + json_string(event.cut->to_text());
    return text + ",\"result\":" + json_string(result_text(event)) + "}\n";
}

std::string json_finding(const Event& event)
{
    constexpr const char* kKinds[] = {"", "", "", "failure", "ds", "dnskey", "zone", "rrset"};
    std::string text = std::string("{\"check\":\"") + kKinds[static_cast<std::size_t>(event.kind)] +
                       "\",\"name\":" + json_string(event.name->to_text());
    if (event.kind == Event::Kind::judged || event.kind == Event::Kind::failure)
        text += ",\"type\":" + json_string(wire::to_string(event.type));
    if (event.kind != Event::Kind::failure) text += ",\"state\":" + json_string(state_word(event.state));
    if (event.kind == Event::Kind::cut || event.kind == Event::Kind::keys)
        text += ",\"keys\":" + json_string(keys_text(*event.set));
    if (event.algorithm != 0)
        text += ",\"key_tag\":" + std::to_string(event.key_tag) + ",\"algorithm\":" + std::to_string(event.algorithm);
    if (event.ede) text += ",\"ede\":" + std::to_string(static_cast<unsigned>(*event.ede));
    if (!event.text.empty()) text += ",\"text\":" + json_string(event.text);
    return text + "}\n";
}

void count(const Event& event, TraceTotals& totals)
{
    ++totals.queries;
    if (event.tcp) ++totals.over_tcp;
    if (event.kind == Event::Kind::no_reply) ++totals.unanswered;
    totals.sent += event.sent;
    totals.received += event.received;
}

std::string ede_text(std::optional<wire::ExtendedError> ede)
{
    if (!ede) return {};
    return " (EDE " + std::to_string(static_cast<unsigned>(*ede)) + ", " + std::string(wire::to_string(*ede)) + ')';
}

/// Bogus is what people look for.
std::string loud_word(ValidationState state)
{
    return state == ValidationState::bogus ? "BOGUS" : std::string(state_word(state));
}

/// What became of all of it in a word; an answer that nobody was found to give is not bogus.
std::string end_state(const resolver::iterate::Answer& answer)
{
    if (answer.rcode != wire::Rcode::SERVFAIL || is_validation_failure(answer.ede)) return loud_word(answer.state);
    return "no answer";
}

std::string plural(unsigned number, const char* one, const char* many)
{
    return std::to_string(number) + ' ' + (number == 1 ? one : many);
}

std::string totals_text(const TraceTotals& totals)
{
    std::string text = ";; ASKED: " + plural(totals.queries, "query", "queries");
    if (totals.over_tcp > 0) text += ", " + std::to_string(totals.over_tcp) + " over TCP";
    if (totals.unanswered > 0) text += ", " + std::to_string(totals.unanswered) + " without reply";
    return text + "; octets sent: " + std::to_string(totals.sent) + ", received: " + std::to_string(totals.received) +
           '\n';
}

std::string json_link(const TrustLink& link)
{
    std::string text = "{\"zone\":" + json_string(link.zone.to_text()) +
                       ",\"state\":" + json_string(state_word(link.state)) + ",\"detail\":" + json_string(link.detail);
    if (link.ede) text += ",\"ede\":" + std::to_string(static_cast<unsigned>(*link.ede));
    return text + '}';
}

std::string json_chains(const std::vector<TraceChain>& chains)
{
    std::string text = "[";
    for (const TraceChain& chain : chains) {
        text += (text.size() > 1 ? ",{\"name\":" : "{\"name\":") + json_string(chain.name.to_text()) + ",\"links\":[";
        for (std::size_t i = 0; i < chain.links.size(); ++i) text += (i > 0 ? "," : "") + json_link(chain.links[i]);
        text += "]}";
    }
    return text + ']';
}

} // namespace

bool is_validation_failure(std::optional<wire::ExtendedError> ede) noexcept
{
    using enum wire::ExtendedError;
    if (!ede) return false;
    return (*ede >= dnssec_indeterminate && *ede <= nsec_missing) || *ede == unsupported_dnskey_algorithm ||
           *ede == unsupported_ds_digest || *ede == signature_expired_before_valid;
}

std::string trace_heading()
{
    return ";;#  " + padded("zone", kZone) + padded("server", kServer) + "by " + right("time", 8) + "     " +
           padded("question", kQuestion) + "result\n";
}

std::string to_line(const Event& event, const TraceStyle& style, TraceTotals& totals)
{
    switch (event.kind) {
    case Event::Kind::ask: return {}; // its reply, or that none came, tells all
    case Event::Kind::reply:
    case Event::Kind::no_reply:
        count(event, totals);
        return style.json ? json_exchange(event, totals.queries) : exchange_line(event, style, totals.queries);
    default: return style.json ? json_finding(event) : finding_line(event, totals.last_reason);
    }
}

std::string to_text(const TraceChain& chain)
{
    std::size_t width = 0;
    for (const TrustLink& link : chain.links) width = std::max(width, link.zone.to_text().size() + 2);
    std::string text = ";; CHAIN OF TRUST for " + chain.name.to_text() + '\n';
    for (const TrustLink& link : chain.links)
        text += ";;   " + padded(link.zone.to_text(), width) + padded(loud_word(link.state), 11) + link.detail +
                ede_text(link.ede) + '\n';
    return text;
}

std::string to_text(const TraceEnd& end)
{
    std::string text;
    if (const auto message = wire::MessageView::parse(end.message)) text = wire::to_dig_text(*message);
    if (!text.ends_with("\n\n")) text += '\n';
    text += ";; Query time: " + milliseconds(end.totals.time) + " ms\n" + totals_text(end.totals);
    for (const TraceChain& chain : end.chains) text += to_text(chain);
    text += ";; STATE: " + end_state(end.answer);
    if (!end.answer.ede_text.empty()) text += ": " + printable(end.answer.ede_text);
    return text + ede_text(end.answer.ede) + '\n';
}

std::string to_json(const TraceEnd& end)
{
    std::string text = "{\"state\":" + json_string(end_state(end.answer));
    if (end.answer.ede) text += ",\"ede\":" + std::to_string(static_cast<unsigned>(*end.answer.ede));
    if (!end.answer.ede_text.empty()) text += ",\"ede_text\":" + json_string(end.answer.ede_text);
    text += ",\"time_ms\":" + milliseconds(end.totals.time) + ",\"queries\":" + std::to_string(end.totals.queries) +
            ",\"over_tcp\":" + std::to_string(end.totals.over_tcp) +
            ",\"without_reply\":" + std::to_string(end.totals.unanswered) +
            ",\"sent\":" + std::to_string(end.totals.sent) + ",\"received\":" + std::to_string(end.totals.received) +
            ",\"chains\":" + json_chains(end.chains);
    if (const auto message = wire::MessageView::parse(end.message)) text += ",\"message\":" + wire::to_json(*message);
    return text + "}\n";
}

} // namespace sallyport::apps
