#include "net/client/quic_doq.hpp"

#include "wire/types.hpp"

#include <algorithm>

namespace sallyport::net::client {

namespace {

constexpr std::size_t kLength = 2;

} // namespace

std::string doq_error_name(std::uint64_t code)
{
    switch (code) {
    case 0: return "DOQ_NO_ERROR";
    case 1: return "DOQ_INTERNAL_ERROR";
    case 2: return "DOQ_PROTOCOL_ERROR";
    case 3: return "DOQ_REQUEST_CANCELLED";
    case 4: return "DOQ_EXCESSIVE_LOAD";
    case 5: return "DOQ_UNSPECIFIED_ERROR";
    default: return "error " + std::to_string(code);
    }
}

unsigned DoqSession::room() const noexcept
{
    if (!usable() || waiting_ >= limits().streams) return 0;
    return static_cast<unsigned>(std::min<std::uint64_t>(stream_credit(), limits().streams - waiting_));
}

bool DoqSession::ask(std::uint16_t tag, base::Bytes query)
{
    std::int64_t id = -1;
    if (room() == 0 || query.size() < wire::kHeaderSize || query.size() > wire::kMaxMessageSize) return false;
    if (ngtcp2_conn_open_bidi_stream(connection(), &id, nullptr) != 0) return false;
    Stream& stream = streams_[id];
    stream.tag = tag;
    stream.query.resize(kLength + query.size());
    base::store_be16(stream.query, 0, static_cast<std::uint16_t>(query.size()));
    std::copy(query.begin(), query.end(), stream.query.begin() + kLength);
    base::store_be16(stream.query, kLength, 0); // RFC 9250 §4.2.1
    to_send_.push_back(id);
    ++waiting_;
    return true;
}

bool DoqSession::early_data_refused()
{
    std::unordered_map<std::int64_t, Stream> old;
    old.swap(streams_);
    to_send_.clear();
    for (auto& [gone, stream] : old) {
        std::int64_t id = -1;
        if (ngtcp2_conn_open_bidi_stream(connection(), &id, nullptr) != 0) {
            give_up(stream, "early data was refused and no stream is left");
            continue;
        }
        stream.sent = 0;
        streams_[id] = std::move(stream);
        to_send_.push_back(id);
    }
    return true;
}

QuicSession::Piece DoqSession::next_piece()
{
    Piece piece;
    if (to_send_.empty()) return piece;
    piece.stream = to_send_.front();
    Stream& stream = streams_[piece.stream];
    piece.parts[0] = {stream.query.data() + stream.sent, stream.query.size() - stream.sent};
    piece.count = 1;
    piece.fin = true;
    return piece;
}

void DoqSession::piece_taken(std::int64_t id, std::size_t octets)
{
    if (id < 0) return;
    Stream& stream = streams_[id];
    stream.sent += octets;
    if (stream.sent == stream.query.size()) to_send_.pop_front();
}

void DoqSession::piece_blocked(std::int64_t id)
{
    if (!to_send_.empty() && to_send_.front() == id) to_send_.pop_front();
}

void DoqSession::stream_unblocked(std::int64_t id)
{
    const auto it = streams_.find(id);
    if (it == streams_.end() || it->second.sent == it->second.query.size()) return;
    if (std::find(to_send_.begin(), to_send_.end(), id) == to_send_.end()) to_send_.push_back(id);
}

bool DoqSession::stream_data(std::int64_t id, base::Bytes data, bool fin)
{
    consumed(id, data.size());
    const auto it = streams_.find(id);
    if (it == streams_.end() || it->second.done) return true;
    Stream& stream = it->second;
    if (stream.answer.size() + data.size() > kLength + wire::kMaxMessageSize) {
        fail(FailureKind::protocol, "the server sent more than one DNS message on a stream");
        return false;
    }
    stream.answer.insert(stream.answer.end(), data.begin(), data.end());
    if (fin) deliver(stream);
    return true;
}

void DoqSession::deliver(Stream& stream)
{
    const std::size_t size = stream.answer.size();
    if (size < kLength + wire::kHeaderSize || base::load_be16(stream.answer, 0) != size - kLength) {
        give_up(stream, "the stream ended without one whole DNS message");
        return;
    }
    stream.done = true;
    --waiting_;
    const std::vector<std::uint8_t> message = std::move(stream.answer);
    Answer answer;
    answer.tag = stream.tag;
    answer.message = base::Bytes{message}.subspan(kLength);
    user().answered(answer); // may ask again: `stream` is not looked at any more
}

void DoqSession::give_up(Stream& stream, std::string_view reason)
{
    if (stream.done) return;
    stream.done = true;
    --waiting_;
    user().unanswered(stream.tag, 0, reason);
}

void DoqSession::stream_reset(std::int64_t id, std::uint64_t error)
{
    const auto it = streams_.find(id);
    if (it != streams_.end()) give_up(it->second, "the server reset the stream: " + doq_error_name(error));
}

void DoqSession::stream_closed(std::int64_t id, std::uint64_t error)
{
    const auto it = streams_.find(id);
    if (it == streams_.end()) return;
    std::erase(to_send_, id);
    auto node = streams_.extract(it);
    give_up(node.mapped(), "the stream was closed without an answer: " + doq_error_name(error));
}

} // namespace sallyport::net::client
