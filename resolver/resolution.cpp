#include "resolver/resolution.hpp"

#include "wire/edns.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

namespace sallyport::resolver {
namespace {

using wire::ExtendedError;
using wire::Rcode;

constexpr std::size_t kMaxText = 96;

/// Why the upstream says that it has nothing (RFC 8914 §2); its text only as far as it is plain.
void read_ede(const wire::MessageView& response, FlightResult& result)
{
    if (response.edns() == nullptr) return;
    wire::EdnsOptions options{response.edns()->options};
    while (const auto option = options.next()) {
        if (option->code != wire::EdnsOptionCode::EDE || option->data.size() < 2) continue;
        result.ede = static_cast<ExtendedError>(base::load_be16(option->data, 0));
        result.ede_text.clear();
        for (const char c : base::as_text(option->data.subspan(2)))
            if (c >= ' ' && c < 0x7F && result.ede_text.size() < kMaxText) result.ede_text += c;
        return;
    }
}

base::MutableBytes preparing_room()
{
    static thread_local const std::unique_ptr<std::uint8_t[]> room{new std::uint8_t[wire::kMaxMessageSize]};
    return {room.get(), wire::kMaxMessageSize};
}

} // namespace

std::vector<Candidate> Group::candidates() const
{
    std::vector<Candidate> all;
    all.reserve(upstreams.size());
    for (const auto& upstream : upstreams) {
        const Health& health = upstream->health();
        all.push_back({health.is_open() || !upstream->has_address(), health.failures_in_a_row(), health.is_measured(),
                       health.measured_at(), health.smoothed_rtt(), upstream->stats().in_flight.get()});
    }
    return all;
}

Resolution::Resolution(ResolutionUser& user, net::Worker& worker, std::shared_ptr<Group> group, const FlightKey& key,
                       const Limits& limits, const cache::Options& cache_options)
    : user_(user),
      worker_(worker),
      group_(std::move(group)),
      key_(key),
      limits_(limits),
      cache_options_(cache_options),
      patience_(limits, base::Instant{}, false)
{
}

Resolution::~Resolution() = default;

void Resolution::start(base::Instant now)
{
    const auto candidates = group_->candidates();
    order_ = choose(group_->options, candidates, group_->turn++);
    Limits limits = limits_;
    limits.tries = std::max<unsigned>(limits.tries, order_.count); // each of them once, where failures come at once
    // Those that have no address yet may have one in a moment.
    const bool hopeless = order_.usable == 0 && std::all_of(group_->upstreams.begin(), group_->upstreams.end(),
                                                            [](const auto& one) { return one->has_address(); });
    patience_ = Patience{limits, now, hopeless};
    const Strategy strategy = group_->options.strategy;
    if (strategy == Strategy::fastest || strategy == Strategy::race) explore(candidates, now);
    for (unsigned i = 0; i < order_.at_once && !over_; ++i)
        if (!start_one(now)) break;
    advance(now);
}

void Resolution::explore(std::span<const Candidate> candidates, base::Instant now)
{
    if (order_.count < 2) return;
    if (const auto one = worth_exploring(candidates, order_.index[0], now))
        group_->upstreams[*one]->probe(key_.inquiry, now);
}

/// The place in the order of whom to ask next; -1 where all have said no.
int Resolution::next_place() noexcept
{
    for (unsigned i = 0; i < order_.count; ++i) {
        const unsigned place = (started_ + i) % order_.count;
        if (said_no_[order_.index[place]] || (avoided_ == order_.index[place] && order_.count > 1)) continue;
        // Somebody has spoken: the others are asked once, and the dead not at all.
        if (refusals_ > 0 && (place >= order_.usable || started_ + i >= order_.count)) continue;
        Upstream& upstream = *group_->upstreams[order_.index[place]];
        if (!upstream.has_address()) {
            note_trouble(Trouble::no_address);
            upstream.await_address(*this);
            continue;
        }
        started_ += i;
        return static_cast<int>(place);
    }
    return -1;
}

/// Asks the next one; false where nothing could be begun now.
bool Resolution::start_one(base::Instant now)
{
    while (patience_.may_try(now)) {
        const int place = next_place();
        if (place < 0) return false;
        const unsigned round = started_ / order_.count;
        // All have failed at once: a moment's pause before the second round.
        if (round > 0 && tries_.empty()) {
            if (next_start_ == base::Instant{}) next_start_ = patience_.pause(round, now);
            if (now < next_start_) return false;
        }
        next_start_ = {};
        ++started_;
        patience_.tried();
        const std::uint8_t index = order_.index[static_cast<std::size_t>(place)];
        Upstream& upstream = *group_->upstreams[index];
        auto fresh = std::make_unique<Try>(static_cast<TryUser&>(*this), upstream, key_.inquiry);
        fresh->place = index;
        fresh->over_stream = std::any_of(tries_.begin(), tries_.end(),
                                         [&](const auto& one) { return one->place == index && one->met_near_miss(); });
        const Trouble trouble = upstream.begin(*fresh, now);
        if (trouble != Trouble::none) {
            note_trouble(trouble);
            continue;
        }
        fresh->until = patience_.until(upstream.timeout(*fresh), round, now);
        tries_.push_back(std::move(fresh));
        return true;
    }
    return false;
}

bool Resolution::someone_may_answer() const noexcept
{
    // Nor is that of one whose datagrams did not fit: it would have come with them.
    return std::any_of(tries_.begin(), tries_.end(), [](const auto& one) {
        return !one->given_up || !(one->upstream().health().is_open() || one->met_near_miss());
    });
}

/// Who waits for an address hears of it; but somebody who has spoken is not made to wait for that.
bool Resolution::someone_may_be_found(base::Instant now) const noexcept
{
    return awaits_address() && refusals_ == 0 && patience_.may_try(now);
}

/// Keeps the question going: another try where none is waited for, the end where there is nothing left to hope for.
void Resolution::advance(base::Instant now)
{
    if (over_) return;
    const bool waiting = std::any_of(tries_.begin(), tries_.end(), [](const auto& one) { return !one->given_up; });
    if (!waiting && !start_one(now)) {
        const bool later = next_start_ > now && patience_.may_try(now);
        // A late answer of somebody who is known to answer is worth waiting for; that of the dead is not.
        const bool hope = someone_may_answer() || someone_may_be_found(now);
        if (!later && (patience_.is_over(now) || !hope)) {
            finish_empty(now);
            return;
        }
    }
    arm(now);
}

void Resolution::arm(base::Instant now)
{
    base::Instant due = patience_.deadline();
    if (next_start_ > now) due = std::min(due, next_start_);
    for (const auto& one : tries_)
        if (!one->given_up) due = std::min(due, one->until);
    worker_.arm(timer_, due);
}

void Resolution::expired(base::Instant now) noexcept
{
    for (const auto& one : tries_) {
        if (one->given_up || one->until > now) continue;
        one->given_up = true;
        note_trouble(Trouble::silent);
        one->upstream().timed_out(*one, now);
    }
    if (patience_.is_over(now)) {
        finish_empty(now);
        return;
    }
    advance(now);
}

void Resolution::drop(Try& finished)
{
    std::erase_if(tries_, [&](const auto& one) { return one.get() == &finished; });
}

void Resolution::note_trouble(Trouble trouble) noexcept
{
    // Silence says the least: whatever else went wrong is worth telling.
    if (worst_ == Trouble::none || worst_ == Trouble::silent || worst_ == Trouble::no_address) worst_ = trouble;
}

void Resolution::try_failed(Try& finished, Trouble trouble, base::Instant now) noexcept
{
    note_trouble(trouble);
    drop(finished);
    // Its place is taken: to try once more would push out the next one.
    if (trouble == Trouble::gave_way) {
        const bool waiting = std::any_of(tries_.begin(), tries_.end(), [](const auto& one) { return !one->given_up; });
        if (!over_ && !waiting) finish_empty(now);
        return;
    }
    advance(now);
}

void Resolution::try_answered(Try& finished, const wire::MessageView& response, base::Instant now) noexcept
{
    if (over_) return;
    if (!is_unhelpful(response.rcode())) {
        if (take_useful(finished, response, now)) return;
        note_trouble(Trouble::broken);
    } else {
        keep_refusal(finished, response);
    }
    drop(finished);
    advance(now);
}

/// The response with the question's name as it is, not in the random letters it was asked in: compression would carry
/// them into owners and RDATA.
std::optional<wire::MessageView> Resolution::with_plain_letters(const wire::MessageView& response) const
{
    static thread_local std::vector<std::uint8_t> room;
    const base::Bytes message = response.bytes();
    const base::Bytes letters = key_.inquiry.qname.wire();
    if (message.size() < wire::kHeaderSize + letters.size() ||
        base::equal(message.subspan(wire::kHeaderSize, letters.size()), letters))
        return response;
    room.assign(message.begin(), message.end());
    std::copy(letters.begin(), letters.end(), room.begin() + wire::kHeaderSize);
    const auto fresh = wire::MessageView::parse(room);
    return fresh ? std::optional{*fresh} : std::nullopt;
}

bool Resolution::prepare(const wire::MessageView& response, const Upstream& upstream)
{
    cache::Key key;
    key.qname = &key_.inquiry.qname;
    key.qtype = key_.inquiry.qtype;
    key.qclass = key_.inquiry.qclass;
    key.dnssec_ok = key_.inquiry.dnssec_ok;
    key.checking_disabled = key_.inquiry.checking_disabled;
    key.partition = key_.partition;
    const auto plain = with_plain_letters(response);
    if (raw_) {
        if (!plain || plain->header().question_count != 1) return false;
        result_.message.assign(plain->bytes().begin(), plain->bytes().end());
        result_.has_answer = true;
        result_.upstream = upstream.options().name;
        return true;
    }
    const base::MutableBytes room = preparing_room();
    const auto prepared = plain ? cache::prepare(*plain, key, cache_options_, room) : std::nullopt;
    if (!prepared) return false;
    result_.message.assign(prepared->message.begin(), prepared->message.end());
    result_.answer = *prepared;
    result_.answer.message = result_.message;
    if (result_.answer.authentic && !upstream.is_trusted()) {
        // Anyone on the way may have set it (RFC 4035 §4.9.3).
        result_.answer.authentic = false;
        result_.message[3] = static_cast<std::uint8_t>(result_.message[3] & ~wire::flag::AD);
    }
    result_.has_answer = true;
    result_.upstream = upstream.options().name;
    return true;
}

bool Resolution::take_useful(Try& finished, const wire::MessageView& response, base::Instant now)
{
    Upstream& upstream = finished.upstream();
    if (!prepare(response, upstream)) {
        upstream.was_broken(now);
        said_no_[finished.place] = true;
        return false;
    }
    result_.ede.reset();
    result_.ede_text.clear();
    read_ede(response, result_);
    useful_ = true;
    // Others had nothing to say to what this one could answer.
    for (std::size_t i = 0; i < group_->upstreams.size(); ++i)
        if (said_no_[i]) group_->upstreams[i]->was_unhelpful(now);
    finish(now);
    return true;
}

void Resolution::keep_refusal(Try& finished, const wire::MessageView& response)
{
    said_no_[finished.place] = true;
    ++refusals_;
    if (servfail_ || response.rcode() != Rcode::SERVFAIL) return;
    servfail_ = true;
    read_ede(response, result_);
    (void)prepare(response, finished.upstream());
}

void Resolution::finish_empty(base::Instant now)
{
    // SERVFAIL of an upstream is an answer, and says more than that others were silent.
    if (!result_.ede && !servfail_) {
        const bool refused = refusals_ > 0;
        const bool silent = worst_ == Trouble::silent || worst_ == Trouble::none;
        const bool nowhere = worst_ == Trouble::unreachable || worst_ == Trouble::no_address;
        result_.ede = refused || silent || nowhere ? ExtendedError::no_reachable_authority
                      : worst_ == Trouble::broken  ? ExtendedError::invalid_data
                                                   : ExtendedError::network_error;
        result_.ede_text = refused                          ? "upstreams refuse to answer"
                           : silent                         ? "no upstream answered in time"
                           : worst_ == Trouble::no_address  ? "no address of an upstream is known yet"
                           : worst_ == Trouble::unreachable ? "no upstream can be reached"
                           : worst_ == Trouble::closed      ? "upstreams close the connection"
                           : worst_ == Trouble::insecure    ? "no secure connection to an upstream"
                           : worst_ == Trouble::broken      ? "upstreams send no valid answer"
                           : worst_ == Trouble::gave_way    ? "no answer yet, and too many questions wait"
                           : worst_ == Trouble::busy        ? "connections to upstreams are full"
                                                            : "no connection can be made";
    }
    finish(now);
}

void Resolution::finish(base::Instant now)
{
    over_ = true;
    timer_.cancel();
    AddressWaiter::unlink();
    for (const auto& one : tries_)
        if (!one->given_up) one->upstream().outrun(*one, now);
    tries_.clear();
    user_.resolution_ended(*this, now);
}

} // namespace sallyport::resolver
