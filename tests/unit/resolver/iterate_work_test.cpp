#include "tests/unit/resolver/iterate_world.hpp"

#include <gtest/gtest.h>

/// Work that costs no packet, and half answers.
namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

/// Every name under `example.` is a zone whose eight servers have their names in another one: `…a` in `…b` and back.
std::optional<Reply> serve_each_other(const Sent& sent)
{
    const std::string text = sent.qname.lower().to_text();
    const std::size_t end = text.find(".example.");
    if (end == std::string::npos) return no_data("example.");
    const std::size_t begin = text.rfind('.', end - 1) == std::string::npos ? 0 : text.rfind('.', end - 1) + 1;
    std::string label = text.substr(begin, end - begin);
    const std::string cut = label + ".example.";
    label.back() = label.back() == 'a' ? 'b' : 'a';
    Reply reply;
    reply.flags = wire::flag::QR;
    for (int at = 0; at < 8; ++at)
        reply.authority(cut, RrType::NS, "ns" + std::to_string(at) + "." + label + ".example.");
    return reply;
}

TEST(IterateWork, ZonesThatServeEachOtherCostNoMoreThanTheLimitSays)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent&) -> std::optional<Reply> {
        return referral("example.", "ns.example.", "192.0.2.2");
    };
    world.servers[address("192.0.2.2")] = serve_each_other;
    const Answer answer = world.ask("www.za.example.");
    EXPECT_EQ(answer.rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.engine.stats().budget_work.get(), 1U);
    // Each look-up meets what is in flight a few times, not by every way through the web.
    EXPECT_LT(world.engine.stats().loops.get(), 2'000U);
    EXPECT_LT(world.log.size(), 20U);
    EXPECT_EQ(world.engine.in_flight(), 0U);
}

TEST(IterateWork, WhatIsTruncatedWhereTcpFailsIsNoAnswer)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.tcp) return std::nullopt;
        Reply reply;
        reply.flags |= wire::flag::TC;
        reply.answer("www.example.", RrType::A, "198.51.100.7");
        return reply;
    };
    const Answer answer = world.ask("www.example.");
    EXPECT_EQ(answer.rcode, Rcode::SERVFAIL);
    EXPECT_TRUE(answer.answers.empty());
}

} // namespace
} // namespace sallyport::resolver::iterate::test
