#include "resolver/address_finder.hpp"

#include "base/log.hpp"
#include "net/socket.hpp"
#include "resolver/bootstrap_reply.hpp"
#include "resolver/loops.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>

namespace sallyport::resolver {
namespace {

using std::chrono::milliseconds;

/// Whether there is a way there; nothing is sent.
bool has_way_to(const base::IpAddress& address) noexcept
{
    sockaddr_storage room{};
    const base::Endpoint endpoint{address, 53, 0};
    const socklen_t size = endpoint.to_sockaddr(room);
    const net::Descriptor probe{::socket(room.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&room), size) == 0;
}

bool reaches(const Finding& finding) noexcept
{
    return std::any_of(finding.addresses.begin(), finding.addresses.end(), has_way_to);
}

std::string text_of(const std::vector<base::IpAddress>& addresses)
{
    std::string text;
    for (const base::IpAddress& one : addresses) text += (text.empty() ? "" : ", ") + one.to_string();
    return text;
}

std::string seconds_of(base::Duration time)
{
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

} // namespace

/// A and AAAA of one name, asked side by side; each perhaps again where a reply ends at an alias.
class AddressFinder::LookUp final : private ResolutionUser {
public:
    LookUp(AddressFinder& owner, Target wanted, base::Instant now)
        : target(std::move(wanted)), owner_(owner), deadline_(now + owner.options_->bootstrap_limits.time)
    {
        for (Half& half : halves_) half.aliases_left = owner.options_->bootstrap_limits.aliases;
        halves_[0].key.inquiry.qtype = wire::RrType::A;
        halves_[1].key.inquiry.qtype = wire::RrType::AAAA;
    }

    void start(base::Instant now)
    {
        const auto name = wire::Name::from_text(target.host);
        for (Half& half : halves_) {
            if (!name) {
                half.done = true;
                continue;
            }
            half.key.inquiry.qname = name->lower();
            ask(half, now);
        }
        if (!name) owner_.worker_.flush_later(owner_.flush_);
    }

    /// Reads what has come, and asks again where an alias wants that. True once both halves are done.
    [[nodiscard]] bool settle(base::Instant now)
    {
        for (Half& half : halves_)
            if (!half.done && half.resolution && half.resolution->is_over()) read(half, now);
        return halves_[0].done && halves_[1].done;
    }

    [[nodiscard]] Finding& v4() noexcept { return halves_[0].finding; }
    [[nodiscard]] Finding& v6() noexcept { return halves_[1].finding; }
    /// Why there is nothing.
    [[nodiscard]] std::string why() const
    {
        if (halves_[0].too_many_aliases || halves_[1].too_many_aliases) return "its aliases do not end";
        for (const Half& half : halves_)
            if (!half.why.empty()) return half.why;
        return "it has no address";
    }

    Target target;

private:
    struct Half {
        FlightKey key{};
        std::unique_ptr<Resolution> resolution{};
        Finding finding{};
        unsigned aliases_left = 0;
        std::chrono::seconds ttl = std::chrono::seconds::max(); // of the aliases so far
        bool too_many_aliases = false;
        bool done = false;
        std::string why{};
    };

    void resolution_ended(Resolution&, base::Instant) noexcept override { owner_.worker_.flush_later(owner_.flush_); }

    void ask(Half& half, base::Instant now)
    {
        Limits limits = owner_.options_->limits;
        limits.budget = std::chrono::duration_cast<milliseconds>(deadline_ - now);
        half.resolution = std::make_unique<Resolution>(static_cast<ResolutionUser&>(*this), owner_.worker_,
                                                       owner_.servers_, half.key, limits, cache::Options{});
        half.resolution->keep_raw();
        half.resolution->start(now);
    }

    void read(Half& half, base::Instant now)
    {
        FlightResult& result = half.resolution->result();
        half.done = true;
        const auto reply = wire::MessageView::parse(result.message);
        if (half.resolution->is_failure() || !result.has_answer || !reply) {
            half.why = result.ede_text.empty() ? "bootstrap servers say SERVFAIL" : result.ede_text;
            return;
        }
        AddressReply said = read_addresses(*reply, half.key.inquiry.qname, half.key.inquiry.qtype, half.aliases_left);
        half.finding = std::move(said.finding);
        half.too_many_aliases = said.too_many_aliases;
        half.ttl = std::min(half.ttl, half.finding.ttl);
        half.finding.ttl = half.ttl;
        if (!said.next) return;
        half.aliases_left -= said.aliases;
        half.finding = {};
        half.done = now >= deadline_;
        if (half.done) return;
        half.key.inquiry.qname = *said.next;
        ask(half, now);
    }

