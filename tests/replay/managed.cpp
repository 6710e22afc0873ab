#include "tests/replay/managed.hpp"

#include <algorithm>

namespace sallyport::replay {

using resolver::iterate::Answer;
using wire::RrType;

ManagedAnchors::ManagedAnchors(Settings& settings)
    : configured_(settings.engine.anchors), policy_(settings.engine.policy), date_(settings.date)
{
    for (const auto& [id, text] : settings.managed) {
        auto anchor = dnssec::ManagedAnchor::from_text(text, id);
        if (!anchor) {
            problem_ = anchor.error().to_string();
            continue;
        }
        const bool is_configured = text.find(";;last_success: ") == std::string::npos;
        files_.push_back({id, text, std::move(*anchor), !is_configured});
    }
    if (!files_.empty()) settings.engine.anchors = anchors();
}

std::shared_ptr<const dnssec::TrustAnchors> ManagedAnchors::anchors() const
{
    auto all = std::make_shared<dnssec::TrustAnchors>(configured_ ? *configured_ : dnssec::TrustAnchors{});
    for (const File& file : files_) {
        if (file.anchor.is_revoked()) {
            all->remove(file.anchor.zone()); // RFC 5011 §5: as if there had never been one
        } else {
            all->replace(file.anchor.anchor());
        }
    }
    return all;
}

bool ManagedAnchors::looks_ever(const File& file) { return !file.looking && !file.anchor.is_revoked(); }

std::optional<std::int64_t> ManagedAnchors::next() const
{
    std::optional<std::int64_t> least;
    for (const File& file : files_) {
        if (looks_ever(file)) least = std::min(least.value_or(file.anchor.next_probe()), file.anchor.next_probe());
    }
    return least;
}

const std::string* ManagedAnchors::find_file(std::string_view id) const
{
    const auto it = std::find_if(files_.begin(), files_.end(), [id](const File& file) { return file.id == id; });
    return it == files_.end() ? nullptr : &it->text;
}

bool ManagedAnchors::work(resolver::iterate::Engine& engine, cache::RrsetStore& store, std::int64_t now)
{
    bool worked = false;
    for (File& file : files_) {
        if (file.reply) {
            worked = true;
            take(file, now);
            engine.set_anchors(anchors());
        } else if (looks_ever(file) && file.anchor.next_probe() <= now) {
            worked = true;
            look(file, engine, store);
        }
    }
    return worked;
}

/// The zone's servers are to say it, not what is remembered of them.
void ManagedAnchors::look(File& file, resolver::iterate::Engine& engine, cache::RrsetStore& store)
{
    file.looking = true;
    store.erase(file.anchor.zone(), RrType::DNSKEY, wire::RrClass::IN);
    engine.resolve({file.anchor.zone(), RrType::DNSKEY, wire::RrClass::IN, true},
                   [&file](const Answer& answer) { file.reply = answer; });
}

void ManagedAnchors::take(File& file, std::int64_t now)
{
    const Answer reply = *std::exchange(file.reply, std::nullopt);
    file.looking = false;
    const auto set = std::find_if(reply.answers.begin(), reply.answers.end(), [&](const cache::RrsetPtr& each) {
        return each->is_data() && each->type == RrType::DNSKEY && each->owner == file.anchor.zone();
    });
    if (set == reply.answers.end()) {
        file.anchor.failed(now); // nobody said anything: what is written stands
        return;
    }
    std::vector<base::Bytes> rdatas;
    std::vector<base::Bytes> signatures;
    for (const base::Bytes rdata : (*set)->records) rdatas.push_back(rdata);
    for (const base::Bytes rdata : (*set)->signatures) signatures.push_back(rdata);
    const dnssec::RrsetView keys{&(*set)->owner, RrType::DNSKEY, wire::RrClass::IN, (*set)->ttl, rdatas, signatures};
    const bool secure = is_secure(keys, file, now);
    // Where the date of signatures stands still, the clock that counts days is not theirs.
    dnssec::Policy policy = policy_;
    policy.check_dates = policy.check_dates && !date_;
    file.anchor.update(keys, secure, policy, now);
    file.had_success = file.had_success || secure || file.anchor.is_revoked();
    if (file.had_success) file.text = file.anchor.to_text();
}

bool ManagedAnchors::is_secure(const dnssec::RrsetView& keys, const File& file, std::int64_t now) const
{
    const dnssec::AnchorPoint point = file.anchor.anchor();
    const auto ds = point.ds_views();
    const auto trusted = point.dnskey_views();
    dnssec::Budget budget{policy_.limits};
    dnssec::KeysVerifier verifier{keys, {ds, trusted}, policy_, date_.value_or(now)};
    dnssec::Step step = verifier.step(budget);
    while (step == dnssec::Step::again) {
        budget.begin_turn();
        step = verifier.step(budget);
    }
    return step == dnssec::Step::done && verifier.verdict().is_secure();
}

} // namespace sallyport::replay
