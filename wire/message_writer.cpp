#include "wire/message_writer.hpp"

#include "base/hash.hpp"
#include "wire/letter_case.hpp"
#include "wire/octet_copy.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sallyport::wire {
namespace {

constexpr std::size_t kRecordHead = 10;    // TYPE, CLASS, TTL, RDLENGTH
constexpr std::size_t kOptSize = 11;       // root owner and the fixed fields
constexpr std::size_t kOptionHeader = 4;   // OPTION-CODE, OPTION-LENGTH
constexpr std::size_t kShort = 64;         // names and addresses, mostly
constexpr std::size_t kMaxTarget = 0x3FFF; // a pointer has 14 bits
constexpr unsigned kMaxLabels = 127;
constexpr unsigned kMaxSearchedLabels = 16; // deeper names are compressed by their ends only

/// Secret of this process: nobody can choose names that fall into one bucket.
std::uint64_t hash_key() noexcept
{
    static const std::uint64_t key = base::keyed_hash({}) | 1U;
    return key;
}

/// Hash of a label, length octet and all, in lower case, chained to that of the labels after it.
std::uint64_t chain_hash(std::uint64_t hash, const std::uint8_t* label, std::uint64_t key) noexcept
{
    std::size_t left = label[0] + std::size_t{1};
    for (; left >= 8; left -= 8, label += 8) {
        hash = (hash ^ lower_octets(load_octets(label))) * key;
        hash ^= hash >> 29U;
    }
    if (left > 0) {
        hash = (hash ^ lower_octets(load_short(label, left))) * key;
        hash ^= hash >> 29U;
    }
    return hash;
}

constexpr std::uint16_t fold(std::uint64_t hash) noexcept { return static_cast<std::uint16_t>(hash >> 24U); }

/// The labels of a name with, for each, the hash of the name that begins there.
struct SearchedName {
    explicit SearchedName(base::Bytes name) noexcept
    {
        std::uint8_t starts[kMaxLabels];
        unsigned labels = 0;
        for (std::size_t at = 0; labels < kMaxLabels && name[at] != 0; at += name[at] + std::size_t{1}) {
            starts[labels++] = static_cast<std::uint8_t>(at);
        }
        count = std::min(labels, kMaxSearchedLabels);
        const std::uint64_t key = hash_key();
        std::uint64_t hash = key;
        for (unsigned i = 0; i < count; ++i) { // from the root down
            // i is below labels, so the entry was written; the analyzer loses that in std::min.
            const std::uint8_t start = starts[labels - 1 - i]; // NOLINT(clang-analyzer-core.uninitialized.Assign)
            hash = chain_hash(hash, name.data() + start, key);
            start_of[count - 1 - i] = start;
            hash_of[count - 1 - i] = fold(hash);
        }
    }
    std::uint8_t start_of[kMaxSearchedLabels];
    std::uint16_t hash_of[kMaxSearchedLabels];
    unsigned count = 0;
};

/// Size of the name at the start of `octets`; 0 where no whole uncompressed name stands there.
std::size_t name_size(base::Bytes octets) noexcept
{
    const auto size = measure_name(octets);
    return size ? *size : 0;
}

} // namespace

MessageWriter::MessageWriter(base::MutableBytes buffer, std::size_t limit) noexcept : buffer_(buffer)
{
    assert(buffer.size() >= kHeaderSize && limit >= kHeaderSize);
    reset(limit);
}

void MessageWriter::reset(std::size_t limit) noexcept
{
    limit_ = std::min({limit, buffer_.size(), kMaxMessageSize});
    begin(0, 0);
}

void MessageWriter::begin(std::uint16_t id, std::uint16_t flags) noexcept
{
    std::memset(buffer_.data(), 0, kHeaderSize);
    base::store_be16(buffer_, 0, id);
    base::store_be16(buffer_, 2, flags);
    size_ = kHeaderSize;
    counts_ = {};
    section_ = Section::question;
    rcode_ = static_cast<Rcode>(flags & 0xFU);
    smallest_ttl_ = UINT32_MAX;
    opt_at_ = 0;
    opt_open_ = false;
    forget_all();
}

