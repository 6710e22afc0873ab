#include "listeners/stream_connection.hpp"

#include "listeners/addresses.hpp"
#include "listeners/dns_stream_session.hpp"
#include "listeners/doh_sessions.hpp"
#include "listeners/in_call.hpp"
#include "listeners/proxy_header.hpp"
#include "listeners/stream_table.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sallyport::listeners {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kHangUp = 0x008 | 0x010; // EPOLLERR, EPOLLHUP: reported unasked
// HTTP is dearer an octet than DNS: others get their turn sooner (HttpLimits::read_at_once).
constexpr std::size_t kHttpReadSize = 16'384;
// How long the peer may take to say its own goodbye, so that our last octets are not lost to a reset.
constexpr base::Duration kLinger = 1s;
constexpr base::Duration kTick = 1s;
// Rounds of flush and progress in one call; a session that has still more goes on at the end of the wake-up.
constexpr unsigned kFlushRounds = 8;

std::string lower_case(std::string_view text)
{
    std::string lower{text};
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

} // namespace

StreamConnection::StreamConnection(StreamTable& table, net::Descriptor socket, const base::Endpoint& peer,
                                   std::shared_ptr<const StreamPort> port)
    : table_(table),
      port_(std::move(port)),
      socket_(std::move(socket)),
      opened_(table.worker_.now()),
      active_(opened_),
      message_began_(opened_),
      stalled_since_(opened_),
      ending_since_(opened_),
      ticked_(opened_)
{
    client_.peer = peer;
    client_.transport = port_->tls ? base::Transport::dot : base::Transport::tcp;
    if (port_->unix_socket)
        client_.local = peer;
    else
        client_.local = net::local_endpoint(socket_.get());
    const bool proxy = !port_->proxies.empty() && is_listed(port_->proxies, peer.address);
    phase_ = proxy ? Phase::proxy_header : phase_after_proxy();
}

StreamConnection::~StreamConnection() = default;

StreamConnection::Phase StreamConnection::phase_after_proxy() const noexcept
{
    if (port_->tls) return Phase::handshake;
    return port_->http ? Phase::first_octets : Phase::serving;
}

bool StreamConnection::start() noexcept
{
    if (phase_ == Phase::serving) serve_dns();
    if (!watch_.start(table_.worker_, socket_.get(), net::kReadable)) return false;
    update_timer();
    return true;
}

net::Worker& StreamConnection::worker() noexcept { return table_.worker_; }
pipeline::Pipeline& StreamConnection::pipeline() noexcept { return table_.pipeline_; }

// ---- events

void StreamConnection::ready(std::uint32_t events, base::Instant now) noexcept
{
    const InCall call{in_call_};
    if ((events & kHangUp) != 0 && !wants_input()) return die();
    if ((events & net::kWritable) != 0) send(now);
    if ((events & (net::kReadable | kHangUp)) != 0 && phase_ != Phase::gone && wants_input()) read_socket(now);
    finish(now);
}

void StreamConnection::next_turn(base::Instant now) noexcept
{
    const InCall call{in_call_};
    feed_kept(now);
    finish(now);
}

void StreamConnection::flush_due(base::Instant now) noexcept
{
    const InCall call{in_call_};
    finish(now);
}

void StreamConnection::timer_due(base::Instant now) noexcept
{
    const InCall call{in_call_};
    const Due due = next_deadline();
    if (due.what != Deadline::none && due.when <= now) {
        expired(due.what);
    } else if (session_ && phase_ == Phase::serving && now - ticked_ >= kTick) {
        ticked_ = now;
        session_->tick(now);
    }
    finish(now);
}

