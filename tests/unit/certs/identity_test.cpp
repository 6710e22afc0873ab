#include "support.hpp"

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace sallyport::certs::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class IdentityTest : public ::testing::Test {
protected:
    std::shared_ptr<const Identity> parse(const std::string& chain, const std::string& key, base::WallTime wall = kNow)
    {
        problems_.clear();
        return parse_identity({"x.crt", base::as_bytes(chain)}, {"x.key", base::as_bytes(key)}, wall,
                              {"gate.yaml", 3, 5}, problems_);
    }
    std::string only_problem() const
    {
        EXPECT_EQ(problems_.size(), 1U);
        return problems_.empty() ? "" : problems_.front().to_string();
    }
    base::Problems problems_;
};

TEST_F(IdentityTest, ReadsNamesAndAddressesOfTheLeaf)
{
    const Made made = make_leaf({"Gate.Test", "*.gate.test", "127.0.0.1", "::1"});
    const auto identity = parse(made.chain_pem(), made.key_pem());
    ASSERT_TRUE(identity);
    EXPECT_THAT(identity->names(), ElementsAre("gate.test", "*.gate.test"));
    EXPECT_THAT(identity->addresses(),
                ElementsAre(*base::IpAddress::parse("127.0.0.1"), *base::IpAddress::parse("::1")));
    EXPECT_EQ(identity->key_kind(), "P-256");
    EXPECT_EQ(identity->not_after(), kNow + 90 * kDay);
    EXPECT_FALSE(identity->is_ca());
}

TEST_F(IdentityTest, AcceptsAChainInOrderAndEndsWithItsShortestMember)
{
    const Made root = make_ca();
    Made intermediate = make_with(*make_key(), {"sub", {}, kNow - kDay, kNow + 10 * kDay, true}, root.signer());
    const Made leaf = make_leaf({"gate.test"}, intermediate.signer());
    const auto identity = parse(leaf.chain_pem() + intermediate.chain_pem() + root.chain_pem(), leaf.key_pem());
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->not_after(), kNow + 10 * kDay);
    EXPECT_EQ(sk_X509_num(identity->intermediates()), 2);
}

