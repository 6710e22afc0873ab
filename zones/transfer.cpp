#include "zones/transfer.hpp"

#include "dnssec/canonical.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/zone_builder.hpp"

#include <array>

namespace sallyport::zones {

using wire::RrType;

namespace {

constexpr std::size_t kFixed = 8;    // type, TTL, length of RDATA
constexpr std::size_t kRrFixed = 10; // the same on the wire, with the class
constexpr std::size_t kQuestionFixed = 4;
// Names can be pointed at up to here (RFC 1035 §4.1.4).
constexpr std::size_t kMessageSize = 16'384;
// Names above those that own records cost memory that the limits of a transfer do not see: a record may have 126 of
// them.
constexpr std::size_t kNamesPerRecord = 4;
constexpr std::size_t kMoreNames = 1'000;

/// Lower case where names stand, so that the first and the last SOA are the same whatever their compression.
std::vector<std::uint8_t> canonical_soa(base::Bytes rdata)
{
    dnssec::CanonicalRrset canonical;
    const std::array<base::Bytes, 1> one{rdata};
    if (!canonical.set(RrType::SOA, one)) return {};
    const base::Bytes lower = canonical.rdatas().front();
    return {lower.begin(), lower.end()};
}

} // namespace

SoaNumbers read_soa(base::Bytes rdata) noexcept
{
    if (rdata.size() < 20) return {};
    const base::Bytes numbers = rdata.last(20);
    return {base::load_be32(numbers, 0), base::load_be32(numbers, 4), base::load_be32(numbers, 8),
            base::load_be32(numbers, 12), base::load_be32(numbers, 16)};
}

bool is_newer_serial(std::uint32_t serial, std::uint32_t than) noexcept
{
    const std::uint32_t ahead = serial - than;
    return ahead != 0 && ahead < 0x8000'0000U;
}

std::string_view to_string(TransferError error) noexcept
{
    switch (error) {
    case TransferError::malformed: return "malformed";
    case TransferError::not_a_response: return "not a response to the query";
    case TransferError::refused: return "refused";
    case TransferError::not_authoritative: return "not authoritative";
    case TransferError::truncated: return "truncated";
    case TransferError::bad_section: return "a message without records, or with an authority section";
    case TransferError::no_soa_first: return "does not begin with the SOA record";
    case TransferError::other_soa: return "the SOA record changed on the way";
    case TransferError::after_the_end: return "records behind the last SOA record";
    case TransferError::out_of_zone: return "a record that is not of the zone";
    case TransferError::not_zone_data: return "a record that no zone holds";
    case TransferError::too_large_record: return "a record that is too large";
    case TransferError::too_many_octets: return "too many octets";
    case TransferError::too_many_records: return "too many records";
    }
    return "?";
}

// ---- TransferredZone

SoaNumbers TransferredZone::soa() const noexcept
{
    std::size_t at = 0;
    return octets_.empty() ? SoaNumbers{} : read_soa(read(at).rdata);
}

void TransferredZone::add(const wire::Name& owner, RrType type, wire::Ttl ttl, base::Bytes rdata)
{
    octets_.insert(octets_.end(), owner.wire().begin(), owner.wire().end());
    const std::size_t at = octets_.size();
    octets_.resize(at + kFixed);
    base::store_be16(octets_, at, static_cast<std::uint16_t>(type));
    base::store_be32(octets_, at + 2, ttl.seconds());
    base::store_be16(octets_, at + 6, static_cast<std::uint16_t>(rdata.size()));
    octets_.insert(octets_.end(), rdata.begin(), rdata.end());
    ++count_;
}

TransferredZone::Record TransferredZone::read(std::size_t& at) const noexcept
{
    const base::Bytes all{octets_};
    std::size_t end = at;
    while (all[end] != 0) end += all[end] + std::size_t{1};
    ++end;
    Record record;
    record.owner = all.subspan(at, end - at);
    record.type = static_cast<RrType>(base::load_be16(all, end));
    record.ttl = wire::Ttl{base::load_be32(all, end + 2)};
    record.rdata = all.subspan(end + kFixed, base::load_be16(all, end + 6));
    at = end + kFixed + record.rdata.size();
    return record;
}

// ---- TransferReader

TransferReader::Step TransferReader::fail(TransferError error) noexcept
{
    error_ = error;
    return Step::failed;
}

TransferReader::Step TransferReader::take(base::Bytes message)
{
    octets_ += message.size() + 2;
    if (octets_ > limits_.octets) return fail(TransferError::too_many_octets);
    const auto view = wire::MessageView::parse(message);
    if (!view) return fail(TransferError::malformed);
    if (const Fault fault = check(*view)) return fail(*fault);
    for (const wire::RecordView& record : view->answers())
        if (const Fault fault = take_record(message, record)) return fail(*fault);
    return ended_ ? Step::done : Step::more;
}

/// RFC 5936 §2.2.1 to §2.2.5. AA is not asked for: there are servers in wide use that leave it out.
TransferReader::Fault TransferReader::check(const wire::MessageView& message)
{
    const wire::Header& header = message.header();
    if (header.id != id_ || !header.has(wire::flag::QR) || header.opcode() != wire::Opcode::QUERY)
        return TransferError::not_a_response;
    rcode_ = message.rcode();
    if (rcode_ != wire::Rcode::NOERROR) return TransferError::refused;
    // Messages behind the first may leave the question out.
    if (header.question_count > 1 || (header.question_count == 0 && !begun_)) return TransferError::not_a_response;
    if (header.question_count == 1 && (message.qtype() != RrType::AXFR || message.qclass() != wire::RrClass::IN ||
                                       !message.qname().equals(zone_.apex())))
        return TransferError::not_a_response;
    if (header.has(wire::flag::TC)) return TransferError::truncated;
    if (header.answer_count == 0 || header.authority_count != 0) return TransferError::bad_section;
    return std::nullopt;
}

TransferReader::Fault TransferReader::take_record(base::Bytes message, const wire::RecordView& record)
{
    if (ended_) return TransferError::after_the_end;
    if (record.rr_class != wire::RrClass::IN || wire::is_meta(record.type)) return TransferError::not_zone_data;
    const wire::Name owner = record.owner.to_name();
    if (!owner.is_under(zone_.apex())) return TransferError::out_of_zone;
    rdata_.clear();
    if (!wire::decompress_rdata(message, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                record.type, rdata_))
        return TransferError::malformed;
    const std::size_t plain =
        wire::kHeaderSize + zone_.apex().size() + kQuestionFixed + owner.size() + kRrFixed + rdata_.size();
    if (plain > wire::kMaxMessageSize) return TransferError::too_large_record;
    if (record.type == RrType::SOA && owner == zone_.apex()) return take_soa(owner, record.ttl);
    if (!begun_) return TransferError::no_soa_first;
    if (zone_.count() >= limits_.records) return TransferError::too_many_records;
    if (zone_.octets() + owner.size() + kFixed + rdata_.size() > limits_.octets) return TransferError::too_many_octets;
    zone_.add(owner, record.type, record.ttl, rdata_);
    return std::nullopt;
}

TransferReader::Fault TransferReader::take_soa(const wire::Name& owner, wire::Ttl ttl)
{
    auto canonical = canonical_soa(rdata_);
    if (!begun_) {
        begun_ = true;
        first_soa_ = std::move(canonical);
        zone_.add(owner, RrType::SOA, ttl, rdata_);
        return std::nullopt;
    }
    if (canonical != first_soa_) return TransferError::other_soa;
    ended_ = true;
    return std::nullopt;
}

// ---- writing

std::vector<std::uint8_t> write_zone_query(const wire::Name& apex, RrType type, std::uint16_t id)
{
    std::vector<std::uint8_t> room(wire::kHeaderSize + wire::kMaxNameSize + kQuestionFixed);
    wire::MessageWriter writer{room, room.size()};
    writer.begin(id, 0);
    if (!writer.question(apex, type, wire::RrClass::IN)) return {};
    const base::Bytes message = writer.message();
    return {message.begin(), message.end()};
}

namespace {

/// Messages in the making, one after the other.
class TransferWriter {
public:
    TransferWriter(const wire::Name& apex, std::uint16_t id)
        : apex_(apex), id_(id), room_(wire::kMaxMessageSize), writer_(room_, kMessageSize)
    {
        begin();
    }

