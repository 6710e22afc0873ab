#include "support.hpp"

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace sallyport::certs::test {
namespace {

using ::testing::HasSubstr;

X509Handle read_certificate(const std::string& file)
{
    const auto content = read_file(file, kMaxPemSize, "a certificate");
    EXPECT_TRUE(content);
    return X509Handle{PEM_read_bio_X509(borrow_bio(content->bytes()).get(), nullptr, nullptr, nullptr)};
}

mode_t mode_of(const std::string& file)
{
    struct stat status{};
    EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
    return status.st_mode & 07777U;
}

class Development : public ::testing::Test {
protected:
    DevelopmentResult make(base::WallTime wall = kNow)
    {
        auto result = make_development(options_, wall);
        EXPECT_TRUE(result) << (result ? "" : result.error().message);
        return result ? *result : DevelopmentResult{};
    }
    Directory directory_;
    DevelopmentOptions options_{directory_.file("deep/dev"), {"gate.test", "*.gate.test", "127.0.0.1", "::1"}};
};

TEST_F(Development, MakesACaAndALeafThatVerifyForEveryName)
{
    const DevelopmentResult result = make();
    EXPECT_TRUE(result.made_ca);
    EXPECT_TRUE(result.made_leaf);
    const X509Handle ca = read_certificate(result.ca_file);
    const X509Handle leaf = read_certificate(result.chain_file);

    base::Handle<X509_STORE, X509_STORE_free> store{X509_STORE_new()};
    X509_STORE_add_cert(store.get(), ca.get());
    base::Handle<X509_STORE_CTX, X509_STORE_CTX_free> check{X509_STORE_CTX_new()};
    X509_STORE_CTX_init(check.get(), store.get(), leaf.get(), nullptr);
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(check.get());
    X509_VERIFY_PARAM_set_time(param, std::chrono::system_clock::to_time_t(kNow));
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    EXPECT_EQ(X509_verify_cert(check.get()), 1) << X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));

    EXPECT_EQ(X509_check_host(leaf.get(), "gate.test", 0, 0, nullptr), 1);
    EXPECT_EQ(X509_check_host(leaf.get(), "a.gate.test", 0, 0, nullptr), 1);
    EXPECT_EQ(X509_check_ip_asc(leaf.get(), "::1", 0), 1);
    EXPECT_EQ(X509_check_ca(ca.get()), 1);
    EXPECT_EQ(X509_get_pathlen(ca.get()), 0);
    EXPECT_EQ(X509_get_key_usage(ca.get()), static_cast<std::uint32_t>(KU_KEY_CERT_SIGN | KU_CRL_SIGN));
    EXPECT_EQ(X509_get_extended_key_usage(leaf.get()), static_cast<std::uint32_t>(XKU_SSL_SERVER));
}

TEST_F(Development, KeepsKeysToItsOwner)
{
    const DevelopmentResult result = make();
    EXPECT_EQ(mode_of(options_.directory), 0700U);
    EXPECT_EQ(mode_of(result.key_file), 0600U);
    EXPECT_EQ(mode_of(options_.directory + "/ca.key"), 0600U);
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
        EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr(".new")));
    }
}

TEST_F(Development, KeepsWhatIsGood)
{
    const DevelopmentResult first = make();
    const FileState ca = file_state(first.ca_file);
    const FileState leaf = file_state(first.chain_file);
    const DevelopmentResult second = make(kNow + kDay);
    EXPECT_FALSE(second.made_ca || second.made_leaf);
    EXPECT_EQ(file_state(first.ca_file), ca);
    EXPECT_EQ(file_state(first.chain_file), leaf);
}

TEST_F(Development, RenewsTheLeafAWeekBeforeItsEndUnderTheSameCa)
{
    const DevelopmentResult first = make();
    const FileState ca = file_state(first.ca_file);
    const DevelopmentResult second = make(kNow + 84 * kDay);
    EXPECT_FALSE(second.made_ca);
    EXPECT_TRUE(second.made_leaf);
    EXPECT_EQ(file_state(first.ca_file), ca);
}

TEST_F(Development, RenewsBothWhenTheCaEnds)
{
    make();
    const DevelopmentResult second = make(kNow + 3645 * kDay);
    EXPECT_TRUE(second.made_ca && second.made_leaf);
}

TEST_F(Development, MakesALeafWithTheNamesAskedFor)
{
    make();
    options_.names.push_back("new.test");
    const DevelopmentResult second = make();
    EXPECT_FALSE(second.made_ca);
    EXPECT_TRUE(second.made_leaf);
    const X509Handle leaf = read_certificate(second.chain_file);
    EXPECT_EQ(X509_check_host(leaf.get(), "new.test", 0, 0, nullptr), 1);
    options_.names.pop_back();
    EXPECT_FALSE(make().made_leaf) << "more names than asked for do no harm";
}

TEST_F(Development, RepairsWhatIsDamagedOrLost)
{
    const DevelopmentResult first = make();
    std::ofstream(first.chain_file) << "damaged";
    EXPECT_TRUE(make().made_leaf);
    std::filesystem::remove(options_.directory + "/ca.key");
    EXPECT_FALSE(make().made_leaf) << "a good leaf needs no CA key";
    std::filesystem::remove(first.key_file);
    const DevelopmentResult last = make();
    EXPECT_TRUE(last.made_ca && last.made_leaf) << "without its key the CA cannot sign another";
}

TEST_F(Development, ReplacesAllWhenAsked)
{
    make();
    options_.replace = true;
    const DevelopmentResult again = make();
    EXPECT_TRUE(again.made_ca && again.made_leaf);
}

TEST_F(Development, IsServedByLoadFromItsDirectory)
{
    make();
    Options options;
    options.directory = options_.directory;
    const auto loaded = must_load(options);
    ASSERT_TRUE(loaded);
    EXPECT_THAT(loaded->names(), ::testing::ElementsAre("gate.test", "*.gate.test"));
}

TEST_F(Development, RefusesNamesThatAreNoneAndValiditiesOutOfRange)
{
    options_.names = {"gate.test,DNS:evil.test"};
    auto result = make_development(options_, kNow);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("is no name for a certificate"));
    options_.names = {};
    EXPECT_FALSE(make_development(options_, kNow));
    options_.names = {"gate.test"};
    options_.validity = std::chrono::hours{24};
    result = make_development(options_, kNow);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("expected more than 7 days"));
}

TEST_F(Development, SaysWhereItCannotWrite)
{
    directory_.write("deep", "a file where a directory should be");
    const auto result = make_development(options_, kNow);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("deep/dev: cannot make this directory"));
}

} // namespace
} // namespace sallyport::certs::test
