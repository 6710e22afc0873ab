#include "apps/root_zone.hpp"

#include "dnssec/dnssec.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"
#include "zones/zone.hpp"
#include "zones/zonemd.hpp"

#include <array>
#include <deque>
#include <optional>
#include <vector>

namespace sallyport::apps {

using wire::RrType;

namespace {

constexpr std::uint16_t kPayload = 1232;
constexpr std::int64_t kClockSlack = 3600; // that a clock may be set back without harm

zones::Stats& scratch() noexcept
{
    static thread_local zones::Stats stats; // these are not answers of ours
    return stats;
}

/// What the copy says when it is asked for a type at its apex: sets with their signatures.
class ApexAnswer {
public:
    struct Set {
        wire::Name owner;
        RrType type{};
        wire::Ttl ttl;
        std::vector<base::Bytes> rdatas, signatures;

        [[nodiscard]] dnssec::RrsetView view() const
        {
            return {&owner, type, wire::RrClass::IN, ttl, rdatas, signatures};
        }
    };

    ApexAnswer(const RootZone& root, RrType type) : room_(wire::kMaxMessageSize)
    {
        std::array<std::uint8_t, 128> asked{};
        wire::MessageWriter writer{asked, asked.size()};
        writer.begin(0, 0);
        if (!writer.question(wire::Name{}, type, wire::RrClass::IN) || !writer.begin_opt(kPayload, true)) return;
        writer.end_opt();
        room_.resize(root.answer(writer.message(), room_));
        const auto view = wire::MessageView::parse(room_);
        if (!view) return;
        take(view->answers(), answers_);
        take(view->authorities(), authorities_);
    }
    ApexAnswer(const ApexAnswer&) = delete;
    ApexAnswer& operator=(const ApexAnswer&) = delete;

    /// Empty where there is none.
    [[nodiscard]] Set answer(RrType type) const
    {
        for (const Set& set : answers_)
            if (set.type == type) return set;
        return {{}, type, {}, {}, {}};
    }
    [[nodiscard]] const std::deque<Set>& authorities() const { return authorities_; }

private:
    void take(const wire::RecordRange& records, std::deque<Set>& sets)
    {
        for (const wire::RecordView& record : records) {
            std::vector<std::uint8_t>& rdata = octets_.emplace_back();
            if (!wire::decompress_rdata(room_, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                        record.type, rdata))
                continue;
            const auto covered = record.type == RrType::RRSIG ? dnssec::type_covered(rdata) : std::nullopt;
            Set& set = set_of(sets, record.owner.to_name(), covered.value_or(record.type));
            (covered ? set.signatures : set.rdatas).push_back(rdata);
            if (!covered) set.ttl = record.ttl;
        }
    }
    static Set& set_of(std::deque<Set>& sets, const wire::Name& owner, RrType type)
    {
        for (Set& set : sets)
            if (set.type == type && set.owner == owner) return set;
        return sets.emplace_back(Set{owner, type, {}, {}, {}});
    }

    std::vector<std::uint8_t> room_;
    std::deque<std::vector<std::uint8_t>> octets_;
    std::deque<Set> answers_, authorities_;
};

/// The root's own word for its records, by its keys.
class RootJudge {
public:
    RootJudge(const RootZone& root, const dnssec::TrustAnchors& anchors, const dnssec::Policy& policy, std::int64_t now)
        : root_(root), anchor_(anchors.at(wire::Name{})), policy_(policy), now_(now)
    {
        policy_.limits.checks_per_turn = policy_.limits.signature_checks; // nobody else waits for a turn here
        policy_.limits.hashes_per_turn = policy_.limits.nsec3_hashes;
    }

