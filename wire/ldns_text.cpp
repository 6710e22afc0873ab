#include "wire/ldns_text.hpp"

#include "wire/ldns_handle.hpp"

namespace sallyport::wire {
namespace {

base::Error ldns_problem(std::string message) { return {base::ErrorCode::invalid, std::move(message), {}}; }

/// A record of the root in wire format, as ldns reads it.
std::vector<std::uint8_t> as_record(RrType type, base::Bytes rdata)
{
    const auto type_value = static_cast<unsigned>(type);
    const auto size = static_cast<unsigned>(rdata.size());
    std::vector<std::uint8_t> record{0, // root
                                     static_cast<std::uint8_t>(type_value >> 8U),
                                     static_cast<std::uint8_t>(type_value & 0xFFU),
                                     0,
                                     1, // IN
                                     0,
                                     0,
                                     0,
                                     0, // TTL
                                     static_cast<std::uint8_t>(size >> 8U),
                                     static_cast<std::uint8_t>(size & 0xFFU)};
    record.insert(record.end(), rdata.begin(), rdata.end());
    return record;
}

LdnsRecord read_record(const std::vector<std::uint8_t>& wire)
{
    ldns_rr* record = nullptr;
    std::size_t at = 0;
    if (ldns_wire2rr(&record, wire.data(), wire.size(), &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) return nullptr;
    return LdnsRecord{record};
}

std::optional<std::string> print_rdata(const ldns_rr* record)
{
    const LdnsBuffer buffer{ldns_buffer_new(LDNS_MAX_PACKETLEN)};
    if (!buffer) return std::nullopt;
    for (std::size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
        if (i > 0) ldns_buffer_printf(buffer.get(), " ");
        if (ldns_rdf2buffer_str(buffer.get(), ldns_rr_rdf(record, i)) != LDNS_STATUS_OK) return std::nullopt;
    }
    const auto* begin = reinterpret_cast<const char*>(ldns_buffer_begin(buffer.get()));
    return std::string{begin, ldns_buffer_position(buffer.get())};
}

} // namespace

std::optional<std::string> ldns_rdata_to_text(RrType type, base::Bytes rdata)
{
    const LdnsRecord record = read_record(as_record(type, rdata));
    if (!record) return std::nullopt;
    auto text = print_rdata(record.get());
    if (!text) return std::nullopt;
    const auto again = ldns_rdata_from_text(type, *text, Name{});
    if (!again || !base::equal(*again, rdata)) return std::nullopt;
    return text;
}

base::Result<std::vector<std::uint8_t>> ldns_rdata_from_text(RrType type, std::string_view text, const Name& origin)
{
    // ldns takes what follows a line end as superfluous, and names of `origin` from its own object.
    std::string line = ". 0 IN " + to_string(type) + " ";
    for (const char c : text) line += c == '\n' || c == '\r' ? ' ' : c;
    while (line.ends_with(' ')) line.pop_back();
    if (line.find('\0') != std::string::npos) return ldns_problem("expected text, found a zero octet");

    const base::Bytes wire = origin.wire();
    const LdnsRdf origin_rdf{ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, wire.size(), wire.data())};
    ldns_rr* parsed = nullptr;
    const ldns_status status = ldns_rr_new_frm_str(&parsed, line.c_str(), 0, origin_rdf.get(), nullptr);
    const LdnsRecord record{parsed};
    if (status != LDNS_STATUS_OK) {
        return ldns_problem("expected " + to_string(type) + " data: " + ldns_get_errorstr_by_id(status));
    }
    const LdnsBuffer buffer{ldns_buffer_new(LDNS_MAX_PACKETLEN)};
    if (!buffer || ldns_rr_rdata2buffer_wire(buffer.get(), record.get()) != LDNS_STATUS_OK) {
        return ldns_problem("expected " + to_string(type) + " data that fits a record");
    }
    const std::uint8_t* begin = ldns_buffer_begin(buffer.get());
    return std::vector<std::uint8_t>(begin, begin + ldns_buffer_position(buffer.get()));
}

} // namespace sallyport::wire
