#include "wire/message_view.hpp"

#include "wire/edns_fill.hpp"

namespace sallyport::wire {
namespace {

constexpr unsigned kMaxHopsOfName = 126;
constexpr unsigned kMaxHopsOfMessage = 20'000;
constexpr std::size_t kFixedFields = 10; // TYPE, CLASS, TTL, RDLENGTH
constexpr unsigned kPointerBits = 0xC0;

constexpr std::uint16_t be16(const std::uint8_t* octets) noexcept
{
    return static_cast<std::uint16_t>((unsigned{octets[0]} << 8U) | octets[1]);
}

constexpr std::uint32_t be32(const std::uint8_t* octets) noexcept
{
    return (std::uint32_t{be16(octets)} << 16U) | be16(octets + 2);
}

/// Where a compression pointer leads. The caller has checked that two octets stand there.
constexpr std::size_t pointer_target(const std::uint8_t* pointer) noexcept { return be16(pointer) & 0x3FFFU; }

Header load_header(const std::uint8_t* octets) noexcept
{
    return {be16(octets), be16(octets + 2), be16(octets + 4), be16(octets + 6), be16(octets + 8), be16(octets + 10)};
}

/// Just past the name at `at`, in a message that was checked.
std::size_t after_name(const std::uint8_t* message, std::size_t at) noexcept
{
    for (;;) {
        const unsigned octet = message[at];
        if (octet >= kPointerBits) return at + 2;
        at += octet + 1;
        if (octet == 0) return at;
    }
}

} // namespace

/// Walks a message from front to back, once.
class MessageParser {
public:
    MessageParser(MessageView& view, base::Bytes message) noexcept
        : view_(view), data_(message.data()), size_(message.size())
    {
    }

    [[nodiscard]] bool run() noexcept
    {
        if (size_ < kHeaderSize) return fail(ParseError::truncated);
        if (size_ > kMaxMessageSize) return fail(ParseError::trailing_bytes);
        view_.message_ = {data_, size_};
        view_.header_ = load_header(data_);
        const Header& header = view_.header_;
        if (!questions(header.question_count)) return false;
        view_.answer_offset_ = offset();
        if (!section(header.answer_count, false)) return false;
        view_.authority_offset_ = offset();
        if (!section(header.authority_count, false)) return false;
        view_.additional_offset_ = offset();
        if (!section(header.additional_count, true)) return false;
        return at_ == size_ || fail(ParseError::trailing_bytes);
    }
    [[nodiscard]] ParseError error() const noexcept { return error_; }

private:
    [[nodiscard]] bool fail(ParseError error) noexcept
    {
        error_ = error;
        return false;
    }
    [[nodiscard]] std::uint16_t offset() const noexcept { return static_cast<std::uint16_t>(at_); }

    [[nodiscard]] bool questions(unsigned count) noexcept
    {
        for (unsigned i = 0; i < count; ++i) {
            if (at_ == size_) return fail(ParseError::bad_count);
            if (!skip_name()) return false;
            if (size_ - at_ < 4) return fail(ParseError::truncated);
            if (i == 0) {
                view_.qtype_ = static_cast<RrType>(be16(data_ + at_));
                view_.qclass_ = static_cast<RrClass>(be16(data_ + at_ + 2));
                qname_size_ = at_ - kHeaderSize; // no pointer can stand in it: there is nothing before it
            }
            at_ += 4;
        }
        return true;
    }

    [[nodiscard]] bool section(unsigned count, bool additional) noexcept
    {
        for (unsigned i = 0; i < count; ++i) {
            if (at_ == size_) return fail(ParseError::bad_count);
            if (!record(additional)) return false;
        }
        return true;
    }

    [[nodiscard]] bool record(bool additional) noexcept
    {
        const bool owned_by_root = data_[at_] == 0;
        if (!skip_name()) return false;
        if (size_ - at_ < kFixedFields) return fail(ParseError::truncated);
        const std::uint8_t* fields = data_ + at_;
        const std::size_t rdata_size = be16(fields + 8);
        at_ += kFixedFields;
        if (size_ - at_ < rdata_size) return fail(ParseError::truncated);
        at_ += rdata_size;
        if (static_cast<RrType>(be16(fields)) != RrType::OPT) return true;
        if (!additional || !owned_by_root || view_.has_edns_) return fail(ParseError::bad_opt); // RFC 6891 §6.1.1
        return opt(fields, rdata_size);
    }

    [[nodiscard]] bool opt(const std::uint8_t* fields, std::size_t rdata_size) noexcept
    {
        view_.has_edns_ = true;
        return fill_edns(view_.edns_, {fields + kFixedFields, rdata_size}, be16(fields + 2), be32(fields + 4)) ||
               fail(ParseError::bad_option);
    }