void StreamConnection::finish(base::Instant now) noexcept
{
    for (unsigned round = 0; phase_ != Phase::gone; ++round) {
        flush(now);
        if (phase_ != Phase::serving) break;
        session_->progressed(now);
        if (out_.empty() || !wire_.empty()) break;
        if (round == kFlushRounds) {
            table_.worker_.flush_later(flush_);
            break;
        }
    }
    if (phase_ == Phase::serving) note_activity(now);
    if (phase_ == Phase::ending) {
        kept_.clear(); // not in `end`: its session may be reading it
        end_when_sent(now);
    }
    if (phase_ == Phase::gone) return;
    update_interest();
    update_timer();
}

void StreamConnection::note_activity(base::Instant now) noexcept
{
    const Activity activity = session_->activity();
    const bool receiving = activity == Activity::receiving;
    const std::uint64_t begun = session_->begun();
    if (receiving && (!receiving_ || message_new_ || begun != begun_)) message_began_ = now;
    begun_ = begun;
    receiving_ = receiving;
    message_new_ = false;
    if (moved_) {
        moved_ = false;
        active_ = now;
        table_.touch(*this);
    }
    if (again_ && !paused_ && !kept_.empty()) {
        ++table_.stats_.turns_given;
        table_.give_turn(*this);
    } else if (peer_ended_ && activity != Activity::answering && !turn_hook_.is_linked()) {
        end();
    }
    again_ = false;
}

// ---- octets in

bool StreamConnection::wants_input() const noexcept
{
    if (peer_ended_ || phase_ == Phase::gone) return false;
    if (phase_ == Phase::ending) return true;
    // The backlog may be TLS's own too (answers to key updates), of which the session knows nothing.
    return !paused_ && !turn_hook_.is_linked() && backlog() < table_.limits_.backlog_bytes;
}

void StreamConnection::read_socket(base::Instant now) noexcept
{
    const base::MutableBytes buffer = table_.worker_.read_buffer();
    const bool http = client_.transport != base::Transport::tcp && client_.transport != base::Transport::dot;
    const std::size_t room = http ? kHttpReadSize : buffer.size();
    const auto got = ::recv(socket_.get(), buffer.data(), room, MSG_DONTWAIT);
    if (got > 0)
        arrived(buffer.first(static_cast<std::size_t>(got)), now);
    else if (got == 0)
        peer_ended();
    else if (errno != EAGAIN && errno != EINTR)
        die();
}

void StreamConnection::peer_ended() noexcept
{
    peer_ended_ = true;
    // Before there is a session nothing can be owed to the peer.
    if (phase_ != Phase::serving && phase_ != Phase::ending) {
        if (phase_ == Phase::handshake && tls_) ++table_.stats_.handshake_failures;
        if (phase_ == Phase::proxy_header) ++table_.stats_.proxy_refused;
        die();
    }
}

void StreamConnection::arrived(base::Bytes raw, base::Instant now) noexcept
{
    switch (phase_) {
    case Phase::proxy_header: return read_proxy_header(raw, now);
    case Phase::handshake: return shake_hands(raw, now);
    case Phase::first_octets: return look_at_first(raw, now);
    case Phase::serving:
        if (!tls_) return feed(raw, now);
        tls_->give(raw);
        return decrypt(now);
    case Phase::ending: // read only to see the end
    case Phase::gone: return;
    }
}

void StreamConnection::read_proxy_header(base::Bytes raw, base::Instant now) noexcept
{
    // A header is whole in its first segment but for oddities: those are kept, up to what a header may have. What
    // stands behind it in `raw` is read from there.
    const std::size_t before = kept_.size();
    kept_.append(raw.first(std::min(raw.size(), kMaxProxyHeader - std::min(before, kMaxProxyHeader))));
    const ProxyHeader header = parse_proxy_header(kept_.view());
    if (header.state == ProxyHeader::State::incomplete && kept_.size() < kMaxProxyHeader) return;
    if (header.state == ProxyHeader::State::incomplete || header.state == ProxyHeader::State::bad) {
        ++table_.stats_.proxy_refused;
        return die();
    }
    kept_.clear();
    ++table_.stats_.proxy_headers;
    if (header.state == ProxyHeader::State::proxied) believe(header.source, header.destination);
    if (phase_ == Phase::gone) return;
    phase_ = phase_after_proxy();
    opened_ = now;
    if (phase_ == Phase::serving) serve_dns();
    const base::Bytes rest = raw.subspan(header.size - before);
    if (!rest.empty()) arrived(rest, now);
}