void MessageWriter::forget_all() noexcept
{
    qname_size_ = 0;
    last_owner_at_ = 0;
    searches_ = 0;
    known_count_ = 0;
    qname_known_ = 0;
    buckets_.fill(kNone);
}

bool MessageWriter::begin_response(std::uint16_t query_id, std::uint16_t query_flags, base::Bytes question_section,
                                   std::uint16_t question_count) noexcept
{
    constexpr std::uint16_t kOpcodeBits = 0x7800;
    constexpr std::uint16_t kKept = kOpcodeBits | flag::RD | flag::CD;
    begin(query_id, static_cast<std::uint16_t>(flag::QR | (query_flags & kKept)));
    if (!put(question_section)) return false;
    counts_[0] = question_count;
    if (question_count > 0) qname_size_ = name_size(question_section);
    return true;
}

void MessageWriter::set_id(std::uint16_t id) noexcept { base::store_be16(buffer_, 0, id); }

std::uint16_t MessageWriter::flags() const noexcept { return base::load_be16(buffer_, 2); }

void MessageWriter::set_flags(std::uint16_t bits) noexcept
{
    base::store_be16(buffer_, 2, static_cast<std::uint16_t>(flags() | bits));
}

void MessageWriter::clear_flags(std::uint16_t bits) noexcept
{
    base::store_be16(buffer_, 2, static_cast<std::uint16_t>(flags() & ~bits));
}

void MessageWriter::set_rcode(Rcode rcode) noexcept
{
    rcode_ = rcode;
    const unsigned low = static_cast<unsigned>(rcode) & 0xFU;
    base::store_be16(buffer_, 2, static_cast<std::uint16_t>((flags() & ~0xFU) | low));
    if (opt_at_ != 0) store_opt_fields();
}

bool MessageWriter::put(base::Bytes octets) noexcept
{
    if (octets.size() > room()) return false;
    if (octets.size() <= kShort) {
        copy_octets(buffer_.data() + size_, octets.data(), octets.size());
    } else {
        std::memcpy(buffer_.data() + size_, octets.data(), octets.size());
    }
    size_ += octets.size();
    return true;
}

bool MessageWriter::put_pointer(std::size_t target) noexcept
{
    if (room() < 2) return false;
    base::store_be16(buffer_, size_, static_cast<std::uint16_t>(0xC000U | target));
    size_ += 2;
    return true;
}

/// Whether the name written at `offset`, pointers followed, is `name`.
bool MessageWriter::equals_at(std::size_t offset, base::Bytes name) const noexcept
{
    const std::uint8_t* data = buffer_.data();
    std::size_t compared = 0;
    for (;;) {
        const std::size_t start = offset;
        while (data[offset] != 0 && data[offset] < 0xC0) offset += data[offset] + std::size_t{1};
        const bool whole = data[offset] == 0;
        const std::size_t run = offset - start + (whole ? 1 : 0);
        if (name.size() - compared < run) return false;
        if (!equal_ignoring_case(data + start, name.data() + compared, run)) return false;
        compared += run;
        if (whole) return compared == name.size();
        offset = base::load_be16(buffer_, offset) & kMaxTarget; // written by us, so it leads backwards
    }
}

std::size_t MessageWriter::find_known(base::Bytes name, std::uint16_t hash) const noexcept
{
    for (unsigned i = buckets_[hash % kBuckets]; i != kNone; i = known_[i].next) {
        if (known_[i].hash == hash && equals_at(known_[i].offset, name)) return known_[i].offset;
    }
    return 0;
}

void MessageWriter::remember(std::size_t offset, std::uint16_t hash) noexcept
{
    if (known_count_ == kMaxKnown || offset > kMaxTarget) return;
    const auto bucket = static_cast<std::uint8_t>(hash % kBuckets);
    known_[known_count_] = {static_cast<std::uint16_t>(offset), hash, buckets_[bucket], bucket};
    buckets_[bucket] = static_cast<std::uint8_t>(known_count_++);
}

