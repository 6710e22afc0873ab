#include "resolver/upstream_query.hpp"
#include "wire/message_writer.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace sallyport::resolver {
namespace {

using Octets = std::vector<std::uint8_t>;

class UpstreamQuery : public testing::Test {
protected:
    UpstreamQuery()
    {
        inquiry_.qname = *wire::Name::from_text("www.example.");
        inquiry_.qtype = wire::RrType::A;
        form_.id = 0x1234;
        form_.spelled = *wire::Name::from_text("wWw.exAmple.");
    }
    Octets written()
    {
        std::array<std::uint8_t, kQueryRoom> room{};
        const auto octets = write_query(room, inquiry_, form_);
        return {octets.begin(), octets.end()};
    }
    Octets response(std::uint16_t id, std::string_view name, wire::RrType type = wire::RrType::A,
                    std::uint16_t flags = wire::flag::QR)
    {
        Octets room(512);
        wire::MessageWriter writer{room, room.size()};
        writer.begin(id, flags);
        (void)writer.question(*wire::Name::from_text(name), type, wire::RrClass::IN);
        const auto message = writer.message();
        return {message.begin(), message.end()};
    }
    Fit fits(const Octets& message) { return fit(*wire::MessageView::parse(message), inquiry_, form_); }

    Inquiry inquiry_;
    QueryForm form_;
    base::SystemRandom random_;
};

TEST_F(UpstreamQuery, HoldsTheQuestionAndNothingOfTheClient)
{
    inquiry_.dnssec_ok = true;
    inquiry_.checking_disabled = true;
    const Octets octets = written();
    const auto view = wire::MessageView::parse(octets);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->id(), 0x1234);
    EXPECT_EQ(view->header().flags, wire::flag::RD | wire::flag::AD | wire::flag::CD);
    EXPECT_EQ(view->qname().to_name().to_text(), "wWw.exAmple.");
    ASSERT_NE(view->edns(), nullptr);
    EXPECT_TRUE(view->edns()->dnssec_ok);
    EXPECT_TRUE(view->edns()->options.empty());
}

TEST_F(UpstreamQuery, IsPaddedOnEncryptedWays)
{
    form_.padded = true;
    EXPECT_EQ(written().size(), 128U);
    inquiry_.qname = form_.spelled = *wire::Name::from_text(std::string(60, 'a') + "." + std::string(60, 'b') + "." +
                                                            std::string(60, 'c') + "." + std::string(60, 'd') + ".");
    std::array<std::uint8_t, 40> cookie{};
    form_.cookie = cookie;
    EXPECT_EQ(written().size() % 128, 0U);
}

TEST_F(UpstreamQuery, GoesWithoutEdnsWhereAsked)
{
    form_.edns = false;
    EXPECT_EQ(wire::MessageView::parse(written())->edns(), nullptr);
}

TEST_F(UpstreamQuery, LettersAreDrawnAtRandom)
{
    const auto plain = *wire::Name::from_text("abcdefghijklmnop.0-9_.example.");
    std::set<std::string> spellings;
    for (int i = 0; i < 20; ++i) {
        wire::Name name = plain;
        randomise_case(name, random_);
        EXPECT_EQ(name, plain);
        spellings.insert(name.to_text());
    }
    EXPECT_GT(spellings.size(), 15U);
    wire::Name root;
    randomise_case(root, random_);
    EXPECT_TRUE(root.is_root());
}

TEST_F(UpstreamQuery, OnlyItsOwnAnswerFits)
{
    EXPECT_EQ(fits(response(0x1234, "wWw.exAmple.")), Fit::fits);
    EXPECT_EQ(fits(response(0x1234, "www.example.")), Fit::other_case);
    EXPECT_EQ(fits(response(0x1235, "wWw.exAmple.")), Fit::foreign);
    EXPECT_EQ(fits(response(0x1234, "wWw.exAmples.")), Fit::foreign);
    EXPECT_EQ(fits(response(0x1234, "wWw.exAmple.", wire::RrType::AAAA)), Fit::foreign);
    EXPECT_EQ(fits(response(0x1234, "wWw.exAmple.", wire::RrType::A, 0)), Fit::foreign);
    EXPECT_EQ(fits(response(0x1234, "wWw.exAmple.", wire::RrType::A, wire::flag::QR | 0x2000)), Fit::foreign);
}

TEST_F(UpstreamQuery, AHeaderAloneFitsOnlyAsAnError)
{
    EXPECT_EQ(fits({0x12, 0x34, 0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0}), Fit::fits);
    EXPECT_EQ(fits({0x12, 0x34, 0x80, 0x00, 0, 0, 0, 0, 0, 0, 0, 0}), Fit::foreign);
    EXPECT_EQ(fits({0x12, 0x34, 0x80, 0x02, 0, 0, 0, 0, 0, 0, 0, 0}), Fit::foreign);
}

TEST_F(UpstreamQuery, CookiesAreGivenBackAndJudged)
{
    CookieJar jar;
    const auto first = jar.option(random_);
    ASSERT_EQ(first.size(), 8U);
    Octets cookie{first.begin(), first.end()};
    for (std::uint8_t i = 0; i < 16; ++i) cookie.push_back(i);

    EXPECT_EQ(jar.judge(nullptr, false), CookieJar::Verdict::good) << "nothing is known of it yet";
    wire::EdnsView edns;
    Octets foreign = cookie;
    foreign[0] = static_cast<std::uint8_t>(foreign[0] ^ 1U);
    edns.cookie = foreign;
    EXPECT_EQ(jar.judge(&edns, false), CookieJar::Verdict::foreign);
    EXPECT_FALSE(jar.knows_server());
    edns.cookie = cookie;
    EXPECT_EQ(jar.judge(&edns, false), CookieJar::Verdict::good);
    const auto second = jar.option(random_);
    EXPECT_EQ(Octets(second.begin(), second.end()), cookie);
    EXPECT_EQ(jar.judge(nullptr, false), CookieJar::Verdict::foreign) << "it has shown that it knows cookies";
    EXPECT_EQ(jar.judge(nullptr, true), CookieJar::Verdict::good) << "over TCP it is believed";
    EXPECT_FALSE(jar.knows_server());
}

} // namespace
} // namespace sallyport::resolver
