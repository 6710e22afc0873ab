#include "cache/records.hpp"
#include "wire/rdata.hpp"

#include <array>
#include <span>
#include <vector>

namespace sallyport::cache {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using wire::RecordView;
using wire::RrType;
using wire::Section;

/// Room for options that ask for more than makes sense.
constexpr unsigned kMaxAliases = 32;
constexpr unsigned kMaxTargets = 32;
constexpr unsigned kMaxTypes = 128;
/// An entry counts the records of these sections in one octet.
constexpr unsigned kMaxBeside = 255;

/// Names on the way from the question to the data: the question's, and the target of each alias after it.
class Chain {
public:
    /// False where there are more aliases than `most`.
    [[nodiscard]] bool follow(const wire::MessageView& response, const Key& key, unsigned most) noexcept
    {
        names_[0] = *key.qname;
        if (key.qtype == RrType::CNAME || key.qtype == RrType::ANY) return true;
        most = std::min(most, kMaxAliases - 1);
        // A loop of aliases goes on until `most` ends it.
        while (const RecordView* const alias = find_alias(response, key)) {
            if (count_ > most) return false;
            names_[count_++] = *target_of(response, *alias);
        }
        return true;
    }
    [[nodiscard]] std::span<const wire::Name> names() const noexcept { return {names_.data(), count_}; }
    [[nodiscard]] const wire::Name& last() const noexcept { return names_[count_ - 1]; }

    [[nodiscard]] bool has(const wire::NameRef& owner) const noexcept
    {
        return std::ranges::any_of(names(), [&](const wire::Name& name) { return owner.equals(name); });
    }
    /// Whether one of the names is `apex` or lies below it.
    [[nodiscard]] bool is_below(const wire::Name& apex) const noexcept
    {
        return std::ranges::any_of(names(), [&](const wire::Name& name) { return name.is_under(apex); });
    }

    [[nodiscard]] static std::optional<wire::Name> target_of(const wire::MessageView& response,
                                                             const RecordView& record) noexcept
    {
        std::vector<std::uint8_t> rdata;
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        if (!decompress_rdata(response.bytes(), record.rdata_offset, size, record.type, rdata)) return std::nullopt;
        const auto target = wire::target_name(record.type, rdata);
        if (!target) return std::nullopt;
        return *target;
    }

private:
    /// The alias at the last name, in `found_`.
    [[nodiscard]] const RecordView* find_alias(const wire::MessageView& response, const Key& key) noexcept
    {
        for (const RecordView& record : response.answers()) {
            if (record.type != RrType::CNAME || record.rr_class != key.qclass || !record.owner.equals(last())) continue;
            if (!target_of(response, record)) return nullptr; // told of when the record is written
            found_ = record;
            return &found_;
        }
        return nullptr;
    }

    std::array<wire::Name, kMaxAliases> names_;
    unsigned count_ = 1;
    RecordView found_;
};

/// How many records of each type a section has.
class TypeCounts {
public:
    TypeCounts(unsigned max_set, unsigned max_types) noexcept
        : max_set_(max_set), max_types_(std::min(max_types, kMaxTypes))
    {
    }
    /// False where a limit is passed.
    [[nodiscard]] bool add(RrType type) noexcept
    {
        for (unsigned i = 0; i < used_; ++i) {
            if (types_[i] == type) return ++counts_[i] <= max_set_;
        }
        if (used_ == max_types_) return false;
        types_[used_] = type;
        counts_[used_++] = 1;
        return max_set_ > 0;
    }

private:
    unsigned max_set_;
    unsigned max_types_;
    unsigned used_ = 0;
    std::array<RrType, kMaxTypes> types_{};
    std::array<unsigned, kMaxTypes> counts_{};
};

/// Writes a response anew, record by record.
class Rebuild {
public:
    Rebuild(const wire::MessageView& response, const Key& key, const Options& options, base::MutableBytes room) noexcept
        : response_(response), key_(key), options_(options), writer_(room, wire::kMaxMessageSize)
    {
        rdata_.reserve(512);
    }

