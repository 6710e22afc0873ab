#include "resolver/iterate/make_place.hpp"
#include "resolver/recurse.hpp"

#include <utility>

/// Asking authoritative servers over TLS or QUIC where they speak it, without knowing who they are (RFC 9539).
namespace sallyport::resolver {
namespace {

constexpr std::size_t kBlock = 128;       // of a padded query (RFC 8467 §4.1)
constexpr std::uint16_t kPadding = 12;    // the option (RFC 7830 §3)
constexpr std::size_t kOptFixed = 11;     // owner, type, size, TTL and length of OPT
constexpr std::size_t kQuestionFixed = 5; // the root's label, type and class

/// Where the OPT record of one of our queries begins: it is all that follows the question. 0 without one.
std::size_t find_opt(base::Bytes query) noexcept
{
    constexpr std::size_t kHeader = 12;
    if (query.size() < kHeader || base::load_be16(query, 10) != 1) return 0;
    std::size_t at = kHeader;
    while (at < query.size() && query[at] != 0) at += 1U + query[at];
    at += kQuestionFixed;
    const bool is_opt = at + kOptFixed <= query.size() && query[at] == 0 && base::load_be16(query, at + 1) == 41;
    return is_opt && at + kOptFixed + base::load_be16(query, at + 9) == query.size() ? at : 0;
}

void set_opt_size(std::vector<std::uint8_t>& query, std::size_t opt)
{
    base::store_be16(query, opt + 9, static_cast<std::uint16_t>(query.size() - opt - kOptFixed));
}

void pad(std::vector<std::uint8_t>& query)
{
    const std::size_t opt = find_opt(query);
    if (opt == 0) return;
    constexpr std::size_t kOption = 4;
    const std::size_t size = query.size() + kOption;
    const std::size_t octets = (kBlock - size % kBlock) % kBlock;
    const std::size_t at = query.size();
    query.resize(size + octets);
    base::store_be16(query, at, kPadding);
    base::store_be16(query, at + 2, static_cast<std::uint16_t>(octets));
    set_opt_size(query, opt);
}

/// Nothing is padded where everybody can read it (RFC 7830 §6).
void unpad(std::vector<std::uint8_t>& query, std::size_t size)
{
    const std::size_t opt = find_opt(query);
    if (opt == 0 || query.size() <= size) return;
    query.resize(size);
    set_opt_size(query, opt);
}

std::unique_ptr<net::client::SessionFactory> make_encrypted_factory(Encryption which, const RecurseLimits& limits)
{
    net::client::PeerOptions peer;
    peer.transport = transport_of(which);
    // RFC 9539 §4.6.3.3: whoever shows a certificate, it is not looked at. There is nothing to fall back to but plain.
    peer.tls.verify = false;
    // Whoever listens could send early data again (RFC 9250 §5.3), and a handshake is rare where connections are kept.
    peer.tls.early_data = false;
    net::client::Limits session;
    session.streams = limits.pipeline;
    auto made = net::client::SessionFactory::make(peer, session);
    return made ? std::move(*made) : nullptr;
}

} // namespace

void Recursor::prepare_encrypted(const RecurseOptions& options)
{
    encrypted_limits_.connect = options.encrypted.timeout;
    encrypted_ports_[index_of(Encryption::tls)] = options.tls_port;
    encrypted_ports_[index_of(Encryption::quic)] = options.quic_port;
    most_sessions_ = options.encrypted.sessions;
    const auto use = [&](Encryption which, bool wanted) {
        if (wanted) encrypted_made_by_[index_of(which)] = make_encrypted_factory(which, limits_);
        if (encrypted_made_by_[index_of(which)] && !encrypted_) encrypted_.emplace(options.encrypted);
    };
    use(Encryption::tls, options.opportunistic_tls);
    use(Encryption::quic, options.opportunistic_quic);
}

base::Endpoint Recursor::encrypted_endpoint(const base::IpAddress& server, Encryption which) const noexcept
{
    return {server, encrypted_ports_[index_of(which)], 0};
}

/// True: it is on its way. What is not known of the server is found out beside that.
bool Recursor::ask_encrypted(const iterate::Ask& ask)
{
    const base::IpAddress& address = ask.server.address;
    for (const Encryption which : kAllEncryptions) probe(address, which);
    const auto way = encrypted_->choose(address, worker_.now());
    if (!way) return false;
    std::vector<std::uint8_t> message{ask.message.begin(), ask.message.end()};
    pad(message);
    Hidden hidden{ask.server, ask.tcp, ask.message.size(), *way, false};
    if (ask_over(ask.token, hidden, message)) return true;
    // No connection: the other one has perhaps one with room.
    hidden.way = other(*way);
    hidden.moved = true;
    const bool speaks = encrypted_->speaks(address, hidden.way, worker_.now());
    if (speaks && ask_over(ask.token, hidden, std::move(message))) return true;
    stats_.encrypted_fallbacks.add();
    return false;
}

bool Recursor::ask_over(iterate::Token token, const Hidden& hidden, std::vector<std::uint8_t> message)
{
    carried_[token] = Carried{nullptr, false, hidden};
    const base::Endpoint server = encrypted_endpoint(hidden.server.address, hidden.way);
    if (ask_stream(token, server, transport_of(hidden.way), std::move(message))) {
        stats_.over[index_of(hidden.way)].queries.add();
        return true;
    }
    carried_.erase(token);
    return false;
}

/// Beside the query, and never in its way: half of the connections stay for those who need one.
void Recursor::probe(const base::IpAddress& server, Encryption which)
{
    if (!encrypted_made_by_[index_of(which)]) return;
    if (2 * streams_.size() >= limits_.connections || !has_free_socket()) return;
    const auto begun = encrypted_->begin_probe(server, which, worker_.now());
    if (begun == EncryptedServers::Probe::full) stats_.encrypted_probes_refused.add();
    if (begun != EncryptedServers::Probe::begun) return;
    EncryptedStats& stats = stats_.over[index_of(which)];
    stats.probes.add();
    if (open_stream(encrypted_endpoint(server, which), transport_of(which)) == nullptr) {
        stats.failures.add();
        encrypted_->failed(server, which, worker_.now());
    }
    tell_speaking();
}

/// Sessions are kept for some servers (RFC 9539 §4.6.2); whose go where there are too many is left to chance.
std::shared_ptr<net::client::Memory> Recursor::session_of(const base::IpAddress& server, Encryption which)
{
    if (most_sessions_ == 0) return nullptr;
    const std::size_t before = sessions_.size();
    iterate::make_place(sessions_, most_sessions_, server, [](const auto&) { return false; });
    auto& kept = sessions_[server][index_of(which)];
    if (!kept) kept = std::make_shared<net::client::Memory>();
    stats_.encrypted_sessions.sub(before);
    stats_.encrypted_sessions.add(sessions_.size());
    return kept;
}

void Recursor::forget_session(const base::IpAddress& server, Encryption which) noexcept
{
    const auto found = sessions_.find(server);
    if (found == sessions_.end()) return;
    found->second[index_of(which)].reset();
    if (found->second[index_of(other(which))]) return;
    sessions_.erase(found);
    stats_.encrypted_sessions.sub();
}

/// Of all workers together: each adds what has changed.
void Recursor::tell_speaking() noexcept
{
    const auto tell = [](base::Counter& gauge, std::size_t& told, std::size_t now) {
        gauge.sub(told);
        told = now;
        gauge.add(told);
    };
    tell(stats_.encrypted_servers, speaking_told_, encrypted_ ? encrypted_->speaking() : 0);
    for (const Encryption which : kAllEncryptions)
        tell(stats_.over[index_of(which)].servers, speaking_told_each_[index_of(which)],
             encrypted_ ? encrypted_->speaking(which) : 0);
}

void Recursor::stream_ready(RecurseStream& stream) noexcept
{
    const auto which = encryption_of(stream.transport());
    if (!encrypted_ || !which) return;
    encrypted_->opened(stream.server().address, *which, worker_.now());
    tell_speaking();
}

void Recursor::note_end_of_encrypted(const RecurseStream& stream, bool with_queries) noexcept
{
    const auto which = encryption_of(stream.transport());
    if (!encrypted_ || !which) return;
    const bool answered = stream.received() != base::Instant{};
    if (stream.is_ready() && !stream.is_broken() && (!with_queries || answered)) return; // whoever is idle may leave
    if (!stream.is_ready() && stream.is_released()) {
        encrypted_->broken_off(stream.server().address, *which);
        return;
    }
    stats_.over[index_of(*which)].failures.add();
    forget_session(stream.server().address, *which); // it may have been what was wrong
    encrypted_->failed(stream.server().address, *which, worker_.now());
    tell_speaking();
}

void Recursor::note_answered(const Hidden& hidden) noexcept
{
    encrypted_->answered(hidden.server.address, hidden.way, worker_.now());
    tell_speaking();
}

void Recursor::note_unanswered(const Carried& carried) noexcept
{
    if (!encrypted_ || !carried.hidden) return;
    stats_.over[index_of(carried.hidden->way)].unanswered.add();
    const base::IpAddress& server = carried.hidden->server.address;
    if (carried.stream != nullptr && carried.stream->is_ready())
        encrypted_->unanswered(server, carried.hidden->way, worker_.now());
    else
        encrypted_->kept_waiting(server, carried.hidden->way);
    tell_speaking();
}

/// Over the other one where that works; plain DNS is the last resort.
void Recursor::fall_back(iterate::Token token, Hidden hidden, std::vector<std::uint8_t> message) noexcept
{
    stats_.over[index_of(hidden.way)].moved.add();
    encrypted_->unanswered(hidden.server.address, hidden.way, worker_.now()); // refused, perhaps, on a good connection
    tell_speaking();
    if (!std::exchange(hidden.moved, true)) {
        hidden.way = other(hidden.way);
        const bool speaks = encrypted_->speaks(hidden.server.address, hidden.way, worker_.now());
        if (speaks && ask_over(token, hidden, message)) return;
    }
    stats_.encrypted_fallbacks.add();
    unpad(message, hidden.size);
    send_plain(token, hidden.server, hidden.tcp, message);
}

} // namespace sallyport::resolver