TEST_F(IdentityTest, RefusesAChainOutOfOrder)
{
    const Made root = make_ca();
    const Made sub = make_ca("sub", root.signer());
    const Made leaf = make_leaf({"gate.test"}, sub.signer());
    EXPECT_FALSE(parse(leaf.chain_pem() + root.chain_pem() + sub.chain_pem(), leaf.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("out of order"));
}

TEST_F(IdentityTest, RefusesAnIssuerOfTheRightNameWithAnotherKey)
{
    const Made real = make_ca("same name");
    const Made other = make_ca("same name");
    const Made leaf = make_leaf({"gate.test"}, real.signer());
    EXPECT_FALSE(parse(leaf.chain_pem() + other.chain_pem(), leaf.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("not issued by certificate 2"));
}

TEST_F(IdentityTest, RefusesAKeyThatDoesNotMatch)
{
    EXPECT_FALSE(parse(make_leaf({"gate.test"}).chain_pem(), make_leaf({"gate.test"}).key_pem()));
    EXPECT_EQ(only_problem(), "gate.yaml:3:5: x.key: the key does not match the certificate in x.crt");
}

TEST_F(IdentityTest, SaysThatAKeyIsEncrypted)
{
    const Made made = make_leaf({"gate.test"});
    const BioHandle out{BIO_new(BIO_s_mem())};
    char password[] = "secret";
    PEM_write_bio_PKCS8PrivateKey(out.get(), made.key.get(), EVP_aes_128_cbc(), password, 6, nullptr, nullptr);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    EXPECT_FALSE(parse(made.chain_pem(), std::string(text, static_cast<std::size_t>(size))));
    EXPECT_THAT(only_problem(), HasSubstr("encrypted with a passphrase"));
}

TEST_F(IdentityTest, GivesTheDatesOfAnExpiredCertificate)
{
    const Made made = make_leaf({"gate.test"});
    EXPECT_FALSE(parse(made.chain_pem(), made.key_pem(), kNow + 91 * kDay));
    EXPECT_THAT(only_problem(), HasSubstr("x.crt: the certificate expired at " + format_time(kNow + 90 * kDay)));
    EXPECT_THAT(only_problem(), HasSubstr("now is " + format_time(kNow + 91 * kDay)));
}

TEST_F(IdentityTest, RefusesACertificateOfTheFuture)
{
    const Made made = make_leaf({"gate.test"});
    EXPECT_FALSE(parse(made.chain_pem(), made.key_pem(), kNow - 2 * kDay));
    EXPECT_THAT(only_problem(), HasSubstr("not valid before"));
}

TEST_F(IdentityTest, RefusesAnExpiredIntermediateButNotAnExpiredRoot)
{
    const CertificateSpec old_ca{"old", {}, kNow - 9 * kDay, kNow - kDay, true};
    const Made old_root = make_with(*make_key(), old_ca);
    const Made leaf_of_root = make_leaf({"gate.test"}, old_root.signer());
    EXPECT_TRUE(parse(leaf_of_root.chain_pem() + old_root.chain_pem(), leaf_of_root.key_pem()));

    const Made root = make_ca();
    const Made old_sub = make_with(*make_key(), old_ca, root.signer());
    const Made leaf = make_leaf({"gate.test"}, old_sub.signer());
    EXPECT_FALSE(parse(leaf.chain_pem() + old_sub.chain_pem(), leaf.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("the intermediate CN=old expired"));
}

TEST_F(IdentityTest, RefusesALeafWithoutNames)
{
    const Made made = make_leaf({});
    EXPECT_FALSE(parse(made.chain_pem(), made.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("no subjectAltName"));
}

TEST_F(IdentityTest, RefusesShortRsaKeysAndTakesLongOnes)
{
    const Made weak = make_with(KeyHandle{EVP_RSA_gen(1024)}, spec_for({"gate.test"}));
    EXPECT_FALSE(parse(weak.chain_pem(), weak.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("1024 bits is too short, expected at least 2048"));
    const Made strong = make_with(KeyHandle{EVP_RSA_gen(2048)}, spec_for({"gate.test"}));
    const auto identity = parse(strong.chain_pem(), strong.key_pem());
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->key_kind(), "RSA-2048");
}

TEST_F(IdentityTest, KnowsTheCurvesThatTlsSigns)
{
    const Made good = make_with(KeyHandle{EVP_EC_gen("P-384")}, spec_for({"gate.test"}));
    const auto identity = parse(good.chain_pem(), good.key_pem());
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->key_kind(), "P-384");
    const Made odd = make_with(KeyHandle{EVP_EC_gen("secp256k1")}, spec_for({"gate.test"}));
    EXPECT_FALSE(parse(odd.chain_pem(), odd.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("a key of kind EC cannot be served, expected ECDSA (P-256"));
    const Made edwards = make_with(KeyHandle{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")}, spec_for({"gate.test"}));
    EXPECT_TRUE(parse(edwards.chain_pem(), edwards.key_pem()));
}

TEST_F(IdentityTest, WarnsOfAKeyThatOthersReadAndOfACertificateThatSoonEnds)
{
    const Directory directory;
    const CertificateOptions pair = write_pair(directory, "a", make_leaf({"gate.test"}));
    const auto log_of = [&](base::WallTime wall) {
        ::testing::internal::CaptureStderr();
        EXPECT_TRUE(read_identity(pair, wall, problems_));
        return ::testing::internal::GetCapturedStderr();
    };
    EXPECT_EQ(log_of(kNow), "");
    EXPECT_THAT(log_of(kNow + 77 * kDay), HasSubstr("in 13 days and 0 hours"));
    ::chmod(pair.key_file.c_str(), 0644);
    EXPECT_THAT(log_of(kNow), HasSubstr("the key's mode 0644 lets every user of this machine at it"));
}

TEST_F(IdentityTest, ReportsAllFaultsAtOnce)
{
    EXPECT_FALSE(parse("no pem", "neither"));
    ASSERT_EQ(problems_.size(), 2U);
    EXPECT_THAT(problems_[0].message, HasSubstr("x.crt: no certificate in it"));
    EXPECT_THAT(problems_[1].message, HasSubstr("x.key: no key in it"));
}

TEST_F(IdentityTest, SaysWhichCertificateIsDamaged)
{
    const Made made = make_leaf({"gate.test"});
    std::string damaged = make_leaf({"gate.test"}).chain_pem();
    damaged.replace(damaged.size() / 2, 8, "!!!!!!!!");
    EXPECT_FALSE(parse(made.chain_pem() + damaged, made.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("certificate 2 cannot be read"));
}

TEST_F(IdentityTest, LimitsTheLengthOfAChain)
{
    const Made made = make_leaf({"gate.test"});
    std::string chain;
    for (int i = 0; i <= kMaxChain; ++i) chain += made.chain_pem();
    EXPECT_FALSE(parse(chain, made.key_pem()));
    EXPECT_THAT(only_problem(), HasSubstr("more than 10 certificates"));
}

TEST_F(IdentityTest, NamesAMissingFileAndWhatBelongsThere)
{
    const Directory directory;
    EXPECT_FALSE(read_identity({directory.file("a.crt"), directory.file("a.key"), {}}, kNow, problems_));
    ASSERT_EQ(problems_.size(), 2U);
    EXPECT_EQ(problems_[0].to_string(), directory.file("a.crt") + ": no such file, expected a PEM certificate chain");
    EXPECT_EQ(problems_[0].code, base::ErrorCode::not_found);
    EXPECT_EQ(problems_[1].to_string(), directory.file("a.key") + ": no such file, expected a PEM private key");
}

/// Root may read every file, so a test run by root is nobody for a while.
class Unprivileged {
public:
    Unprivileged() : was_root_{::geteuid() == 0} { set(65534); }
    ~Unprivileged() { set(0); }
    Unprivileged(const Unprivileged&) = delete;
    Unprivileged& operator=(const Unprivileged&) = delete;

private:
    void set(uid_t user) const
    {
        if (was_root_) {
            EXPECT_EQ(::seteuid(user), 0);
        }
    }
    bool was_root_;
};

TEST_F(IdentityTest, NamesAnUnreadableFile)
{
    const Directory directory;
    const CertificateOptions pair = write_pair(directory, "a", make_leaf({"gate.test"}));
    ::chmod(pair.key_file.c_str(), 0);
    {
        const Unprivileged nobody;
        EXPECT_FALSE(read_identity(pair, kNow, problems_));
    }
    EXPECT_THAT(only_problem(), HasSubstr("a.key: cannot read a PEM private key"));
    EXPECT_EQ(problems_[0].code, base::ErrorCode::unreadable);
}

TEST_F(IdentityTest, RefusesADirectoryAndAHugeFileInPlaceOfAFile)
{
    const Directory directory;
    const std::string key = directory.write("a.key", make_leaf({"gate.test"}).key_pem());
    EXPECT_FALSE(read_identity({directory.path(), key, {}}, kNow, problems_));
    EXPECT_THAT(only_problem(), HasSubstr("not a file"));
    problems_.clear();
    const std::string huge = directory.write("huge.crt", std::string(kMaxPemSize + 1, 'x'));
    EXPECT_FALSE(read_identity({huge, key, {}}, kNow, problems_));
    EXPECT_THAT(only_problem(), HasSubstr("larger than"));
}

TEST_F(IdentityTest, TakesTheKeyFromTheChainsFile)
{
    const Directory directory;
    const Made made = make_leaf({"gate.test"});
    const std::string both = directory.write("both.pem", made.chain_pem() + made.key_pem());
    EXPECT_TRUE(read_identity({both, "", {}}, kNow, problems_));
    EXPECT_TRUE(problems_.empty());
}

} // namespace
} // namespace sallyport::certs::test
