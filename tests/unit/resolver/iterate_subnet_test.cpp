#include "resolver/iterate/subnet.hpp"
#include "resolver/iterate/subnet_cache.hpp"
#include "resolver/shared.hpp"
#include "tests/unit/resolver/iterate_world.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrClass;
using wire::RrType;

base::Prefix network(const std::string& text) { return *base::Prefix::parse(text); }

std::vector<std::uint8_t> option(const std::string& subnet, std::uint8_t scope)
{
    const SubnetData data = write_subnet(network(subnet), scope);
    return {data.bytes().begin(), data.bytes().end()};
}

// --- rules

TEST(Subnet, WritesNoMoreOctetsThanThePrefixHas)
{
    EXPECT_EQ(option("192.0.2.0/24", 0), (std::vector<std::uint8_t>{0, 1, 24, 0, 192, 0, 2}));
    EXPECT_EQ(option("192.0.2.128/25", 20), (std::vector<std::uint8_t>{0, 1, 25, 20, 192, 0, 2, 128}));
    EXPECT_EQ(option("2001:db8::/33", 0), (std::vector<std::uint8_t>{0, 2, 33, 0, 0x20, 1, 0x0D, 0xB8, 0}));
    EXPECT_EQ(option("0.0.0.0/0", 0), (std::vector<std::uint8_t>{0, 1, 0, 0}));
}

TEST(Subnet, ReadsWhatItWrites)
{
    for (const char* text : {"192.0.2.0/24", "198.51.100.128/25", "2001:db8:1::/48", "0.0.0.0/0"}) {
        const auto data = option(text, 0);
        EXPECT_EQ(subnet_of(*wire::read_client_subnet(data)), network(text)) << text;
    }
}

TEST(Subnet, CutsWhatIsTold)
{
    SubnetOptions options;
    EXPECT_EQ(cut_subnet(options, network("192.0.2.77/32")), network("192.0.2.0/24"));
    EXPECT_EQ(cut_subnet(options, network("192.0.0.0/16")), network("192.0.0.0/16"));
    EXPECT_EQ(cut_subnet(options, network("2001:db8:1:2:3::/80")), network("2001:db8:1::/56"));
    EXPECT_EQ(cut_subnet(options, network("::/0")), base::Prefix{});
}

TEST(Subnet, TellsNobodyByDefault)
{
    const SubnetOptions options;
    EXPECT_FALSE(tells_anybody(options));
    EXPECT_FALSE(may_be_told_of(options, name("www.example.")));
    EXPECT_FALSE(may_tell(options, name("example."), address("192.0.2.2")));
}

TEST(Subnet, TellsServersOfNamedZonesAndWhatIsBelow)
{
    SubnetOptions options;
    options.zones = {name("cdn.example.")};
    EXPECT_TRUE(may_tell(options, name("cdn.example."), address("192.0.2.2")));
    EXPECT_TRUE(may_tell(options, name("eu.CDN.example."), address("192.0.2.2")));
    EXPECT_FALSE(may_tell(options, name("example."), address("192.0.2.2")));
    EXPECT_FALSE(may_tell(options, name("notcdn.example."), address("192.0.2.2")));
    EXPECT_TRUE(may_be_told_of(options, name("www.cdn.example.")));
    EXPECT_FALSE(may_be_told_of(options, name("www.example.")));
    options.servers = {network("192.0.2.0/28")};
    EXPECT_TRUE(may_tell(options, name("other.example."), address("192.0.2.2")));
    EXPECT_FALSE(may_tell(options, name("other.example."), address("192.0.2.77")));
    EXPECT_TRUE(may_be_told_of(options, name("www.example."))); // by whom it is served shows later
}

TEST(Subnet, TellsTheRootAndTopLevelDomainsNothingUnlessTheyAreNamed)
{
    SubnetOptions options;
    options.zones = {wire::Name{}};
    EXPECT_FALSE(may_tell(options, wire::Name{}, address("192.0.2.1")));
    EXPECT_FALSE(may_tell(options, name("example."), address("192.0.2.1")));
    EXPECT_TRUE(may_tell(options, name("cdn.example."), address("192.0.2.1")));
    options.zones = {name("example.")};
    EXPECT_TRUE(may_tell(options, name("example."), address("192.0.2.1")));
}