void StreamConnection::believe(const base::Endpoint& source, const base::Endpoint& destination) noexcept
{
    if (!table_.count_address(source.address)) return die();
    counted_ = true;
    counted_address_ = source.address;
    client_.peer = source;
    client_.local = destination;
}

void StreamConnection::shake_hands(base::Bytes raw, base::Instant now) noexcept
{
    if (!tls_) {
        tls_ = net::TlsStream::make(table_.identities_->stream_context());
        if (!tls_) return die();
        certs::TlsIdentities::prepare_stream(tls_->native(), port_->alpn, table_.tls_stats_);
    }
    if (wire_.capacity() == 0) wire_ = table_.take_buffer();
    tls_->give(raw);
    switch (tls_->handshake(wire_)) {
    case net::TlsStream::Step::more_input: return;
    case net::TlsStream::Step::done:
        handshake_done(now);
        if (phase_ == Phase::serving) decrypt(now);
        return;
    default:
        ++table_.stats_.handshake_failures;
        send(now); // the alert
        die();
    }
}

void StreamConnection::handshake_done(base::Instant now) noexcept
{
    ++table_.stats_.handshakes;
    if (tls_->resumed()) ++table_.stats_.resumed;
    server_name_ = lower_case(tls_->server_name());
    client_.server_name = server_name_;
    const auto protocol = tls_->alpn();
    if (protocol == "h2") return serve_http(true, now);
    if (protocol == "http/1.1") return serve_http(false, now);
    // No protocol offered is DoT where there is DoT (RFC 7858 knows no ALPN; Android offers none), else HTTP/1.1.
    if (port_->dns) return serve_dns();
    serve_http(false, now);
}

void StreamConnection::serve_dns() noexcept
{
    dns_ = true;
    phase_ = Phase::serving;
    session_ = std::make_unique<DnsStreamSession>(*this, table_.limits_, table_.stats_);
}

void StreamConnection::serve_http(bool http2, base::Instant now) noexcept
{
    const auto make = http2 ? port_->make_http2 : port_->make_http1;
    if (!port_->http || make == nullptr || port_->doh == nullptr) return die();
    phase_ = Phase::serving;
    client_.transport = http2 ? base::Transport::doh2 : base::Transport::doh1;
    session_ = make(*this, *port_->doh, now);
    if (!session_) die();
}

void StreamConnection::look_at_first(base::Bytes octets, base::Instant now) noexcept
{
    kept_.append(octets);
    const Http2Preface seen = looks_like_http2(kept_.view());
    if (seen == Http2Preface::undecided) return;
    serve_http(seen == Http2Preface::yes, now);
    if (phase_ == Phase::serving) feed_kept(now);
}

void StreamConnection::decrypt(base::Instant now) noexcept
{
    std::size_t got = 0;
    const base::MutableBytes plain = table_.plain_buffer();
    const bool lent = wire_.capacity() == 0;
    if (lent) wire_ = table_.take_buffer();
    const auto step = tls_->read(plain, got, wire_);
    if (lent && wire_.empty()) table_.return_buffer(std::move(wire_));
    if (got > 0) feed(plain.first(got), now);
    if (phase_ == Phase::gone) return;
    if (step == net::TlsStream::Step::closed) peer_ended();
    if (step == net::TlsStream::Step::failed) {
        send(now);
        die();
    }
}

void StreamConnection::feed(base::Bytes octets, base::Instant now) noexcept
{
    if (phase_ != Phase::serving) return;
    if (!kept_.empty()) {
        kept_.append(octets);
        return feed_kept(now);
    }
    const std::size_t used = session_->received(octets, now);
    if (phase_ != Phase::serving) return;
    moved_ = moved_ || used > 0;
    if (used >= octets.size()) return;
    kept_.append(octets.subspan(used));
    message_new_ = true;
}

