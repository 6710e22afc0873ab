#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/message_view.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"
#include "zones/options.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A zone as its servers hand it out whole (AXFR, RFC 5936): plain computation, message by message.
namespace sallyport::zones {

class Snapshot;

/// The numbers of an SOA record (RFC 1035 §3.3.13), in seconds but the first.
struct SoaNumbers {
    std::uint32_t serial = 0;
    std::uint32_t refresh = 0;
    std::uint32_t retry = 0;
    std::uint32_t expire = 0;
    std::uint32_t minimum = 0;
};
/// `rdata` fits its type.
[[nodiscard]] SoaNumbers read_soa(base::Bytes rdata) noexcept;

/// RFC 1982 §3.2. Numbers that are half the circle apart are neither newer nor older.
[[nodiscard]] bool is_newer_serial(std::uint32_t serial, std::uint32_t than) noexcept;

struct TransferLimits {
    std::uint64_t octets = 0;  ///< as they come, and as they are kept
    std::uint32_t records = 0; ///< the last SOA left out
};

/// The records of a zone, uncompressed, one after the other as they came. The SOA is first and not repeated.
class TransferredZone {
public:
    struct Record {
        base::Bytes owner; ///< in the case it came in
        wire::RrType type{};
        wire::Ttl ttl;
        base::Bytes rdata;
    };

    TransferredZone() = default;
    explicit TransferredZone(const wire::Name& apex) : apex_(apex) {}

    [[nodiscard]] const wire::Name& apex() const noexcept { return apex_; }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t octets() const noexcept { return octets_.size(); }
    /// Of the SOA that it begins with. Not of an empty zone.
    [[nodiscard]] SoaNumbers soa() const noexcept;

    void add(const wire::Name& owner, wire::RrType type, wire::Ttl ttl, base::Bytes rdata);
    template <class V>
    void each(V&& visit) const
    {
        for (std::size_t at = 0; at < octets_.size();) visit(read(at));
    }

private:
    /// Moves `at` to the record behind it.
    [[nodiscard]] Record read(std::size_t& at) const noexcept;

    wire::Name apex_;
    std::vector<std::uint8_t> octets_; // owner, type, TTL, two octets of length, RDATA
    std::uint32_t count_ = 0;
};

enum class TransferError : std::uint8_t {
    malformed,         ///< no DNS message, or RDATA that does not fit its type
    not_a_response,    ///< to our query: ID, QR, opcode or question differ
    refused,           ///< an RCODE other than NOERROR
    not_authoritative, ///< the answer to a query for the SOA
    truncated,         ///< TC, which means nothing over a stream
    bad_section,       ///< no record, or an authority section (RFC 5936 §2.2)
    no_soa_first,      ///< RFC 5936 §2.2
    other_soa,         ///< another SOA at the apex than the one it began with
    after_the_end,     ///< records behind the last SOA
    out_of_zone,       ///< an owner that is not at or below the apex
    not_zone_data,     ///< another class than IN, or a type that no zone holds
    too_large_record,  ///< one that a message does not hold uncompressed
    too_many_octets,
    too_many_records,
};
[[nodiscard]] std::string_view to_string(TransferError error) noexcept;

/// Takes the messages of one transfer.
class TransferReader {
public:
    enum class Step : std::uint8_t { more, done, failed };

    /// `id` is the query's.
    TransferReader(const wire::Name& apex, std::uint16_t id, const TransferLimits& limits)
        : limits_(limits), id_(id), zone_(apex)
    {
    }

    /// The next message of the stream; none after `done` or `failed`.
    [[nodiscard]] Step take(base::Bytes message);
    /// After `failed`.
    [[nodiscard]] TransferError error() const noexcept { return error_; }
    /// After `refused`.
    [[nodiscard]] wire::Rcode rcode() const noexcept { return rcode_; }
    /// After `done`.
    [[nodiscard]] TransferredZone take_zone() { return std::move(zone_); }

private:
    using Fault = std::optional<TransferError>;
    [[nodiscard]] Fault check(const wire::MessageView& message);
    [[nodiscard]] Fault take_record(base::Bytes message, const wire::RecordView& record);
    [[nodiscard]] Fault take_soa(const wire::Name& owner, wire::Ttl ttl);
    [[nodiscard]] Step fail(TransferError error) noexcept;

    TransferLimits limits_;
    std::uint16_t id_;
    TransferredZone zone_;
    std::uint64_t octets_ = 0;
    bool begun_ = false;
    bool ended_ = false;
    TransferError error_{};
    wire::Rcode rcode_{};
    std::vector<std::uint8_t> rdata_;     // of the record being read
    std::vector<std::uint8_t> first_soa_; // RDATA in canonical form
};

/// The query for the whole zone, or for its SOA.
[[nodiscard]] std::vector<std::uint8_t> write_zone_query(const wire::Name& apex, wire::RrType type, std::uint16_t id);

/// What `TransferReader` takes, each message behind its length, the SOA first and last. Not of an empty zone.
[[nodiscard]] std::vector<std::uint8_t> write_transfer(const TransferredZone& zone, std::uint16_t id);

/// The zone as one that can be asked. Null where it is none, or has far more names than records, with all that is wrong
/// in `problems`. `from` stands for where it comes from.
[[nodiscard]] std::shared_ptr<const Snapshot> build_zone(const TransferredZone& zone, const std::string& from,
                                                         const Limits& limits, base::Problems& problems);

} // namespace sallyport::zones
