#include "stream_fixture.hpp"

// Queries over UDP and streams, and doors that open and close.

namespace sallyport::stream_testing {
namespace {

TEST_F(StreamDoors, UdpAnswersABatch)
{
    add_door(DoorKind::do53);
    open();
    const net::Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    sockaddr_storage storage{};
    const auto size = address_of(Port::Kind::udp).to_sockaddr(storage);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size), 0);
    for (std::uint16_t id = 0; id < 100; ++id) {
        const auto message = query(id, "www.gate.test");
        ASSERT_GT(::send(socket.get(), message.data(), message.size(), 0), 0);
    }
    int answers = 0;
    EXPECT_TRUE(until([&] {
        std::uint8_t buffer[1500];
        while (::recv(socket.get(), buffer, sizeof buffer, 0) > 0) ++answers;
        return answers == 100;
    }));
    EXPECT_EQ(counter("udp_datagrams_total"), 100U);
    EXPECT_LT(counter("udp_batches_total"), 20U);
}

TEST_F(StreamDoors, PipelinedQueriesAreAnsweredInTurns)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    Octets all;
    for (std::uint16_t id = 0; id < 1000; ++id) all = join(std::move(all), framed(query(id, "www.gate.test")));
    std::size_t sent = 0;
    EXPECT_TRUE(until([&] {
        sent += client.send(base::Bytes{all}.subspan(sent));
        return client.messages().size() == 1000;
    }));
    EXPECT_GE(counter("stream_turns_given_total"), 20U);
    for (std::uint16_t id = 0; id < 1000; ++id) EXPECT_EQ(id_of(client.messages()[id]), id);
}

TEST_F(StreamDoors, AnswersLeaveInAnyOrder)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(join(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)), framed(query(2, "www.gate.test"))));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(id_of(client.messages()[0]), 2);
    ASSERT_FALSE(held_.empty());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    ASSERT_TRUE(until([&] { return client.messages().size() == 2; }));
    EXPECT_EQ(id_of(client.messages()[1]), 1);
}

TEST_F(StreamDoors, ClientThatGoesTakesItsQueriesAlong)
{
    add_door(DoorKind::do53);
    open();
    {
        Client client{address_of(Port::Kind::tcp)};
        client.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
        ASSERT_TRUE(until([&] { return !held_.empty(); }));
        const linger hard{1, 0}; // RST
        ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    EXPECT_TRUE(until([&] { return held_.empty(); }));
    EXPECT_EQ(counter("stream_connections"), 0U);
}

TEST_F(StreamDoors, ReadingPausesWithTooManyQueriesInWork)
{
    options_.streams.queries_in_work = 2;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    for (std::uint16_t id = 0; id < 5; ++id) client.send(framed(query(id, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return counter("stream_work_pauses_total") == 1; }));
    run(20ms);
    EXPECT_EQ(held_.size(), 2U);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(until([&] { return !held_.empty(); }));
        auto& held = held_.front();
        held_.pop_front();
        pipeline_->resume(held, pipeline::Step::next, clock_.now());
    }
    EXPECT_TRUE(until([&] { return client.messages().size() == 5; }));
}

TEST_F(StreamDoors, HalfClosedClientGetsItsAnswers)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(join(framed(query(1, "www.gate.test")), framed(query(2, "a.elsewhere.test", wire::RrType::HINFO))));
    client.shut();
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    ASSERT_FALSE(held_.empty());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    EXPECT_TRUE(until([&] { return client.messages().size() == 2 && !client.open(); }));
    EXPECT_TRUE(until([&] { return counter("stream_connections") == 0; }));
}

TEST_F(StreamDoors, SlowMessageIsTakenInTimeOnly)
{
    options_.streams.message = 150ms;
    add_door(DoorKind::do53);
    open();
    Client quick{address_of(Port::Kind::tcp)};
    Client slow{address_of(Port::Kind::tcp)};
    for (const auto octet : framed(query(7, "www.gate.test"))) {
        quick.send({&octet, 1});
        run(1ms);
    }
    EXPECT_TRUE(until([&] { return quick.messages().size() == 1; }));
    const auto message = framed(query(8, "www.gate.test"));
    std::size_t sent = 0;
    // Progress all the time, and yet over when the time is.
    EXPECT_TRUE(until(
        [&] {
            if (sent + 1 < message.size()) slow.send({&message[sent++], 1});
            run(12ms);
            return !slow.open();
        },
        1s));
    EXPECT_EQ(counter("stream_message_timeouts_total"), 1U);
    EXPECT_TRUE(slow.messages().empty());
}

TEST_F(StreamDoors, ResponsesAndShortMessagesEndTheStream)
{
    add_door(DoorKind::do53);
    open();
    auto response = query(1, "www.gate.test");
    response[2] |= 0x80;
    for (const auto& bad : {framed(response), framed({1, 2, 3}), framed({})}) {
        Client client{address_of(Port::Kind::tcp)};
        client.send(join(framed(query(9, "www.gate.test")), bad));
        EXPECT_TRUE(until([&] { return !client.open(); }));
        EXPECT_EQ(client.messages().size(), 1U);
    }
    EXPECT_EQ(counter("stream_bad_messages_total"), 3U);
}

TEST_F(StreamDoors, InheritedSocketMustListen)
{
    const net::Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto adopted = net::adopt_inherited(socket.get(), {});
    ASSERT_FALSE(adopted);
    EXPECT_NE(adopted.error().message.find("does not listen"), std::string::npos);
}

TEST_F(StreamDoors, UnixSocketServesStreams)
{
    auto& door = add_door(DoorKind::do53);
    const std::string path = (directory_ / "dns.sock").string();
    door.on[0].unix_path = path;
    open();
    Client client{path};
    client.send(framed(query(1, "www.gate.test")));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(rcode_of(client.messages()[0]), 0U);
}

TEST_F(StreamDoors, DrainFinishesWhatIsInWork)
{
    add_door(DoorKind::do53);
    add_door(DoorKind::dot);
    open();
    Client idle{address_of(Port::Kind::tcp)};
    Client busy{address_of(Port::Kind::tcp)};
    TlsClient tls{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return tls.connected(); }));
    busy.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return !held_.empty(); }));
    bool done = false;
    doors_->drain([&] { done = true; });
    EXPECT_TRUE(until([&] { return !idle.open() && tls.closed_cleanly(); }));
    EXPECT_FALSE(done);
    EXPECT_TRUE(busy.open());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    EXPECT_TRUE(until([&] { return busy.messages().size() == 1; }));
    idle.close();
    busy.close();
    EXPECT_TRUE(until([&] { return done; }));
}

TEST_F(StreamDoors, DrainHasAnEnd)
{
    options_.drain = 100ms;
    add_door(DoorKind::do53);
    open();
    Client busy{address_of(Port::Kind::tcp)};
    busy.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return !held_.empty(); }));
    bool done = false;
    doors_->drain([&] { done = true; });
    EXPECT_TRUE(until([&] { return done; }, 1s));
    EXPECT_TRUE(held_.empty());
}

TEST_F(StreamDoors, PortInUseIsNamed)
{
    const net::Descriptor taken =
        net::open_tcp_listener(base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, {}).value();
    add_door(DoorKind::do53).on[0].endpoint = net::local_endpoint(taken.get());
    base::Problems problems;
    EXPECT_FALSE(listeners::open_sockets(options_, {}, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("the address is in use"), std::string::npos);
    EXPECT_NE(problems[0].message.find(net::local_endpoint(taken.get()).to_string()), std::string::npos);
}

} // namespace
} // namespace sallyport::stream_testing