void StreamConnection::feed_kept(base::Instant now) noexcept
{
    if (phase_ != Phase::serving || kept_.empty()) return;
    const std::size_t used = session_->received(kept_.view(), now);
    if (phase_ != Phase::serving) return;
    kept_.consume(used);
    if (used > 0) {
        moved_ = true;
        message_new_ = true;
        kept_.compact();
    }
    // A session that can use nothing of so much never will.
    if (used == 0 && !paused_ && !again_ && kept_.size() > StreamSession::kKept) die();
}

// ---- octets out

void StreamConnection::write(base::Bytes octets) noexcept
{
    if (phase_ == Phase::gone) return;
    if (out_.capacity() == 0) out_ = table_.take_buffer();
    out_.insert(out_.end(), octets.begin(), octets.end());
    moved_ = true;
    if (!in_call_) table_.worker_.flush_later(flush_);
}

std::size_t StreamConnection::backlog() const noexcept { return out_.size() + wire_.size() - wire_sent_; }

void StreamConnection::end() noexcept
{
    if (phase_ == Phase::gone || phase_ == Phase::ending) return;
    phase_ = Phase::ending;
    ending_since_ = table_.worker_.now();
    if (!in_call_) table_.worker_.flush_later(flush_);
}

void StreamConnection::abort() noexcept { die(); }

void StreamConnection::resume_reading() noexcept
{
    paused_ = false;
    again_ = true;
    if (!in_call_ && phase_ != Phase::gone) table_.worker_.flush_later(flush_);
}

void StreamConnection::flush(base::Instant now) noexcept
{
    // What the handshake has to say leaves with the first answers.
    if (tls_ && tls_->established() && !out_.empty() && !blocked_) encrypt();
    if (phase_ != Phase::gone) send(now);
    if (phase_ == Phase::gone || !wire_.empty() || out_.empty()) return;
    if (tls_)
        encrypt();
    else
        std::swap(out_, wire_);
    if (phase_ != Phase::gone) send(now);
}

void StreamConnection::encrypt() noexcept
{
    if (wire_.capacity() == 0) wire_ = table_.take_buffer();
    const bool good = dns_ ? encrypt_messages() : tls_->write(out_, wire_);
    table_.return_buffer(std::move(out_));
    if (!good) die();
}

// Many clients (stubby, Android's older resolvers) read one message a wake-up and do not ask their TLS library what
// else the record held: an answer behind another in one record would wait there until more octets arrive. So each
// message has records of its own; they still leave in one call. `out_` holds whole messages only: a reply is written in
// one go.
bool StreamConnection::encrypt_messages() noexcept
{
    for (base::Bytes rest = out_; !rest.empty();) {
        const std::size_t size =
            rest.size() < 2 ? rest.size() : std::min(rest.size(), std::size_t{2} + base::load_be16(rest, 0));
        if (!tls_->write(rest.first(size), wire_)) return false;
        rest = rest.subspan(size);
    }
    return true;
}

void StreamConnection::send(base::Instant now) noexcept
{
    while (wire_sent_ < wire_.size()) {
        const auto sent =
            ::send(socket_.get(), wire_.data() + wire_sent_, wire_.size() - wire_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN) return die();
        if (sent > 0 || !blocked_) stalled_since_ = now;
        blocked_ = sent <= 0;
        if (blocked_) return;
        wire_sent_ += static_cast<std::size_t>(sent);
    }
    blocked_ = false;
    wire_sent_ = 0;
    if (wire_.capacity() != 0) table_.return_buffer(std::move(wire_));
}

