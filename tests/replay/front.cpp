#include "tests/replay/front.hpp"

#include "zones/zones.hpp"

namespace sallyport::replay {
namespace {

class Sink final : public pipeline::ReplySink {
public:
    void reply(const pipeline::Reply& given) noexcept override
    {
        message.emplace(given.message.begin(), given.message.end());
    }
    void dropped(std::uint64_t) noexcept override {}
    std::optional<std::vector<std::uint8_t>> message;
};

pipeline::Options options_of(const Settings& settings)
{
    pipeline::Options options;
    options.cookies = false;
    options.ddr.enabled = false;
    options.access.allow.push_back(*base::Prefix::parse("127.0.0.0/8"));
    for (const auto& [network, word] : settings.access) {
        (word == "refuse" ? options.access.deny : options.access.allow).push_back(network);
    }
    return options;
}

zones::Options zones_of(const Settings& settings)
{
    zones::Options options;
    options.local_only.enabled = true;
    options.local_only.elsewhere = settings.no_local_zones;
    options.local_only.recursing = true;
    options.local_only.translates = !settings.engine.dns64.prefixes.empty();
    return options;
}

} // namespace

class Front::Behind final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question&, resolver::Waiter&, base::Instant) noexcept override
    {
        reached = true;
        return resolver::Taken::waiting;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override {}
    void explain(const resolver::Question&, const resolver::Tell&) const override {}
    bool reached = false;
};

Front::Front(const Settings& settings, const base::Clock& clock, base::RandomSource& random)
    : behind_(std::make_unique<Behind>()), pipeline_(options_of(settings), clock, random)
{
    pipeline::Services services;
    services.resolver = behind_.get();
    pipeline_.set_services(services);
    base::Problems problems;
    pipeline_.set_zones(zones::load(zones_of(settings), problems), {});
}

Front::~Front() = default;

Front::Verdict Front::receive(base::Bytes message, const base::IpAddress& address, bool tcp, base::Instant now)
{
    Sink sink;
    pipeline::QueryList waiting;
    pipeline::Client client;
    client.peer = {address, 54'321, 0};
    client.local = {*base::IpAddress::parse("127.0.0.1"), 53, 0};
    client.transport = tcp ? base::Transport::tcp : base::Transport::udp;
    behind_->reached = false;
    static_cast<void>(pipeline_.receive({message, client, sink, 0, waiting, now}));
    pipeline_.abandon(waiting);
    return {behind_->reached, std::move(sink.message)};
}

} // namespace sallyport::replay
