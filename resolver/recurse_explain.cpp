#include "resolver/iterate/event.hpp"
#include "resolver/resolver_parts.hpp"

#include <cstdio>
#include <utility>

/// What `explain` shows of a search: each step in words, and the chain of trust.
namespace sallyport::resolver {
namespace {

using iterate::Event;

std::string asked_text(const Event& event)
{
    if (!event.group.empty()) return "asked group " + std::string(event.group);
    const std::string address = event.server.to_string();
    return "asked " + (event.server_name != nullptr ? event.server_name->to_text() + " (" + address + ')' : address);
}

std::string exchange_text(const Event& event)
{
    char took[32];
    std::snprintf(took, sizeof took, "%.2f ms", std::chrono::duration<double, std::milli>(event.rtt).count());
    const std::string how =
        event.group.empty() ? " of " + event.zone->to_text() + (event.tcp ? " over tcp" : " over udp") : std::string{};
    return event.name->to_text() + ' ' + wire::to_string(event.type) + how + ", " + took + ": " +
           iterate::result_text(event);
}

void tell_event(const Event& event, const Tell& tell)
{
    switch (event.kind) {
    case Event::Kind::ask: return; // its reply, or that none came, tells all
    case Event::Kind::reply:
    case Event::Kind::no_reply: return tell(asked_text(event), exchange_text(event));
    case Event::Kind::failure:
        return tell("given up",
                    event.name->to_text() + ' ' + wire::to_string(event.type) + ": " + std::string(event.text));
    case Event::Kind::cut: return tell("checked DS of " + event.name->to_text(), iterate::verdict_text(event));
    case Event::Kind::keys: return tell("checked DNSKEY of " + event.name->to_text(), iterate::verdict_text(event));
    case Event::Kind::zone: return tell("zone " + event.name->to_text(), iterate::verdict_text(event));
    case Event::Kind::judged:
        return tell("checked " + event.name->to_text() + ' ' + wire::to_string(event.type),
                    iterate::verdict_text(event));
    }
}

} // namespace

std::function<void(const Event& event)> Resolver::Parts::watcher_for(const FlightKey& key) const
{
    if (!watched || !(watched->qname == key.inquiry.qname) || watched->qtype != key.inquiry.qtype) return nullptr;
    return [told = watched](const Event& event) {
        if (told->tell) tell_event(event, told->tell);
    };
}

void Resolver::watch(const wire::Name& qname, wire::RrType qtype, Tell tell)
{
    auto& watched = parts_->watched;
    if (watched) watched->tell = nullptr;
    watched = tell ? std::make_shared<Parts::Watched>(Parts::Watched{qname, qtype, std::move(tell)}) : nullptr;
}

void Resolver::explain_trust(
    const wire::Name& name,
    const std::function<void(const wire::Name& zone, wire::ValidationState state, const std::string& why)>& tell) const
{
    const iterate::Engine* const engine = parts_->recursion.engine();
    if (engine == nullptr || !engine->options().anchors) return;
    for (const iterate::TrustLink& link : engine->chain_of_trust(name)) {
        std::string why = link.detail;
        if (link.ede)
            why += " (EDE " + std::to_string(static_cast<unsigned>(*link.ede)) + ", " +
                   std::string(wire::to_string(*link.ede)) + ')';
        tell(link.zone, link.state, why);
    }
}

} // namespace sallyport::resolver