void StreamConnection::end_when_sent(base::Instant now) noexcept
{
    if (backlog() == 0 && tls_ && !goodbye_) {
        goodbye_ = true;
        wire_ = table_.take_buffer();
        tls_->say_goodbye(wire_);
        send(now);
    }
    if (phase_ == Phase::gone || backlog() > 0) return;
    if (peer_ended_) return die();
    if (shut_) return;
    shut_ = true;
    ending_since_ = now;
    ::shutdown(socket_.get(), SHUT_WR);
}

// ---- time and interest

StreamConnection::Due StreamConnection::next_deadline() const noexcept
{
    const StreamLimits& limits = table_.limits_;
    switch (phase_) {
    case Phase::proxy_header: return {opened_ + limits.message, Deadline::proxy_header};
    case Phase::handshake: return {opened_ + limits.handshake, Deadline::handshake};
    case Phase::first_octets: return {opened_ + limits.message, Deadline::message};
    case Phase::ending:
        if (backlog() > 0) return {std::max(stalled_since_, ending_since_) + limits.write_stall, Deadline::stall};
        return {ending_since_ + kLinger, Deadline::linger};
    case Phase::gone: return {base::Instant::max(), Deadline::none};
    case Phase::serving: break;
    }
    // What has not been offered to the kernel yet (an answer of this very wake-up) can not have stalled.
    if (blocked_) return {stalled_since_ + limits.write_stall, Deadline::stall};
    switch (session_->activity()) {
    case Activity::receiving: return {message_began_ + limits.message, Deadline::message};
    case Activity::idle: {
        const base::Duration most = table_.counts_.crowded() ? limits.idle_when_full : base::Duration::max();
        return {active_ + std::min(session_->idle_timeout(), most), Deadline::idle};
    }
    case Activity::answering: break;
    }
    return {base::Instant::max(), Deadline::none};
}

void StreamConnection::expired(Deadline what) noexcept
{
    StreamStats& stats = table_.stats_;
    switch (what) {
    case Deadline::proxy_header: ++stats.proxy_refused; return die();
    case Deadline::handshake: ++stats.handshake_timeouts; return die();
    case Deadline::message: ++stats.message_timeouts; return end();
    case Deadline::idle: ++stats.idle_timeouts; return end();
    case Deadline::stall: ++stats.write_stalls; return die();
    case Deadline::linger: return die();
    case Deadline::none: return;
    }
}

// Deadlines mostly move away: the timer is left where it was and finds out when it fires.
void StreamConnection::update_timer() noexcept
{
    base::Instant when = next_deadline().when;
    if (phase_ == Phase::serving) when = std::min(when, ticked_ + kTick);
    if (!timer_.armed() || when < timer_.due()) table_.worker_.arm(timer_, when);
}

void StreamConnection::update_interest() noexcept
{
    std::uint32_t events = 0;
    // With a turn to come the events stay as they were: it is over before a change would pay.
    if (wants_input() || turn_hook_.is_linked()) events |= net::kReadable;
    if (wire_sent_ < wire_.size()) events |= net::kWritable;
    watch_.change(events);
}

bool StreamConnection::is_idle() const noexcept
{
    if (backlog() > 0 || phase_ == Phase::ending) return phase_ == Phase::ending;
    return !session_ || session_->activity() != Activity::answering;
}

void StreamConnection::make_way() noexcept
{
    const InCall call{in_call_};
    if (tls_ && tls_->established() && wire_.empty()) {
        wire_ = table_.take_buffer();
        tls_->say_goodbye(wire_);
        send(table_.worker_.now());
    }
    die();
}

void StreamConnection::drain() noexcept
{
    const InCall call{in_call_};
    if (phase_ == Phase::serving)
        session_->drain();
    else if (phase_ != Phase::ending)
        die();
    finish(table_.worker_.now());
}

void StreamConnection::die() noexcept
{
    if (phase_ == Phase::gone) return;
    phase_ = Phase::gone;
    watch_.stop();
    timer_.cancel();
    socket_.reset();
    table_.bury(*this);
}

} // namespace sallyport::listeners