/// The ends of the question's name are learned when the first name is searched: most answers never search.
void MessageWriter::remember_qname() noexcept
{
    if (qname_known_ != 0 || qname_size_ <= 1 || known_count_ != 0) return;
    const SearchedName qname{{buffer_.data() + kHeaderSize, qname_size_}};
    for (unsigned i = 0; i < qname.count; ++i) remember(kHeaderSize + qname.start_of[i], qname.hash_of[i]);
    qname_known_ = known_count_;
}

/// Lists are newest first, so names are forgotten from their heads.
void MessageWriter::forget_names(unsigned count) noexcept
{
    while (known_count_ > count) {
        const Known& last = known_[--known_count_];
        buckets_[last.bucket] = last.next;
    }
    if (known_count_ < qname_known_) {
        qname_known_ = 0;
        forget_names(0);
    }
}

bool MessageWriter::put_name(base::Bytes name) noexcept
{
    if (name.size() <= 2 || searches_ >= kMaxCompressionSearches) return put(name);
    ++searches_;
    remember_qname();
    const SearchedName searched{name};
    const std::size_t start = size_;
    // The first labels of a name of more than kMaxSearchedLabels labels are always written.
    for (unsigned i = 0; i < searched.count; ++i) {
        const std::size_t at = searched.start_of[i];
        const std::size_t known_at = find_known(name.subspan(at), searched.hash_of[i]);
        if (known_at == 0) continue;
        if (!put(name.first(at)) || !put_pointer(known_at)) return false;
        for (unsigned j = 0; j < i; ++j) remember(start + searched.start_of[j], searched.hash_of[j]);
        return true;
    }
    if (!put(name)) return false;
    for (unsigned j = 0; j < searched.count; ++j) remember(start + searched.start_of[j], searched.hash_of[j]);
    return true;
}

/// Owners are mostly the question's name, or that of the record before: neither costs a search.
bool MessageWriter::put_owner(base::Bytes owner) noexcept
{
    if (owner.size() > 2) {
        if (owner.size() == qname_size_ &&
            equal_ignoring_case(owner.data(), buffer_.data() + kHeaderSize, owner.size())) {
            last_owner_at_ = kHeaderSize;
            return put_pointer(kHeaderSize);
        }
        if (last_owner_at_ != 0 && equals_at(last_owner_at_, owner)) {
            // Where that owner is itself no more than a pointer, the pointer is copied.
            const std::size_t at = last_owner_at_;
            const bool is_pointer = buffer_[at] >= 0xC0;
            return put_pointer(is_pointer ? base::load_be16(buffer_, at) & kMaxTarget : at);
        }
    }
    const std::size_t start = size_;
    if (!put_name(owner)) return false;
    last_owner_at_ = start <= kMaxTarget && owner.size() > 2 ? start : 0;
    return true;
}

/// RDATA of `before` octets, `names` names and whatever follows. What is not of that form goes out as it is.
bool MessageWriter::put_rdata_names(base::Bytes rdata, std::size_t before, unsigned names) noexcept
{
    std::size_t sizes[2] = {};
    std::size_t at = before;
    for (unsigned i = 0; i < names; ++i) {
        sizes[i] = at < rdata.size() ? name_size(rdata.subspan(at)) : 0;
        if (sizes[i] == 0) return put(rdata);
        at += sizes[i];
    }
    if (!put(rdata.first(before))) return false;
    at = before;
    for (unsigned i = 0; i < names; at += sizes[i++]) {
        if (!put_name(rdata.subspan(at, sizes[i]))) return false;
    }
    return put(rdata.subspan(at));
}

bool MessageWriter::put_rdata(RrType type, base::Bytes rdata) noexcept
{
    switch (static_cast<std::uint16_t>(type)) {
    case 2:  // NS
    case 3:  // MD
    case 4:  // MF
    case 5:  // CNAME
    case 7:  // MB
    case 8:  // MG
    case 9:  // MR
    case 12: // PTR
        return put_rdata_names(rdata, 0, 1);
    case 6:  // SOA
    case 14: // MINFO
        return put_rdata_names(rdata, 0, 2);
    case 15: // MX
        return put_rdata_names(rdata, 2, 1);
    default: return put(rdata);
    }
}

