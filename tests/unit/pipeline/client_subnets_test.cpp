#include "asking.hpp"
#include "pipeline/client_subnets.hpp"
#include "resolver/iterate/subnet.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::pipeline {
namespace {

using testing::Gate;
using testing::Octets;
using testing::option_of;
using testing::query_for;
using wire::EdnsOptionCode;
using wire::Rcode;
using wire::RrType;

base::Prefix network(const std::string& text) { return *base::Prefix::parse(text); }

Octets option(const std::string& subnet, std::uint8_t scope = 0)
{
    const auto data = resolver::iterate::write_subnet(network(subnet), scope);
    return {data.bytes().begin(), data.bytes().end()};
}

class Backend final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question& question, resolver::Waiter& waiter,
                            base::Instant) noexcept override
    {
        asked.push_back(question);
        waiters.add(waiter);
        return resolver::Taken::waiting;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override {}
    void explain(const resolver::Question&, const resolver::Tell&) const override {}

    void tell(std::optional<std::uint8_t> scope, Rcode rcode, base::Instant now)
    {
        Octets room(512);
        wire::MessageWriter writer{room, room.size()};
        writer.begin(0, wire::flag::QR | wire::flag::RD);
        EXPECT_TRUE(writer.question(asked.back().qname, asked.back().qtype, wire::RrClass::IN));
        EXPECT_TRUE(writer.record(wire::Section::answer, asked.back().qname, RrType::A, wire::RrClass::IN,
                                  wire::Ttl{300}, Octets{192, 0, 2, 7}));
        writer.set_rcode(rcode);
        cache::Prepared prepared;
        prepared.message = writer.message();
        prepared.rcode = rcode;
        resolver::Outcome outcome;
        outcome.answer = &prepared;
        outcome.subnet_scope = scope;
        waiters.tell(outcome, now);
    }

    std::vector<resolver::Question> asked;
    testing::Waiters waiters;
};

Options open_to_all()
{
    Options options;
    options.access.allow = {network("0.0.0.0/0"), network("::/0")};
    return options;
}

Options telling(bool from_clients = true)
{
    Options options = open_to_all();
    options.client_subnet.rules.zones = {*wire::Name::from_text("cdn.example.")};
    options.client_subnet.from_clients = from_clients;
    return options;
}

struct TellingGate : Gate {
    explicit TellingGate(const Options& options = telling()) : Gate(options)
    {
        Services services;
        services.resolver = &backend;
        pipeline.set_services(services);
        client.peer = *base::Endpoint::parse("203.0.113.9:4000");
    }
    /// What the resolver is to know of the client.
    std::optional<base::Prefix> subnet_of(const std::string& qname, const Octets& given = {})
    {
        const std::size_t before = backend.asked.size();
        (void)ask(query_with(qname, given));
        return backend.asked.size() > before ? backend.asked.back().subnet : std::nullopt;
    }
    static Octets query_with(const std::string& qname, const Octets& given)
    {
        testing::QueryOptions options{.edns = true};
        if (!given.empty()) options.options.emplace_back(EdnsOptionCode::CLIENT_SUBNET, given);
        return query_for(qname, options);
    }
    std::optional<Octets> answered(const Octets& given, std::optional<std::uint8_t> scope, Rcode rcode = Rcode::NOERROR)
    {
        (void)ask(query_with("www.cdn.example.", given));
        backend.tell(scope, rcode, clock.now());
        return option_of(door.answer(), EdnsOptionCode::CLIENT_SUBNET);
    }
    Backend backend;
};

TEST(ClientSubnets, TellNobodyByDefault)
{
    TellingGate gate{open_to_all()};
    EXPECT_FALSE(gate.subnet_of("www.cdn.example."));
    EXPECT_FALSE(gate.subnet_of("www.cdn.example.", option("198.51.100.0/24")));
    EXPECT_FALSE(gate.answered(option("198.51.100.0/24"), std::nullopt));
    EXPECT_FALSE(gate.subnet_of("www.cdn.example.", Octets{0, 9, 1})); // ignored, like any option we do not know
    EXPECT_EQ(gate.pipeline.stats().formerr.get(), 0U);
}

TEST(ClientSubnets, TellTheNetworkOfTheAddressForNamedZonesAlone)
{
    TellingGate gate;
    EXPECT_EQ(gate.subnet_of("www.cdn.example."), network("203.0.113.0/24"));
    EXPECT_EQ(gate.subnet_of("cdn.example."), network("203.0.113.0/24"));
    EXPECT_FALSE(gate.subnet_of("www.example."));
    gate.client.peer = *base::Endpoint::parse("[2001:db8:1:2:3::4]:4000");
    EXPECT_EQ(gate.subnet_of("www.cdn.example."), network("2001:db8:1::/56"));
}

