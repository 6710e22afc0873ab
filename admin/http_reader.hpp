#pragma once

#include "admin/options.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sallyport::admin {

/// A request as it was sent.
struct HttpRequest {
    std::string method, target;
    std::string host, authorization, content_type, origin; ///< fields; empty without
    bool has_authorization = false;
    std::string body;
    bool keep_alive = true; ///< the client wants to go on with this connection
};

/// Makes requests of the octets of one connection (RFC 9112). What another program might read differently is refused:
/// two lengths, a length beside a transfer coding, bare LF or CR, folded lines, a space before the colon, no Host or
/// two.
class HttpReader {
public:
    explicit HttpReader(const Options& options);
    ~HttpReader();
    HttpReader(const HttpReader&) = delete;
    HttpReader& operator=(const HttpReader&) = delete;

    enum class Step : std::uint8_t {
        more,     ///< not whole yet
        complete, ///< `take` has it; what came behind it is kept
        bad,      ///< answer `status` and close
    };
    [[nodiscard]] Step feed(std::string_view octets);
    [[nodiscard]] HttpRequest take();

    /// Of what is bad: 400, 413, 431, 501, 505.
    [[nodiscard]] unsigned status() const noexcept { return status_; }
    /// True once, when the client waits for `100 Continue` before it sends the body.
    [[nodiscard]] bool wants_continue() noexcept;
    /// Nothing of a request is here.
    [[nodiscard]] bool idle() const noexcept;

private:
    class Parser;
    Step bad(unsigned status) noexcept;
    Step read_head();
    Step read_body();

    std::uint32_t head_limit_, body_limit_;
    std::string buffer_; ///< not parsed yet
    std::size_t searched_ = 0;
    HttpRequest request_;
    std::unique_ptr<Parser> parser_; ///< while a body is read
    std::size_t body_wire_ = 0;
    unsigned status_ = 0;
    bool wants_continue_ = false;
};

} // namespace sallyport::admin
