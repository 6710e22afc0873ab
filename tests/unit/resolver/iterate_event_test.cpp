#include "resolver/iterate/event.hpp"

#include "tests/unit/resolver/iterate_world.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;
using Lines = std::vector<std::string>;

/// Root at 192.0.2.1, example. at 192.0.2.2.
void add_example(World& world, Server example)
{
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2");
        return name_error(".");
    };
    world.servers[address("192.0.2.2")] = std::move(example);
}

/// `zone server question: result` of each exchange.
Watcher writes_to(Lines& lines)
{
    return [&lines](const Event& event) {
        if (event.kind == Event::Kind::ask) return;
        if (event.kind == Event::Kind::failure) return lines.push_back("failure " + std::string(event.text));
        const std::string server =
            event.server_name != nullptr ? event.server_name->to_text() : event.server.address.to_string();
        lines.push_back(event.zone->to_text() + ' ' + server + ' ' + event.name->to_text() + ' ' +
                        wire::to_string(event.type) + ": " + result_text(event));
    };
}

void ask(World& world, const std::string& qname, Lines& lines)
{
    bool done = false;
    world.engine.resolve(
        {name(qname), RrType::A, wire::RrClass::IN, false}, [&done](const Answer&) { done = true; }, writes_to(lines));
    for (int i = 0; i < 1000 && !done; ++i) {
        world.run();
        if (done || !world.engine.due()) continue;
        world.clock.advance(std::chrono::milliseconds{50});
    }
    EXPECT_TRUE(done);
}

TEST(IterateEvent, EachExchangeIsToldWithItsResult)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name("www.example.")) return Reply{}.answer("www.example.", RrType::A, "198.51.100.7");
        return name_error("example.");
    });
    Lines lines;
    ask(world, "www.example.", lines);
    EXPECT_EQ(lines, (Lines{". 192.0.2.1 www.example. A: referral to example.",
                            "example. ns.example. www.example. A: answer: 198.51.100.7"}));
    lines.clear();
    ask(world, "none.example.", lines);
    EXPECT_EQ(lines, (Lines{"example. ns.example. none.example. A: NXDOMAIN"}));
    lines.clear();
    ask(world, "www.example.", lines);
    EXPECT_TRUE(lines.empty()); // known
}

TEST(IterateEvent, ServersThatAreOfNoUseAreNamed)
{
    World world(plain_options());
    add_example(world, [](const Sent&) { return std::optional<Reply>(refuse(Rcode::REFUSED)); });
    Lines lines;
    ask(world, "www.example.", lines);
    ASSERT_GE(lines.size(), 3U);
    EXPECT_NE(lines[1].find("(REFUSED)"), std::string::npos) << lines[1];
    EXPECT_EQ(lines.back().find("failure "), 0U) << lines.back();
}

TEST(IterateEvent, AQuestionsWatcherHearsOfNoOther)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) {
        return std::optional<Reply>(Reply{}.answer(sent.qname.lower().to_text(), RrType::A, "198.51.100.7"));
    });
    Lines lines;
    int done = 0;
    const auto count = [&done](const Answer&) { ++done; };
    world.engine.resolve({name("one.example."), RrType::A, wire::RrClass::IN, false}, count, writes_to(lines));
    world.engine.resolve({name("two.example."), RrType::A, wire::RrClass::IN, false}, count);
    world.run();
    EXPECT_EQ(done, 2);
    EXPECT_FALSE(lines.empty());
    for (const std::string& line : lines) EXPECT_EQ(line.find("two."), std::string::npos) << line;
}

TEST(IterateEvent, TheRoundTripAndTheSizesAreTold)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) {
        return std::optional<Reply>(Reply{}.answer(sent.qname.lower().to_text(), RrType::A, "198.51.100.7"));
    });
    std::size_t sent = 0, received = 0;
    world.engine.resolve(
        {name("www.example."), RrType::A, wire::RrClass::IN, false}, [](const Answer&) {},
        [&](const Event& event) {
            if (event.kind != Event::Kind::reply) return;
            sent += event.sent;
            received += event.received;
            EXPECT_EQ(event.rtt, std::chrono::milliseconds{30});
        });
    world.clock.advance(std::chrono::milliseconds{30});
    // All servers are as far away as the first: the clock moves before each round of replies.
    while (!world.waiting.empty()) {
        const Sent next = world.waiting.front();
        world.waiting.erase(world.waiting.begin());
        const auto reply = world.servers.at(next.server)(next);
        (void)world.engine.answer(next.token, world.message(next, *reply));
        world.clock.advance(std::chrono::milliseconds{30});
    }
    std::size_t all = 0;
    for (const Sent& one : world.log) all += one.bytes.size();
    EXPECT_EQ(sent, all);
    EXPECT_GT(received, 0U);
}

TEST(IterateEvent, KeysAreTagAndAlgorithm)
{
    cache::Rrset set;
    set.type = RrType::DS;
    const std::uint8_t rdata[] = {0x4F, 0x66, 8, 2, 0xAA, 0xBB};
    set.records.add(rdata);
    EXPECT_EQ(keys_text(set), "20326/8/2");
}

} // namespace
} // namespace sallyport::resolver::iterate::test
