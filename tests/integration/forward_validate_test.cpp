#include "../unit/dnssec/signer.hpp"
#include "cache/cache.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "patient_clock.hpp"
#include "resolver/resolver.hpp"
#include "resolver/shared.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Upstreams whose answers are validated here: a signed root of our own behind a server that recurses, over sockets.

using namespace sallyport;
using namespace std::chrono_literals;
using resolver::Taken;
using wire::ExtendedError;
using wire::Rcode;
using wire::RrType;
using wire::ValidationState;
using Octets = std::vector<std::uint8_t>;

namespace {

std::int64_t today()
{
    return std::chrono::duration_cast<std::chrono::seconds>(base::SystemClock{}.wall().time_since_epoch()).count();
}

/// A DNS that is one signed zone, the root: `signed.` and all below is secure, `unsigned.` is a delegation without DS.
struct World {
    World() : root(".", today())
    {
        root.add_key(13);
        root.add("www.signed.", RrType::A, "192.0.2.80");
        root.add("alias.signed.", RrType::CNAME, "www.signed.");
        root.add("to-inside.signed.", RrType::CNAME, "www.inside.");
        root.add("unsigned.", RrType::NS, "ns.unsigned.");
        root.sign();
    }
    dnssec_testing::TestZone root;
};

/// Someone who recurses, as seen by who forwards to him.
class Upstream {
public:
    /// Changes what would be said; false: says nothing.
    using Twist = std::function<bool(const wire::MessageView& query, std::vector<dnssec_testing::OwnedRrset>& answers,
                                     std::vector<dnssec_testing::OwnedRrset>& authority, Rcode& rcode)>;

    Upstream(net::Worker& worker, const World& world) : world_(world)
    {
        udp_ = net::open_udp({base::IpAddress::v4({127, 0, 0, 1}), 0}, {.reuse_port = false}).value();
        endpoint = net::local_endpoint(udp_.get());
        EXPECT_TRUE(watch_.start(worker, udp_.get(), net::kReadable));
    }

    base::Endpoint endpoint;
    Twist twist;
    unsigned queries = 0;
    unsigned without_cd = 0;
    unsigned without_do = 0;
    std::vector<std::string> asked;

private:
    using Sets = std::vector<dnssec_testing::OwnedRrset>;

