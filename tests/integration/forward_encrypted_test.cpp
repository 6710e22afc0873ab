#include "certs/certs.hpp"
#include "forward_fixture.hpp"
#include "listeners/listeners.hpp"
#include "no_router.hpp"
#include "pipeline/pipeline.hpp"
#include "zones/zones.hpp"

#include <array>
#include <cstdio>

// Upstreams over encrypted transports: doors of our own, on the same worker.

namespace sallyport::forward_testing {
namespace {

#ifdef SALLYPORT_HAS_QUIC
constexpr bool kQuic = true;
#else
constexpr bool kQuic = false;
#endif

struct Encrypted {
    listeners::DoorKind door;
    listeners::Port::Kind port;
    base::Transport transport;
};

class ForwardEncrypted : public Forward, public testing::WithParamInterface<Encrypted> {
protected:
    void SetUp() override
    {
        Forward::SetUp();
        http3_ = GetParam().transport == base::Transport::doh3;
        if (!kQuic && GetParam().port == listeners::Port::Kind::quic) GTEST_SKIP() << "this build has no QUIC";
        open_doors({GetParam().door});
        options_.limits.first_timeout = 2s; // a handshake under a sanitizer
    }
    void TearDown() override
    {
        resolver_.reset();
        doors_.reset();
        Forward::TearDown();
    }

    [[nodiscard]] resolver::UpstreamOptions peer() const { return encrypted(GetParam().port, GetParam().transport); }

    // A gateway of ours as an upstream over encrypted transports, on the same worker.
    void open_doors(std::initializer_list<listeners::DoorKind> kinds);
    base::Endpoint door(listeners::Port::Kind kind) const
    {
        for (std::size_t i = 0; i < layout_->ports.size(); ++i)
            if (layout_->ports[i].kind == kind) return layout_->bound[i];
        return {};
    }
    resolver::UpstreamOptions encrypted(listeners::Port::Kind kind, base::Transport transport) const
    {
        auto made = upstream(door(kind), transport);
        made.server_name = "localhost";
        made.ca_file = ca_file_;
        return made;
    }

    std::unique_ptr<pipeline::Pipeline> pipeline_;
    pipeline::Options pipeline_options_;
    listeners::Options listener_options_;
    std::shared_ptr<const listeners::Layout> layout_;
    test::NoRouter router_;
    listeners::SharedSecrets secrets_;
    std::unique_ptr<listeners::Doors> doors_;
    bool http3_ = false;
    std::string ca_file_;
    std::string chain_file_;
};

void ForwardEncrypted::open_doors(std::initializer_list<listeners::DoorKind> kinds)
{
    listener_options_.streams.reserved_descriptors = 16;
    for (const auto kind : kinds) {
        listeners::DoorOptions door;
        door.kind = kind;
        door.doh.http3 = http3_;
        door.on.push_back({base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, "", "", {}});
        listener_options_.doors.push_back(door);
    }
    pipeline_ = std::make_unique<pipeline::Pipeline>(pipeline_options_, clock_, random_);
    zones::Options made;
    zones::ZoneOptions zone;
    zone.name = "gate.test";
    zone.records = {"*.gate.test. A 192.0.2.7"};
    made.zones.push_back(zone);
    base::Problems problems;
    pipeline_->set_zones(zones::load(made, problems), {});
    certs::DevelopmentOptions development;
    development.directory = directory_.string();
    const auto pair = certs::make_development(development, clock_.wall());
    ca_file_ = pair->ca_file;
    chain_file_ = pair->chain_file;
    certs::Options wanted;
    wanted.certificates.push_back({pair->chain_file, pair->key_file, {}});
    auto identities =
        certs::load(wanted, certs::TicketKeys::make(wanted.tickets, clock_.now()).value(), clock_.wall(), problems);
    auto set = listeners::open_sockets(listener_options_, {}, problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    layout_ = set->layout;
    doors_ = std::make_unique<listeners::Doors>(worker_, *pipeline_, identities, layout_,
                                                std::move(set->descriptors[0]), router_, secrets_);
    ASSERT_TRUE(doors_->start());
}

TEST_P(ForwardEncrypted, ManyQuestionsShareOneConnection)
{
    group(Strategy::ordered, {peer()});
    open();
    std::deque<Client> clients(20);
    for (std::size_t i = 0; i < clients.size(); ++i) ask(clients[i], "n" + std::to_string(i) + ".gate.test.");
    ASSERT_TRUE(until([&] {
        return std::all_of(clients.begin(), clients.end(), [](const Client& client) { return client.heard > 0; });
    }));
    for (const auto& client : clients) {
        EXPECT_TRUE(client.answered) << client.ede_text;
        EXPECT_EQ(client.rcode, Rcode::NOERROR);
    }
    EXPECT_EQ(upstream_counter("upstream_connections_total"), 1U);
}

TEST_P(ForwardEncrypted, SessionsAreResumed)
{
    options_.limits.idle = 100ms;
    group(Strategy::ordered, {peer()});
    open();
    EXPECT_TRUE(resolve("a.gate.test.").answered);
    run(300ms);
    EXPECT_TRUE(resolve("b.gate.test.").answered);
    EXPECT_EQ(upstream_counter("upstream_connections_total"), 2U);
    EXPECT_EQ(upstream_counter("upstream_resumed_total"), 1U);
}

TEST_P(ForwardEncrypted, ACertificateOfAnotherNameIsNotTaken)
{
    auto wrong = peer();
    wrong.server_name = "elsewhere.example";
    options_.limits.budget = 2s;
    group(Strategy::ordered, {wrong});
    open();
    const Client client = resolve("a.gate.test.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::network_error);
    EXPECT_EQ(client.ede_text, "no secure connection to an upstream");
}

TEST_P(ForwardEncrypted, PinsAreChecked)
{
    const std::string command =
        "openssl x509 -in " + chain_file_ +
        " -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
    std::string pin;
    if (FILE* pipe = ::popen(command.c_str(), "r"); pipe != nullptr) {
        std::array<char, 128> line{};
        if (std::fgets(line.data(), line.size(), pipe) != nullptr) pin = line.data();
        ::pclose(pipe);
    }
    while (!pin.empty() && pin.back() == '\n') pin.pop_back();
    if (pin.size() != 44) GTEST_SKIP() << "openssl is not installed";
    auto pinned = peer();
    pinned.verify = false;
    pinned.spki_pins = {std::string(43, 'A') + "=", pin};
    group(Strategy::ordered, {pinned});
    options_.limits.budget = 2s;
    open();
    EXPECT_TRUE(resolve("a.gate.test.").answered);
    options_.groups[0].upstreams[0].spki_pins = {std::string(43, 'A') + "="};
    open();
    const Client client = resolve("b.gate.test.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede_text, "no secure connection to an upstream");
}

INSTANTIATE_TEST_SUITE_P(
    Transports, ForwardEncrypted,
    testing::Values(Encrypted{listeners::DoorKind::dot, listeners::Port::Kind::tls, base::Transport::dot},
                    Encrypted{listeners::DoorKind::doh, listeners::Port::Kind::tls, base::Transport::doh2},
                    Encrypted{listeners::DoorKind::doq, listeners::Port::Kind::quic, base::Transport::doq},
                    Encrypted{listeners::DoorKind::doh, listeners::Port::Kind::quic, base::Transport::doh3}),
    [](const auto& each) { return std::string{base::to_string(each.param.transport)}; });

} // namespace
} // namespace sallyport::forward_testing
