#include "resolver/udp_exchange.hpp"
#include "resolver/upstream.hpp"

namespace sallyport::resolver {
namespace {

// More datagrams that almost fit than this: somebody is guessing (RFC 5452 §9.1); TCP then.
constexpr unsigned kMaxNearMisses = 2;
// How long a server that wants no EDNS is spared it.
constexpr base::Duration kWithoutEdns = std::chrono::minutes{10};

} // namespace

bool is_unhelpful(wire::Rcode rcode) noexcept
{
    return rcode == wire::Rcode::SERVFAIL || rcode == wire::Rcode::REFUSED || rcode == wire::Rcode::NOTIMP ||
           rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::BADVERS || rcode == wire::Rcode::BADCOOKIE ||
           rcode == wire::Rcode::NOTAUTH;
}

bool Upstream::udp_received(Try& query, base::Bytes message, base::Instant now)
{
    const auto response = wire::MessageView::parse(message);
    if (!response) return near_miss(query, now);
    const Fit how = fit(*response, query.inquiry_, query.form_);
    if (how == Fit::foreign) return near_miss(query, now);
    if (how == Fit::other_case && keeps_case_) {
        // Either a forger, or a server that does not keep the letters. TCP tells: nobody forges there.
        stats_->near_misses.add();
        query.suspects_case_ = true;
        again_over_stream(query, now);
        return false;
    }
    // All fits but the cookie: a forger who has guessed the rest, or a server that has ceased to know cookies. Such a
    // response is not taken (RFC 7873 §5.3), and TCP tells at once.
    const bool wrong_cookie =
        !query.form_.cookie.empty() && cookies_.judge(response->edns(), false) == CookieJar::Verdict::foreign;
    if (wrong_cookie) stats_->near_misses.add();
    if (wrong_cookie || response->header().has(wire::flag::TC)) {
        stats_->tcp_fallbacks.add();
        again_over_stream(query, now);
        return false;
    }
    if (!retried(query, *response, true, now)) accept(query, *response, now);
    return false;
}

/// True: the exchange goes on waiting.
bool Upstream::near_miss(Try& query, base::Instant now)
{
    stats_->near_misses.add();
    if (++query.near_misses_ < kMaxNearMisses) return true;
    stats_->tcp_fallbacks.add();
    again_over_stream(query, now);
    return false;
}

void Upstream::udp_failed(Try& query, Trouble trouble, base::Instant now)
{
    leave_address(query.server_);
    note_failure(now);
    fail(query, trouble, now);
}

void Upstream::stream_received(Try& query, base::Bytes message, base::Instant now)
{
    const auto response = wire::MessageView::parse(message);
    const Fit how = response ? fit(*response, query.inquiry_, query.form_) : Fit::foreign;
    if (how == Fit::foreign || response->header().has(wire::flag::TC)) {
        note_failure(now);
        fail(query, Trouble::broken, now);
        return;
    }
    if (!query.form_.cookie.empty()) (void)cookies_.judge(response->edns(), true);
    // Where they are kept after all, the datagram was a forger's.
    if (how == Fit::other_case && query.suspects_case_ && keeps_case_) {
        keeps_case_ = false;
        stats_->case_fallbacks.add();
    }
    if (!retried(query, *response, false, now)) accept(query, *response, now);
}

void Upstream::stream_failed(Try& query, Trouble trouble, base::Instant now)
{
    note_failure(now);
    fail(query, trouble, now);
}

/// What one server wants told differently is told it differently, once.
bool Upstream::retried(Try& query, const wire::MessageView& response, bool over_udp, base::Instant now)
{
    const wire::Rcode rcode = response.rcode();
    if (rcode == wire::Rcode::BADCOOKIE) {
        // RFC 7873 §5.3: again with the cookie it has just given, then over TCP.
        stats_->bad_cookies.add();
        if (query.cookie_again_ && !over_udp) return false;
        const bool first = !query.cookie_again_;
        query.cookie_again_ = true;
        again(query, over_udp && first, now);
        return true;
    }
    const bool no_edns = rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::BADVERS || rcode == wire::Rcode::NOTIMP;
    if (!no_edns || !query.form_.edns) return false;
    query.without_edns_ = true;
    query.met_opt_ = response.edns() != nullptr;
    again(query, over_udp, now);
    return true;
}

void Upstream::again_over_stream(Try& query, base::Instant now) { again(query, false, now); }

void Upstream::again(Try& query, bool over_udp, base::Instant now)
{
    stats_->retries.add();
    query.udp_.reset();
    const Trouble trouble = over_udp ? begin_udp(query, now) : begin_stream(query, now);
    if (trouble != Trouble::none) fail(query, trouble, now);
}

void Upstream::accept(Try& query, const wire::MessageView& response, base::Instant now)
{
    stats_->answers.add();
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
    const wire::Rcode rcode = response.rcode();
    const base::Duration rtt = now - query.sent_at_;
    stats_->latency.record(rtt);
    if (is_unhelpful(rcode)) {
        stats_->unhelpful.add();
        health_.measured(rtt, now);
    } else {
        // Whoever answered FORMERR with an OPT knows EDNS (RFC 6891 §7): it was this question that he did not like.
        if (query.without_edns_ && !query.met_opt_) no_edns_until_ = now + kWithoutEdns;
        note_answer(rtt, now);
        probe_inquiry_ = query.inquiry_;
        probe_is_real_ = true;
        probe_timer_.cancel();
    }
    query.user_.try_answered(query, response, now);
}

void Upstream::fail(Try& query, Trouble trouble, base::Instant now)
{
    stats_->failures.add();
    query.udp_.reset();
    if (query.counted_) stats_->in_flight.sub();
    query.counted_ = false;
    query.in_flight.unlink();
    query.user_.try_failed(query, trouble, now);
}

} // namespace sallyport::resolver
