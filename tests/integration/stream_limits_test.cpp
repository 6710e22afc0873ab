#include "stream_fixture.hpp"

#include <sys/resource.h>

// Idle, slow and too many connections: who is closed, who waits, who makes way.

namespace sallyport::stream_testing {
namespace {

TEST_F(StreamDoors, IdleConnectionIsClosed)
{
    options_.streams.idle = 80ms;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_TRUE(client.open());
    EXPECT_TRUE(until([&] { return !client.open(); }, 1s));
    EXPECT_EQ(counter("stream_idle_timeouts_total"), 1U);
}

TEST_F(StreamDoors, IdleTimeIsShorterWhenCrowded)
{
    options_.streams.connections = 4;
    options_.streams.idle_when_full = 50ms;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_idle_timeouts_total") >= 1; }));
}

TEST_F(StreamDoors, PeerThatDoesNotReadIsPausedAndThenClosed)
{
    options_.streams.write_stall = 150ms;
    options_.streams.backlog_bytes = 65'536;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp), 4096};
    Octets all;
    for (std::uint16_t id = 0; id < 2000; ++id)
        all = join(std::move(all), framed(query(id, "big.gate.test", wire::RrType::TXT)));
    std::size_t sent = 0;
    EXPECT_TRUE(until([&] {
        sent += client.send(base::Bytes{all}.subspan(sent));
        return counter("stream_backlog_pauses_total") > 0;
    }));
    const auto taken = counter("stream_messages_total");
    run(50ms);
    EXPECT_EQ(counter("stream_messages_total"), taken);
    EXPECT_LT(taken, 1500U);
    EXPECT_TRUE(until([&] { return counter("stream_write_stalls_total") == 1; }));
    EXPECT_EQ(counter("stream_connections"), 0U);
}

TEST_F(StreamDoors, SlowReaderGetsEverything)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp), 4096};
    Octets all;
    for (std::uint16_t id = 0; id < 400; ++id)
        all = join(std::move(all), framed(query(id, "big.gate.test", wire::RrType::TXT)));
    std::size_t sent = 0;
    EXPECT_TRUE(until(
        [&] {
            sent += client.send(base::Bytes{all}.subspan(sent));
            return client.messages().size() == 400;
        },
        20s));
}

TEST_F(StreamDoors, LongestIdleMakesWayForANewcomer)
{
    options_.streams.connections = 5;
    options_.streams.idle_when_full = 10s;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 7; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "www.gate.test")));
        ASSERT_TRUE(until([&] { return clients.back()->messages().size() == 1; }));
    }
    EXPECT_EQ(counter("stream_evicted_total"), 2U);
    EXPECT_EQ(counter("stream_connections"), 5U);
    EXPECT_FALSE(clients[0]->open());
    EXPECT_FALSE(clients[1]->open());
    EXPECT_TRUE(clients[2]->open());
}

TEST_F(StreamDoors, BusyConnectionsDoNotMakeWay)
{
    options_.streams.connections = 2;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    }
    ASSERT_TRUE(until([&] { return held_.size() == 2; }));
    Client newcomer{address_of(Port::Kind::tcp)};
    EXPECT_TRUE(until([&] { return counter("stream_refused_full_total") == 1; }));
    EXPECT_TRUE(until([&] { return !newcomer.open(); }));
    EXPECT_EQ(counter("stream_connections"), 2U);
}

TEST_F(StreamDoors, BusyConnectionsInFrontDoNotHideIdleOnes)
{
    options_.streams.connections = 45;
    options_.streams.idle_when_full = 10s;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 40; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    }
    ASSERT_TRUE(until([&] { return held_.size() == 40; }));
    for (int i = 0; i < 7; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_evicted_total") >= 1; }));
    EXPECT_LE(counter("stream_refused_full_total"), 1U);
    EXPECT_EQ(held_.size(), 40U);
}

TEST_F(StreamDoors, AnswerOfThisWakeUpHasNotStalled)
{
    options_.streams.write_stall = 30ms;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(9, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return held_.size() == 1; }));
    run(50ms);
    // The answer is there and not sent yet when the connection's own timer comes.
    auto& waiting = held_.front();
    held_.pop_front();
    pipeline_->resume(waiting, pipeline::Step::next, clock_.now());
    worker_.timers().expire(clock_.now() + 2s);
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(counter("stream_write_stalls_total"), 0U);
}

TEST_F(StreamDoors, EachPipelinedRequestHasTimeOfItsOwn)
{
    options_.streams.message = 150ms;
    auto& door = add_door(DoorKind::doh);
    door.doh.cleartext = true;
    open();
    Client client{address_of(Port::Kind::http_cleartext)};
    const std::string text =
        "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwRnYXRlBHRlc3QAAAEAAQ HTTP/1.1\r\nHost: g\r\n\r\n";
    const Octets request(text.begin(), text.end());
    const base::Bytes begin = base::Bytes{request}.first(20);
    const base::Bytes end = base::Bytes{request}.subspan(20);
    client.send(begin);
    for (int i = 0; i < 10; ++i) {
        run(40ms);
        // The end of one and the beginning of the next arrive together.
        Octets both(end.begin(), end.end());
        both.insert(both.end(), begin.begin(), begin.end());
        client.send(both);
        ASSERT_TRUE(client.open()) << i;
    }
    EXPECT_EQ(counter("stream_message_timeouts_total"), 0U);
    EXPECT_TRUE(until([&] { return !client.open(); })) << "the last one stays incomplete";
}

TEST_F(StreamDoors, OneAddressHasItsNumber)
{
    options_.streams.connections_per_address = 3;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_refused_address_total") == 2; }));
    EXPECT_EQ(counter("stream_connections"), 3U);
    clients.clear();
    EXPECT_TRUE(until([&] { return counter("stream_connections") == 0; }));
    Client again{address_of(Port::Kind::tcp)};
    again.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return again.messages().size() == 1; }));
}

TEST_F(StreamDoors, AcceptingPausesWhenDescriptorsRunLow)
{
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    options_.streams.reserved_descriptors = 24;
    add_door(DoorKind::do53);
    open();
    {
        std::vector<std::unique_ptr<Client>> clients;
        for (int i = 0; i < 25; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        EXPECT_TRUE(until([&] { return counter("stream_descriptor_pauses_total") >= 1; }));
        run(150ms);
        EXPECT_LE(counter("stream_descriptor_pauses_total"), 4U); // a timer, no spinning
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
}

} // namespace
} // namespace sallyport::stream_testing