    void readable(std::uint32_t, base::Instant) noexcept
    {
        std::array<std::uint8_t, 4096> buffer{};
        for (;;) {
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            const auto got =
                ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size);
            if (got < 0) return;
            const auto reply = answer({buffer.data(), static_cast<std::size_t>(got)});
            if (!reply.empty())
                ::sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&peer), size);
        }
    }

    Octets answer(base::Bytes octets)
    {
        const auto query = wire::MessageView::parse(octets);
        if (!query) return {};
        ++queries;
        const wire::Name qname = query->qname().to_name().lower();
        asked.push_back(qname.to_text() + " " + wire::to_string(query->qtype()));
        if (!query->header().has(wire::flag::CD)) ++without_cd;
        if (query->edns() == nullptr || !query->edns()->dnssec_ok) ++without_do;
        Sets answers;
        Sets authority;
        Rcode rcode = Rcode::NOERROR;
        look_up(qname, query->qtype(), answers, authority, rcode);
        if (twist && !twist(*query, answers, authority, rcode)) return {};
        Octets room(16'384);
        wire::MessageWriter writer{room, room.size()};
        (void)writer.begin_response(query->id(), query->header().flags, query->question_bytes(), 1);
        writer.set_flags(wire::flag::RA | wire::flag::AD);
        writer.set_rcode(rcode);
        write(writer, wire::Section::answer, answers);
        write(writer, wire::Section::authority, authority);
        if (query->edns() != nullptr) {
            (void)writer.begin_opt(1232, true);
            writer.end_opt();
        }
        const base::Bytes message = writer.message();
        return {message.begin(), message.end()};
    }

    static void write(wire::MessageWriter& writer, wire::Section section, const Sets& sets)
    {
        for (const auto& set : sets) {
            for (const Octets& rdata : set.rdatas)
                EXPECT_TRUE(writer.record(section, set.owner, set.type, wire::RrClass::IN, wire::Ttl{set.ttl}, rdata));
            for (const Octets& rdata : set.signatures)
                EXPECT_TRUE(
                    writer.record(section, set.owner, RrType::RRSIG, wire::RrClass::IN, wire::Ttl{set.ttl}, rdata));
        }
    }

    void look_up(const wire::Name& qname, RrType qtype, Sets& answers, Sets& authority, Rcode& rcode) const
    {
        const auto under = [&](std::string_view zone) { return qname.is_under(*wire::Name::from_text(zone)); };
        const bool at_parent = qtype == RrType::DS;
        if (under("inside.") || (under("unsigned.") && !at_parent)) {
            if (qtype == RrType::A)
                answers.push_back(dnssec_testing::rrset(qname.to_text(), RrType::A, {"192.0.2.90"}));
            return;
        }
        wire::Name name = qname;
        if (const auto* alias = world_.root.find(name, RrType::CNAME); alias != nullptr && qtype != RrType::CNAME) {
            answers.push_back(*alias);
            name = *wire::target_name(RrType::CNAME, alias->rdatas.front());
        }
        if (const auto* set = world_.root.find(name, qtype)) {
            answers.push_back(*set);
            return;
        }
        const bool there = std::any_of(world_.root.rrsets().begin(), world_.root.rrsets().end(), [&](const auto& set) {
            return set.type != RrType::NSEC && set.owner.is_under(name);
        });
        if (!there) rcode = Rcode::NXDOMAIN;
        authority.push_back(*world_.root.find(".", RrType::SOA));
        for (const auto& set : world_.root.rrsets())
            if (set.type == RrType::NSEC) authority.push_back(set); // a few: all of them prove whatever is to be proven
    }

    const World& world_;
    net::Descriptor udp_;
    net::Watch watch_{net::Watch::of<&Upstream::readable>(*this)};
};

/// A twist: the answer to a query for A is another address than was signed.
bool falsify_address(const wire::MessageView& query, std::vector<dnssec_testing::OwnedRrset>& answers,
                     std::vector<dnssec_testing::OwnedRrset>&, Rcode&)
{
    if (query.qtype() == RrType::A && !answers.empty()) answers.front().rdatas.front()[3] ^= 1U;
    return true;
}

class Client final : public resolver::Waiter {
public:
    void resolved(const resolver::Outcome& outcome, base::Instant) noexcept override
    {
        ++heard;
        answered = outcome.answer != nullptr;
        rcode = answered ? outcome.answer->rcode : Rcode::SERVFAIL;
        authentic = answered && outcome.answer->authentic;
        validation = outcome.validation;
        ede = outcome.ede;
        ede_text = outcome.ede_text;
    }
    unsigned heard = 0;
    bool answered = false;
    bool authentic = false;
    Rcode rcode{};
    ValidationState validation{};
    std::optional<ExtendedError> ede;
    std::string ede_text;
};

class ForwardValidate : public testing::Test {
protected:
    void SetUp() override
    {
        options_.mode = resolver::Mode::forward;
        options_.validate = true;
        options_.limits.first_timeout = 300ms;
        options_.limits.budget = 2s;
        options_.recurse.allow_loopback = true;
        for (const auto& key : world_.root.keys())
            options_.recurse.dnssec.anchors.push_back(". DNSKEY " + wire::rdata_to_text(RrType::DNSKEY, key.dnskey()));
    }
    void TearDown() override { resolver_.reset(); }

