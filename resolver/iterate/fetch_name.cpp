#include "resolver/iterate/fetch.hpp"

#include <algorithm>

/// Which name a look-up asks for (RFC 9156).
namespace sallyport::resolver::iterate {

using wire::RrType;

namespace {

constexpr std::uint32_t kMostSeconds = 3600;

/// For how long a reply to a minimised query counts: as an answer, or as a denial (RFC 2308 §5).
std::uint32_t seconds_of(const Response& response)
{
    std::uint32_t seconds = kMostSeconds;
    for (const cache::Rrset& set : response.answers) seconds = std::min(seconds, set.ttl.seconds());
    if (!response.answers.empty()) return seconds;
    for (const cache::Rrset& set : response.authority) {
        if (set.type != RrType::SOA) continue;
        const base::Bytes rdata = *set.records.begin();
        if (rdata.size() < 4) continue;
        const auto minimum = wire::Ttl::from_wire(base::load_be32(rdata, rdata.size() - 4));
        return std::min({seconds, set.ttl.seconds(), minimum.seconds()});
    }
    return 0;
}

} // namespace

void Fetch::begin_minimisation()
{
    const unsigned labels = question_.qname.label_count();
    const unsigned next = zone_->zone.label_count() + 1;
    minimise_ = parts_.options.qname_minimisation && !whole_name_ && !zone_->forward && labels > next;
    minimised_labels_ = labels;
    if (minimise_) {
        minimised_labels_ = parts_.no_cuts.labels_above(question_.qname, zone_->zone, parts_.now()) + 1;
        parts_.stats.minimised_spared.add(minimised_labels_ - next);
    }
    set_outgoing_name();
}

/// No cut is at the name that was asked for, as its zone's servers say.
void Fetch::note_no_cut(const Response& response)
{
    const base::Instant now = parts_.now();
    parts_.no_cuts.put(outgoing_, zone_->zone, now + std::chrono::seconds(seconds_of(response)), now);
}

void Fetch::set_outgoing_name()
{
    const unsigned labels = question_.qname.label_count();
    if (!minimise_ || minimised_labels_ >= labels) {
        outgoing_ = question_.qname;
        outgoing_type_ = question_.qtype;
        return;
    }
    outgoing_ = question_.qname.parent(labels - minimised_labels_);
    outgoing_type_ = RrType::A;
}

bool Fetch::is_minimised() const
{
    return outgoing_type_ != question_.qtype || outgoing_.label_count() != question_.qname.label_count();
}

void Fetch::next_label()
{
    // §2.3: one label at a time at first, then so many that the limit is kept.
    constexpr unsigned kOneByOne = 4;
    const unsigned left = question_.qname.label_count() - minimised_labels_;
    const unsigned most = parts_.options.limits.minimisation_steps;
    ++minimisation_steps_;
    unsigned step = 1;
    if (minimisation_steps_ >= most) {
        step = left;
    } else if (minimisation_steps_ >= kOneByOne) {
        step = std::max(1U, (left + most - minimisation_steps_ - 1) / (most - minimisation_steps_));
    }
    minimised_labels_ += std::min(step, left);
    for (Attempt& attempt : attempts_) attempt.tries = attempt.tcp_tries = 0; // it is another question
    set_outgoing_name();
}

void Fetch::give_up_minimisation()
{
    ++parts_.stats.minimisation_fallbacks;
    minimise_ = false;
    for (Attempt& attempt : attempts_) attempt.out = false;
    set_outgoing_name();
}

} // namespace sallyport::resolver::iterate
