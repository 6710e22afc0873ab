#include "support.hpp"

#include <gmock/gmock.h>

namespace sallyport::certs::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Load, GivesAllNamesTheDefaultsFirst)
{
    const Directory directory;
    Options options;
    options.certificates = {write_pair(directory, "b", make_leaf({"gate.test", "*.gate.test", "127.0.0.1"})),
                            write_pair(directory, "a", make_leaf({"Other.test", "gate.test"}))};
    const auto loaded = must_load(options);
    ASSERT_TRUE(loaded);
    EXPECT_THAT(loaded->names(), ElementsAre("gate.test", "*.gate.test", "other.test"));
    EXPECT_EQ(loaded->identities().size(), 2U);
    EXPECT_NE(loaded->stream_context(), nullptr);
}

TEST(Load, TakesThePairsOfADirectoryInNameOrderAfterTheExplicitOnes)
{
    const Directory explicit_ones;
    const Directory directory;
    Options options;
    options.certificates = {write_pair(explicit_ones, "z", make_leaf({"first.test"}))};
    options.directory = directory.path();
    const Made ca = make_ca();
    write_pair(directory, "ca", ca); // beside what it signed, as in a development directory
    write_pair(directory, "b", make_leaf({"b.test"}, ca.signer()));
    const Made a = make_leaf({"a.test"}, ca.signer());
    directory.write("a.pem", a.chain_pem());
    directory.write("a.key", a.key_pem());
    directory.write("lonely.crt", make_leaf({"lonely.test"}).chain_pem());
    directory.write("notes.txt", "not a certificate");
    const auto loaded = must_load(options);
    ASSERT_TRUE(loaded);
    EXPECT_THAT(loaded->names(), ElementsAre("first.test", "a.test", "b.test"));
}

TEST(Load, ReportsEveryFaultOfEveryFile)
{
    const Directory directory;
    Options options;
    options.certificates = {write_pair(directory, "good", make_leaf({"good.test"})),
                            {directory.file("no.crt"), directory.file("no.key"), {"gate.yaml", 7, 3}}};
    options.directory = directory.file("missing");
    options.directory_position = {"gate.yaml", 9, 1};
    base::Problems problems;
    EXPECT_FALSE(load(options, own_tickets(), kNow, problems));
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_THAT(problems[0].to_string(), HasSubstr("gate.yaml:9:1: " + directory.file("missing")));
    EXPECT_THAT(problems[1].to_string(), HasSubstr("gate.yaml:7:3: " + directory.file("no.crt")));
    EXPECT_THAT(problems[2].to_string(), HasSubstr("no.key"));
}

TEST(Load, SaysThatThereIsNothing)
{
    base::Problems problems;
    EXPECT_FALSE(load({}, own_tickets(), kNow, problems));
    const Directory directory;
    Options options;
    options.directory = directory.path();
    EXPECT_FALSE(load(options, own_tickets(), kNow, problems));
    ASSERT_EQ(problems.size(), 2U);
    EXPECT_EQ(problems[0].message, "no certificate is configured");
    EXPECT_THAT(problems[1].message, HasSubstr("no certificate in this directory"));
}

TEST(Load, LimitsTheNumberOfCertificates)
{
    const Directory directory;
    Options options;
    options.certificates.assign(kMaxCertificates + 1, write_pair(directory, "a", make_leaf({"a.test"})));
    base::Problems problems;
    EXPECT_FALSE(load(options, own_tickets(), kNow, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].code, base::ErrorCode::limit);
}

TEST(Load, LeavesTheOldSnapshotInUseWhenTheNewFilesAreBroken)
{
    const Directory directory;
    Options options;
    options.certificates = {write_pair(directory, "a", make_leaf({"a.test"}))};
    const auto tickets = own_tickets();
    const auto old = must_load(options, tickets);
    directory.write("a.crt", make_leaf({"b.test"}).chain_pem()); // of another key
    base::Problems problems;
    EXPECT_FALSE(load(options, tickets, kNow, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("does not match"));
    EXPECT_THAT(old->names(), ElementsAre("a.test"));
    SslHandle ssl{SSL_new(old->stream_context())};
    EXPECT_TRUE(ssl);
}

TEST(Watch, TellsOnceOfAChangeThatHasSettled)
{
    const Directory directory;
    Options options;
    options.certificates = {write_pair(directory, "a", make_leaf({"a.test"}))};
    Watch watch{options};
    EXPECT_FALSE(watch.changed());
    EXPECT_FALSE(watch.changed());
    directory.write("a.crt", "half written");
    EXPECT_FALSE(watch.changed());
    directory.write("a.crt", "half written and then the rest");
    EXPECT_FALSE(watch.changed()) << "still changing";
    EXPECT_TRUE(watch.changed());
    EXPECT_FALSE(watch.changed());
}

TEST(Watch, SeesAReplacedFileOfTheSameSizeAndAVanishedOne)
{
    const Directory directory;
    Options options;
    options.certificates = {{directory.write("a.crt", "one"), directory.write("a.key", "key"), {}}};
    Watch watch{options};
    ASSERT_TRUE(replace_file(directory.file("a.crt"), base::as_bytes("two"), 0600));
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    std::filesystem::remove(directory.file("a.key"));
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    EXPECT_FALSE(watch.changed());
}

TEST(Watch, IgnoresAChangeThatWentBackAndFilesOfNoConcern)
{
    const Directory directory;
    Options options;
    options.directory = directory.path();
    Watch watch{options};
    directory.write("new.crt", "x");
    EXPECT_FALSE(watch.changed());
    std::filesystem::remove(directory.file("new.crt"));
    EXPECT_FALSE(watch.changed());
    EXPECT_FALSE(watch.changed());
    directory.write("notes.txt", "x");
    EXPECT_FALSE(watch.changed());
    EXPECT_FALSE(watch.changed());
}

TEST(Watch, SeesNewFilesInADirectoryAndTheDirectoryItselfComeAndGo)
{
    const Directory directory;
    Options options;
    options.directory = directory.file("certs");
    Watch watch{options};
    std::filesystem::create_directory(options.directory);
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    directory.write("certs/new.key", "x");
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    std::filesystem::remove_all(options.directory);
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
}

} // namespace
} // namespace sallyport::certs::test