    [[nodiscard]] std::string run()
    {
        if (anchor_ == nullptr) return {}; // nothing of the root is validated
        if (std::string wrong = check_keys(); !wrong.empty()) return wrong;
        if (std::string wrong = check(ApexAnswer{root_, RrType::SOA}.answer(RrType::SOA)); !wrong.empty()) return wrong;
        // RFC 8976 §4: a ZONEMD that is there is signed; one that is not is shown not to be.
        const ApexAnswer zonemd{root_, RrType::ZONEMD};
        const auto set = zonemd.answer(RrType::ZONEMD);
        return set.rdatas.empty() ? check_absence(zonemd) : check(set);
    }

private:
    std::string check_keys()
    {
        const auto ds = anchor_->ds_views();
        const auto trusted = anchor_->dnskey_views();
        const ApexAnswer answer{root_, RrType::DNSKEY};
        const auto dnskeys = answer.answer(RrType::DNSKEY);
        dnssec::Budget budget{policy_.limits};
        dnssec::KeysVerifier verifier{dnskeys.view(), {ds, trusted}, policy_, now_};
        const bool done = verifier.step(budget) == dnssec::Step::done;
        if (!done || !verifier.verdict().is_secure()) return describe(verifier.verdict(), RrType::DNSKEY);
        keys_.emplace(verifier.take_keys());
        return {};
    }

    std::string check(const ApexAnswer::Set& set)
    {
        dnssec::Budget budget{policy_.limits};
        dnssec::RrsetVerifier verifier{set.view(), *keys_, policy_, now_};
        const bool done = verifier.step(budget) == dnssec::Step::done;
        return done && verifier.verdict().is_secure() ? std::string{} : describe(verifier.verdict(), set.type);
    }

    std::string check_absence(const ApexAnswer& answer)
    {
        std::vector<dnssec::DenialRecord> records;
        for (const ApexAnswer::Set& set : answer.authorities()) {
            if (set.type != RrType::NSEC && set.type != RrType::NSEC3) continue;
            if (std::string wrong = check(set); !wrong.empty()) return wrong;
            for (const base::Bytes rdata : set.rdatas) records.push_back({&set.owner, set.type, rdata});
        }
        const wire::Name root;
        dnssec::Budget budget{policy_.limits};
        dnssec::DenialProver prover{{&root, RrType::ZONEMD, &root, dnssec::Claim::no_data}, records};
        const bool done = prover.step(budget) == dnssec::Step::done;
        if (done && prover.result().verdict.is_secure()) return {};
        return "it has no ZONEMD record, and none that shows that there is none";
    }

    static std::string describe(const dnssec::Verdict& verdict, RrType type)
    {
        return dnssec::describe(verdict, wire::Name{}, wire::Name{}, type);
    }

    const RootZone& root_;
    const dnssec::AnchorPoint* anchor_;
    dnssec::Policy policy_;
    std::int64_t now_;
    std::optional<dnssec::ZoneKeys> keys_;
};

} // namespace

std::int64_t seconds_of(base::WallTime time) noexcept
{
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

RootZone::RootZone(std::shared_ptr<const zones::Snapshot> snapshot, std::int64_t confirmed)
    : zone_(std::move(snapshot)), confirmed_(confirmed)
{
    soa_ = zones::read_soa(zone().first_rdata(zone().soa()));
}

const zones::Zone& RootZone::zone() const noexcept { return *zone_->find(wire::Name{}); }

std::size_t RootZone::answer(base::Bytes query, base::MutableBytes room) const noexcept
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

bool RootZone::is_good(base::WallTime now) const noexcept
{
    // One that is known from the future is so by a clock that was wrong: nobody can say how old it is.
    return seconds_of(now) < expires() && seconds_of(now) >= confirmed_ - kClockSlack;
}

std::shared_ptr<const RootZone> RootZone::confirmed_at(std::int64_t date) const
{
    auto same = std::make_shared<RootZone>(zone_, date);
    same->set_digested(digested_);
    return same;
}

std::string find_root_distrust(const RootZone& root, const dnssec::TrustAnchors& anchors, const dnssec::Policy& policy,
                               std::int64_t now)
{
    return RootJudge{root, anchors, policy, now}.run();
}

std::string judge_root(RootZone& root, const dnssec::TrustAnchors& anchors, const dnssec::Policy& policy,
                       std::int64_t now)
{
    if (std::string distrust = find_root_distrust(root, anchors, policy, now); !distrust.empty()) return distrust;
    const auto digest = zones::check_digest(root.zone());
    root.set_digested(digest.state == zones::DigestState::good);
    return digest.state == zones::DigestState::mismatch ? digest.why : std::string{};
}

} // namespace sallyport::apps
