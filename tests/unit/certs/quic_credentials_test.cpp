#include "support.hpp"

#include "certs/replay_store.hpp"

#include <gmock/gmock.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <cstring>
#include <functional>
#include <thread>

/// What `prepare_quic` sets is tried over plain TLS 1.3 in memory: QUIC changes who carries the messages, not what they
/// decide.
namespace sallyport::certs::test {
namespace {

const AlpnPolicy kDoq{{"doq"}, false};
const AlpnPolicy kBoth{{"h3", "doq"}, false};

using SessionHandle = base::Handle<gnutls_session_int, gnutls_deinit>;
using CredentialsHandle = base::Handle<gnutls_certificate_credentials_st, gnutls_certificate_free_credentials>;

/// One direction of the wire. What was ever sent stays, so that it can be replayed.
struct Pipe {
    std::string sent;
    std::size_t taken = 0;
};

struct End {
    Pipe* in;
    Pipe* out;
    gnutls_session_t session;

    static ssize_t push(void* self, const void* data, std::size_t size)
    {
        static_cast<End*>(self)->out->sent.append(static_cast<const char*>(data), size);
        return static_cast<ssize_t>(size);
    }
    static ssize_t pull(void* self, void* data, std::size_t size)
    {
        End& end = *static_cast<End*>(self);
        const std::size_t n = std::min(size, end.in->sent.size() - end.in->taken);
        if (n == 0) {
            gnutls_transport_set_errno(end.session, EAGAIN);
            return -1;
        }
        std::memcpy(data, end.in->sent.data() + end.in->taken, n);
        end.in->taken += n;
        return static_cast<ssize_t>(n);
    }
    static int pull_timeout(void* self, unsigned)
    {
        const End& end = *static_cast<End*>(self);
        return end.in->sent.size() > end.in->taken ? 1 : 0;
    }
    void attach()
    {
        gnutls_transport_set_ptr(session, this);
        gnutls_transport_set_push_function(session, push);
        gnutls_transport_set_pull_function(session, pull);
        gnutls_transport_set_pull_timeout_function(session, pull_timeout);
        gnutls_handshake_set_timeout(session, 0);
    }
};

struct Client {
    std::string server_name;
    std::vector<std::string> alpn;
    std::string session_data = {};
    std::string early_data = {};
};

class Connection {
public:
    Connection(const TlsIdentities& identities, const AlpnPolicy& policy, Stats& stats, const Client& client,
               bool early_data = false)
        : stats_{stats}
    {
        make_server(identities, policy, early_data);
        make_client(client);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool handshake()
    {
        for (int i = 0; i < 10; ++i) {
            if (client_result_ != 0) client_result_ = step(client_.get(), client_result_);
            if (server_result_ != 0) server_result_ = step(server_.get(), server_result_);
            if (client_result_ == 0 && server_result_ == 0) {
                TlsIdentities::complete_quic(server_.get(), stats_);
                return exchange();
            }
        }
        return false;
    }
    /// Only the server's side, on what another connection's client has sent.
    void replay(const std::string& client_bytes)
    {
        to_server_ = {client_bytes, 0};
        server_result_ = step(server_.get(), server_result_);
    }

    [[nodiscard]] int server_result() const { return server_result_; }
    [[nodiscard]] const std::string& client_bytes() const { return to_server_.sent; }
    gnutls_session_t client() { return client_.get(); }
    [[nodiscard]] bool resumed() const { return gnutls_session_is_resumed(server_.get()) != 0; }
    [[nodiscard]] bool took_early_data() const
    {
        return (gnutls_session_get_flags(server_.get()) & GNUTLS_SFLAGS_EARLY_DATA) != 0;
    }
    [[nodiscard]] std::string session_data() const
    {
        gnutls_datum_t data{};
        if (gnutls_session_get_data2(client_.get(), &data) < 0) return {};
        std::string copy(reinterpret_cast<const char*>(data.data), data.size);
        gnutls_free(data.data);
        return copy;
    }
    [[nodiscard]] std::string alpn() const
    {
        gnutls_datum_t data{};
        if (gnutls_alpn_get_selected_protocol(client_.get(), &data) < 0) return {};
        return {reinterpret_cast<const char*>(data.data), data.size};
    }
    [[nodiscard]] bool served(const Made& made) const
    {
        unsigned count = 0;
        const gnutls_datum_t* peer = gnutls_certificate_get_peers(client_.get(), &count);
        unsigned char* der = nullptr;
        const int size = i2d_X509(made.certificate.get(), &der);
        const bool same =
            count > 0 && static_cast<int>(peer[0].size) == size && std::memcmp(peer[0].data, der, peer[0].size) == 0;
        OPENSSL_free(der);
        return same;
    }

private:
    static int step(gnutls_session_t session, int before)
    {
        if (gnutls_error_is_fatal(before) != 0) return before;
        const int result = gnutls_handshake(session);
        if (result < 0 && gnutls_error_is_fatal(result) != 0) gnutls_alert_send_appropriate(session, result);
        return result;
    }

    void make_server(const TlsIdentities& identities, const AlpnPolicy& policy, bool early_data)
    {
        gnutls_session_t raw = nullptr;
        unsigned flags = GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_AUTO_SEND_TICKET;
        if (early_data) flags |= GNUTLS_ENABLE_EARLY_DATA;
        gnutls_init(&raw, flags);
        server_.reset(raw);
        server_end_ = {&to_server_, &to_client_, raw};
        server_end_.attach();
        EXPECT_TRUE(identities.prepare_quic(raw, policy, early_data, stats_));
    }

    void make_client(const Client& client)
    {
        gnutls_session_t raw = nullptr;
        gnutls_init(&raw, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_ENABLE_EARLY_DATA);
        client_.reset(raw);
        client_end_ = {&to_client_, &to_server_, raw};
        client_end_.attach();
        gnutls_priority_set_direct(raw, "NORMAL:-VERS-ALL:+VERS-TLS1.3", nullptr);
        gnutls_certificate_credentials_t credentials = nullptr;
        gnutls_certificate_allocate_credentials(&credentials);
        client_credentials_.reset(credentials);
        gnutls_credentials_set(raw, GNUTLS_CRD_CERTIFICATE, credentials);
        if (!client.server_name.empty()) {
            gnutls_server_name_set(raw, GNUTLS_NAME_DNS, client.server_name.data(), client.server_name.size());
        }
        std::vector<gnutls_datum_t> protocols;
        for (const std::string& name : client.alpn) {
            protocols.push_back(
                {const_cast<unsigned char*>(base::as_bytes(name).data()), static_cast<unsigned>(name.size())});
        }
        if (!protocols.empty()) {
            gnutls_alpn_set_protocols(raw, protocols.data(), static_cast<unsigned>(protocols.size()), 0);
        }
        if (!client.session_data.empty()) {
            EXPECT_EQ(gnutls_session_set_data(raw, client.session_data.data(), client.session_data.size()), 0);
        }
        if (!client.early_data.empty()) {
            EXPECT_GE(gnutls_record_send_early_data(raw, client.early_data.data(), client.early_data.size()), 0);
        }
    }

    /// An octet to the client, which reads the ticket on its way.
    bool exchange()
    {
        char octet = 'x';
        if (gnutls_record_send(server_.get(), &octet, 1) != 1) return false;
        for (int i = 0; i < 4; ++i) {
            if (gnutls_record_recv(client_.get(), &octet, 1) == 1) return true;
        }
        return false;
    }

    Stats& stats_;
    Pipe to_server_, to_client_;
    End server_end_{}, client_end_{};
    CredentialsHandle client_credentials_;
    SessionHandle server_, client_;
    int client_result_ = GNUTLS_E_AGAIN, server_result_ = GNUTLS_E_AGAIN;
};

class QuicCredentialsTest : public ::testing::Test {
protected:
    QuicCredentialsTest()
    {
        options_.certificates = {write_pair(directory_, "gate", gate_), write_pair(directory_, "other", other_)};
        identities_ = must_load(options_, tickets_);
    }

