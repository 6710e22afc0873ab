#include "resolver/recurse.hpp"

#include <utility>

/// Asking authoritative servers over TLS where they speak it, without knowing who they are (RFC 9539).
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

} // namespace

bool Recursor::ask_encrypted(const iterate::Ask& ask)
{
    const base::IpAddress& address = ask.server.address;
    if (!encrypted_->speaks(address, worker_.now())) {
        probe(address);
        return false;
    }
    std::vector<std::uint8_t> message{ask.message.begin(), ask.message.end()};
    pad(message);
    carried_[ask.token].plain = Plain{ask.server, ask.tcp, ask.message.size()};
    if (ask_stream(ask.token, {address, tls_port_, 0}, true, std::move(message))) {
        stats_.encrypted_queries.add();
        return true;
    }
    carried_.erase(ask.token);
    return false;
}

/// Beside the plain query, and never in its way: half of the connections stay for those who need one.
void Recursor::probe(const base::IpAddress& server)
{
    if (2 * streams_.size() >= limits_.connections || !has_free_socket()) return;
    if (!encrypted_->begin_probe(server, worker_.now())) return;
    tell_speaking();
    stats_.encrypted_probes.add();
    if (open_stream({server, tls_port_, 0}, true) != nullptr) return;
    stats_.encrypted_failures.add();
    encrypted_->failed(server, worker_.now());
}

/// Of all workers together: each adds what has changed.
void Recursor::tell_speaking() noexcept
{
    stats_.encrypted_servers.sub(speaking_told_);
    speaking_told_ = encrypted_->speaking();
    stats_.encrypted_servers.add(speaking_told_);
}

void Recursor::stream_ready(RecurseStream& stream) noexcept
{
    if (!encrypted_ || !stream.is_encrypted()) return;
    encrypted_->opened(stream.server().address, worker_.now());
    tell_speaking();
}

void Recursor::note_end_of_encrypted(const RecurseStream& stream, bool with_queries) noexcept
{
    if (!encrypted_ || !stream.is_encrypted()) return;
    const bool answered = stream.received() != base::Instant{};
    if (stream.is_ready() && (!with_queries || answered)) return; // whoever is idle may leave
    stats_.encrypted_failures.add();
    encrypted_->failed(stream.server().address, worker_.now());
    tell_speaking();
}

void Recursor::note_unanswered(const Carried& carried) noexcept
{
    if (!encrypted_ || !carried.plain) return;
    encrypted_->unanswered(carried.plain->server.address, worker_.now());
    tell_speaking();
}

void Recursor::fall_back(iterate::Token token, const Plain& plain, std::vector<std::uint8_t> message) noexcept
{
    stats_.encrypted_fallbacks.add();
    unpad(message, plain.size);
    send_plain(token, plain.server, plain.tcp, message);
}

} // namespace sallyport::resolver
