#include "resolver/iterate/parts.hpp"

#include "resolver/iterate/response.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace sallyport::resolver::iterate {
namespace {

using cache::Rrset;
using wire::RrType;

constexpr std::size_t kShown = 60; // octets of a record's text

/// The first record where it is short enough to be read on the way, and how many there are.
std::string records_text(const Rrset& set)
{
    const std::string count = set.records.size() == 1 ? "1 record" : std::to_string(set.records.size()) + " records";
    const bool readable = set.type == RrType::A || set.type == RrType::AAAA || set.type == RrType::NS ||
                          set.type == RrType::MX || set.type == RrType::PTR || set.type == RrType::SRV;
    if (!readable || set.records.empty()) return wire::to_string(set.type) + ", " + count;
    std::string text = wire::rdata_to_text(set.type, *set.records.begin());
    if (text.size() > kShown) text = text.substr(0, kShown) + "...";
    if (set.records.size() > 1) text += " and " + std::to_string(set.records.size() - 1) + " more";
    return text;
}

/// What the answer section begins with, seen from the question.
std::string answer_text(const Event& event)
{
    const auto fits = [&](RrType type) {
        return [&event, type](const Rrset& set) {
            return set.type == type && (set.owner == *event.name || type == RrType::DNAME);
        };
    };
    for (const RrType type : {event.type, RrType::CNAME, RrType::DNAME}) {
        const auto found = std::find_if(event.answers->begin(), event.answers->end(), fits(type));
        if (found == event.answers->end()) continue;
        if (type == event.type || found->records.empty()) return "answer: " + records_text(*found);
        return wire::to_string(type) + " to " + wire::rdata_to_text(type, *found->records.begin());
    }
    return "answer";
}

} // namespace

std::string_view state_word(wire::ValidationState state) noexcept
{
    switch (state) {
    case wire::ValidationState::unchecked: return "unchecked";
    case wire::ValidationState::secure: return "secure";
    case wire::ValidationState::insecure: return "insecure";
    case wire::ValidationState::bogus: return "bogus";
    case wire::ValidationState::indeterminate: return "indeterminate";
    }
    return "";
}

namespace {

std::string whom(const Event& event)
{
    return event.group.empty() ? event.server.to_string() : "group " + std::string{event.group};
}

std::string day_of(std::uint32_t seconds)
{
    const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(
        std::chrono::sys_seconds{std::chrono::seconds{seconds}}); // RFC 4034 §3.1.5: until 2106 as it stands
    const std::chrono::year_month_day date{day};
    std::array<char, 32> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(date.year()),
                                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day())));
    return text.data();
}

/// From when to when a signature counts, where that is what is wrong.
std::string date_text(const Event& event)
{
    using enum wire::ExtendedError;
    const bool dated = event.ede == signature_expired || event.ede == signature_not_yet_valid ||
                       event.ede == signature_expired_before_valid;
    if (!dated || event.set == nullptr) return {};
    for (const base::Bytes rdata : event.set->signatures)
        if (const auto signature = dnssec::read_rrsig(rdata))
            return ", valid from " + day_of(signature->inception) + " to " + day_of(signature->expiration);
    return {};
}

std::string with_text(std::string line, std::string_view text)
{
    if (!text.empty()) (line += ' ') += text;
    return line;
}

} // namespace

std::string_view short_word(const Event& event) noexcept
{
    switch (event.kind) {
    case Event::Kind::ask: return "ask";
    case Event::Kind::reply: return "reply";
    case Event::Kind::no_reply: return event.word;
    case Event::Kind::failure: return "fail";
    case Event::Kind::cut:
    case Event::Kind::keys:
    case Event::Kind::zone: return "trust";
    case Event::Kind::judged: return "judge";
    }
    return "";
}

std::string to_text(const Event& event)
{
    const std::string name = event.name != nullptr ? event.name->to_text() : std::string{};
    const std::string question = name + ' ' + wire::to_string(event.type);
    switch (event.kind) {
    case Event::Kind::ask:
        return whom(event) +
               (!event.group.empty() ? " "
                : event.tcp          ? " tcp "
                                     : " udp ") +
               question + " zone " + event.zone->to_text();
    case Event::Kind::reply: return with_text(whom(event) + ' ' + wire::to_string(event.rcode), event.word);
    case Event::Kind::no_reply: return whom(event);
    case Event::Kind::failure: return with_text(name, event.text);
    case Event::Kind::cut: return name + " has a DS";
    case Event::Kind::keys: return name + " secure";
    case Event::Kind::zone: return with_text(name + ' ' + std::string(state_word(event.state)), event.text);
    case Event::Kind::judged: return with_text(question + ' ' + std::string(state_word(event.state)), event.text);
    }
    return {};
}

std::string result_text(const Event& event)
{
    if (event.kind == Event::Kind::no_reply && !event.group.empty()) return "no answer of any of them";
    if (event.kind == Event::Kind::no_reply) return event.word == "timeout" ? "no reply" : "cannot be reached";
    if (event.word == "referral" && event.cut != nullptr) return "referral to " + event.cut->to_text();
    if (event.word == "answer" && event.answers != nullptr) return answer_text(event);
    if (event.word == "no data") return "NODATA";
    if (event.word == "no name") return "NXDOMAIN";
    if (event.word == "lame" || event.word == "lame, recursive")
        return "lame: it does not serve " + event.zone->to_text() + " (" + wire::to_string(event.rcode) + ')';
    if (event.word == "useless") return wire::to_string(event.rcode) + ", of no use";
    if (event.word == "truncated") return "truncated, again over TCP";
    if (event.word == "misfit") return "not the reply to this query, again over TCP";
    return std::string(event.word);
}

std::string keys_text(const Rrset& set)
{
    std::string text;
    for (const base::Bytes rdata : set.records) {
        std::string one;
        if (const auto key = dnssec::read_dnskey(rdata); set.type == RrType::DNSKEY && key) {
            one = std::to_string(dnssec::key_tag(rdata)) + '/' + std::to_string(key->algorithm);
            if (key->is_secure_entry_point()) one += " (KSK)";
            if (key->is_revoked()) one += " (revoked)";
        } else if (const auto ds = dnssec::read_ds(rdata); set.type == RrType::DS && ds) {
            one = std::to_string(ds->key_tag) + '/' + std::to_string(ds->algorithm) + '/' +
                  std::to_string(ds->digest_type);
        }
        if (!text.empty() && !one.empty()) text += ", ";
        text += one;
    }
    return text;
}

std::string verdict_text(const Event& event)
{
    std::string text{state_word(event.state)};
    if (event.kind == Event::Kind::cut || event.kind == Event::Kind::keys) text += ": " + keys_text(*event.set);
    if (event.kind == Event::Kind::judged && event.state == wire::ValidationState::secure && !event.set->is_data())
        text += ", its absence is proven";
    if (event.algorithm != 0)
        text += ", signed by key " + std::to_string(event.key_tag) + '/' + std::to_string(event.algorithm);
    if (event.kind == Event::Kind::judged && event.algorithm != 0 && is_from_wildcard(*event.set))
        text += ", made from a wildcard";
    if (!event.text.empty()) (text += ": ") += event.text;
    if (event.ede) text += " (EDE " + std::to_string(static_cast<unsigned>(*event.ede)) + ')';
    return text + date_text(event);
}

void Engine::Parts::say(const Budget& by, const Event& event) const
{
    if (by.watcher) by.watcher(event);
    if (tell) tell(short_word(event), to_text(event));
}

} // namespace sallyport::resolver::iterate