    Directory directory_;
    Made gate_ = make_leaf({"gate.test", "*.gate.test"});
    Made other_ = make_leaf({"other.test"});
    base::ManualClock clock_;
    std::shared_ptr<TicketKeys> tickets_ = own_tickets(clock_.now());
    Options options_;
    std::shared_ptr<const TlsIdentities> identities_;
    Stats stats_;
};

TEST_F(QuicCredentialsTest, SelectsTheServersFavouriteProtocol)
{
    Connection connection{*identities_, kBoth, stats_, {"gate.test", {"doq", "h3"}}};
    ASSERT_TRUE(connection.handshake());
    EXPECT_EQ(connection.alpn(), "h3");
    EXPECT_EQ(gnutls_protocol_get_version(connection.client()), GNUTLS_TLS1_3);
}

TEST_F(QuicCredentialsTest, RefusesAForeignProtocolAndAClientWithoutAny)
{
    Connection foreign{*identities_, kDoq, stats_, {"gate.test", {"h3"}}};
    EXPECT_FALSE(foreign.handshake());
    EXPECT_EQ(foreign.server_result(), GNUTLS_E_NO_APPLICATION_PROTOCOL);
    EXPECT_EQ(gnutls_alert_get(foreign.client()), GNUTLS_A_NO_APPLICATION_PROTOCOL);
    Connection none{*identities_, kDoq, stats_, {"gate.test", {}}};
    EXPECT_FALSE(none.handshake());
    EXPECT_EQ(none.server_result(), GNUTLS_E_NO_APPLICATION_PROTOCOL);
    EXPECT_EQ(stats_.alpn_refused.get(), 2U);
}

TEST_F(QuicCredentialsTest, ServesTheCertificateOfTheServerName)
{
    Connection wildcard{*identities_, kDoq, stats_, {"A.gate.test", {"doq"}}};
    ASSERT_TRUE(wildcard.handshake());
    EXPECT_TRUE(wildcard.served(gate_));
    Connection other{*identities_, kDoq, stats_, {"other.test", {"doq"}}};
    ASSERT_TRUE(other.handshake());
    EXPECT_TRUE(other.served(other_));
    EXPECT_EQ(stats_.unknown_server_names.get(), 0U);
}

TEST_F(QuicCredentialsTest, ServesTheDefaultForUnknownAndMissingNames)
{
    Connection unknown{*identities_, kDoq, stats_, {"who.test", {"doq"}}};
    ASSERT_TRUE(unknown.handshake());
    EXPECT_TRUE(unknown.served(gate_));
    EXPECT_EQ(stats_.unknown_server_names.get(), 1U);
    Connection none{*identities_, kDoq, stats_, {"", {"doq"}}};
    ASSERT_TRUE(none.handshake());
    EXPECT_TRUE(none.served(gate_));
    EXPECT_EQ(stats_.unknown_server_names.get(), 1U);
}

TEST_F(QuicCredentialsTest, CountsForTheWorkerWhoseSessionItIs)
{
    Stats second;
    Connection one{*identities_, kDoq, stats_, {"who.test", {"doq"}}};
    Connection two{*identities_, kDoq, second, {"who.test", {"doq"}}};
    Connection three{*identities_, kDoq, second, {"who.test", {"doq"}}};
    EXPECT_TRUE(one.handshake() && two.handshake() && three.handshake());
    EXPECT_EQ(stats_.unknown_server_names.get(), 1U);
    EXPECT_EQ(second.unknown_server_names.get(), 2U);
}

TEST_F(QuicCredentialsTest, ServesWorkersWhileKeysRotate)
{
    const auto work = [this](Stats& stats) {
        for (int i = 0; i < 20; ++i) {
            Connection connection{*identities_, kDoq, stats, {i % 2 == 0 ? "gate.test" : "other.test", {"doq"}}, true};
            EXPECT_TRUE(connection.handshake());
        }
    };
    Stats other_stats;
    std::thread one{work, std::ref(stats_)};
    std::thread two{work, std::ref(other_stats)};
    for (int i = 0; i < 20; ++i) {
        clock_.advance(tickets_->rotate_every());
        EXPECT_TRUE(tickets_->tick(clock_.now()));
    }
    one.join();
    two.join();
    EXPECT_EQ(stats_.tickets_issued.get() + other_stats.tickets_issued.get(), 40U);
}

TEST_F(QuicCredentialsTest, ResumesAfterAHotReload)
{
    Connection first{*identities_, kDoq, stats_, {"gate.test", {"doq"}}};
    ASSERT_TRUE(first.handshake());
    const std::string session = first.session_data();
    const auto reloaded = must_load(options_, tickets_);
    Connection second{*reloaded, kDoq, stats_, {"gate.test", {"doq"}, session}};
    ASSERT_TRUE(second.handshake());
    EXPECT_TRUE(second.resumed());
    EXPECT_EQ(stats_.tickets_issued.get(), 2U);
    EXPECT_EQ(stats_.tickets_accepted.get(), 1U);
}

TEST_F(QuicCredentialsTest, GatewaysWithOneKeyFileResumeEachOther)
{
    const TicketOptions shared{directory_.write("tickets", std::string(16, 'n') + std::string(64, 'k'))};
    const auto one = must_load(options_, *TicketKeys::make(shared, clock_.now()));
    const auto two = must_load(options_, *TicketKeys::make(shared, clock_.now()));
    Connection first{*one, kDoq, stats_, {"gate.test", {"doq"}}};
    ASSERT_TRUE(first.handshake());
    Connection second{*two, kDoq, stats_, {"gate.test", {"doq"}, first.session_data()}};
    ASSERT_TRUE(second.handshake());
    EXPECT_TRUE(second.resumed());
}

TEST_F(QuicCredentialsTest, AnswersATicketOfAnOldKeyWithAFullHandshake)
{
    Connection first{*identities_, kDoq, stats_, {"gate.test", {"doq"}}};
    ASSERT_TRUE(first.handshake());
    clock_.advance(tickets_->rotate_every());
    ASSERT_TRUE(tickets_->tick(clock_.now()));
    Connection second{*identities_, kDoq, stats_, {"gate.test", {"doq"}, first.session_data()}};
    ASSERT_TRUE(second.handshake());
    EXPECT_FALSE(second.resumed());
}

TEST_F(QuicCredentialsTest, TakesEarlyDataOnceAndNotAgain)
{
    Connection first{*identities_, kDoq, stats_, {"gate.test", {"doq"}}, true};
    ASSERT_TRUE(first.handshake());
    const Client client{"gate.test", {"doq"}, first.session_data(), "a query"};
    Connection second{*identities_, kDoq, stats_, client, true};
    ASSERT_TRUE(second.handshake());
    EXPECT_TRUE(second.resumed());
    EXPECT_TRUE(second.took_early_data());
    EXPECT_EQ(tickets_->replays().size(), 1U);

    // The same octets again, to a snapshot loaded since: what was seen is not forgotten with the old one.
    const auto reloaded = must_load(options_, tickets_);
    Connection attack{*reloaded, kDoq, stats_, {"gate.test", {"doq"}}, true};
    attack.replay(second.client_bytes());
    EXPECT_FALSE(attack.took_early_data());
    EXPECT_EQ(tickets_->replays().stats().replays_refused.get(), 1U);
}

TEST_F(QuicCredentialsTest, TakesNoEarlyDataUnlessAsked)
{
    Connection first{*identities_, kDoq, stats_, {"gate.test", {"doq"}}, true};
    ASSERT_TRUE(first.handshake());
    Connection second{*identities_, kDoq, stats_, {"gate.test", {"doq"}, first.session_data(), "a query"}, false};
    ASSERT_TRUE(second.handshake());
    EXPECT_TRUE(second.resumed());
    EXPECT_FALSE(second.took_early_data());
}

TEST_F(QuicCredentialsTest, TakesEarlyDataAfterAHotReload)
{
    Connection first{*identities_, kDoq, stats_, {"gate.test", {"doq"}}, true};
    ASSERT_TRUE(first.handshake());
    const auto reloaded = must_load(options_, tickets_);
    Connection second{*reloaded, kDoq, stats_, {"gate.test", {"doq"}, first.session_data(), "a query"}, true};
    ASSERT_TRUE(second.handshake());
    EXPECT_TRUE(second.took_early_data());
}

TEST_F(QuicCredentialsTest, ServesRsaKeysToo)
{
    options_.certificates = {
        write_pair(directory_, "rsa", make_with(KeyHandle{EVP_RSA_gen(2048)}, spec_for({"rsa.test"})))};
    identities_ = must_load(options_, tickets_);
    Connection connection{*identities_, kDoq, stats_, {"rsa.test", {"doq"}}};
    EXPECT_TRUE(connection.handshake());
}

} // namespace
} // namespace sallyport::certs::test
