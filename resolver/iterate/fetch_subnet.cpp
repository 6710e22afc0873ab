#include "resolver/iterate/fetch.hpp"
#include "resolver/iterate/subnet.hpp"

/// What a look-up tells of the client's network, and for whom what it hears counts (RFC 7871 §7.1 to §7.3).
namespace sallyport::resolver::iterate {

/// Only with the whole name, and only where the operator wants it. Of length 0 nothing is told, but others might be.
void Fetch::choose_subnet(Pending& query, const Server& server, const Attempt& how) const
{
    if (!question_.subnet || !query.edns || is_minimised() || how.untold) return;
    if (parts_.now() < server.no_subnet_until) return;
    if (!may_tell(parts_.options.subnet, zone_->zone, query.server.address)) return;
    query.subnet = question_.subnet;
    if (query.subnet->length() != 0) ++parts_.stats.subnets_told;
}

/// Reads for whom a reply counts. False where it was dropped: the server is asked again, and not told.
bool Fetch::take_subnet(const Pending& query, const wire::MessageView& message)
{
    network_.reset();
    told_ = query.subnet && query.subnet->length() != 0;
    if (!told_) {
        if (query.subnet) network_ = base::Prefix{}; // §7.3.1: for others of whom nothing is told
        return true;
    }
    const SubnetReply reply = read_subnet_reply(*query.subnet, message.edns());
    if (!reply.fits) {
        ++parts_.stats.subnets_mismatched;
        tell(Event::Kind::reply, query, "for another network");
        ask_untold(query);
        return false;
    }
    if (reply.scope == 0) return true;
    ++parts_.stats.subnets_scoped;
    network_ = base::Prefix{query.subnet->address(), reply.scope};
    return true;
}

/// §7.3: who refuses a query with the option may answer without it. Whether that was the reason shows then.
bool Fetch::retry_untold(wire::Rcode rcode, const Pending& query)
{
    if (!query.subnet || query.subnet->length() == 0) return false;
    if (rcode != wire::Rcode::REFUSED && rcode != wire::Rcode::FORMERR && rcode != wire::Rcode::NOTIMP) return false;
    ask_untold(query);
    return true;
}

void Fetch::ask_untold(const Pending& query)
{
    attempt(query.server.address).untold = true;
    ++parts_.stats.subnets_untold;
    ask(query.server, query.tcp);
}

/// It was the option that the server did not like.
void Fetch::note_untold(const Pending& query)
{
    if (!question_.subnet || !attempt(query.server.address).untold) return;
    parts_.servers.get(query.server.address).no_subnet_until = parts_.now() + parts_.options.lame_for;
}

/// Keeps what stood in the answer section: for everybody, or for whom the reply counts.
RrsetPtr Fetch::keep(cache::Rrset set)
{
    set.network = network_;
    if (told_ && !network_) parts_.subnets.supersede(set.owner, set.type, set.rr_class);
    return parts_.keep(std::move(set));
}

} // namespace sallyport::resolver::iterate