    static resolver::UpstreamOptions to(const Upstream& server)
    {
        resolver::UpstreamOptions made;
        made.transport = base::Transport::udp;
        made.host = server.endpoint.address.to_string();
        made.port = server.endpoint.port;
        made.addresses = {server.endpoint.address};
        made.name = "udp-" + std::to_string(server.endpoint.port);
        return made;
    }
    void group(const std::string& name, std::vector<resolver::UpstreamOptions> upstreams)
    {
        resolver::GroupOptions made;
        made.name = name;
        made.strategy = resolver::Strategy::ordered;
        made.upstreams = std::move(upstreams);
        options_.groups.push_back(std::move(made));
    }
    void route(const std::string& zone, const std::string& to, bool validate, bool first = false)
    {
        resolver::RouteOptions made;
        made.zones = {zone};
        made.group = to;
        made.validate = validate;
        made.first = first;
        options_.routes.push_back(std::move(made));
    }
    void start()
    {
        base::Problems problems;
        auto options = std::make_shared<resolver::Options>(options_);
        ASSERT_TRUE(resolver::prepare_recursion(*options, nullptr, {}, today(), problems))
            << (problems.empty() ? "" : problems.front().to_string());
        resolver_ = std::make_unique<resolver::Resolver>(worker_, shared_, &cache_);
        resolver_->reconfigure(options);
    }
    Taken ask(const std::string& name, Client& client, RrType type = RrType::A, bool checking_disabled = false)
    {
        resolver::Question asked;
        asked.qname = *wire::Name::from_text(name);
        asked.qtype = type;
        asked.checking_disabled = checking_disabled;
        return resolver_->resolve(asked, client, worker_.refresh_now());
    }
    Client resolve(const std::string& name, RrType type = RrType::A, bool checking_disabled = false)
    {
        Client client;
        EXPECT_EQ(ask(name, client, type, checking_disabled), Taken::waiting);
        const auto end = clock_.now() + 20s;
        while (client.heard == 0 && clock_.now() < end) worker_.run_for(2ms);
        EXPECT_EQ(client.heard, 1U) << name;
        return client;
    }
    void pass(base::Duration time)
    {
        for (const auto end = clock_.now() + time; clock_.now() < end;) worker_.run_for(1ms);
    }
    std::uint64_t counter(std::string_view wanted) const
    {
        std::uint64_t sum = 0;
        resolver_->each_counter([&](const char* name, const char*, const base::Counter& value) {
            if (name == wanted) sum += value.get();
        });
        return sum;
    }

    test::PatientClock clock_;
    net::Worker worker_{0, clock_};
    World world_;
    Upstream upstream_{worker_, world_};
    Upstream other_{worker_, world_};
    resolver::Shared shared_;
    cache::Cache cache_{cache::Options{}};
    resolver::Options options_;
    std::unique_ptr<resolver::Resolver> resolver_;
};

TEST_F(ForwardValidate, WhatIsSignedIsSecure)
{
    group("default", {to(upstream_)});
    start();
    const Client client = resolve("www.signed.");
    ASSERT_TRUE(client.answered) << client.ede_text;
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_TRUE(client.authentic);
    EXPECT_EQ(client.validation, ValidationState::secure);
    // We validate ourselves, so bogus data must come through to us (RFC 6840 §5.9).
    EXPECT_EQ(upstream_.without_cd, 0U);
    EXPECT_EQ(upstream_.without_do, 0U);
}

TEST_F(ForwardValidate, AliasesAndDenialsAreValidated)
{
    group("default", {to(upstream_)});
    start();
    const Client alias = resolve("alias.signed.");
    EXPECT_TRUE(alias.authentic) << alias.ede_text;
    const Client absent = resolve("absent.signed.");
    EXPECT_EQ(absent.rcode, Rcode::NXDOMAIN) << absent.ede_text;
    EXPECT_TRUE(absent.authentic);
    const Client empty = resolve("www.signed.", RrType::AAAA);
    EXPECT_EQ(empty.rcode, Rcode::NOERROR) << empty.ede_text;
    EXPECT_TRUE(empty.authentic);
}