bool MessageWriter::question(const Name& qname, RrType qtype, RrClass qclass) noexcept
{
    const base::Bytes wire = qname.wire();
    if (section_ != Section::question || room() < wire.size() + 4) return false;
    if (counts_[0] == 0) qname_size_ = wire.size();
    static_cast<void>(put(wire));
    base::store_be16(buffer_, size_, static_cast<std::uint16_t>(qtype));
    base::store_be16(buffer_, size_ + 2, static_cast<std::uint16_t>(qclass));
    size_ += 4;
    ++counts_[0];
    return true;
}

bool MessageWriter::record(Section section, const Name& owner, RrType type, RrClass rr_class, Ttl ttl,
                           base::Bytes rdata) noexcept
{
    return record(section, owner.wire(), type, rr_class, ttl, rdata);
}

bool MessageWriter::record(Section section, base::Bytes owner, RrType type, RrClass rr_class, Ttl ttl,
                           base::Bytes rdata) noexcept
{
    assert(section != Section::question && section >= section_ && !owner.empty());
    if (section == Section::question || section < section_ || owner.empty() || opt_open_) return false;
    const std::size_t start = size_;
    const unsigned names = known_count_;
    const std::size_t last_owner_at = last_owner_at_;
    const auto take_back = [&] {
        size_ = start;
        forget_names(names);
        last_owner_at_ = last_owner_at;
        return false;
    };

    if (!put_owner(owner) || room() < kRecordHead) return take_back();
    const std::size_t fields = size_;
    base::store_be16(buffer_, fields, static_cast<std::uint16_t>(type));
    base::store_be16(buffer_, fields + 2, static_cast<std::uint16_t>(rr_class));
    base::store_be32(buffer_, fields + 4, ttl.seconds());
    size_ += kRecordHead;
    if (!put_rdata(type, rdata)) return take_back();
    base::store_be16(buffer_, fields + 8, static_cast<std::uint16_t>(size_ - fields - kRecordHead));

    section_ = section;
    ++counts_[static_cast<std::size_t>(section)];
    smallest_ttl_ = std::min(smallest_ttl_, ttl.seconds());
    return true;
}

bool MessageWriter::begin_opt(std::uint16_t udp_payload_size, bool dnssec_ok, std::uint8_t version) noexcept
{
    if (opt_at_ != 0 || room() < kOptSize) return false;
    opt_at_ = size_;
    opt_open_ = true;
    buffer_[size_] = 0;
    base::store_be16(buffer_, size_ + 1, static_cast<std::uint16_t>(RrType::OPT));
    base::store_be16(buffer_, size_ + 3, udp_payload_size);
    buffer_[size_ + 6] = version;
    base::store_be16(buffer_, size_ + 7, dnssec_ok ? 0x8000 : 0);
    size_ += kOptSize;
    section_ = Section::additional;
    ++counts_[static_cast<std::size_t>(Section::additional)];
    store_opt_fields();
    return true;
}

/// The fields that are known late: the upper bits of RCODE, and RDLENGTH while options are being added.
void MessageWriter::store_opt_fields() noexcept
{
    buffer_[opt_at_ + 5] = static_cast<std::uint8_t>(static_cast<unsigned>(rcode_) >> 4U);
    if (opt_open_) base::store_be16(buffer_, opt_at_ + 9, static_cast<std::uint16_t>(size_ - opt_at_ - kOptSize));
}

bool MessageWriter::option(EdnsOptionCode code, base::Bytes data) noexcept
{
    if (!opt_open_ || room() < kOptionHeader + data.size()) return false;
    base::store_be16(buffer_, size_, static_cast<std::uint16_t>(code));
    base::store_be16(buffer_, size_ + 2, static_cast<std::uint16_t>(data.size()));
    size_ += kOptionHeader;
    return put(data);
}