wire::EdnsView edns_with(const std::vector<std::uint8_t>& data)
{
    wire::EdnsView edns;
    edns.client_subnet = base::Bytes{data};
    return edns;
}

TEST(Subnet, BelievesRepliesAboutTheNetworkThatWasToldAlone)
{
    const base::Prefix told = network("192.0.2.0/24");
    const auto good = option("192.0.2.0/24", 20);
    const auto edns = edns_with(good);
    EXPECT_TRUE(read_subnet_reply(told, &edns).fits);
    EXPECT_EQ(read_subnet_reply(told, &edns).scope, 20);
    EXPECT_TRUE(read_subnet_reply(told, nullptr).fits);
    EXPECT_EQ(read_subnet_reply(told, nullptr).scope, 0);
    for (const auto& bad : {option("192.0.3.0/24", 20), option("192.0.0.0/20", 20), option("2001::/24", 20),
                            std::vector<std::uint8_t>{0, 1, 24, 20, 192, 0}}) {
        const auto wrong = edns_with(bad);
        EXPECT_FALSE(read_subnet_reply(told, &wrong).fits);
    }
}

TEST(Subnet, TakesALongerScopeForWhatWasTold)
{
    const auto data = option("192.0.2.0/24", 32);
    const auto edns = edns_with(data);
    EXPECT_EQ(read_subnet_reply(network("192.0.2.0/24"), &edns).scope, 24);
}

// --- the cache

struct Kept {
    explicit Kept(std::uint32_t entries = 100) { options.max_entries = entries; }

    cache::RrsetPtr set(const std::string& owner, const std::string& net, std::uint8_t last) const
    {
        cache::Rrset set;
        set.owner = name(owner);
        set.type = RrType::A;
        set.network = network(net);
        set.ttl = wire::Ttl{300};
        set.expires = now + 300s;
        set.records.add(std::vector<std::uint8_t>{198, 51, 100, last});
        return std::make_shared<const cache::Rrset>(std::move(set));
    }
    cache::RrsetPtr put(const std::string& net, std::uint8_t last, const std::string& owner = "www.example.")
    {
        return cache.put(set(owner, net, last), now);
    }
    /// The last octet of what is found; 0 without.
    int find(const std::string& subnet, bool stale = false, const std::string& owner = "www.example.")
    {
        const auto found = cache.find(name(owner), RrType::A, RrClass::IN, network(subnet), now, stale);
        return found ? (*found->records.begin())[3] : 0;
    }

    base::Instant now{std::chrono::hours{1}};
    SubnetOptions options;
    cache::RrsetOptions lifetimes;
    Stats stats;
    SubnetCache cache{options, lifetimes, stats};
};

TEST(SubnetCache, FindsTheSmallestNetworkThatHoldsTheWholeSubnet)
{
    Kept kept;
    kept.put("10.0.0.0/8", 8);
    kept.put("10.1.0.0/16", 16);
    kept.put("10.1.2.0/24", 24);
    EXPECT_EQ(kept.find("10.1.2.0/24"), 24);
    EXPECT_EQ(kept.find("10.1.3.0/24"), 16);
    EXPECT_EQ(kept.find("10.2.0.0/24"), 8);
    EXPECT_EQ(kept.find("10.1.0.0/15"), 8); // more than the /16 speaks of
    EXPECT_EQ(kept.find("11.0.0.0/24"), 0);
    EXPECT_EQ(kept.find("a00::/24"), 0);
    EXPECT_EQ(kept.find("10.1.2.0/24", false, "other.example."), 0);
    EXPECT_EQ(kept.cache.size(), 3U);
}