    /// Checks the name at the cursor and moves behind it (RFC 1035 §4.1.4). Each pointer leads to before the place
    /// where the labels that end in it begin, so that no walk can come back to where it was.
    [[nodiscard]] bool skip_name() noexcept
    {
        std::size_t at = at_;
        std::size_t segment = at_;
        std::size_t length = 0;
        std::size_t after = 0;
        unsigned hops = 0;
        for (;;) {
            if (at >= size_) return fail(ParseError::truncated);
            const unsigned octet = data_[at];
            if (octet <= kMaxLabelSize) [[likely]] {
                length += octet + 1;
                if (length > kMaxNameSize) return fail(ParseError::name_too_long);
                at += octet + 1;
                if (octet == 0) break;
                continue;
            }
            if (octet < kPointerBits) return fail(ParseError::bad_label);
            if (size_ - at < 2) return fail(ParseError::truncated);
            const std::size_t target = pointer_target(data_ + at);
            if (target >= segment || target < kHeaderSize) return fail(ParseError::bad_pointer);
            if (++hops > kMaxHopsOfName) return fail(ParseError::bad_pointer);
            if (hops_left_-- == 0) return fail(ParseError::pointer_budget);
            if (after == 0) after = at + 2;
            if (target == kHeaderSize && qname_size_ != 0) { // by far the most common: it was walked already
                length += qname_size_;
                if (length > kMaxNameSize) return fail(ParseError::name_too_long);
                break;
            }
            segment = at = target;
        }
        at_ = after != 0 ? after : at;
        return true;
    }

    MessageView& view_;
    const std::uint8_t* data_;
    std::size_t size_;
    std::size_t at_ = kHeaderSize;
    std::size_t qname_size_ = 0;
    unsigned hops_left_ = kMaxHopsOfMessage;
    ParseError error_{};
};

std::optional<Header> read_header(base::Bytes message) noexcept
{
    if (message.size() < kHeaderSize) return std::nullopt;
    return load_header(message.data());
}

Name NameRef::to_name() const noexcept
{
    Name name;
    NameBuilder builder{name};
    const std::uint8_t* data = message_.data();
    for (std::size_t at = offset_;;) {
        const std::size_t start = at;
        while (data[at] != 0 && data[at] < kPointerBits) at += data[at] + std::size_t{1};
        const bool whole = data[at] == 0;
        // Cannot fail: the parser has found that the name fits.
        static_cast<void>(builder.append({data + start, at - start + (whole ? 1 : 0)}));
        if (whole) return name;
        at = pointer_target(data + at);
    }
}

bool NameRef::equals(const Name& other) const noexcept
{
    const std::uint8_t* data = message_.data();
    const base::Bytes wire = other.wire();
    std::size_t compared = 0;
    for (std::size_t at = offset_;;) {
        const std::size_t start = at;
        while (data[at] != 0 && data[at] < kPointerBits) at += data[at] + std::size_t{1};
        const bool whole = data[at] == 0;
        const std::size_t run = at - start + (whole ? 1 : 0);
        if (wire.size() - compared < run) return false;
        if (!equal_ignoring_case(data + start, wire.data() + compared, run)) return false;
        compared += run;
        if (whole) return compared == wire.size();
        at = pointer_target(data + at);
    }
}

std::uint16_t NameRef::end_offset() const noexcept
{
    return static_cast<std::uint16_t>(after_name(message_.data(), offset_));
}

void RecordRange::Iterator::read() noexcept
{
    const std::uint8_t* data = message_.data();
    const std::size_t fields = after_name(data, offset_);
    const std::size_t rdata = fields + kFixedFields;
    const std::size_t rdata_size = be16(data + fields + 8);
    record_.owner = {message_, offset_};
    record_.type = static_cast<RrType>(be16(data + fields));
    record_.rr_class = static_cast<RrClass>(be16(data + fields + 2));
    record_.ttl = Ttl::from_wire(be32(data + fields + 4));
    record_.rdata = {data + rdata, rdata_size};
    record_.rdata_offset = static_cast<std::uint16_t>(rdata);
    record_.ttl_offset = static_cast<std::uint16_t>(fields + 4);
    offset_ = static_cast<std::uint16_t>(rdata + rdata_size);
}

RecordRange::Iterator& RecordRange::Iterator::operator++() noexcept
{
    if (--left_ > 0) read();
    return *this;
}

RecordRange::Iterator RecordRange::begin() const noexcept
{
    Iterator it;
    it.message_ = message_;
    it.offset_ = offset_;
    it.left_ = count_;
    if (count_ > 0) it.read();
    return it;
}

base::Result<MessageView, ParseError> MessageView::parse(base::Bytes message) noexcept
{
    // A copy of this costs less than MessageView{}, which is made of zeros first and of its values then.
    static constexpr MessageView kNothing;
    base::Result<MessageView, ParseError> result{kNothing};
    MessageParser parser{*result, message};
    if (!parser.run()) result = parser.error();
    return result;
}

Rcode MessageView::rcode() const noexcept
{
    const unsigned upper = has_edns_ ? unsigned{edns_.extended_rcode} << 4U : 0U;
    return static_cast<Rcode>(upper | static_cast<unsigned>(header_.rcode()));
}

base::Bytes MessageView::question_bytes() const noexcept
{
    return message_.subspan(kHeaderSize, answer_offset_ - kHeaderSize);
}

RecordRange MessageView::answers() const noexcept { return {message_, answer_offset_, header_.answer_count}; }

RecordRange MessageView::authorities() const noexcept { return {message_, authority_offset_, header_.authority_count}; }

RecordRange MessageView::additionals() const noexcept
{
    return {message_, additional_offset_, header_.additional_count};
}

RecordRange MessageView::records() const noexcept
{
    const auto count = std::uint32_t{header_.answer_count} + header_.authority_count + header_.additional_count;
    return {message_, answer_offset_, count};
}

} // namespace sallyport::wire
