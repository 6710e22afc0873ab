#include "support.hpp"

#include <gmock/gmock.h>
#include <openssl/pem.h>

#include <functional>
#include <thread>

namespace sallyport::certs::test {
namespace {

const AlpnPolicy kDot{{"dot"}, true};
const AlpnPolicy kDoh{{"h2", "http/1.1"}, false};
const AlpnPolicy kBoth{{"h2", "dot"}, true};

using SessionHandle = base::Handle<SSL_SESSION, SSL_SESSION_free>;

std::string alpn_list(const std::vector<std::string>& protocols)
{
    std::string list;
    for (const auto& protocol : protocols) list += static_cast<char>(protocol.size()) + protocol;
    return list;
}

/// What a client brings to its handshake.
struct Client {
    std::string server_name;
    std::vector<std::string> alpn;
    int min_version = TLS1_2_VERSION;
    int max_version = TLS1_3_VERSION;
    std::string tls12_suites = {};
    SSL_SESSION* session = nullptr;
};

/// A client and a server with a pair of BIOs between them.
class Connection {
public:
    Connection(const TlsIdentities& identities, const AlpnPolicy& policy, Stats& stats, const Client& client)
    {
        client_context_.reset(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_security_level(client_context_.get(), 0);
        SSL_CTX_set_session_cache_mode(client_context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(client_context_.get(), this);
        SSL_CTX_sess_set_new_cb(client_context_.get(), [](SSL* ssl, SSL_SESSION* session) {
            static_cast<Connection*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->session_.reset(session);
            return 1;
        });
        SSL_CTX_set_min_proto_version(client_context_.get(), client.min_version);
        SSL_CTX_set_max_proto_version(client_context_.get(), client.max_version);
        if (!client.tls12_suites.empty()) {
            EXPECT_EQ(SSL_CTX_set_cipher_list(client_context_.get(), client.tls12_suites.c_str()), 1);
        }
        client_.reset(SSL_new(client_context_.get()));
        server_.reset(SSL_new(identities.stream_context()));
        TlsIdentities::prepare_stream(server_.get(), policy, stats);
        if (!client.server_name.empty()) SSL_set_tlsext_host_name(client_.get(), client.server_name.c_str());
        const std::string list = alpn_list(client.alpn);
        if (!list.empty()) {
            SSL_set_alpn_protos(client_.get(), base::as_bytes(list).data(), static_cast<unsigned>(list.size()));
        }
        if (client.session != nullptr) SSL_set_session(client_.get(), client.session);
        BIO* client_end = nullptr;
        BIO* server_end = nullptr;
        BIO_new_bio_pair(&client_end, 0, &server_end, 0);
        SSL_set_bio(client_.get(), client_end, client_end);
        SSL_set_bio(server_.get(), server_end, server_end);
        SSL_set_connect_state(client_.get());
        SSL_set_accept_state(server_.get());
    }

    /// Without a clean end OpenSSL marks the client's session as not resumable.
    ~Connection() { SSL_set_shutdown(client_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool handshake()
    {
        for (int i = 0; i < 10; ++i) {
            const int c = SSL_do_handshake(client_.get());
            note_error(client_.get(), c, client_reason_);
            const int s = SSL_do_handshake(server_.get());
            note_error(server_.get(), s, server_reason_);
            if (c == 1 && s == 1) {
                // An octet each way, so that the client reads the tickets too.
                return exchange(server_.get(), client_.get()) && exchange(client_.get(), server_.get());
            }
        }
        return false;
    }

    static bool exchange(SSL* from, SSL* to)
    {
        char octet = 'x';
        if (SSL_write(from, &octet, 1) != 1) return false;
        return SSL_read(to, &octet, 1) == 1;
    }

    SSL* client() { return client_.get(); }
    SSL* server() { return server_.get(); }
    SessionHandle take_session() { return std::move(session_); }
    const std::string& client_reason() const { return client_reason_; }
    const std::string& server_reason() const { return server_reason_; }
    bool resumed() const { return SSL_session_reused(server_.get()) == 1; }
    std::string alpn() const
    {
        const unsigned char* data = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(client_.get(), &data, &size);
        return {reinterpret_cast<const char*>(data), size};
    }
    bool served(const Made& made) const
    {
        const X509Handle peer{SSL_get1_peer_certificate(client_.get())};
        return peer && X509_cmp(peer.get(), made.certificate.get()) == 0;
    }

private:
    static void note_error(SSL* ssl, int result, std::string& reason)
    {
        if (result == 1 || SSL_get_error(ssl, result) != SSL_ERROR_SSL) return;
        const std::string text = take_openssl_reason();
        if (reason.empty()) reason = text;
    }

    SslContextHandle client_context_;
    SslHandle client_, server_;
    SessionHandle session_;
    std::string client_reason_, server_reason_;
};

/// Made once: an RSA key takes long.
const Made& rsa_leaf()
{
    static const Made made = make_with(KeyHandle{EVP_RSA_gen(2048)}, spec_for({"other.test"}));
    return made;
}

class StreamContext : public ::testing::Test {
protected:
    StreamContext()
    {
        options_.certificates = {write_pair(directory_, "gate", gate_), write_pair(directory_, "other", other_)};
        identities_ = must_load(options_, tickets_);
    }
    Connection connect(const AlpnPolicy& policy, const Client& client)
    {
        return Connection{*identities_, policy, stats_, client};
    }
    /// A session that was made with `identities_`, ready to be resumed.
    SessionHandle make_session(Client client)
    {
        Connection first = connect(kDot, client);
        EXPECT_TRUE(first.handshake());
        EXPECT_FALSE(first.resumed());
        auto session = first.take_session();
        EXPECT_TRUE(session);
        return session;
    }
    bool resumes(SSL_SESSION* session, int version)
    {
        Client again{"gate.test", {}, version, version, "", session};
        Connection second = connect(kDot, again);
        EXPECT_TRUE(second.handshake());
        return second.resumed();
    }

    Directory directory_;
    Made gate_ = make_leaf({"gate.test", "*.gate.test"});
    const Made& other_ = rsa_leaf();
    base::ManualClock clock_;
    std::shared_ptr<TicketKeys> tickets_ = own_tickets(clock_.now());
    Options options_;
    std::shared_ptr<const TlsIdentities> identities_;
    Stats stats_;
};

TEST_F(StreamContext, TakesAClientWithoutAlpnAsDot)
{
    Connection connection = connect(kDot, {"gate.test", {}});
    EXPECT_TRUE(connection.handshake()) << connection.server_reason();
    EXPECT_EQ(connection.alpn(), "");
    EXPECT_EQ(SSL_version(connection.server()), TLS1_3_VERSION);
}

TEST_F(StreamContext, SelectsTheServersFavouriteProtocol)
{
    Connection connection = connect(kBoth, {"gate.test", {"dot", "h2"}});
    EXPECT_TRUE(connection.handshake());
    EXPECT_EQ(connection.alpn(), "h2");
}

TEST_F(StreamContext, RefusesAProtocolItDoesNotSpeak)
{
    Connection connection = connect(kDot, {"gate.test", {"h2"}});
    EXPECT_FALSE(connection.handshake());
    EXPECT_THAT(connection.client_reason(), ::testing::HasSubstr("no application protocol"));
    EXPECT_EQ(stats_.alpn_refused.get(), 1U);
}

TEST_F(StreamContext, RefusesAClientWithoutAlpnWhereThePolicySaysSo)
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Connection connection = connect(kDoh, {"gate.test", {}, version, version});
        EXPECT_FALSE(connection.handshake());
        EXPECT_THAT(connection.client_reason(), ::testing::HasSubstr("no application protocol"));
    }
    EXPECT_EQ(stats_.alpn_refused.get(), 2U);
}

TEST_F(StreamContext, RefusesAConnectionThatWasNotPrepared)
{
    Connection connection = connect(kDot, {"gate.test", {}});
    SSL_clear(connection.server());
    const SslHandle bare{SSL_new(identities_->stream_context())};
    BIO* client_end = nullptr;
    BIO* server_end = nullptr;
    BIO_new_bio_pair(&client_end, 0, &server_end, 0);
    SSL_set_bio(connection.client(), client_end, client_end);
    SSL_set_bio(bare.get(), server_end, server_end);
    SSL_do_handshake(connection.client());
    EXPECT_EQ(SSL_get_error(bare.get(), SSL_accept(bare.get())), SSL_ERROR_SSL);
    ERR_clear_error();
}

TEST_F(StreamContext, ServesTheCertificateOfTheServerName)
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Connection first = connect(kDot, {"a.gate.test", {}, version, version});
        EXPECT_TRUE(first.handshake());
        EXPECT_TRUE(first.served(gate_));
        // Another kind of key: the default's must not be chosen in its place.
        Connection second = connect(kDot, {"OTHER.test", {}, version, version});
        EXPECT_TRUE(second.handshake());
        EXPECT_TRUE(second.served(other_));
    }
    EXPECT_EQ(stats_.unknown_server_names.get(), 0U);
}

TEST_F(StreamContext, ServesTheDefaultForUnknownAndMissingNames)
{
    Connection unknown = connect(kDot, {"who.test", {}});
    EXPECT_TRUE(unknown.handshake());
    EXPECT_TRUE(unknown.served(gate_));
    EXPECT_EQ(stats_.unknown_server_names.get(), 1U);
    Connection none = connect(kDot, {"", {}});
    EXPECT_TRUE(none.handshake());
    EXPECT_TRUE(none.served(gate_));
    EXPECT_EQ(stats_.unknown_server_names.get(), 1U);
}

TEST_F(StreamContext, SpeaksTls12WithModernSuitesOnly)
{
    for (const char* suite :
         {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
        Connection connection = connect(kDot, {"gate.test", {}, TLS1_2_VERSION, TLS1_2_VERSION, suite});
        EXPECT_TRUE(connection.handshake()) << suite;
        EXPECT_STREQ(SSL_get_cipher_name(connection.server()), suite);
    }
    for (const char* suite : {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM"}) {
        Connection connection = connect(kDot, {"gate.test", {}, TLS1_2_VERSION, TLS1_2_VERSION, suite});
        EXPECT_FALSE(connection.handshake()) << suite;
    }
    // Without forward secrecy, and with DHE, against the RSA certificate.
    for (const char* suite : {"AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "AES128-SHA"}) {
        Connection connection = connect(kDot, {"other.test", {}, TLS1_2_VERSION, TLS1_2_VERSION, suite});
        EXPECT_FALSE(connection.handshake()) << suite;
    }
}

TEST_F(StreamContext, RefusesTls11)
{
    Connection connection = connect(kDot, {"gate.test", {}, TLS1_1_VERSION, TLS1_1_VERSION});
    EXPECT_FALSE(connection.handshake());
}

TEST_F(StreamContext, Tls12CanBeSwitchedOff)
{
    options_.allow_tls12 = false;
    identities_ = must_load(options_, tickets_);
    Connection old = connect(kDot, {"gate.test", {}, TLS1_2_VERSION, TLS1_2_VERSION});
    EXPECT_FALSE(old.handshake());
    Connection modern = connect(kDot, {"gate.test", {}});
    EXPECT_TRUE(modern.handshake());
}

TEST_F(StreamContext, RefusesRenegotiation)
{
    Connection connection = connect(kDot, {"gate.test", {}, TLS1_2_VERSION, TLS1_2_VERSION});
    ASSERT_TRUE(connection.handshake());
    SSL_renegotiate(connection.client());
    SSL_do_handshake(connection.client());
    char octet = 0;
    EXPECT_LE(SSL_read(connection.server(), &octet, 1), 0);
    const int result = SSL_do_handshake(connection.client());
    EXPECT_LE(result, 0);
    EXPECT_EQ(SSL_get_error(connection.client(), result), SSL_ERROR_SSL); // the alert no_renegotiation
    ERR_clear_error();
}

TEST_F(StreamContext, ResumesInBothVersionsAfterAHotReload)
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        identities_ = must_load(options_, tickets_);
        const auto session = make_session({"gate.test", {}, version, version});
        const auto old_snapshot = std::exchange(identities_, must_load(options_, tickets_));
        ASSERT_NE(old_snapshot->stream_context(), identities_->stream_context());
        EXPECT_TRUE(resumes(session.get(), version)) << version;
    }
    EXPECT_EQ(stats_.tickets_accepted.get(), 2U);
    EXPECT_EQ(stats_.tickets_refused.get(), 0U);
}

TEST_F(StreamContext, ATls13ResumptionBringsANewTicket)
{
    auto session = make_session({"gate.test", {}});
    for (int i = 0; i < 3; ++i) {
        Connection again = connect(kDot, {"gate.test", {}, TLS1_3_VERSION, TLS1_3_VERSION, "", session.get()});
        ASSERT_TRUE(again.handshake());
        EXPECT_TRUE(again.resumed());
        session = again.take_session();
        ASSERT_TRUE(session);
    }
    EXPECT_EQ(stats_.tickets_issued.get(), 4U); // one a handshake
}

TEST_F(StreamContext, ResumesAcrossOneRotationOfTheKeysButNotTwo)
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto one = make_session({"gate.test", {}, version, version});
        const auto two = make_session({"gate.test", {}, version, version});
        clock_.advance(tickets_->rotate_every());
        ASSERT_TRUE(tickets_->tick(clock_.now()));
        EXPECT_TRUE(resumes(one.get(), version)) << version;
        clock_.advance(tickets_->rotate_every());
        ASSERT_TRUE(tickets_->tick(clock_.now()));
        EXPECT_FALSE(resumes(two.get(), version)) << version;
    }
    EXPECT_EQ(stats_.tickets_refused.get(), 2U);
}

TEST_F(StreamContext, AnsweringAForeignTicketWithAFullHandshake)
{
    const auto session = make_session({"gate.test", {}});
    identities_ = must_load(options_, own_tickets());
    EXPECT_FALSE(resumes(session.get(), TLS1_3_VERSION));
    EXPECT_EQ(stats_.tickets_refused.get(), 1U);
}

TEST_F(StreamContext, OffersNoEarlyData)
{
    const auto session = make_session({"gate.test", {}});
    EXPECT_EQ(SSL_SESSION_get_max_early_data(session.get()), 0U);
}

TEST_F(StreamContext, AConnectionOutlivesItsSnapshot)
{
    Connection connection = connect(kDot, {"other.test", {}});
    identities_.reset();
    tickets_.reset();
    EXPECT_TRUE(connection.handshake());
    EXPECT_TRUE(connection.served(other_));
}

TEST_F(StreamContext, ServesWorkersWhileKeysRotateAndSnapshotsChange)
{
    const auto work = [](const std::shared_ptr<const TlsIdentities>& identities, Stats& stats) {
        for (int i = 0; i < 20; ++i) {
            Connection connection{*identities, kDot, stats, {i % 2 == 0 ? "gate.test" : "other.test", {}}};
            EXPECT_TRUE(connection.handshake());
        }
    };
    Stats other_stats;
    std::thread one{work, identities_, std::ref(stats_)};
    std::thread two{work, identities_, std::ref(other_stats)};
    for (int i = 0; i < 20; ++i) {
        clock_.advance(tickets_->rotate_every());
        EXPECT_TRUE(tickets_->tick(clock_.now()));
        identities_ = must_load(options_, tickets_);
    }
    one.join();
    two.join();
    EXPECT_EQ(stats_.tickets_issued.get() + other_stats.tickets_issued.get(), 40U);
}

TEST_F(StreamContext, SendsTheIntermediates)
{
    const Made ca = make_ca();
    const Made leaf = make_leaf({"chain.test"}, ca.signer());
    options_.certificates.push_back(
        {directory_.write("c.crt", leaf.chain_pem() + ca.chain_pem()), directory_.write("c.key", leaf.key_pem()), {}});
    identities_ = must_load(options_, tickets_);
    Connection connection = connect(kDot, {"chain.test", {}});
    ASSERT_TRUE(connection.handshake());
    EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(connection.client())), 2);
}

} // namespace
} // namespace sallyport::certs::test
