#pragma once

#include "base/bytes.hpp"
#include "base/handle.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// OpenSSL's types stay opaque here.
struct ssl_ctx_st;
struct ssl_st;

namespace sallyport::net {

/// The server's side of one TLS connection, from octets to octets: it owns no socket. What the peer sent is given in,
/// what must be sent comes out, so that one read and one write carry any number of records.
class TlsStream {
public:
    enum class Step : std::uint8_t {
        done,       ///< the handshake is complete
        more_input, ///< everything given has been used up
        closed,     ///< the peer said close_notify
        failed,     ///< the connection is broken; an alert may stand in the output
    };

    /// From a context that has its certificates. Null when memory ends.
    [[nodiscard]] static std::unique_ptr<TlsStream> make(ssl_ctx_st* context) noexcept;
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    /// Octets off the wire, borrowed until `handshake` or `read` says `more_input` or fails.
    void give(base::Bytes input) noexcept { input_ = input; }
    /// Goes on with the handshake; what leaves is appended to `output`.
    [[nodiscard]] Step handshake(std::vector<std::uint8_t>& output) noexcept;
    /// Decrypts what was given into `into`; `got` says how much. `more_input` unless it ends here; `into` must hold as
    /// much as was given. Answers of the protocol itself (key updates, alerts) are appended to `output`.
    [[nodiscard]] Step read(base::MutableBytes into, std::size_t& got, std::vector<std::uint8_t>& output) noexcept;
    /// Encrypts all of `plain`, in records of up to 16 kB, and appends them to `output`. False when it is broken.
    [[nodiscard]] bool write(base::Bytes plain, std::vector<std::uint8_t>& output) noexcept;
    /// Appends close_notify, once.
    void say_goodbye(std::vector<std::uint8_t>& output) noexcept;

    [[nodiscard]] bool established() const noexcept { return established_; }
    /// The protocol chosen by ALPN; empty when none was offered. Borrowed from the connection.
    [[nodiscard]] std::string_view alpn() const noexcept;
    /// SNI as sent; empty without. Borrowed from the connection.
    [[nodiscard]] std::string_view server_name() const noexcept;
    [[nodiscard]] bool resumed() const noexcept;
    [[nodiscard]] ssl_st* native() noexcept;

private:
    struct Bio;
    struct Freer {
        void operator()(ssl_st* ssl) const noexcept;
    };

    explicit TlsStream(ssl_st* ssl) noexcept;
    [[nodiscard]] Step step_for(int result) noexcept;

    std::unique_ptr<ssl_st, Freer> ssl_;
    base::Bytes input_;
    std::vector<std::uint8_t>* output_ = nullptr;
    bool established_ = false;
    bool said_goodbye_ = false;
    bool broken_ = false;
};

} // namespace sallyport::net