    [[nodiscard]] std::optional<Prepared> run() noexcept
    {
        prepared_.rcode = response_.rcode();
        prepared_.authentic = response_.header().has(wire::flag::AD);
        writer_.begin(0, static_cast<std::uint16_t>(wire::flag::QR | (prepared_.authentic ? wire::flag::AD : 0U)));
        writer_.set_rcode(prepared_.rcode);
        if (!writer_.question(*key_.qname, key_.qtype, key_.qclass)) return std::nullopt;
        if (!chain_.follow(response_, key_, options_.max_aliases)) return std::nullopt;
        if (!answers()) return std::nullopt;
        prepared_.negative = is_negative();
        if (!authorities() || !additionals()) return std::nullopt;
        prepared_.message = writer_.message();
        prepared_.lifetime = lifetime();
        return prepared_;
    }

private:
    [[nodiscard]] bool answers() noexcept
    {
        TypeCounts counts{options_.max_set, options_.max_types};
        for (const RecordView& record : response_.answers()) {
            if (!is_of_answer(record)) continue;
            if (!counts.add(record.type) || !write(Section::answer, record, limited(record.ttl))) return false;
            has_data_ = has_data_ || record.type == key_.qtype || key_.qtype == RrType::ANY;
        }
        return true;
    }

    /// What answers the question: data, signatures and aliases of the names that lead to it.
    [[nodiscard]] bool is_of_answer(const RecordView& record) const noexcept
    {
        if (!is_data(record)) return false;
        if (chain_.has(record.owner)) return true;
        // A DNAME, and its signature, stand above a name of the chain (RFC 6672 §3.1).
        const bool signs_dname = record.type == RrType::RRSIG && record.rdata.size() >= 2 &&
                                 static_cast<RrType>(base::load_be16(record.rdata, 0)) == RrType::DNAME;
        return (record.type == RrType::DNAME || signs_dname) && chain_.is_below(record.owner.to_name());
    }

    [[nodiscard]] bool authorities() noexcept
    {
        TypeCounts counts{options_.max_set, options_.max_types};
        for (const RecordView& record : response_.authorities()) {
            if (!is_of_authority(record)) continue;
            wire::Ttl ttl = limited(record.ttl);
            if (prepared_.negative && record.type == RrType::SOA) {
                const auto negative_ttl = ttl_of_negative(record);
                if (!negative_ttl) return false;
                ttl = *negative_ttl;
                has_soa_ = true;
            }
            if (!counts.add(record.type) || !write(Section::authority, record, ttl)) return false;
            if (writer_.count(Section::authority) > kMaxBeside) return false;
        }
        return true;
    }

    [[nodiscard]] bool is_of_authority(const RecordView& record) const noexcept
    {
        if (!is_data(record)) return false;
        switch (record.type) {
        case RrType::SOA: // the zone of the name that has no data, not of one before it (RFC 2308 §2.1)
            return prepared_.negative ? chain_.last().is_under(record.owner.to_name())
                                      : chain_.is_below(record.owner.to_name());
        case RrType::NS:
        case RrType::DS: return chain_.is_below(record.owner.to_name());
        // Their owners are hashes, neighbours and wildcards: who checks signatures knows what they say.
        case RrType::NSEC:
        case RrType::NSEC3:
        case RrType::RRSIG: return true;
        default: return false;
        }
    }

    /// RFC 2308 §5: no longer than the SOA record and its MINIMUM field say.
    [[nodiscard]] std::optional<wire::Ttl> ttl_of_negative(const RecordView& soa) noexcept
    {
        if (!expand(soa)) return std::nullopt;
        const auto minimum = wire::Ttl::from_wire(base::load_be32(rdata_, rdata_.size() - 4));
        const auto most = wire::Ttl{static_cast<std::uint32_t>(options_.max_negative_ttl.count())};
        const auto least = std::min(wire::Ttl{static_cast<std::uint32_t>(options_.min_ttl.count())}, most);
        return std::clamp(std::min(soa.ttl, minimum), least, most);
    }

    /// Addresses of what the answer points at. What else is there is dropped: nobody asked for it.
    [[nodiscard]] bool additionals() noexcept
    {
        if (target_count_ > std::min<unsigned>(options_.max_additional_names, kMaxTargets)) return true;
        TypeCounts counts{options_.max_set, options_.max_types};
        for (const RecordView& record : response_.additionals()) {
            if (!is_of_additional(record)) continue;
            if (writer_.count(Section::additional) == kMaxBeside || !counts.add(record.type)) return true;
            if (!write(Section::additional, record, limited(record.ttl))) return false;
        }
        return true;
    }

    [[nodiscard]] bool is_of_additional(const RecordView& record) const noexcept
    {
        switch (record.type) {
        case RrType::A:
        case RrType::AAAA:
        case RrType::SVCB:
        case RrType::HTTPS:
        case RrType::RRSIG: break;
        default: return false;
        }
        return is_data(record) && std::any_of(targets_.begin(), targets_.begin() + target_count_,
                                              [&](const wire::Name& name) { return record.owner.equals(name); });
    }