TEST_F(ForwardValidate, WhatIsNotSignedIsInsecureAndAdOfTheUpstreamMeansNothing)
{
    group("default", {to(upstream_)});
    start();
    const Client client = resolve("www.unsigned.");
    ASSERT_TRUE(client.answered) << client.ede_text;
    EXPECT_FALSE(client.authentic);
    EXPECT_EQ(client.validation, ValidationState::insecure);
}

TEST_F(ForwardValidate, BogusDataIsServfailWithItsReason)
{
    upstream_.twist = falsify_address;
    group("default", {to(upstream_)});
    start();
    const Client client = resolve("www.signed.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.rcode, Rcode::SERVFAIL);
    EXPECT_EQ(client.ede, ExtendedError::dnssec_bogus) << client.ede_text;
    EXPECT_EQ(client.validation, ValidationState::bogus);
    // Who asks for it gets it, unvalidated (RFC 6840 §5.9), and nobody else does.
    const Client unchecked = resolve("www.signed.", RrType::A, true);
    EXPECT_TRUE(unchecked.answered);
    EXPECT_FALSE(unchecked.authentic);
    EXPECT_FALSE(resolve("www.signed.").answered);
}

TEST_F(ForwardValidate, StrippedSignaturesAreBogus)
{
    upstream_.twist = [](const auto& query, auto& answers, auto& authority, Rcode&) {
        if (query.qtype() != RrType::A) return true;
        for (auto& set : answers) set.signatures.clear();
        authority.clear();
        return true;
    };
    group("default", {to(upstream_)});
    start();
    const Client client = resolve("www.signed.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, ExtendedError::rrsigs_missing) << client.ede_text;
}

TEST_F(ForwardValidate, AnotherUpstreamOfTheGroupIsAskedWhereOneLies)
{
    upstream_.twist = falsify_address;
    group("default", {to(upstream_), to(other_)});
    start();
    const Client client = resolve("www.signed.");
    EXPECT_TRUE(client.answered) << client.ede_text;
    EXPECT_TRUE(client.authentic);
    EXPECT_EQ(other_.queries, 1U);
}

TEST_F(ForwardValidate, ARouteBelowANegativeAnchorIsInsecureAndTheUpstreamValidates)
{
    group("default", {to(upstream_)});
    group("inside", {to(other_)});
    route("inside.", "inside", false);
    start();
    const Client client = resolve("www.inside.");
    ASSERT_TRUE(client.answered) << client.ede_text;
    EXPECT_EQ(client.validation, ValidationState::insecure);
    EXPECT_EQ(other_.queries, 1U);
    EXPECT_EQ(other_.without_cd, 1U);
    EXPECT_EQ(upstream_.queries, 0U);
    // An alias into the route is followed there.
    EXPECT_TRUE(resolve("to-inside.signed.").answered);
}

TEST_F(ForwardValidate, ARouteToNamesThatAreProvenAbsentIsBogus)
{
    group("default", {to(upstream_)});
    group("inside", {to(other_)});
    route("inside.", "inside", true);
    start();
    const Client client = resolve("www.inside.");
    EXPECT_FALSE(client.answered);
    EXPECT_TRUE(client.ede.has_value());
}

TEST_F(ForwardValidate, ASilentGroupIsWaitedForAndNotHammered)
{
    upstream_.twist = [](const auto&, auto&, auto&, Rcode&) { return false; };
    options_.limits.tries = 2;
    group("default", {to(upstream_)});
    start();
    const auto began = clock_.now();
    const Client client = resolve("www.signed.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.validation, ValidationState::indeterminate); // no word on the data: what is stale may be given
    EXPECT_EQ(client.ede, ExtendedError::no_reachable_authority) << client.ede_text;
    EXPECT_LE(upstream_.queries, 4U);
    EXPECT_LT(clock_.now() - began, 10s);
}

TEST_F(ForwardValidate, FirstMeansThatNameServersAreAskedAfterTheGroup)
{
    // The one who recurses is silent; the name server of the root is the other one, which answers with authority.
    upstream_.twist = [](const auto&, auto&, auto&, Rcode&) { return false; };
    options_.limits.budget = 500ms;
    options_.first = true;
    options_.recurse.engine.prime = false;
    options_.recurse.engine.qname_minimisation = false;
    group("default", {to(upstream_)});
    resolver::iterate::FixedZone root;
    root.servers.push_back(other_.endpoint);
    options_.recurse.engine.fixed.push_back(root);
    start();
    const Client client = resolve("www.signed.");
    EXPECT_GT(upstream_.queries, 0U);
    EXPECT_GT(other_.queries, 0U);
}

TEST_F(ForwardValidate, RoutesOfWhoRecursesAreValidatedToo)
{
    options_.mode = resolver::Mode::recurse;
    options_.validate = false;
    options_.recurse.engine.prime = false;
    group("some", {to(upstream_)});
    route("signed.", "some", true);
    resolver::iterate::FixedZone root;
    root.servers.push_back(other_.endpoint);
    options_.recurse.engine.fixed.push_back(root);
    upstream_.twist = falsify_address;
    start();
    const Client client = resolve("www.signed.");
    EXPECT_FALSE(client.answered);
    EXPECT_GT(upstream_.queries, 0U);
}

TEST_F(ForwardValidate, NamesOfOneZoneGiveWayToEachOther)
{
    upstream_.twist = [](const auto&, auto&, auto&, Rcode&) { return false; };
    options_.validate = false; // the limit is that of all that is forwarded
    options_.limits.per_zone = 3;
    options_.limits.in_flight = 8;
    group("default", {to(upstream_)});
    start();
    std::vector<std::unique_ptr<Client>> clients;
    const auto ask_another = [&](const std::string& name) {
        return ask(name, *clients.emplace_back(std::make_unique<Client>()));
    };
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask_another("n" + std::to_string(i) + ".zone.test."), Taken::waiting);
    EXPECT_EQ(ask_another("n3.zone.test."), Taken::overloaded); // all are young
    EXPECT_EQ(ask_another("other.test."), Taken::waiting);
    EXPECT_EQ(counter("resolver_zone_full_total"), 1U);
    pass(250ms);
    EXPECT_EQ(ask_another("n4.zone.test."), Taken::waiting);
    pass(5ms);
    EXPECT_EQ(clients.front()->heard, 1U);
    EXPECT_EQ(clients[1]->heard, 0U);
    EXPECT_EQ(counter("resolver_zone_gave_way_total"), 1U);
}

TEST_F(ForwardValidate, QueriesToOneUpstreamGiveWayToEachOther)
{
    upstream_.twist = [](const auto&, auto&, auto&, Rcode&) { return false; };
    options_.validate = false;
    options_.limits.per_upstream = 2;
    options_.limits.first_timeout = 200ms;
    options_.limits.tries = 1;
    group("default", {to(upstream_)});
    start();
    std::vector<std::unique_ptr<Client>> clients;
    const auto ask_another = [&](const std::string& name) {
        EXPECT_EQ(ask(name, *clients.emplace_back(std::make_unique<Client>())), Taken::waiting);
        pass(1ms);
    };
    ask_another("a.one.");
    ask_another("b.two.");
    ask_another("c.three."); // all are young: it goes out, too
    EXPECT_EQ(clients.front()->heard, 0U);
    pass(450ms);
    ask_another("d.four.");
    pass(5ms);
    std::uint64_t gave_way = 0;
    resolver_->each_upstream_counter(
        [&](const char* name, const char*, const std::string&, const base::Counter& value) {
            if (std::string_view{name} == "upstream_gave_way_total") gave_way += value.get();
        });
    EXPECT_GE(gave_way, 1U);
    EXPECT_EQ(clients.front()->heard, 1U);
    EXPECT_FALSE(clients.front()->answered);
}

} // namespace
