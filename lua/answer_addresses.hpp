#pragma once

#include "base/ip_address.hpp"
#include "wire/message_view.hpp"

namespace sallyport::lua {

/// Walks the addresses that an answer leads to: A and AAAA, and the hints of SVCB and HTTPS records (RFC 9460 §7.3),
/// those in the additional section too, which clients may use without asking further. The message outlives it. Trivial
/// to copy and to forget.
class AnswerAddresses {
public:
    explicit AnswerAddresses(const wire::MessageView& answer) noexcept
        : record_(answer.answers().begin()), additional_(answer.additionals().begin())
    {
    }
    /// False at the end.
    [[nodiscard]] bool next(base::IpAddress& address) noexcept;

private:
    [[nodiscard]] bool next_hint(base::IpAddress& address) noexcept;
    void open_params() noexcept;

    wire::RecordRange::Iterator record_;
    wire::RecordRange::Iterator additional_; ///< taken when `record_` has come to its end
    base::Bytes params_{};                   ///< of an SVCB record, those that are left
    base::Bytes hints_{};                    ///< octets of addresses that are left
    std::size_t width_ = 0;
};

} // namespace sallyport::lua
