#include "apps/ask_query.hpp"

#include "wire/message_writer.hpp"

#include <algorithm>
#include <array>

namespace sallyport::apps {

namespace {

constexpr std::size_t kCookieSize = 8; // of a client cookie (RFC 7873 §4.1)

std::vector<std::uint8_t> subnet_option(const base::Prefix& subnet)
{
    const std::size_t octets = (subnet.length() + 7) / 8;
    std::vector<std::uint8_t> data{0, static_cast<std::uint8_t>(subnet.address().is_v4() ? 1 : 2),
                                   static_cast<std::uint8_t>(subnet.length()), 0};
    const auto address = subnet.address().octets().first(octets);
    data.insert(data.end(), address.begin(), address.end());
    return data;
}

void write_opt(wire::MessageWriter& writer, const AskQueryOptions& options, base::RandomSource& random)
{
    bool fits = writer.begin_opt(options.payload_size, options.dnssec_ok);
    if (options.nsid) fits = fits && writer.option(wire::EdnsOptionCode::NSID, {});
    if (options.cookie) {
        std::array<std::uint8_t, kCookieSize> cookie{};
        random.fill(cookie);
        fits = fits && writer.option(wire::EdnsOptionCode::COOKIE, cookie);
    }
    if (options.subnet) {
        fits = fits && writer.option(wire::EdnsOptionCode::CLIENT_SUBNET, subnet_option(*options.subnet));
    }
    if (fits && options.pad_block > 0) writer.pad_to(options.pad_block);
    if (fits) writer.end_opt();
}

std::uint16_t query_flags(const AskQueryOptions& options) noexcept
{
    // AD in a query asks for AD in the response (RFC 6840 §5.7).
    std::uint16_t flags = wire::flag::AD;
    if (options.recurse) flags |= wire::flag::RD;
    if (options.checking_disabled) flags |= wire::flag::CD;
    return flags;
}

} // namespace

std::vector<std::uint8_t> make_query(const AskQuestion& question, const AskQueryOptions& options, std::uint16_t id,
                                     base::RandomSource& random)
{
    std::vector<std::uint8_t> buffer(4096);
    wire::MessageWriter writer{buffer, buffer.size()};
    writer.begin(id, query_flags(options));
    const bool fits = writer.question(question.qname, question.qtype, question.qclass);
    if (fits && options.edns) write_opt(writer, options, random);
    const auto message = writer.message();
    return {message.begin(), message.end()};
}

std::string misfit(base::Bytes query, base::Bytes answer)
{
    const auto asked = wire::MessageView::parse(query);
    const auto got = wire::MessageView::parse(answer);
    if (!got) return "malformed: " + std::string{wire::to_string(got.error())};
    if (!asked) return "the query itself is malformed";
    if (!got->header().has(wire::flag::QR)) return "it is a query, not a response";
    if (got->id() != asked->id()) {
        return "its id is " + std::to_string(got->id()) + ", expected " + std::to_string(asked->id());
    }
    if (got->header().question_count == 0) {
        return got->rcode() == wire::Rcode::NOERROR ? "it has no question" : std::string{};
    }
    const bool same = got->qname().to_name() == asked->qname().to_name() && got->qtype() == asked->qtype() &&
                      got->qclass() == asked->qclass();
    return same ? std::string{} : "it answers another question: " + got->qname().to_name().to_text();
}

wire::Name reverse_name(const base::IpAddress& address)
{
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    const auto octets = address.octets();
    for (std::size_t i = octets.size(); i-- > 0;) {
        if (address.is_v4()) {
            text += std::to_string(octets[i]) + '.';
        } else {
            text += {kHex[octets[i] & 0xFU], '.', kHex[octets[i] >> 4U], '.'};
        }
    }
    text += address.is_v4() ? "in-addr.arpa." : "ip6.arpa.";
    return wire::Name::from_text(text).value();
}

base::Result<AskQuestion> read_question(const std::vector<std::string>& words)
{
    AskQuestion question;
    if (words.empty() || words.size() > 3) {
        return base::Error{base::ErrorCode::invalid, "expected NAME [TYPE [CLASS]]"};
    }
    const auto name = wire::Name::from_text(words[0]);
    if (!name) {
        return base::Error{base::ErrorCode::invalid,
                           "'" + words[0] + "' is no domain name: " + std::string{wire::to_string(name.error())}};
    }
    question.qname = *name;
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (const auto type = wire::parse_rr_type(words[i])) {
            question.qtype = *type;
        } else if (const auto rr_class = wire::parse_rr_class(words[i])) {
            question.qclass = *rr_class;
        } else {
            return base::Error{base::ErrorCode::invalid, "'" + words[i] +
                                                             "' is no record type or class: expected A, "
                                                             "AAAA, TYPE65280, IN, CH …"};
        }
    }
    return question;
}

} // namespace sallyport::apps
