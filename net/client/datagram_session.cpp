#include "net/client/datagram_session.hpp"

#include "wire/types.hpp"

namespace sallyport::net::client {

void DatagramSession::start(const base::Endpoint&, const base::Endpoint&, base::Instant)
{
    started_ = true;
    user_.session_ready();
}

void DatagramSession::receive(base::Bytes bytes, base::Instant)
{
    if (bytes.size() < wire::kHeaderSize) return;
    Answer answer;
    answer.tag = base::load_be16(bytes, 0);
    answer.message = bytes;
    user_.answered(answer);
}

void DatagramSession::flush(Output& output, base::Instant)
{
    base::Bytes rest = queries_;
    for (const std::size_t size : sizes_) {
        output.send(rest.first(size));
        rest = rest.subspan(size);
    }
    queries_.clear();
    sizes_.clear();
}

bool DatagramSession::ask(std::uint16_t, base::Bytes query)
{
    if (!started_ || query.size() > wire::kMaxMessageSize) return false;
    queries_.insert(queries_.end(), query.begin(), query.end());
    sizes_.push_back(query.size());
    return true;
}

} // namespace sallyport::net::client
