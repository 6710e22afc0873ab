#pragma once

#include "base/bytes.hpp"
#include "listeners/doh_context.hpp"
#include "listeners/forwarded.hpp"
#include "listeners/octet_buffer.hpp"
#include "pipeline/pipeline.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sallyport::listeners {

/// One header field of a response; the name in lower case.
struct DohField {
    std::string_view name;
    std::string_view value;
    bool varies = false; ///< differs from answer to answer: not worth a place in a compression table
};

/// What is sent back. Texts live in the request, the options or for ever; `text` for ever.
struct DohResponse {
    unsigned status = 200;
    std::string_view text{};           ///< the body of an error; the body of an answer is the DNS message
    std::size_t body_size = 0;         ///< octets to send after the header: 0 for HEAD and 204
    std::array<DohField, 10> fields{}; ///< without `:status`
    std::size_t field_count = 0;

    [[nodiscard]] std::span<const DohField> header() const noexcept { return {fields.data(), field_count}; }
    void add(std::string_view name, std::string_view value, bool varies = false) noexcept
    {
        if (field_count < fields.size()) fields[field_count++] = {name, value, varies};
    }
};

/// One DoH request (RFC 8484), whatever HTTP it comes in: the rules of HTTP/1.1, HTTP/2 and HTTP/3 are this class.
///
/// It is fed the header (`field`, pseudo-fields `:method` and `:path` among them), then the body. Each step says
/// whether more is needed, a DNS message is ready for the pipeline, or an error must be answered. Use: `begin`,
/// `field`…, `header_done`, `body`…, `finished`; then `message` and `answer`, or `refusal`. What was refused takes
/// further input and ignores it. Allocates only for messages over 256 octets.
class DohRequest {
public:
    enum class Verdict : std::uint8_t {
        more,    ///< the request is not whole
        query,   ///< `message` is ready
        respond, ///< send `refusal` now; the rest of the request is of no interest
    };

    DohRequest() = default;
    ~DohRequest() { clear(); }
    DohRequest(const DohRequest&) = delete;
    DohRequest& operator=(const DohRequest&) = delete;

    /// Begins anew. `context` must outlive the request; `from_listed_proxy`: the transport's peer is one of
    /// `DohOptions::forwarded_from`.
    void begin(const DohContext& context, bool from_listed_proxy) noexcept;
    /// Frees what the request holds.
    void clear() noexcept;

    /// One header field, name in lower case, in the order received. False: the decoded list is over its limit, and the
    /// connection must end at once (THREATS: a stream error alone would still decode the rest).
    [[nodiscard]] bool field(std::string_view name, std::string_view value) noexcept;
    /// The header is whole; `end` when no body follows.
    Verdict header_done(bool end) noexcept;
    Verdict body(base::Bytes octets) noexcept;
    /// The body is whole.
    Verdict finished() noexcept;
    /// Refuses from outside: 408 when the body did not come in time, 400 when the pipeline could not read the message,
    /// 431, 501, 503 … A refusal stands; the first one counts.
    Verdict refuse(unsigned status) noexcept;

    [[nodiscard]] Verdict verdict() const noexcept { return verdict_; }
    /// The DNS message, in memory of this request, until `clear`.
    [[nodiscard]] base::Bytes message() const noexcept { return message_.octets(); }
    /// Whoever asks: `base` with the path of the request and, behind a listed proxy, the client's address.
    [[nodiscard]] pipeline::Client client(const pipeline::Client& base) const noexcept;
    [[nodiscard]] bool is_head() const noexcept { return method_ == Method::head; }
    [[nodiscard]] bool expects_continue() const noexcept { return expects_continue_; }
    /// The length that content-length promised; only a bound.
    [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept { return content_length_; }

    /// The header of an answer: 200 with `content-length`, `cache-control`. Counted. Lives until `clear`.
    [[nodiscard]] DohResponse answer(const pipeline::Reply& reply) noexcept;
    /// The header of the refusal, or of the answer to OPTIONS. Counted. Lives until `clear`.
    [[nodiscard]] DohResponse refusal() noexcept;

private:
    enum class Method : std::uint8_t { none, get, head, post, options, other };
    enum class MediaType : std::uint8_t { missing, dns_message, other };

    void method(std::string_view value) noexcept;
    void path(std::string_view value) noexcept;
    void query_string(std::string_view text) noexcept;
    void dns_parameter(std::string_view value) noexcept;
    unsigned decode_parameter(std::string_view value) noexcept;
    void content_type(std::string_view value) noexcept;
    void content_length(std::string_view value) noexcept;
    void content_encoding(std::string_view value) noexcept;
    void origin(std::string_view value) noexcept;
    void forwarding(std::string_view value, bool x_forwarded_for) noexcept;
    void count_method() noexcept;
    [[nodiscard]] unsigned judge_header(bool end) const noexcept;
    [[nodiscard]] unsigned judge_get() const noexcept;
    [[nodiscard]] unsigned judge_post(bool end) const noexcept;
    [[nodiscard]] bool charge(std::size_t capacity) noexcept;
    void add_common(DohResponse& response) noexcept;
    [[nodiscard]] DohResponse preflight() noexcept;

    static constexpr std::size_t kInlineMessage = 256; // a query padded to 128 octets fits, twice

    const DohContext* context_ = nullptr;
    OctetBuffer<kInlineMessage> message_;
    ForwardedClient forwarded_;
    std::string_view path_{};           // of the options
    std::string_view allowed_origin_{}; // of the options, or `*`
    std::optional<std::uint64_t> content_length_;
    std::size_t charged_ = 0; // to the budget of bodies
    std::size_t header_size_ = 0;
    Method method_ = Method::none;
    MediaType content_type_ = MediaType::missing;
    Verdict verdict_ = Verdict::more;
    bool from_listed_proxy_ = false;
    bool forwarding_seen_ = false;
    bool header_done_ = false;
    bool dns_seen_ = false;
    bool expects_continue_ = false;
    unsigned parameter_fault_ = 0; // the status that the dns parameter deserves, if the method is GET
    unsigned field_fault_ = 0;     // content-length, content-encoding
    unsigned status_ = 0;
    char length_text_[24];
    char cache_text_[24];
};

} // namespace sallyport::listeners
