#pragma once

#include "apps/ask.hpp"
#include "apps/ask_exchange.hpp"

#include <string>

namespace sallyport::apps {

/// What the lines below an answer say about how it came.
struct AskReport {
    base::Transport transport = base::Transport::udp;
    std::string server;   ///< address and port
    std::string tls_name; ///< what the certificate was checked for
    net::client::SecurityReport security;
    base::Duration connect{};   ///< TCP; 0 for UDP
    base::Duration handshake{}; ///< TLS or QUIC
    bool reused = false;        ///< the connection was there before
    std::string note;           ///< such as the fall-back to TCP
};

/// `0.42`
[[nodiscard]] std::string milliseconds(base::Duration duration);
/// Texts come from certificates, headers and servers: nothing but printable ASCII leaves here unescaped.
[[nodiscard]] std::string json_string(std::string_view text);
[[nodiscard]] std::string json_bool(bool value);
/// With `?` in the place of what could be no text.
[[nodiscard]] std::string printable(std::string_view text);

/// `DNS over QUIC`.
[[nodiscard]] std::string long_name(base::Transport transport);

/// As dig prints it, plus how it came.
[[nodiscard]] std::string to_text(const AskItem& item, const AskReport& report);
/// The data of the answer section alone, a line each.
[[nodiscard]] std::string to_short_text(const AskItem& item);
/// One object in one line; an item without an answer has `error`.
[[nodiscard]] std::string to_json(const AskItem& item, const AskReport& report);

} // namespace sallyport::apps