TEST(SubnetCache, KeepsThoseWhoAreNotToldOfApart)
{
    Kept kept;
    kept.put("0.0.0.0/0", 1);
    EXPECT_EQ(kept.find("10.1.2.0/24"), 0);
    EXPECT_EQ(kept.find("0.0.0.0/0"), 1);
    kept.put("10.1.2.0/24", 24);
    kept.put("0.0.0.0/0", 2);
    EXPECT_EQ(kept.find("0.0.0.0/0"), 2);
    EXPECT_EQ(kept.cache.size(), 2U);
    EXPECT_EQ(kept.find("10.1.2.0/24"), 24);
}

TEST(SubnetCache, ForgetsPartsWhenTheWholeIsSpokenOf)
{
    Kept kept;
    kept.put("10.1.2.0/24", 24);
    kept.put("10.200.0.0/16", 16);
    kept.put("11.0.0.0/16", 11);
    kept.put("0.0.0.0/0", 1);
    kept.put("10.0.0.0/8", 8);
    EXPECT_EQ(kept.find("10.1.2.0/24"), 8);
    EXPECT_EQ(kept.find("10.200.0.0/24"), 8);
    EXPECT_EQ(kept.find("11.0.0.0/24"), 11);
    EXPECT_EQ(kept.cache.size(), 3U);
    kept.cache.supersede(name("www.example."), RrType::A, RrClass::IN);
    EXPECT_EQ(kept.find("10.1.2.0/24"), 0);
    EXPECT_EQ(kept.find("0.0.0.0/0"), 1);
}

TEST(SubnetCache, PartsOfANetworkAreOfItsFamily)
{
    Kept kept;
    // Between them, octet by octet, stand those of the other family.
    kept.put("32.1.5.0/24", 5);
    kept.put("2001:100::/32", 60);
    kept.put("2001:200::/32", 61);
    kept.put("32.1.2.0/24", 2);
    kept.put("32.1.0.0/16", 16);
    EXPECT_EQ(kept.cache.size(), 3U);
    EXPECT_EQ(kept.find("32.1.5.0/24"), 16);
    EXPECT_EQ(kept.find("2001:100::/48"), 60);
    kept.put("2000::/8", 62);
    EXPECT_EQ(kept.cache.size(), 2U);
    EXPECT_EQ(kept.find("32.1.2.0/24"), 16);
}

TEST(SubnetCache, EndsWithTheTtlAndGivesStaleSetsWhereAsked)
{
    Kept kept;
    kept.lifetimes.keep_stale = true;
    kept.lifetimes.stale_for = 60;
    kept.put("10.0.0.0/8", 8);
    kept.now += 300s;
    EXPECT_EQ(kept.find("10.1.2.0/24"), 0);
    EXPECT_EQ(kept.find("10.1.2.0/24", true), 8);
    kept.now += 60s;
    EXPECT_EQ(kept.find("10.1.2.0/24", true), 0);
}

TEST(SubnetCache, HoldsNoMoreEntriesThanItMay)
{
    Kept kept{3};
    for (std::uint8_t i = 1; i <= 3; ++i) kept.put("10.0." + std::to_string(i) + ".0/24", i);
    EXPECT_EQ(kept.find("10.0.1.0/24"), 1); // used: the next one to go is another
    kept.put("10.0.4.0/24", 4);
    EXPECT_EQ(kept.cache.size(), 3U);
    EXPECT_EQ(kept.find("10.0.1.0/24"), 1);
    EXPECT_EQ(kept.find("10.0.2.0/24"), 0);
    EXPECT_EQ(kept.stats.subnets_evicted.get(), 1U);
}

TEST(SubnetCache, HoldsNoMoreOctetsThanItMay)
{
    Kept kept;
    kept.put("10.0.1.0/24", 1);
    kept.options.max_octets = 2 * kept.cache.octets();
    for (int i = 0; i < 20; ++i) kept.put("10.0." + std::to_string(i) + ".0/24", 1);
    EXPECT_EQ(kept.cache.size(), 2U);
    EXPECT_LE(kept.cache.octets(), kept.options.max_octets);
    kept.options.max_octets = 16;
    kept.put("10.9.1.0/24", 1);
    EXPECT_EQ(kept.stats.subnets_too_large.get(), 1U);
}

