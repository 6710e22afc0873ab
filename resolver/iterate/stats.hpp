#pragma once

#include "base/counter.hpp"

namespace sallyport::resolver::iterate {

/// What one engine has done. Written by its worker alone.
struct Stats {
    base::Counter questions, answers_from_store, failures, packets, tcp_packets, timeouts, foreign_replies, lame,
        malformed, retries_without_edns, truncated, referrals, minimised, minimised_spared, minimisation_fallbacks,
        priming, scrubbed, budget_packets, budget_aliases, budget_depth, budget_referrals, budget_time, budget_lookups,
        budget_servers, budget_fetches, budget_zone_fetches, budget_server_fetches, gave_way, budget_work, loops,
        cached_failures, validations_secure, validations_insecure, validations_bogus, denials_synthesised,
        wildcards_synthesised, dns64, sentinels, stale_answers, subnets_told, subnets_scoped, subnets_mismatched,
        subnets_untold, subnets_found, subnets_stored, subnets_evicted, subnets_too_large;

    template <class V>
    void each(V&& visit) const
    {
        visit("questions", "Questions taken up", questions);
        visit("answers_from_store", "Questions that known record sets answered", answers_from_store);
        visit("failures", "Questions without an answer", failures);
        visit("packets", "Queries to name servers", packets);
        visit("tcp_packets", "Of these, over TCP", tcp_packets);
        visit("timeouts", "Queries without reply in time", timeouts);
        visit("foreign_replies", "Replies that did not fit what was asked", foreign_replies);
        visit("lame", "Replies of servers that do not serve the zone", lame);
        visit("malformed", "Replies that do not parse", malformed);
        visit("retries_without_edns", "Queries repeated without EDNS", retries_without_edns);
        visit("truncated", "Replies that were asked for again over TCP", truncated);
        visit("referrals", "Referrals followed", referrals);
        visit("minimised", "Queries with a minimised name", minimised);
        visit("minimised_spared", "Queries with a minimised name not sent: no cut was known to be there",
              minimised_spared);
        visit("minimisation_fallbacks", "Names for which minimisation was given up", minimisation_fallbacks);
        visit("priming", "Priming queries", priming);
        visit("scrubbed", "Record sets in replies that nobody asked for", scrubbed);
        visit("budget_packets", "Questions ended by the limit of packets", budget_packets);
        visit("budget_work", "Questions ended by the limit of look-ups", budget_work);
        visit("budget_aliases", "Questions ended by the limit of aliases", budget_aliases);
        visit("budget_depth", "Look-ups ended by the limit of depth", budget_depth);
        visit("budget_referrals", "Look-ups ended by the limit of referrals", budget_referrals);
        visit("budget_time", "Questions ended by the limit of time", budget_time);
        visit("budget_lookups", "Delegations that reached the limit of address look-ups", budget_lookups);
        visit("budget_servers", "Delegations with more name servers than are used", budget_servers);
        visit("budget_fetches", "Look-ups refused: too many in flight", budget_fetches);
        visit("budget_zone_fetches", "Look-ups refused: too many in flight for one zone", budget_zone_fetches);
        visit("budget_server_fetches", "Look-ups refused: too many in flight to one server", budget_server_fetches);
        visit("gave_way", "Look-ups given up for newer ones where there were too many", gave_way);
        visit("loops", "Look-ups that would have waited for themselves", loops);
        visit("cached_failures", "Questions answered by a failure a moment ago", cached_failures);
        visit("validations_secure", "Record sets found secure", validations_secure);
        visit("validations_insecure", "Record sets found insecure", validations_insecure);
        visit("validations_bogus", "Record sets found bogus", validations_bogus);
        visit("denials_synthesised", "Negative answers made of proofs that were there", denials_synthesised);
        visit("dns64", "Answers made for clients without IPv4, or tried", dns64);
        visit("sentinels", "Answers withheld to tell of trust anchors", sentinels);
        visit("wildcards_synthesised", "Answers made of wildcards and proofs that were there", wildcards_synthesised);
        visit("stale_answers", "Answers past their time", stale_answers);
        visit("subnets_told", "Queries that told a server of the client's network", subnets_told);
        visit("subnets_scoped", "Replies that count for the client's network alone", subnets_scoped);
        visit("subnets_mismatched", "Replies dropped because they spoke of another network", subnets_mismatched);
        visit("subnets_untold", "Queries repeated without the client's network", subnets_untold);
        visit("subnets_found", "Look-ups that found a record set for the client's network", subnets_found);
        visit("subnets_stored", "Record sets kept for one network", subnets_stored);
        visit("subnets_evicted", "Record sets of one network that made room for others", subnets_evicted);
        visit("subnets_too_large", "Record sets of one network not kept for their size", subnets_too_large);
    }
};

} // namespace sallyport::resolver::iterate