    AddressFinder& owner_;
    base::Instant deadline_;
    std::array<Half, 2> halves_;
};

AddressFinder::AddressFinder(net::Worker& worker, Tell tell) : worker_(worker), tell_(std::move(tell)) {}

AddressFinder::~AddressFinder() = default;

void AddressFinder::reconfigure(std::shared_ptr<const Options> options, std::shared_ptr<Group> servers,
                                std::span<const Target> targets, base::Instant now)
{
    options_ = std::move(options);
    servers_ = std::move(servers);
    const bool nobody = !servers_ || servers_->upstreams.empty();
    bootstrap_.reconfigure(nobody ? std::span<const Target>{} : targets, options_->bootstrap_limits, now);
    for (auto& one : running_)
        if (bootstrap_.find(one->target) == nullptr) buried_.push_back(std::move(one));
    std::erase(running_, nullptr);
    worker_.flush_later(flush_);
}

void AddressFinder::doubt(const Target& target)
{
    bootstrap_.doubt(target);
    worker_.flush_later(flush_);
}

void AddressFinder::stop() noexcept
{
    timer_.cancel();
    running_.clear();
    buried_.clear();
    bootstrap_.reconfigure({}, options_->bootstrap_limits, worker_.now());
}

void AddressFinder::work(base::Instant now) noexcept
{
    buried_.clear();
    take_ended(now);
    begin_due(now);
    if (const base::Instant next = bootstrap_.due(); next != base::Instant::max())
        worker_.arm(timer_, std::max(next, now));
    else
        timer_.cancel();
}

void AddressFinder::begin_due(base::Instant now)
{
    while (const Target* const target = bootstrap_.begin(now)) {
        running_.push_back(std::make_unique<LookUp>(*this, *target, now));
        running_.back()->start(now);
    }
}

void AddressFinder::take_ended(base::Instant now)
{
    std::vector<std::unique_ptr<LookUp>> over;
    for (auto& one : running_)
        if (one->settle(now)) over.push_back(std::move(one));
    std::erase(running_, nullptr);
    for (const auto& one : over) ended(*one, now);
}

/// Takes out what no upstream can be at; how many those were.
unsigned AddressFinder::refuse(const Target& target, Finding& finding) const
{
    if (finding.addresses.empty()) return 0;
    const auto local = local_addresses();
    const auto gone = std::erase_if(finding.addresses, [&](const base::IpAddress& one) {
        return is_nobody(one) || is_own_door(one, target.port, target.transport, options_->own, local);
    });
    return static_cast<unsigned>(gone);
}

void AddressFinder::ended(LookUp& look_up, base::Instant now)
{
    const unsigned refused = refuse(look_up.target, look_up.v4()) + refuse(look_up.target, look_up.v6());
    const Reach reach{reaches(look_up.v4()), reaches(look_up.v6())};
    const auto outcome = bootstrap_.ended(look_up.target, look_up.v4(), look_up.v6(), reach, now);
    const auto* const known = bootstrap_.find(look_up.target);
    if (known == nullptr) return;
    const Found found{outcome, refused, *known};
    if (outcome.noted)
        log(look_up.target, found,
            refused > 0 ? "it is said to be where nobody or this gateway itself is" : look_up.why());
    tell_(look_up.target, found);
}

void AddressFinder::log(const Target& target, const Found& found, const std::string& why) const
{
    if (!found.outcome.failed) {
        base::log::info("upstream host " + target.host + " is at " + text_of(found.addresses) +
                        "; looked up again in " + seconds_of(found.outcome.again));
        return;
    }
    base::log::warning(
        "upstream host " + target.host + " can not be looked up: " + why + "; " +
        (found.addresses.empty() ? "it can not be asked before it is" : text_of(found.addresses) + " stay in use"));
}

} // namespace sallyport::resolver