TEST(SubnetCache, LetsOnlyProvenDataReplaceProvenData)
{
    Kept kept;
    const auto before = kept.put("10.0.0.0/8", 1);
    cache::Rrset judged = *before;
    judged.state = wire::ValidationState::secure;
    const auto secure = kept.cache.replace(before, std::make_shared<const cache::Rrset>(judged), kept.now);
    EXPECT_EQ(kept.find("10.0.0.0/24"), 1);
    const auto forged = kept.put("10.0.0.0/8", 66);
    EXPECT_EQ(kept.find("10.0.0.0/24"), 1);
    cache::Rrset bogus = *forged;
    bogus.state = wire::ValidationState::bogus;
    static_cast<void>(kept.cache.replace(forged, std::make_shared<const cache::Rrset>(bogus), kept.now));
    EXPECT_EQ(kept.find("10.0.0.0/24"), 1);
    cache::Rrset renewed = *forged;
    renewed.state = wire::ValidationState::secure;
    static_cast<void>(kept.cache.replace(forged, std::make_shared<const cache::Rrset>(renewed), kept.now));
    EXPECT_EQ(kept.find("10.0.0.0/24"), 66);
}

TEST(SubnetCache, IsNotTheStoreOfEverybody)
{
    const Kept kept;
    cache::RrsetStore store{cache::RrsetOptions{}};
    const auto set = kept.set("www.example.", "10.0.0.0/8", 1);
    const auto back = store.put(*set, kept.now);
    EXPECT_EQ(back->network, network("10.0.0.0/8"));
    EXPECT_EQ(store.find(name("www.example."), RrType::A, RrClass::IN, kept.now), nullptr);
    cache::Rrset plain = *set;
    plain.network.reset();
    const auto shared = store.put(plain, kept.now);
    static_cast<void>(store.replace(shared, *set, kept.now));
    EXPECT_EQ(store.find(name("www.example."), RrType::A, RrClass::IN, kept.now), shared);
}

// --- the engine

std::optional<base::Prefix> told(const Sent& sent)
{
    const auto view = wire::MessageView::parse(sent.bytes);
    if (!view || view->edns() == nullptr || !view->edns()->client_subnet) return std::nullopt;
    return subnet_of(*wire::read_client_subnet(*view->edns()->client_subnet));
}

Options telling_options()
{
    Options options = plain_options();
    options.subnet.zones = {name("example.")};
    return options;
}

Server root()
{
    return [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2");
        if (sent.qname.is_under(name("other."))) return referral("other.", "ns.other.", "192.0.2.3");
        return name_error(".");
    };
}

/// Answers each network of 16 bits in its own way: the second octet is the last of the address.
Server tailored(std::uint8_t scope = 16)
{
    return [scope](const Sent& sent) -> std::optional<Reply> {
        const auto subnet = told(sent);
        const int last = subnet ? subnet->address().octets()[1] : 250;
        Reply reply = Reply{}.answer(sent.qname.to_text(), RrType::A, "198.51.100." + std::to_string(last));
        if (subnet) reply.subnet = option(subnet->to_string(), scope);
        return reply;
    };
}

struct TellingWorld : World {
    explicit TellingWorld(const Options& options = telling_options(), cache::RrsetOptions store_options = {})
        : World(options, store_options)
    {
        servers[address("192.0.2.1")] = root();
        servers[address("192.0.2.2")] = tailored();
    }

    Answer ask_from(std::optional<base::Prefix> subnet, const std::string& qname, RrType type = RrType::A)
    {
        std::optional<Answer> result;
        Question question{name(qname), type, RrClass::IN, false};
        question.subnet = subnet;
        engine.resolve(question, [&result](const Answer& answer) { result = answer; });
        run();
        for (int i = 0; i < 1000 && !result && engine.due(); ++i) {
            if (*engine.due() > clock.now()) clock.advance(*engine.due() - clock.now());
            engine.expire(clock.now());
            run();
        }
        return result ? *result : Answer{};
    }
    Answer ask_from(const std::string& subnet, const std::string& qname, RrType type = RrType::A)
    {
        return ask_from(network(subnet), qname, type);
    }
};

int last_octet(const Answer& answer)
{
    return answer.answers.empty() ? -1 : (*answer.answers.back()->records.begin())[3];
}