    [[nodiscard]] bool is_data(const RecordView& record) const noexcept
    {
        return record.rr_class == key_.qclass && !is_meta(record.type);
    }

    [[nodiscard]] bool expand(const RecordView& record) noexcept
    {
        rdata_.clear();
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        return decompress_rdata(response_.bytes(), record.rdata_offset, size, record.type, rdata_) &&
               check_rdata(record.type, rdata_);
    }

    [[nodiscard]] bool write(Section section, const RecordView& record, wire::Ttl ttl) noexcept
    {
        if (!expand(record)) return false;
        const wire::Name owner = record.owner.to_name();
        if (section != Section::additional) remember_target(owner, record.type);
        return writer_.record(section, owner, record.type, record.rr_class, ttl, rdata_);
    }

    void remember_target(const wire::Name& owner, RrType type) noexcept
    {
        if (type == RrType::CNAME || type == RrType::DNAME || type == RrType::PTR) return;
        const auto target = wire::target_name(type, rdata_);
        if (!target || target_count_ > kMaxTargets) return;
        // A ServiceMode record without a target name means its owner (RFC 9460 §2.5.2).
        const bool is_service = type == RrType::SVCB || type == RrType::HTTPS;
        const wire::Name& name = is_service && target->is_root() ? owner : *target;
        const auto known = std::span{targets_}.first(target_count_);
        if (std::ranges::find(known, name) == known.end()) targets_[target_count_++] = name;
    }

    [[nodiscard]] wire::Ttl limited(wire::Ttl ttl) const noexcept
    {
        const auto most = wire::Ttl{static_cast<std::uint32_t>(options_.max_ttl.count())};
        const auto least = std::min(wire::Ttl{static_cast<std::uint32_t>(options_.min_ttl.count())}, most);
        return std::clamp(ttl, least, most);
    }

    [[nodiscard]] bool is_negative() const noexcept
    {
        return prepared_.rcode == wire::Rcode::NXDOMAIN || (prepared_.rcode == wire::Rcode::NOERROR && !has_data_);
    }

    [[nodiscard]] base::Duration lifetime() const noexcept
    {
        if (response_.header().has(wire::flag::TC)) return {};
        if (prepared_.rcode == wire::Rcode::SERVFAIL) return options_.failure_ttl;
        if (prepared_.rcode != wire::Rcode::NOERROR && prepared_.rcode != wire::Rcode::NXDOMAIN) return {};
        if (prepared_.negative && !has_soa_) return {}; // RFC 2308 §5; a referral is none either
        return seconds{writer_.smallest_ttl(wire::Ttl{0}).seconds()};
    }

    const wire::MessageView& response_;
    const Key& key_;
    const Options& options_;
    wire::MessageWriter writer_;
    Prepared prepared_;
    Chain chain_;
    std::vector<std::uint8_t> rdata_;
    std::array<wire::Name, kMaxTargets + 1> targets_;
    unsigned target_count_ = 0;
    bool has_data_ = false;
    bool has_soa_ = false;
};

/// Whether it answers the question that was asked; letters in either case, for the case may be mixed on the way out.
bool is_response_to(const wire::MessageView& response, const Key& key) noexcept
{
    const wire::Header& header = response.header();
    return header.has(wire::flag::QR) && header.opcode() == wire::Opcode::QUERY && header.question_count == 1 &&
           response.qtype() == key.qtype && response.qclass() == key.qclass && response.qname().equals(*key.qname);
}

std::size_t question_end(const Prepared& prepared) noexcept
{
    std::size_t at = wire::kHeaderSize;
    while (prepared.message[at] != 0) at += prepared.message[at] + std::size_t{1};
    return at + 5;
}

} // namespace

std::optional<Prepared> prepare(const wire::MessageView& response, const Key& key, const Options& options,
                                base::MutableBytes room) noexcept
{
    if (!is_response_to(response, key)) return std::nullopt;
    return Rebuild{response, key, options, room}.run();
}

void give(const Prepared& prepared, wire::MessageWriter& answer) noexcept
{
    const std::size_t start = question_end(prepared);
    const auto count = [&](std::size_t at) { return base::load_be16(prepared.message, at); };
    if (answer.size() != start) { // not begun with this question, so that pointers would lead astray
        answer.set_rcode(wire::Rcode::SERVFAIL);
        return;
    }
    const Counts counts{count(6), count(8), count(10)};
    static_cast<void>(
        append_records(answer, prepared.message.subspan(start), counts, Ageing{}, prepared.rcode, prepared.authentic));
}

} // namespace sallyport::cache
