#include "apps/root_copy.hpp"

#include "base/log.hpp"
#include "dnssec/dnssec.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"
#include "zones/zones.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

namespace sallyport::apps {

namespace log = base::log;

namespace {

using wire::RrType;

std::int64_t seconds_of(base::WallTime time)
{
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

class ZoneCopy final : public resolver::RootCopy {
public:
    ZoneCopy(std::shared_ptr<const zones::Snapshot> zone, std::int64_t read) : zone_(std::move(zone)), until_(read) {}

    std::size_t answer(base::Bytes query, base::MutableBytes room) const noexcept override
    {
        const auto view = wire::MessageView::parse(query);
        if (!view || view->header().question_count != 1) return 0;
        const wire::EdnsView* const edns = view->edns();
        wire::MessageWriter writer{room, room.size()};
        if (!writer.begin_response(view->id(), 0, view->question_bytes(), 1)) return 0;
        const wire::Name name = view->qname().to_name().lower();
        const bool wants_proof = edns != nullptr && edns->dnssec_ok;
        const auto result =
            zones::answer(*zone_, {&name, view->qtype(), wants_proof, false}, zones::Limits{}, writer, scratch());
        if (result.outcome != zones::Outcome::answered) return 0; // the root has no aliases that lead out of it
        if (edns != nullptr) {
            if (!writer.begin_opt(kPayload, wants_proof)) return 0;
            writer.end_opt();
        }
        return writer.message().size();
    }

    bool is_good(base::WallTime now) const noexcept override { return seconds_of(now) < until_; }

    /// It counts for so long after it was written (RFC 1035 §3.3.13).
    void expire_after(std::uint32_t seconds) noexcept { until_ += seconds; }

private:
    static constexpr std::uint16_t kPayload = 1232;
    static zones::Stats& scratch() noexcept
    {
        static thread_local zones::Stats stats; // these are not answers of ours
        return stats;
    }

    std::shared_ptr<const zones::Snapshot> zone_;
    std::int64_t until_;
};

/// A record set of the root's apex with its signatures, out of the copy.
struct ApexSet {
    ApexSet(const ZoneCopy& copy, RrType type)
    {
        std::array<std::uint8_t, 128> asked{};
        wire::MessageWriter writer{asked, asked.size()};
        writer.begin(0, 0);
        if (!writer.question(root, type, wire::RrClass::IN) || !writer.begin_opt(1232, true)) return;
        writer.end_opt();
        room.resize(wire::kMaxMessageSize);
        room.resize(copy.answer(writer.message(), room));
        const auto view = wire::MessageView::parse(room);
        if (!view) return;
        for (const wire::RecordView& record : view->answers()) {
            if (record.type != type && record.type != RrType::RRSIG) continue;
            std::vector<std::uint8_t>& rdata = octets.emplace_back();
            if (!wire::decompress_rdata(room, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                        record.type, rdata))
                continue;
            (record.type == type ? rdatas : signatures).push_back(rdata);
            if (record.type == type) ttl = record.ttl;
        }
    }
    ApexSet(const ApexSet&) = delete;
    ApexSet& operator=(const ApexSet&) = delete;
    [[nodiscard]] dnssec::RrsetView view(RrType type) const
    {
        return {&root, type, wire::RrClass::IN, ttl, rdatas, signatures};
    }

    wire::Name root;
    wire::Ttl ttl;
    std::vector<std::uint8_t> room;
    std::deque<std::vector<std::uint8_t>> octets; // of both
    std::vector<base::Bytes> rdatas, signatures;
};

/// Empty, or why nothing in it could be believed.
std::string find_distrust(const ZoneCopy& copy, const dnssec::TrustAnchors& anchors, dnssec::Policy policy,
                          std::int64_t now)
{
    const dnssec::AnchorPoint* const anchor = anchors.at(wire::Name{});
    if (anchor == nullptr) return {}; // nothing of the root is validated
    const auto ds = anchor->ds_views();
    const auto keys = anchor->dnskey_views();
    const ApexSet dnskeys{copy, RrType::DNSKEY};
    policy.limits.checks_per_turn = policy.limits.signature_checks;
    dnssec::Budget budget{policy.limits};
    dnssec::KeysVerifier key_check{dnskeys.view(RrType::DNSKEY), {ds, keys}, policy, now};
    if (key_check.step(budget) != dnssec::Step::done || !key_check.verdict().is_secure())
        return dnssec::describe(key_check.verdict(), wire::Name{}, wire::Name{}, RrType::DNSKEY);
    const ApexSet soa{copy, RrType::SOA};
    auto zone_keys = key_check.take_keys();
    dnssec::RrsetVerifier soa_check{soa.view(RrType::SOA), zone_keys, policy, now};
    if (soa_check.step(budget) != dnssec::Step::done || !soa_check.verdict().is_secure())
        return dnssec::describe(soa_check.verdict(), wire::Name{}, wire::Name{}, RrType::SOA);
    return {};
}

std::string mark_of(const struct stat& status)
{
    return std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + '.' +
           std::to_string(status.st_mtim.tv_nsec) + ' ' + std::to_string(status.st_ino);
}

} // namespace

void load_root_copy(resolver::RecurseOptions& options, const dnssec::TrustAnchors& anchors, base::Problems& problems)
{
    if (options.local_root_file.empty()) return;
    struct stat status{};
    if (::stat(options.local_root_file.c_str(), &status) != 0) status.st_mtime = 0;
    const std::string mark = mark_of(status);
    if (options.local_root_mark == mark) return;
    options.local_root_mark = mark;
    options.local_root.reset();
    zones::Options wanted;
    wanted.local_only.enabled = false;
    wanted.zones.push_back({.name = ".",
                            .file = options.local_root_file,
                            .records = {},
                            .hosts_file = {},
                            .position = options.local_root_position,
                            .record_positions = {}});
    auto zone = zones::load(wanted, problems);
    if (!zone) return;
    const base::WallTime now = base::SystemClock{}.wall();
    // No file was written later than now, whatever the clock said when it was.
    auto copy = std::make_shared<ZoneCopy>(std::move(zone), std::min<std::int64_t>(status.st_mtime, seconds_of(now)));
    const ApexSet soa{*copy, RrType::SOA};
    constexpr std::size_t kExpireFromEnd = 8;
    if (soa.rdatas.size() != 1 || soa.rdatas[0].size() < 22) return;
    copy->expire_after(base::load_be32(soa.rdatas[0], soa.rdatas[0].size() - kExpireFromEnd));
    const std::string distrust = find_distrust(*copy, anchors, options.engine.policy, seconds_of(now));
    if (!distrust.empty())
        log::warning("the copy of the root zone in " + options.local_root_file + " is not used: " + distrust);
    else if (!copy->is_good(now))
        log::warning("the copy of the root zone in " + options.local_root_file +
                     " is not used: it is older than its "
                     "SOA record allows");
    else
        options.local_root = std::move(copy);
}

} // namespace sallyport::apps