TEST(SubnetEngine, TellsNothingWhereNothingIsConfigured)
{
    TellingWorld world(plain_options());
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 250);
    for (const Sent& sent : world.log) EXPECT_FALSE(told(sent));
    const Answer again = world.ask_from("10.8.1.0/24", "www.example.");
    EXPECT_TRUE(again.from_store);
    EXPECT_FALSE(again.subnet_scope);
}

TEST(SubnetEngine, TellsTheZoneAloneAndNotMoreThanItMay)
{
    TellingWorld world;
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.77/32", "www.example.")), 7);
    ASSERT_EQ(world.log.size(), 2U);
    EXPECT_FALSE(told(world.log[0])); // the root
    EXPECT_EQ(told(world.log[1]), network("10.7.1.0/24"));
    EXPECT_EQ(world.engine.stats().subnets_told.get(), 1U);
}

TEST(SubnetEngine, GivesEachNetworkItsOwnAnswerAndItsNeighboursTheSame)
{
    TellingWorld world;
    const Answer first = world.ask_from("10.7.1.0/24", "www.example.");
    EXPECT_EQ(last_octet(first), 7);
    EXPECT_EQ(first.subnet_scope, 16);
    EXPECT_EQ(last_octet(world.ask_from("10.8.1.0/24", "www.example.")), 8);
    const std::size_t sent = world.log.size();
    const Answer neighbour = world.ask_from("10.7.99.0/24", "www.example.");
    EXPECT_EQ(last_octet(neighbour), 7);
    EXPECT_TRUE(neighbour.from_store);
    EXPECT_EQ(neighbour.subnet_scope, 16);
    EXPECT_EQ(world.log.size(), sent);
    world.store.each(world.clock.now(), [](const cache::Rrset& set) {
        EXPECT_FALSE(set.network || (set.owner == name("www.example.") && set.type == RrType::A));
        return true;
    });
}

TEST(SubnetEngine, SharesWhatIsForEverybody)
{
    TellingWorld world;
    world.servers[address("192.0.2.2")] = tailored(0);
    const Answer first = world.ask_from("10.7.1.0/24", "www.example.");
    EXPECT_FALSE(first.subnet_scope);
    EXPECT_TRUE(world.ask_from("10.8.1.0/24", "www.example.").from_store);
    EXPECT_TRUE(world.ask_from(base::Prefix{}, "www.example.").from_store);
}

TEST(SubnetEngine, DropsWhatWasKeptForNetworksWhenAllGetTheSame)
{
    TellingWorld world;
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 7);
    world.servers[address("192.0.2.2")] = tailored(0);
    EXPECT_EQ(last_octet(world.ask_from("10.8.1.0/24", "www.example.")), 8);
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 8);
}

TEST(SubnetEngine, IsSilentAboutThoseWhoWantItSoAndKeepsTheirAnswersForThem)
{
    TellingWorld world;
    const Answer silent = world.ask_from(base::Prefix{}, "www.example.");
    EXPECT_EQ(last_octet(silent), 250);
    EXPECT_EQ(silent.subnet_scope, 0);
    for (const Sent& sent : world.log) EXPECT_FALSE(told(sent));
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 7);
    EXPECT_TRUE(world.ask_from(base::Prefix{}, "www.example.").from_store);
    EXPECT_EQ(last_octet(world.ask_from(std::nullopt, "www.example.")), 250); // nothing known of him: the same
}

