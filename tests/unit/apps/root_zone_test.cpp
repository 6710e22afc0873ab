#include "apps/root_zone.hpp"

#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;
using wire::RrType;

constexpr std::int64_t kDate = 1'800'000'000;
constexpr std::string_view kDigest = "2026112000 1 1 5fb2be5ed391851aa44d8e83704bfa73d3be694e24e90122"
                                     "d25801facfac556fc7fe75f95b274f950387d7c8df13c1fb";

/// A root zone that nobody signed; `zonemd` is empty or RDATA.
std::shared_ptr<RootZone> root(std::string_view zonemd = {}, std::string_view address = "192.0.2.1")
{
    zones::TransferredZone zone;
    const auto add = [&](std::string_view owner, RrType type, std::string_view rdata) {
        zone.add(*wire::Name::from_text(owner), type, wire::Ttl{300},
                 *wire::rdata_from_text(type, rdata, wire::Name{}));
    };
    add(".", RrType::SOA, "ns.root. host.root. 2026112000 1800 900 604800 86400");
    add(".", RrType::NS, "ns.root.");
    if (!zonemd.empty()) add(".", RrType::ZONEMD, zonemd);
    add("ns.root.", RrType::A, address);
    add("tld.", RrType::NS, "ns.tld.");
    base::Problems problems;
    auto built = zones::build_zone(zone, "test", zones::Limits{}, problems);
    EXPECT_TRUE(problems.empty());
    return std::make_shared<RootZone>(std::move(built), kDate);
}

base::WallTime at(std::int64_t date) { return base::WallTime{std::chrono::seconds{date}}; }

dnssec::TrustAnchors of_the_root()
{
    dnssec::TrustAnchors anchors;
    anchors.add_built_in();
    return anchors;
}

TEST(RootZone, IsGoodForAsLongAsItsSoaSays)
{
    const auto zone = root();
    EXPECT_EQ(zone->soa().serial, 2026112000U);
    EXPECT_EQ(zone->expires(), kDate + 604800);
    EXPECT_TRUE(zone->is_good(at(kDate + 604799)));
    EXPECT_FALSE(zone->is_good(at(kDate + 604800)));
    const auto later = zone->confirmed_at(kDate + 1000);
    EXPECT_TRUE(later->is_good(at(kDate + 604800)));
    EXPECT_EQ(later->records(), zone->records());
}

TEST(RootZone, IsNotGoodOnceTheClockIsSetFarBack)
{
    const auto zone = root();
    EXPECT_TRUE(zone->is_good(at(kDate - 3600)));
    EXPECT_FALSE(zone->is_good(at(kDate - 3601)));
}

TEST(RootZone, AnswersLikeAServerOfTheRoot)
{
    const auto zone = root();
    std::array<std::uint8_t, 128> asked{};
    wire::MessageWriter writer{asked, asked.size()};
    writer.begin(7, 0);
    ASSERT_TRUE(writer.question(*wire::Name::from_text("www.tld"), RrType::A, wire::RrClass::IN));
    std::vector<std::uint8_t> room(wire::kMaxMessageSize);
    const std::size_t size = zone->answer(writer.message(), room);
    const auto view = wire::MessageView::parse({room.data(), size});
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->id(), 7);
    EXPECT_EQ(view->header().answer_count, 0);
    EXPECT_EQ(view->header().authority_count, 1);
    EXPECT_FALSE(view->header().has(wire::flag::AA));
    EXPECT_EQ(zone->answer({}, room), 0U);
}

TEST(RootZone, WithoutAnAnchorTheDigestIsAllThereIs)
{
    const auto plain = root();
    EXPECT_EQ(judge_root(*plain, {}, {}, kDate), "");
    EXPECT_FALSE(plain->is_digested());
    const auto digested = root(kDigest);
    EXPECT_EQ(judge_root(*digested, {}, {}, kDate), "");
    EXPECT_TRUE(digested->is_digested());
    EXPECT_TRUE(digested->confirmed_at(kDate + 1)->is_digested());
    const auto changed = root(kDigest, "192.0.2.2");
    EXPECT_EQ(judge_root(*changed, {}, {}, kDate), "the digest of ZONEMD is not that of the zone");
    EXPECT_FALSE(changed->is_digested());
    const auto foreign = root("2026112000 1 240 000102030405060708090a0b");
    EXPECT_EQ(judge_root(*foreign, {}, {}, kDate), "");
    EXPECT_FALSE(foreign->is_digested());
}

TEST(RootZone, WithAnAnchorItIsSigned)
{
    const auto digested = root(kDigest);
    EXPECT_NE(judge_root(*digested, of_the_root(), {}, kDate), "");
    EXPECT_FALSE(digested->is_digested());
}

} // namespace
} // namespace sallyport::apps