    void add(const TransferredZone::Record& record)
    {
        if (put(record)) return;
        if (writer_.count(wire::Section::answer) != 0) end();
        // One that is larger than the others may be has a message of its own.
        if (!put(record)) {
            writer_.set_limit(wire::kMaxMessageSize);
            static_cast<void>(put(record));
        }
    }
    [[nodiscard]] std::vector<std::uint8_t> finish()
    {
        end();
        return std::move(out_);
    }

private:
    bool put(const TransferredZone::Record& record) noexcept
    {
        return writer_.record(wire::Section::answer, record.owner, record.type, wire::RrClass::IN, record.ttl,
                              record.rdata);
    }
    void begin()
    {
        writer_.reset(kMessageSize);
        writer_.begin(id_, wire::flag::QR | wire::flag::AA);
        static_cast<void>(writer_.question(apex_, RrType::AXFR, wire::RrClass::IN));
    }
    void end()
    {
        const base::Bytes message = writer_.message();
        out_.push_back(static_cast<std::uint8_t>(message.size() >> 8U));
        out_.push_back(static_cast<std::uint8_t>(message.size() & 0xFFU));
        out_.insert(out_.end(), message.begin(), message.end());
        begin();
    }

    wire::Name apex_;
    std::uint16_t id_;
    std::vector<std::uint8_t> room_;
    wire::MessageWriter writer_;
    std::vector<std::uint8_t> out_;
};

} // namespace

std::vector<std::uint8_t> write_transfer(const TransferredZone& zone, std::uint16_t id)
{
    TransferWriter writer{zone.apex(), id};
    std::optional<TransferredZone::Record> soa;
    zone.each([&](const TransferredZone::Record& record) {
        if (!soa) soa = record;
        writer.add(record);
    });
    if (soa) writer.add(*soa);
    return writer.finish();
}

std::shared_ptr<const Snapshot> build_zone(const TransferredZone& zone, const std::string& from, const Limits& limits,
                                           base::Problems& problems)
{
    ZoneBuilder builder{zone.apex(), limits, problems};
    const Place place{0, 0, builder.file_number(from)};
    const std::size_t most_names = kNamesPerRecord * zone.count() + kMoreNames;
    zone.each([&](const TransferredZone::Record& record) {
        if (builder.given_up() || builder.name_count() > most_names) return;
        if (const auto owner = wire::Name::from_wire(record.owner))
            static_cast<void>(builder.add(*owner, record.type, record.ttl, record.rdata, place));
    });
    if (builder.name_count() > most_names) {
        builder.problem(
            base::ErrorCode::limit,
            "over " + std::to_string(most_names) + " names for " + std::to_string(zone.count()) + " records", place);
        return nullptr;
    }
    auto built = builder.finish(place);
    if (built == nullptr) return nullptr;
    SnapshotBuilder snapshot;
    static_cast<void>(snapshot.add(std::move(built)));
    return snapshot.finish();
}

} // namespace sallyport::zones