TEST(SubnetEngine, TellsNothingToOthersOnTheWayAndForOtherTypes)
{
    Options options = telling_options();
    options.subnet.zones = {name("cdn.example.")};
    options.qname_minimisation = true;
    TellingWorld world(options);
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        // Without glue: the address of the name server has to be looked up.
        if (sent.qname.is_under(name("cdn.example."))) return referral("cdn.example.", "ns.other.", {});
        return no_data("example.");
    };
    world.servers[address("192.0.2.3")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name("ns.other.") && sent.qtype == RrType::A)
            return Reply{}.answer("ns.other.", RrType::A, "192.0.2.4");
        return no_data("other.");
    };
    world.servers[address("192.0.2.4")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name("www.eu.cdn.example.")) return tailored()(sent);
        return no_data("cdn.example.");
    };
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.eu.cdn.example.")), 7);
    for (const Sent& sent : world.log) {
        const bool whole =
            sent.server == address("192.0.2.4") && sent.qname == name("www.eu.cdn.example.") && sent.qtype == RrType::A;
        EXPECT_EQ(told(sent).has_value(), whole) << sent.qname.to_text();
    }
    static_cast<void>(world.ask_from("10.7.1.0/24", "www.eu.cdn.example.", RrType::DS));
    EXPECT_FALSE(told(world.log.back()));
}

TEST(SubnetEngine, AsksAgainWithoutWhereTheOptionIsRefused)
{
    for (const Rcode rcode : {Rcode::REFUSED, Rcode::FORMERR}) {
        TellingWorld world;
        world.servers[address("192.0.2.2")] = [rcode](const Sent& sent) -> std::optional<Reply> {
            return told(sent) ? refuse(rcode) : tailored()(sent);
        };
        const Answer answer = world.ask_from("10.7.1.0/24", "www.example.");
        EXPECT_EQ(last_octet(answer), 250);
        EXPECT_FALSE(answer.subnet_scope);
        EXPECT_EQ(world.engine.stats().subnets_untold.get(), 1U);
        EXPECT_TRUE(world.log.back().edns);
        // Remembered for a while.
        static_cast<void>(world.ask_from("10.7.1.0/24", "web.example."));
        EXPECT_EQ(world.engine.stats().subnets_told.get(), 1U);
        world.clock.advance(901s);
        static_cast<void>(world.ask_from("10.7.1.0/24", "new.example."));
        EXPECT_EQ(world.engine.stats().subnets_told.get(), 2U);
    }
}

TEST(SubnetEngine, DropsRepliesAboutAnotherNetwork)
{
    TellingWorld world;
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        Reply reply = Reply{}.answer("www.example.", RrType::A, told(sent) ? "203.0.113.66" : "198.51.100.9");
        if (told(sent)) reply.subnet = option("10.66.1.0/24", 24);
        return reply;
    };
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 9);
    EXPECT_EQ(world.engine.stats().subnets_mismatched.get(), 1U);
}

TEST(SubnetEngine, SharesOneLookUpBetweenEqualNetworksOnly)
{
    TellingWorld world;
    std::vector<int> found;
    for (const char* subnet : {"10.7.1.0/24", "10.7.1.0/24", "10.8.1.0/24"}) {
        Question question{name("www.example."), RrType::A, RrClass::IN, false};
        question.subnet = network(subnet);
        world.engine.resolve(question, [&found](const Answer& answer) { found.push_back(last_octet(answer)); });
    }
    EXPECT_EQ(world.engine.in_flight(), 2U);
    Question elsewhere{name("www.other."), RrType::A, RrClass::IN, false};
    for (const char* subnet : {"10.7.1.0/24", "10.8.1.0/24"}) {
        elsewhere.subnet = network(subnet);
        world.engine.resolve(elsewhere, [](const Answer&) {});
    }
    EXPECT_EQ(world.engine.in_flight(), 3U); // where it makes no difference there is one
    world.run();
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, (std::vector<int>{7, 7, 8}));
}

TEST(SubnetEngine, TakesDenialsForEverybody)
{
    TellingWorld world;
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        Reply reply = name_error("example.");
        if (const auto subnet = told(sent)) reply.subnet = option(subnet->to_string(), 24);
        return reply;
    };
    EXPECT_EQ(world.ask_from("10.7.1.0/24", "none.example.").rcode, Rcode::NXDOMAIN);
    const Answer other = world.ask_from("10.8.1.0/24", "none.example.");
    EXPECT_EQ(other.rcode, Rcode::NXDOMAIN);
    EXPECT_TRUE(other.from_store);
    EXPECT_FALSE(other.subnet_scope);
}

