#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/edns.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <iterator>
#include <optional>

namespace sallyport::wire {

/// The 12 octets that start every message (RFC 1035 §4.1.1).
struct Header {
    std::uint16_t id = 0;
    std::uint16_t flags = 0; ///< the second word whole; see `wire::flag`
    std::uint16_t question_count = 0;
    std::uint16_t answer_count = 0;
    std::uint16_t authority_count = 0;
    std::uint16_t additional_count = 0;

    [[nodiscard]] bool has(std::uint16_t bits) const noexcept { return (flags & bits) == bits; }
    [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>((flags >> 11U) & 0xFU); }
    /// The lower four bits only; `MessageView::rcode` knows the extended ones too.
    [[nodiscard]] Rcode rcode() const noexcept { return static_cast<Rcode>(flags & 0xFU); }
};

/// Reads the header alone; nothing for fewer than 12 octets. For what must be answered although it does not parse.
[[nodiscard]] std::optional<Header> read_header(base::Bytes message) noexcept;

/// A name where it stands in a message, perhaps compressed. Checked when the message was parsed.
class NameRef {
public:
    NameRef() = default;
    NameRef(base::Bytes message, std::uint16_t offset) noexcept : message_(message), offset_(offset) {}
    /// The whole name, uncompressed, in the case it came in.
    [[nodiscard]] Name to_name() const noexcept;
    [[nodiscard]] bool equals(const Name& other) const noexcept;
    [[nodiscard]] std::uint16_t offset() const noexcept { return offset_; }
    /// Just past the name where it stands: what follows it in the message.
    [[nodiscard]] std::uint16_t end_offset() const noexcept;

private:
    base::Bytes message_;
    std::uint16_t offset_ = 0;
};

/// One resource record in place.
struct RecordView {
    NameRef owner;
    RrType type{};
    RrClass rr_class{};
    Ttl ttl;
    base::Bytes rdata;              ///< as it stands: names in it may be compressed
    std::uint16_t rdata_offset = 0; ///< from the start of the message
    std::uint16_t ttl_offset = 0;   ///< from the start of the message: where a cache writes the aged TTL
};

/// The records of one section, or of all three: `for (const RecordView& record : message.records())`.
class RecordRange {
public:
    class Iterator {
    public:
        using difference_type = std::ptrdiff_t;
        using value_type = RecordView;
        Iterator() = default;
        const RecordView& operator*() const noexcept { return record_; }
        const RecordView* operator->() const noexcept { return &record_; }
        Iterator& operator++() noexcept;
        void operator++(int) noexcept { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept { return it.left_ == 0; }

    private:
        friend class RecordRange;
        void read() noexcept;
        base::Bytes message_;
        std::uint16_t offset_ = 0;
        std::uint32_t left_ = 0;
        RecordView record_;
    };

    RecordRange(base::Bytes message, std::uint16_t offset, std::uint32_t count) noexcept
        : message_(message), offset_(offset), count_(count)
    {
    }
    [[nodiscard]] Iterator begin() const noexcept;
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

private:
    base::Bytes message_;
    std::uint16_t offset_;
    std::uint32_t count_;
};

/// A whole DNS message, checked once and read in place. Borrows the octets, allocates nothing, 100 ns for a query.
///
/// Parsing checks every name, count, length and the OPT record; what it hands out afterwards needs no check. RDATA of
/// known types is not looked into (`wire/rdata.hpp` does that where it matters).
class MessageView {
public:
    /// Pointers go strictly backwards, at most 126 hops a name and 20,000 hops a message.
    /// A message with octets after its last record is refused (`trailing_bytes`).
    [[nodiscard]] static base::Result<MessageView, ParseError> parse(base::Bytes message) noexcept;

    [[nodiscard]] base::Bytes bytes() const noexcept { return message_; }
    [[nodiscard]] const Header& header() const noexcept { return header_; }
    [[nodiscard]] std::uint16_t id() const noexcept { return header_.id; }
    /// Response code with the extended bits of OPT.
    [[nodiscard]] Rcode rcode() const noexcept;

    /// The first question; only where `header().question_count` is not 0.
    [[nodiscard]] NameRef qname() const noexcept { return {message_, kHeaderSize}; }
    [[nodiscard]] RrType qtype() const noexcept { return qtype_; }
    [[nodiscard]] RrClass qclass() const noexcept { return qclass_; }
    /// The question section as it stands (all questions), to be copied into the response.
    [[nodiscard]] base::Bytes question_bytes() const noexcept;

    [[nodiscard]] RecordRange answers() const noexcept;
    [[nodiscard]] RecordRange authorities() const noexcept;
    [[nodiscard]] RecordRange additionals() const noexcept; ///< OPT and TSIG among them
    [[nodiscard]] RecordRange records() const noexcept;     ///< all three sections in order

    /// Null without an OPT record.
    [[nodiscard]] const EdnsView* edns() const noexcept { return has_edns_ ? &edns_ : nullptr; }

private:
    base::Bytes message_;
    Header header_;
    RrType qtype_{};
    RrClass qclass_{};
    std::uint16_t answer_offset_ = 0;
    std::uint16_t authority_offset_ = 0;
    std::uint16_t additional_offset_ = 0;
    bool has_edns_ = false;
    EdnsView edns_;

    friend class MessageParser;
};

} // namespace sallyport::wire
