#include "dnssec/records.hpp"

namespace sallyport::dnssec {

namespace {

constexpr std::size_t kRrsigFields = 18; // up to the signer
constexpr std::uint8_t kRsaMd5 = 1;

} // namespace

std::optional<wire::RrType> type_covered(base::Bytes rrsig_rdata) noexcept
{
    if (rrsig_rdata.size() < kRrsigFields) return std::nullopt;
    return static_cast<wire::RrType>(base::load_be16(rrsig_rdata, 0));
}

std::optional<RrsigView> read_rrsig(base::Bytes rdata) noexcept
{
    if (rdata.size() <= kRrsigFields) return std::nullopt;
    const auto signer_size = wire::measure_name(rdata.subspan(kRrsigFields));
    if (!signer_size) return std::nullopt;
    const auto signer = wire::Name::from_wire(rdata.subspan(kRrsigFields, *signer_size));
    if (!signer) return std::nullopt;
    RrsigView view;
    view.type_covered = static_cast<wire::RrType>(base::load_be16(rdata, 0));
    view.algorithm = rdata[2];
    view.labels = rdata[3];
    view.original_ttl = base::load_be32(rdata, 4);
    view.expiration = base::load_be32(rdata, 8);
    view.inception = base::load_be32(rdata, 12);
    view.key_tag = base::load_be16(rdata, 16);
    view.signer = *signer;
    view.fields = rdata.first(kRrsigFields);
    view.signature = rdata.subspan(kRrsigFields + *signer_size);
    return view;
}

std::optional<DnskeyView> read_dnskey(base::Bytes rdata) noexcept
{
    if (rdata.size() <= 4) return std::nullopt;
    return DnskeyView{base::load_be16(rdata, 0), rdata[2], rdata[3], rdata.subspan(4)};
}

std::uint16_t key_tag(base::Bytes dnskey_rdata) noexcept
{
    if (dnskey_rdata.size() < 4) return 0;
    if (dnskey_rdata[3] == kRsaMd5) {
        return dnskey_rdata.size() < 7 ? std::uint16_t{0} : base::load_be16(dnskey_rdata, dnskey_rdata.size() - 3);
    }
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < dnskey_rdata.size(); ++i) {
        sum += (i & 1U) != 0 ? std::uint32_t{dnskey_rdata[i]} : std::uint32_t{dnskey_rdata[i]} << 8U;
    }
    sum += sum >> 16U;
    return static_cast<std::uint16_t>(sum & 0xFFFFU);
}

std::optional<DsView> read_ds(base::Bytes rdata) noexcept
{
    if (rdata.size() <= 4) return std::nullopt;
    return DsView{base::load_be16(rdata, 0), rdata[2], rdata[3], rdata.subspan(4)};
}

bool check_type_bitmap(base::Bytes bitmap) noexcept
{
    int last = -1;
    while (!bitmap.empty()) {
        if (bitmap.size() < 2) return false;
        const std::size_t size = bitmap[1];
        if (bitmap[0] <= last || size == 0 || size > 32 || bitmap.size() - 2 < size) return false;
        last = bitmap[0];
        bitmap = bitmap.subspan(2 + size);
    }
    return true;
}

bool has_type(base::Bytes bitmap, wire::RrType type) noexcept
{
    const auto number = static_cast<unsigned>(type);
    const unsigned window = number >> 8U;
    const unsigned octet = (number & 0xFFU) >> 3U;
    while (bitmap.size() >= 2) {
        const std::size_t size = bitmap[1];
        if (bitmap.size() - 2 < size) return false;
        if (bitmap[0] == window) return octet < size && (bitmap[2 + octet] & (0x80U >> (number & 7U))) != 0;
        bitmap = bitmap.subspan(2 + size);
    }
    return false;
}

std::optional<NsecView> read_nsec(base::Bytes rdata) noexcept
{
    const auto size = wire::measure_name(rdata);
    if (!size) return std::nullopt;
    const auto next = wire::Name::from_wire(rdata.first(*size));
    const base::Bytes types = rdata.subspan(*size);
    if (!next || !check_type_bitmap(types)) return std::nullopt;
    return NsecView{*next, types};
}

std::optional<Nsec3View> read_nsec3(base::Bytes rdata) noexcept
{
    if (rdata.size() < 5) return std::nullopt;
    Nsec3View view;
    view.hash_algorithm = rdata[0];
    view.flags = rdata[1];
    view.iterations = base::load_be16(rdata, 2);
    const std::size_t salt_size = rdata[4];
    if (rdata.size() < 5 + salt_size + 1) return std::nullopt;
    view.salt = rdata.subspan(5, salt_size);
    const std::size_t hash_at = 5 + salt_size + 1;
    const std::size_t hash_size = rdata[hash_at - 1];
    if (hash_size == 0 || rdata.size() - hash_at < hash_size) return std::nullopt;
    view.next_hash = rdata.subspan(hash_at, hash_size);
    view.types = rdata.subspan(hash_at + hash_size);
    if (!check_type_bitmap(view.types)) return std::nullopt;
    return view;
}

} // namespace sallyport::dnssec