TEST(SubnetEngine, GivesAChainItsLongestScope)
{
    TellingWorld world;
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        const auto subnet = told(sent);
        if (!subnet) return refuse(Rcode::SERVFAIL);
        if (sent.qname == name("www.example.")) {
            Reply reply = Reply{}.answer("www.example.", RrType::CNAME, "web.example.");
            reply.subnet = option(subnet->to_string(), 8);
            return reply;
        }
        return tailored(20)(sent);
    };
    const Answer answer = world.ask_from("10.7.1.0/24", "www.example.");
    EXPECT_EQ(answer.answers.size(), 2U);
    EXPECT_EQ(answer.subnet_scope, 20);
    // The alias is known within its /8; the rest is not.
    const std::size_t sent = world.log.size();
    EXPECT_EQ(last_octet(world.ask_from("10.9.1.0/24", "www.example.")), 9);
    EXPECT_EQ(world.log.size(), sent + 1);
}

TEST(SubnetEngine, RenewsForTheNetworkThatAsked)
{
    Options options = telling_options();
    options.prefetch = true;
    TellingWorld world(options);
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 7);
    world.clock.advance(280s);
    const std::size_t sent = world.log.size();
    EXPECT_TRUE(world.ask_from("10.7.1.0/24", "www.example.").from_store);
    ASSERT_GT(world.log.size(), sent);
    EXPECT_EQ(told(world.log.back()), network("10.7.1.0/24"));
    world.clock.advance(100s);
    EXPECT_TRUE(world.ask_from("10.7.1.0/24", "www.example.").from_store);
}

TEST(SubnetEngine, GivesStaleAnswersToTheirNetworkAlone)
{
    Options options = telling_options();
    options.serve_stale = true;
    cache::RrsetOptions store;
    store.keep_stale = true;
    TellingWorld world(options, store);
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 7);
    world.servers.erase(address("192.0.2.2"));
    world.clock.advance(301s);
    const Answer stale = world.ask_from("10.7.2.0/24", "www.example.");
    EXPECT_TRUE(stale.stale);
    EXPECT_EQ(stale.subnet_scope, 16);
    EXPECT_EQ(world.ask_from("10.8.1.0/24", "www.example.").rcode, Rcode::SERVFAIL);
}

TEST(SubnetEngine, RemembersFailuresOfOneNetworkForItAlone)
{
    TellingWorld world;
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        if (told(sent) == network("10.7.1.0/24")) return refuse(Rcode::SERVFAIL);
        return tailored()(sent);
    };
    EXPECT_EQ(world.ask_from("10.7.1.0/24", "www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(last_octet(world.ask_from("10.8.1.0/24", "www.example.")), 8);
    const std::size_t sent = world.log.size();
    EXPECT_EQ(world.ask_from("10.7.1.0/24", "www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.log.size(), sent);
}

TEST(SubnetEngine, TellsAServerByItsAddress)
{
    Options options = plain_options();
    options.subnet.servers = {network("192.0.2.2/32")};
    TellingWorld world(options);
    world.servers[address("192.0.2.3")] = tailored();
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.example.")), 7);
    EXPECT_EQ(last_octet(world.ask_from("10.7.1.0/24", "www.other.")), 250);
    EXPECT_TRUE(world.ask_from("10.8.1.0/24", "www.other.").from_store);
}

TEST(SubnetFlights, AreSharedByEqualNetworksAlone)
{
    FlightKey here;
    here.inquiry.qname = name("www.example.");
    here.inquiry.qtype = RrType::A;
    FlightKey there = here;
    EXPECT_EQ(FlightKeyHash{}(here), FlightKeyHash{}(there));
    here.inquiry.subnet = network("10.7.1.0/24");
    EXPECT_FALSE(here == there);
    there.inquiry.subnet = network("10.8.1.0/24");
    EXPECT_FALSE(here == there);
    EXPECT_NE(FlightKeyHash{}(here), FlightKeyHash{}(there));
    there.inquiry.subnet = here.inquiry.subnet;
    EXPECT_TRUE(here == there);
    EXPECT_EQ(FlightKeyHash{}(here), FlightKeyHash{}(there));
}

} // namespace
} // namespace sallyport::resolver::iterate::test
