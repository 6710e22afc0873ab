#include "dnssec/dnssec.hpp"
#include "resolver/iterate/judge.hpp"
#include "resolver/iterate/response.hpp"
#include "tests/unit/resolver/iterate_world.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::RrType;

std::vector<std::uint8_t> signature_by(const std::string& signer)
{
    const auto rdata = wire::rdata_from_text(
        RrType::RRSIG, "A 13 2 300 20400101000000 20200101000000 1 " + signer + " AAAA", wire::Name{});
    return {rdata->begin(), rdata->end()};
}

TEST(IterateJudge, TheSignerClosestToTheOwnerCounts)
{
    cache::Rrset set;
    set.owner = name("www.example.");
    set.type = RrType::A;
    EXPECT_FALSE(signer_of(set));
    set.signatures.add(signature_by("other."));
    EXPECT_FALSE(signer_of(set));
    set.signatures.add(signature_by("."));
    set.signatures.add(signature_by("example."));
    set.signatures.add(signature_by("a.www.example."));
    EXPECT_EQ(signer_of(set), name("example."));
}

TEST(IterateJudge, RecordsOfAnotherClassAreNotThere)
{
    std::vector<std::uint8_t> room(512);
    wire::MessageWriter writer({room.data(), room.size()}, room.size());
    writer.begin(7, wire::flag::QR | wire::flag::AA);
    ASSERT_TRUE(writer.question(name("www.example."), RrType::A, wire::RrClass::IN));
    const auto rdata = wire::rdata_from_text(RrType::A, "192.0.2.7", wire::Name{});
    for (const auto rr_class : {wire::RrClass::CH, wire::RrClass::IN}) {
        ASSERT_TRUE(
            writer.record(wire::Section::answer, name("www.example."), RrType::A, rr_class, wire::Ttl{60}, *rdata));
    }
    const auto view = wire::MessageView::parse(writer.message());
    ASSERT_TRUE(view);
    const auto response = read_response(*view, RrType::A);
    ASSERT_TRUE(response);
    ASSERT_EQ(response->answers.size(), 1U);
    EXPECT_EQ(response->answers[0].rr_class, wire::RrClass::IN);
}

/// Whatever is asked has no data, and nothing is signed.
Options anchored(std::int64_t negative_until)
{
    Options options = plain_options();
    auto anchors = std::make_shared<dnssec::TrustAnchors>();
    const auto ds = wire::rdata_from_text(RrType::DS, "1 13 2 " + std::string(64, 'A'), wire::Name{});
    anchors->add_ds(name("."), *ds);
    anchors->add_insecure(name("example."), negative_until);
    options.anchors = anchors;
    return options;
}

TEST(IterateJudge, ANegativeAnchorEndsWhenItSays)
{
    World world(anchored(100));
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qtype != RrType::A) return no_data(".");
        return Reply{}.answer(sent.qname.to_text(), RrType::A, "192.0.2.7", 3000);
    };
    EXPECT_EQ(world.ask("www.example.").state, wire::ValidationState::insecure);
    EXPECT_EQ(world.engine.chain_of_trust(name("www.example.")).back().state, wire::ValidationState::insecure);
    world.clock.advance(99s);
    EXPECT_TRUE(world.ask("www.example.").from_store);
    world.clock.advance(2s);
    EXPECT_EQ(world.ask("www.example.").rcode, wire::Rcode::SERVFAIL);
    const auto chain = world.engine.chain_of_trust(name("www.example."));
    ASSERT_EQ(chain.size(), 1U);
    EXPECT_TRUE(chain[0].zone.is_root());
    EXPECT_EQ(chain[0].state, wire::ValidationState::bogus);
    EXPECT_NE(chain[0].detail.find("DS 1 algorithm 13"), std::string::npos) << chain[0].detail;
    EXPECT_TRUE(chain[0].ede);
}

} // namespace
} // namespace sallyport::resolver::iterate::test
