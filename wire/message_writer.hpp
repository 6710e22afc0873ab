#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace sallyport::wire {

/// At most this many name searches a message; afterwards names are written plain.
inline constexpr unsigned kMaxCompressionSearches = 120;

/// Writes a message into a buffer it is lent; allocates nothing, never passes the limit.
///
/// Sections are written in order. What does not fit is not written at all and the call returns false; the caller
/// decides whether that means TC. Owner names are compressed against names written before (RFC 1035 §4.1.4), names in
/// RDATA only for the types of RFC 1035 (RFC 3597 §4): NS, CNAME, SOA, PTR, MX (and obsolete MB MD MF MG MR MINFO).
class MessageWriter {
public:
    /// Where a record set began, to take back what was written since.
    struct Mark {
        std::size_t size = 0;
        std::uint16_t counts[4] = {};
        unsigned names = 0;
        std::uint32_t smallest_ttl = 0;
    };

    /// `limit` octets at most are used, never more than the buffer holds. Both at least 12.
    MessageWriter(base::MutableBytes buffer, std::size_t limit) noexcept;
    /// Starts again in the same buffer.
    void reset(std::size_t limit) noexcept;

    /// Writes a header with zero counts. Counts follow by themselves.
    void begin(std::uint16_t id, std::uint16_t flags) noexcept;
    /// Starts a response: id, opcode, RD and CD of the query, QR set, its question section copied octet by octet so
    /// that the client finds its own spelling.
    [[nodiscard]] bool begin_response(std::uint16_t query_id, std::uint16_t query_flags, base::Bytes question_section,
                                      std::uint16_t question_count) noexcept;

    void set_id(std::uint16_t id) noexcept;
    void set_flags(std::uint16_t bits) noexcept;
    void clear_flags(std::uint16_t bits) noexcept;
    /// The lower four bits go into the header; `opt` writes the upper eight.
    void set_rcode(Rcode rcode) noexcept;
    [[nodiscard]] Rcode rcode() const noexcept { return rcode_; }
    [[nodiscard]] std::uint16_t flags() const noexcept;

    [[nodiscard]] bool question(const Name& qname, RrType qtype, RrClass qclass) noexcept;

    /// Writes one record into `section` (not `question`, and not one before the current section). `rdata` is
    /// uncompressed wire format.
    [[nodiscard]] bool record(Section section, const Name& owner, RrType type, RrClass rr_class, Ttl ttl,
                              base::Bytes rdata) noexcept;
    /// The same with the owner as uncompressed wire octets that the caller vouches for: what zones and caches store.
    [[nodiscard]] bool record(Section section, base::Bytes owner, RrType type, RrClass rr_class, Ttl ttl,
                              base::Bytes rdata) noexcept;

    /// Writes OPT as the last record but TSIG; options follow by `option`, then `end_opt`.
    [[nodiscard]] bool begin_opt(std::uint16_t udp_payload_size, bool dnssec_ok, std::uint8_t version = 0) noexcept;
    [[nodiscard]] bool option(EdnsOptionCode code, base::Bytes data) noexcept;
    /// EDE: code and UTF-8 text (RFC 8914 §2), the text cut at a character boundary where it does not fit.
    [[nodiscard]] bool extended_error(ExtendedError code, std::string_view text) noexcept;
    /// Pads so that the whole message, OPT closed, is a multiple of `block` octets, or as long as the limit allows
    /// (RFC 8467 §4). Must be the last option.
    void pad_to(std::size_t block) noexcept;
    void end_opt() noexcept;

    [[nodiscard]] Mark mark() const noexcept;
    /// Takes back everything written since `mark`.
    void rollback(const Mark& mark) noexcept;

    /// Changes the limit; what is written stays, so not below `size()`.
    void set_limit(std::size_t limit) noexcept;
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint16_t count(Section section) const noexcept
    {
        return counts_[static_cast<std::size_t>(section)];
    }
    /// Smallest TTL of the records written so far, OPT left out; nothing written gives `none`.
    [[nodiscard]] Ttl smallest_ttl(Ttl none) const noexcept;
    /// The message with its counts in place, borrowed.
    [[nodiscard]] base::Bytes message() noexcept;
    /// The buffer whole: for a cache that copies a stored answer in and then calls `adopt`.
    [[nodiscard]] base::MutableBytes buffer() noexcept { return buffer_; }
    /// Declares that the first `size` octets of the buffer are a complete message (header counts included), without
    /// OPT, whose smallest TTL is `ttl`. OPT may follow.
    void adopt(std::size_t size, Ttl ttl) noexcept;

private:
    /// A name (often the end of one) written before, found by its hash in a bucket that is a list, newest first.
    struct Known {
        std::uint16_t offset;
        std::uint16_t hash;
        std::uint8_t next;
        std::uint8_t bucket;
    };
    static constexpr unsigned kMaxKnown = 192;
    static constexpr unsigned kBuckets = 64;
    static constexpr std::uint8_t kNone = 0xFF;

    base::MutableBytes buffer_;
    std::size_t limit_ = 0;
    std::size_t size_ = 0;
    std::array<std::uint16_t, 4> counts_{};
    Section section_ = Section::question;
    Rcode rcode_ = Rcode::NOERROR;
    std::uint32_t smallest_ttl_ = UINT32_MAX;
    std::size_t opt_at_ = 0; // the owner of OPT; 0 without one
    bool opt_open_ = false;
    std::size_t qname_size_ = 0;    // the name at offset 12; 0 where nobody can point at it
    std::size_t last_owner_at_ = 0; // the owner of the record before; 0 without one
    unsigned searches_ = 0;
    unsigned known_count_ = 0;
    unsigned qname_known_ = 0; // so many of the known names are ends of the question's name
    std::array<std::uint8_t, kBuckets> buckets_;
    std::array<Known, kMaxKnown> known_;

    [[nodiscard]] std::size_t room() const noexcept { return limit_ - size_; }
    [[nodiscard]] bool put(base::Bytes octets) noexcept;
    [[nodiscard]] bool put_pointer(std::size_t target) noexcept;
    [[nodiscard]] bool put_owner(base::Bytes owner) noexcept;
    [[nodiscard]] bool put_name(base::Bytes name) noexcept;
    [[nodiscard]] bool put_rdata(RrType type, base::Bytes rdata) noexcept;
    [[nodiscard]] bool put_rdata_names(base::Bytes rdata, std::size_t before, unsigned names) noexcept;

    [[nodiscard]] bool equals_at(std::size_t offset, base::Bytes name) const noexcept;
    [[nodiscard]] std::size_t find_known(base::Bytes name, std::uint16_t hash) const noexcept;
    void remember(std::size_t offset, std::uint16_t hash) noexcept;
    void remember_qname() noexcept;
    void forget_names(unsigned count) noexcept;
    void forget_all() noexcept;
    void store_opt_fields() noexcept;
    void store_counts() noexcept;
};

} // namespace sallyport::wire