TEST(ClientSubnets, NeverTellOfPrivateAddresses)
{
    TellingGate gate;
    for (const char* peer : {"127.0.0.1:1", "10.1.2.3:1", "172.16.0.1:1", "192.168.1.9:1", "169.254.1.1:1",
                             "100.64.0.1:1", "100.127.255.1:1", "[::1]:1", "[fd00::1]:1", "[fe80::1]:1"}) {
        gate.client.peer = *base::Endpoint::parse(peer);
        EXPECT_EQ(gate.subnet_of("www.cdn.example."), base::Prefix{}) << peer;
    }
    gate.client.peer = *base::Endpoint::parse("203.0.113.9:4000");
    EXPECT_EQ(gate.subnet_of("www.cdn.example.", option("10.0.0.0/24")), base::Prefix{});
    gate.client.peer = *base::Endpoint::parse("100.128.0.1:1");
    EXPECT_EQ(gate.subnet_of("www.cdn.example."), network("100.128.0.0/24"));
}

TEST(ClientSubnets, BelieveTheClientWhereThatIsWanted)
{
    TellingGate believes;
    EXPECT_EQ(believes.subnet_of("www.cdn.example.", option("198.51.100.0/24")), network("198.51.100.0/24"));
    EXPECT_EQ(believes.subnet_of("www.cdn.example.", option("198.51.100.128/25")), network("198.51.100.0/24"));
    EXPECT_EQ(believes.subnet_of("www.cdn.example.", option("198.0.0.0/8")), network("198.0.0.0/8"));
    TellingGate doubts{telling(false)};
    EXPECT_EQ(doubts.subnet_of("www.cdn.example.", option("198.51.100.0/24")), network("203.0.113.0/24"));
}

TEST(ClientSubnets, NeverTellOfThoseWhoAskForThat)
{
    for (const bool from_clients : {true, false}) {
        TellingGate gate{telling(from_clients)};
        EXPECT_EQ(gate.subnet_of("www.cdn.example.", option("0.0.0.0/0")), base::Prefix{});
        EXPECT_EQ(gate.subnet_of("www.cdn.example.", Octets{0, 2, 0, 0}), base::Prefix{});
    }
}

TEST(ClientSubnets, AnswerTheOptionWithTheScope)
{
    TellingGate gate;
    EXPECT_EQ(gate.answered(option("198.51.100.0/24"), 20), option("198.51.100.0/24", 20));
    EXPECT_EQ(gate.door.ttl, wire::Ttl{0}); // nobody between keeps it for others
    EXPECT_EQ(gate.answered(option("198.51.100.0/24"), std::nullopt), option("198.51.100.0/24", 0));
    EXPECT_EQ(gate.door.ttl, wire::Ttl{300});
    EXPECT_EQ(gate.answered(option("0.0.0.0/0"), 0), option("0.0.0.0/0", 0));
    EXPECT_EQ(gate.answered(Octets{0, 2, 0, 0}, 0), (Octets{0, 2, 0, 0}));
    EXPECT_FALSE(gate.answered({}, 20));
    EXPECT_EQ(gate.answered(option("198.51.100.0/24"), std::nullopt, Rcode::SERVFAIL), option("198.51.100.0/24", 24));
    TellingGate doubts{telling(false)};
    EXPECT_EQ(doubts.answered(option("198.51.100.0/24"), 20), option("198.51.100.0/24", 24));
    EXPECT_EQ(doubts.answered(option("198.51.100.0/24"), std::nullopt), option("198.51.100.0/24", 0));
}

TEST(ClientSubnets, RefuseWhatCannotBeRead)
{
    TellingGate gate;
    for (const Octets& bad : {Octets{0, 1, 24}, Octets{0, 1, 24, 0, 198, 51}, Octets{0, 1, 33, 0, 1, 2, 3, 4, 5},
                              Octets{0, 3, 8, 0, 1}, Octets{0, 1, 23, 0, 198, 51, 101}}) {
        (void)gate.ask(gate.query_with("www.other.example.", bad));
        EXPECT_EQ(gate.door.answer().rcode(), Rcode::FORMERR);
        EXPECT_FALSE(option_of(gate.door.answer(), EdnsOptionCode::CLIENT_SUBNET));
    }
    EXPECT_TRUE(gate.backend.asked.empty());
}

} // namespace
} // namespace sallyport::pipeline
