#include "listeners/listeners.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace sallyport;
using listeners::DoorKind;
using listeners::DoorOptions;
using listeners::Port;

namespace {

DoorOptions door(DoorKind kind, const std::vector<std::string>& addresses)
{
    DoorOptions options;
    options.kind = kind;
    options.position = {"gate.yaml", 3, 5};
    for (const auto& text : addresses) {
        listeners::ListenAddress address;
        if (text.starts_with("unix:"))
            address.unix_path = text.substr(5);
        else if (text.starts_with("systemd:"))
            address.systemd_name = text.substr(8);
        else
            address.endpoint = base::Endpoint::parse(text).value();
        options.on.push_back(address);
    }
    return options;
}

struct Plan {
    explicit Plan(std::vector<DoorOptions> doors)
    {
        options.doors = std::move(doors);
        ports = listeners::plan_ports(options, problems);
    }
    [[nodiscard]] const Port* find(Port::Kind kind) const
    {
        const auto found =
            std::find_if(ports.begin(), ports.end(), [&](const Port& port) { return port.kind == kind; });
        return found == ports.end() ? nullptr : &*found;
    }

    listeners::Options options;
    base::Problems problems;
    std::vector<Port> ports;
};

} // namespace

TEST(Ports, Do53TakesUdpAndTcp)
{
    const Plan plan{{door(DoorKind::do53, {"127.0.0.1:5300", "[::1]:5300"})}};
    EXPECT_TRUE(plan.problems.empty());
    EXPECT_EQ(plan.ports.size(), 4U);
}

TEST(Ports, TlsDoorsShareAPort)
{
    const Plan plan{{door(DoorKind::dot, {"127.0.0.1:853"}), door(DoorKind::doh, {"127.0.0.1:853"})}};
    EXPECT_TRUE(plan.problems.empty());
    const Port* tls = plan.find(Port::Kind::tls);
    ASSERT_NE(tls, nullptr);
    EXPECT_NE(tls->dot, nullptr);
    EXPECT_NE(tls->doh, nullptr);
}

#ifdef SALLYPORT_HAS_QUIC
TEST(Ports, QuicDoorsShareAPortBesideTls)
{
    const Plan plan{{door(DoorKind::dot, {"127.0.0.1:853"}), door(DoorKind::doq, {"127.0.0.1:853"}),
                     door(DoorKind::doh, {"127.0.0.1:853"})}};
    EXPECT_TRUE(plan.problems.empty());
    ASSERT_EQ(plan.ports.size(), 2U);
    const Port* quic = plan.find(Port::Kind::quic);
    ASSERT_NE(quic, nullptr);
    EXPECT_NE(quic->doq, nullptr);
    EXPECT_NE(quic->doh, nullptr);
}
#endif

TEST(Ports, Do53CannotShareWithTls)
{
    const Plan plan{{door(DoorKind::do53, {"127.0.0.1:853"}), door(DoorKind::dot, {"127.0.0.1:853"})}};
    ASSERT_EQ(plan.problems.size(), 1U);
    EXPECT_EQ(plan.problems[0].position.line, 3U);
    EXPECT_NE(plan.problems[0].message.find("dot cannot share this port with do53"), std::string::npos);
}

TEST(Ports, OneDohDoorAnAddress)
{
    auto other = door(DoorKind::doh, {"127.0.0.1:443"});
    other.doh.paths = {"/other"};
    const Plan plan{{door(DoorKind::doh, {"127.0.0.1:443"}), other}};
    ASSERT_FALSE(plan.problems.empty());
    EXPECT_NE(plan.problems[0].message.find("give one door both paths"), std::string::npos);
}

TEST(Ports, SaysWhatHasNoAddress)
{
    EXPECT_EQ((Plan{{door(DoorKind::dot, {})}}).problems.size(), 1U);
    EXPECT_EQ((Plan{{}}).problems.size(), 1U);
}

TEST(Ports, UnixSocketsServeDo53Only)
{
    const Plan good{{door(DoorKind::do53, {"unix:/run/dns.sock"})}};
    EXPECT_TRUE(good.problems.empty());
    ASSERT_EQ(good.ports.size(), 1U);
    EXPECT_EQ(good.ports[0].kind, Port::Kind::unix_stream);
    EXPECT_EQ((Plan{{door(DoorKind::dot, {"unix:/run/dns.sock"})}}).problems.size(), 1U);
}

TEST(Ports, PortZeroIsAnyPortForEachKind)
{
    const Plan plan{{door(DoorKind::do53, {"127.0.0.1:0"}), door(DoorKind::dot, {"127.0.0.1:0"})}};
    EXPECT_TRUE(plan.problems.empty());
}

TEST(Ports, ClearTextHttpHasNoQuicBesideIt)
{
    auto cleartext = door(DoorKind::doh, {"127.0.0.1:8080"});
    cleartext.doh.cleartext = true;
    const Plan plan{{cleartext}};
    ASSERT_EQ(plan.ports.size(), 1U);
    EXPECT_EQ(plan.ports[0].kind, Port::Kind::http_cleartext);
}

TEST(Ports, MissingSystemdSocketIsNamed)
{
    listeners::Options options;
    options.doors = {door(DoorKind::dot, {"systemd:dot"})};
    base::Problems problems;
    EXPECT_FALSE(listeners::open_sockets(options, {}, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("systemd:dot"), std::string::npos);
}

TEST(Ports, APortThatStaysKeepsItsIdAndItsSocket)
{
    listeners::Options options;
    options.workers = 2;
    auto first = door(DoorKind::do53, {"127.0.0.1:0"});
    first.tcp = false;
    options.doors = {first};
    base::Problems problems;
    const auto before = listeners::open_sockets(options, {}, problems);
    ASSERT_TRUE(before);
    ASSERT_TRUE(before->descriptors[1][0]);
    auto second = door(DoorKind::do53, {"127.0.0.1:0"});
    second.udp = false;
    options.doors = {second, first}; // order does not matter
    const auto after = listeners::open_sockets(options, {}, problems, {.layout = before->layout.get()});
    ASSERT_TRUE(after);
    EXPECT_EQ(after->layout->ports[1].id, before->layout->ports[0].id);
    EXPECT_NE(after->layout->ports[0].id, before->layout->ports[0].id);
    EXPECT_EQ(after->layout->bound[1], before->layout->bound[0]);
    EXPECT_FALSE(after->descriptors[0][1]);
    EXPECT_TRUE(after->descriptors[0][0]);
    EXPECT_TRUE(after->descriptors[1][0]);
}

TEST(Ports, AStreamPortStaysWhateverIsSpokenOnIt)
{
    const auto port = [](Port::Kind kind, const char* address) {
        Port made;
        made.kind = kind;
        made.address.endpoint = base::Endpoint::parse(address).value();
        return made;
    };
    using Kind = Port::Kind;
    EXPECT_TRUE(is_same_port(port(Kind::tcp, "127.0.0.1:853"), port(Kind::tls, "127.0.0.1:853")));
    EXPECT_FALSE(is_same_port(port(Kind::udp, "127.0.0.1:853"), port(Kind::quic, "127.0.0.1:853")));
    EXPECT_FALSE(is_same_port(port(Kind::tls, "127.0.0.1:853"), port(Kind::quic, "127.0.0.1:853")));
    EXPECT_FALSE(is_same_port(port(Kind::tls, "127.0.0.1:853"), port(Kind::tls, "127.0.0.2:853")));
    EXPECT_FALSE(is_same_port(port(Kind::tls, "127.0.0.1:0"), port(Kind::tcp, "127.0.0.1:0")));
}
