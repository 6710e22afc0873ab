#include "resolver/iterate/fetch.hpp"

#include <algorithm>

/// What a look-up tells those who watch it.
namespace sallyport::resolver::iterate {

using wire::Name;
using wire::RrType;

/// The name that an address stands for, as far as it was found by one.
const Name* Fetch::server_name(const base::IpAddress& address) const
{
    const auto is_its = [&](const Name& name) {
        for (const RrType type : {RrType::A, RrType::AAAA}) {
            const RrsetPtr set = parts_.store.find(name, type, wire::RrClass::IN, parts_.now());
            if (!set || !set->is_data()) continue;
            for (const base::Bytes rdata : set->records)
                if (rdata.size() == (type == RrType::A ? 4U : 16U) && base::IpAddress::from_octets(rdata) == address)
                    return true;
        }
        return false;
    };
    for (const NameServer& server : zone_->servers) {
        const bool by_address = zone_->fixed && !server.glue.empty();
        const bool told = std::any_of(server.glue.begin(), server.glue.end(),
                                      [&](const base::Endpoint& glue) { return glue.address == address; });
        if (!by_address && (told || is_its(server.name))) return &server.name;
    }
    const auto other = std::find_if(other_names_.begin(), other_names_.end(), is_its);
    return other != other_names_.end() ? &*other : nullptr;
}

/// What is about a query, whatever came of it.
void Fetch::tell(Event::Kind kind, const Pending& query, std::string_view word, const Response* response,
                 const Name* cut, std::size_t octets) const
{
    if (!parts_.is_watched(*budget_)) return;
    const Name name = query.qname.lower();
    Event event;
    event.kind = kind;
    event.name = &name;
    event.type = query.qtype;
    event.zone = &zone_->zone;
    event.server_name = server_name(query.server.address);
    event.server = query.server;
    if (query.group) event.group = query.group->group;
    event.tcp = query.tcp;
    event.edns = query.edns;
    event.minimised = is_minimised();
    if (kind != Event::Kind::ask) event.rtt = parts_.now() - query.sent;
    event.sent = query.octets;
    event.received = octets;
    event.word = word;
    event.cut = cut;
    if (response != nullptr) {
        event.rcode = response->rcode;
        event.answers = &response->answers;
    }
    parts_.say(*budget_, event);
}

void Fetch::tell_reply(const Pending& query, const Response& response, ReplyKind kind) const
{
    constexpr const char* kWords[] = {"answer", "no data", "no name", "referral", "lame", "lame, recursive", "useless"};
    const Name* cut = nullptr;
    if (kind == ReplyKind::referral)
        for (const cache::Rrset& set : response.authority)
            if (set.type == RrType::NS) cut = &set.owner;
    tell(Event::Kind::reply, query, kWords[static_cast<std::size_t>(kind)], &response, cut, response.octets);
}

void Fetch::tell_failure(std::string_view text) const
{
    if (!parts_.is_watched(*budget_)) return;
    Event event;
    event.kind = Event::Kind::failure;
    event.name = &question_.qname;
    event.type = question_.qtype;
    event.text = text;
    parts_.say(*budget_, event);
}

} // namespace sallyport::resolver::iterate
