#pragma once

#include "net/client/session.hpp"

#include <string>
#include <utility>
#include <vector>

namespace sallyport::net::client {

/// Writes down what a session tells its user.
class Listener final : public SessionUser {
public:
    void session_ready() noexcept override { ready = true; }
    void answered(const Answer& answer) noexcept override
    {
        answers.emplace_back(answer.tag, std::string{base::as_text(answer.message)});
        cache_control = answer.cache_control;
    }
    void unanswered(std::uint16_t tag, unsigned status, std::string_view reason) noexcept override
    {
        refusals.emplace_back(tag, status);
        reasons.emplace_back(reason);
    }

    bool ready = false;
    std::vector<std::pair<std::uint16_t, std::string>> answers;
    std::vector<std::pair<std::uint16_t, unsigned>> refusals;
    std::vector<std::string> reasons;
    std::string cache_control;
};

/// Keeps what a session sends: as one text, and piece by piece.
class Wire final : public Output {
public:
    void send(base::Bytes bytes) override
    {
        pieces.emplace_back(base::as_text(bytes));
        all += pieces.back();
    }
    [[nodiscard]] std::string take() { return std::exchange(all, {}); }

    std::string all;
    std::vector<std::string> pieces;
};

inline void give(Session& session, std::string_view octets)
{
    session.receive(base::as_bytes(octets), base::Instant{});
}

inline std::string sent(Session& session)
{
    Wire wire;
    session.flush(wire, base::Instant{});
    return wire.all;
}

/// A message of a header with this id and nothing behind it.
inline std::string message_with_id(std::uint16_t id)
{
    std::string message(12, '\0');
    message[0] = static_cast<char>(id >> 8U);
    message[1] = static_cast<char>(id & 0xFFU);
    return message;
}

/// The texts one behind the other.
inline std::string join(std::initializer_list<std::string_view> texts)
{
    std::string all;
    for (const std::string_view text : texts) all.append(text);
    return all;
}

inline std::string framed(const std::string& message)
{
    std::string frame(2, '\0');
    frame[0] = static_cast<char>(message.size() >> 8U);
    frame[1] = static_cast<char>(message.size() & 0xFFU);
    return frame.append(message);
}

} // namespace sallyport::net::client