bool MessageWriter::extended_error(ExtendedError code, std::string_view text) noexcept
{
    constexpr std::size_t kInfoCode = 2;
    if (!opt_open_ || room() < kOptionHeader + kInfoCode) return false;
    std::size_t size = std::min(text.size(), room() - kOptionHeader - kInfoCode);
    const auto is_continuation = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
    };
    while (size > 0 && size < text.size() && is_continuation(size)) --size;

    base::store_be16(buffer_, size_, static_cast<std::uint16_t>(EdnsOptionCode::EDE));
    base::store_be16(buffer_, size_ + 2, static_cast<std::uint16_t>(kInfoCode + size));
    base::store_be16(buffer_, size_ + 4, static_cast<std::uint16_t>(code));
    size_ += kOptionHeader + kInfoCode;
    return put(base::as_bytes(text.substr(0, size)));
}

void MessageWriter::pad_to(std::size_t block) noexcept
{
    if (!opt_open_ || block == 0 || room() < kOptionHeader) return;
    const std::size_t unpadded = size_ + kOptionHeader;
    const std::size_t padded = std::min((unpadded + block - 1) / block * block, limit_);
    base::store_be16(buffer_, size_, static_cast<std::uint16_t>(EdnsOptionCode::PADDING));
    base::store_be16(buffer_, size_ + 2, static_cast<std::uint16_t>(padded - unpadded));
    std::memset(buffer_.data() + unpadded, 0, padded - unpadded); // RFC 7830 §3: zeros
    size_ = padded;
}

void MessageWriter::end_opt() noexcept
{
    if (!opt_open_) return;
    store_opt_fields();
    opt_open_ = false;
}

MessageWriter::Mark MessageWriter::mark() const noexcept
{
    Mark mark;
    mark.size = size_;
    std::copy(counts_.begin(), counts_.end(), mark.counts);
    mark.names = known_count_;
    mark.smallest_ttl = smallest_ttl_;
    return mark;
}

void MessageWriter::rollback(const Mark& mark) noexcept
{
    size_ = mark.size;
    std::copy_n(mark.counts, counts_.size(), counts_.begin());
    smallest_ttl_ = mark.smallest_ttl;
    forget_names(mark.names);
    if (last_owner_at_ >= size_) last_owner_at_ = 0;
    if (qname_size_ != 0 && kHeaderSize + qname_size_ > size_) qname_size_ = 0;
    if (opt_at_ >= size_) {
        opt_at_ = 0;
        opt_open_ = false;
    }
    while (section_ != Section::question && counts_[static_cast<std::size_t>(section_)] == 0) {
        section_ = static_cast<Section>(static_cast<unsigned>(section_) - 1);
    }
}

void MessageWriter::set_limit(std::size_t limit) noexcept
{
    limit_ = std::max(std::min({limit, buffer_.size(), kMaxMessageSize}), size_);
}

Ttl MessageWriter::smallest_ttl(Ttl none) const noexcept
{
    const bool has_records = counts_[1] + counts_[2] + counts_[3] - (opt_at_ != 0 ? 1 : 0) > 0;
    return has_records ? Ttl{smallest_ttl_} : none;
}

void MessageWriter::store_counts() noexcept
{
    for (std::size_t i = 0; i < counts_.size(); ++i) base::store_be16(buffer_, 4 + 2 * i, counts_[i]);
}

base::Bytes MessageWriter::message() noexcept
{
    store_counts();
    if (opt_open_) store_opt_fields();
    return {buffer_.data(), size_};
}

void MessageWriter::adopt(std::size_t size, Ttl ttl) noexcept
{
    assert(size >= kHeaderSize && size <= buffer_.size());
    size_ = size;
    limit_ = std::max(limit_, size_);
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] = base::load_be16(buffer_, 4 + 2 * i);
    section_ = Section::additional;
    rcode_ = static_cast<Rcode>(flags() & 0xFU);
    smallest_ttl_ = ttl.seconds();
    opt_at_ = 0;
    opt_open_ = false;
    forget_all();
}

} // namespace sallyport::wire
