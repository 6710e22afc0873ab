#include "resolver/errands.hpp"

#include "wire/message_view.hpp"

#include <algorithm>

namespace sallyport::resolver {

/// One question on its way through a group.
class Errands::Errand final : private ResolutionUser {
public:
    Errand(Errands& owner, GroupUser& who, iterate::Token number, const wire::MessageView& query,
           std::shared_ptr<Group> whom)
        : user(who), token(number), id(query.id()), group(std::move(whom)), owner_(owner)
    {
        flight.inquiry.qname = query.qname().to_name().lower();
        flight.inquiry.qtype = query.qtype();
        flight.inquiry.qclass = query.qclass();
        flight.inquiry.dnssec_ok = query.edns() != nullptr && query.edns()->dnssec_ok;
        flight.inquiry.checking_disabled = query.header().has(wire::flag::CD);
    }

    void start(const Limits& limits, std::optional<std::uint8_t> avoid, base::Instant now)
    {
        resolution.emplace(static_cast<ResolutionUser&>(*this), owner_.worker_, group, flight, limits,
                           cache::Options{});
        resolution->keep_raw();
        if (avoid) resolution->avoid(*avoid);
        resolution->start(now);
    }

    GroupUser& user;
    iterate::Token token;
    std::uint16_t id;
    std::shared_ptr<Group> group;
    FlightKey flight;
    std::optional<Resolution> resolution;

private:
    void resolution_ended(Resolution&, base::Instant) noexcept override { owner_.ended(*this); }

    Errands& owner_;
};

Errands::Errands(net::Worker& worker, FindGroup find_group, FindLimits find_limits)
    : worker_(worker), find_group_(std::move(find_group)), find_limits_(std::move(find_limits))
{
    worker.random().fill(secret_);
}

Errands::~Errands() = default;

std::uint64_t Errands::hash_of(std::string_view group, const Inquiry& inquiry) const noexcept
{
    std::uint64_t hash = base::siphash24(inquiry.qname.wire(), secret_);
    hash ^= base::siphash24(base::as_bytes(group), secret_);
    return hash + static_cast<std::uint16_t>(inquiry.qtype);
}

bool Errands::ask_group(GroupUser& user, const iterate::Ask& ask) noexcept
{
    const auto group = find_group_(ask.group);
    const auto query = wire::MessageView::parse(ask.message);
    if (!group || group->upstreams.empty() || !query) return false;
    std::optional<std::uint8_t> avoid;
    if (ask.again) {
        if (group->upstreams.size() == 1) return false; // it would say the same again
        const std::uint64_t hash = hash_of(ask.group, {ask.qname->lower(), ask.qtype, query->qclass()});
        const Said& said = said_[hash % said_.size()];
        if (said.question == hash) avoid = said.upstream;
    }
    auto made = std::make_unique<Errand>(*this, user, ask.token, *query, group);
    Errand& errand = *made;
    errands_.insert_or_assign(Key{&user, ask.token}, std::move(made));
    errand.start(find_limits_(), avoid, worker_.now());
    return true;
}

void Errands::forget_asked(const GroupUser& user, iterate::Token token) noexcept
{
    const auto found = errands_.find({&user, token});
    if (found == errands_.end()) return;
    forgotten_.push_back(std::move(found->second));
    errands_.erase(found);
    worker_.flush_later(flush_);
}

void Errands::ended(Errand& errand)
{
    ended_.emplace_back(&errand.user, errand.token);
    worker_.flush_later(flush_);
}

void Errands::flush(base::Instant) noexcept
{
    forgotten_.clear();
    const auto ended = std::exchange(ended_, {});
    for (const Key& key : ended) {
        const auto found = errands_.find(key);
        if (found == errands_.end()) continue; // forgotten meanwhile
        const auto errand = std::move(found->second);
        errands_.erase(found);
        bring_back(*errand);
    }
}

void Errands::bring_back(Errand& errand) noexcept
{
    FlightResult& result = errand.resolution->result();
    const auto& upstreams = errand.group->upstreams;
    const auto by = std::find_if(upstreams.begin(), upstreams.end(),
                                 [&](const auto& one) { return one->options().name == result.upstream; });
    if (!result.has_answer || result.message.size() < wire::kHeaderSize) {
        errand.user.group_failed(errand.token);
        return;
    }
    if (by != upstreams.end()) {
        const std::uint64_t hash = hash_of(errand.group->options.name, errand.flight.inquiry);
        said_[hash % said_.size()] = {hash, static_cast<std::uint8_t>(by - upstreams.begin())};
    }
    base::store_be16(result.message, 0, errand.id);
    errand.user.group_answered(errand.token, result.message);
}

void Errands::stop() noexcept
{
    ended_.clear();
    forgotten_.clear();
    errands_.clear();
}

} // namespace sallyport::resolver
