#include "cache/records.hpp"

#include "wire/octet_copy.hpp"

#include <cstring>

namespace sallyport::cache {
namespace {

constexpr std::size_t kTtlAt = 4;    // behind TYPE and CLASS
constexpr std::size_t kLengthAt = 8; // RDLENGTH
constexpr std::size_t kFixedFields = 10;

void copy_records(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept
{
    // Most answers have less than a cache line of records: a call costs more than the copy.
    if (size <= 64) return wire::copy_octets(to, from, size);
    std::memcpy(to, from, size);
}

} // namespace

std::size_t skip_records(base::Bytes message, std::size_t at, std::uint32_t count) noexcept
{
    for (; count > 0; --count) {
        const std::size_t fields = after_owner(message, at);
        at = fields + kFixedFields + base::load_be16(message, fields + kLengthAt);
    }
    return at;
}

std::uint32_t age_records(base::MutableBytes message, std::size_t at, std::uint32_t count, const Ageing& ageing,
                          std::uint32_t none) noexcept
{
    std::uint32_t smallest = count > 0 ? UINT32_MAX : none;
    for (; count > 0; --count) {
        const std::size_t fields = after_owner(message, at);
        const std::uint32_t ttl = ageing(base::load_be32(message, fields + kTtlAt));
        base::store_be32(message, fields + kTtlAt, ttl);
        smallest = std::min(smallest, ttl);
        at = fields + kFixedFields + base::load_be16(message, fields + kLengthAt);
    }
    return smallest;
}

bool append_records(wire::MessageWriter& answer, base::Bytes records, const Counts& counts, const Ageing& ageing,
                    wire::Rcode rcode, bool authentic) noexcept
{
    answer.set_rcode(rcode);
    if (authentic) answer.set_flags(wire::flag::AD);
    const base::MutableBytes buffer = answer.buffer();
    const std::size_t start = answer.size();
    const std::uint16_t questions = answer.count(wire::Section::question);
    const std::size_t limit = std::min(answer.limit(), buffer.size());
    Counts given = counts;
    std::size_t end = start + records.size();
    if (end > limit) {
        // Additional records are a courtesy: without them the answer is still whole. To find where they begin, the
        // records are walked where they lie.
        const std::size_t needed = skip_records(records, 0, std::uint32_t{counts.answers} + counts.authorities);
        if (counts.additionals == 0 || start + needed > limit) {
            answer.set_flags(wire::flag::TC);
            return false;
        }
        given.additionals = 0;
        end = start + needed;
    }
    copy_records(buffer.data() + start, records.data(), end - start);
    const std::uint32_t smallest = age_records(buffer.first(end), start, given.all(), ageing, UINT32_MAX);
    base::store_be16(buffer, 4, questions);
    base::store_be16(buffer, 6, given.answers);
    base::store_be16(buffer, 8, given.authorities);
    base::store_be16(buffer, 10, given.additionals);
    answer.adopt(end, wire::Ttl{smallest});
    if (answer.rcode() != rcode) answer.set_rcode(rcode); // the header alone has but four bits of it
    return true;
}

} // namespace sallyport::cache
