// fuzz: links sallyport_wire
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"
#include "wire/summary.hpp"

#include <cstdlib>
#include <vector>

using namespace sallyport;
using namespace sallyport::wire;

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

/// Writes the records of one section; records whose RDATA does not fit its type go out as they are only where no name
/// can stand in them.
bool write_section(MessageWriter& writer, const MessageView& message, Section section, const RecordRange& records)
{
    for (const RecordView& record : records) {
        if (record.type == RrType::OPT) continue;
        std::vector<std::uint8_t> rdata;
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        if (!decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)) return false;
        if (!writer.record(section, record.owner.to_name(), record.type, record.rr_class, record.ttl, rdata))
            return false;
    }
    return true;
}

std::vector<std::uint8_t> expanded(const MessageView& message, const RecordView& record)
{
    std::vector<std::uint8_t> rdata;
    const auto size = static_cast<std::uint16_t>(record.rdata.size());
    require(static_cast<bool>(decompress_rdata(message.bytes(), record.rdata_offset, size, record.type, rdata)));
    for (std::uint8_t& octet : rdata) octet = lower(octet); // compression takes the case of the name it points at
    return rdata;
}

void require_same(const MessageView& left, const MessageView& right)
{
    require(left.header().question_count == right.header().question_count);
    require(left.qtype() == right.qtype() && left.qclass() == right.qclass());
    auto other = right.records().begin();
    for (const RecordView& record : left.records()) {
        if (record.type == RrType::OPT) continue;
        require(!(other == std::default_sentinel));
        require(record.owner.equals(other->owner.to_name()) && record.owner.to_name() == other->owner.to_name());
        require(record.type == other->type && record.rr_class == other->rr_class && record.ttl == other->ttl);
        require(expanded(left, record) == expanded(right, *other));
        ++other;
    }
    require(other == std::default_sentinel);
}

} // namespace

// What parses can be printed, and where all of its RDATA is good, what we write of it reads back as the same message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto message = MessageView::parse({data, size});
    if (!message) return 0;
    static_cast<void>(to_dig_text(*message));
    static_cast<void>(to_json(*message));

    std::vector<std::uint8_t> buffer(kMaxMessageSize);
    MessageWriter writer{buffer, buffer.size()};
    const Header& header = message->header();
    if (!writer.begin_response(header.id, header.flags, message->question_bytes(), header.question_count)) return 0;
    const auto start = writer.mark();
    for (int pass = 0; pass < 2; ++pass) { // what is taken back leaves no trace
        const bool whole = write_section(writer, *message, Section::answer, message->answers()) &&
                           write_section(writer, *message, Section::authority, message->authorities()) &&
                           write_section(writer, *message, Section::additional, message->additionals());
        if (!whole) return 0;
        const std::vector<std::uint8_t> copy(writer.message().begin(), writer.message().end());
        const auto again = MessageView::parse(copy);
        require(static_cast<bool>(again));
        require_same(*message, *again);
        writer.rollback(start);
    }
    return 0;
}
