#include "apps/root_file.hpp"

#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sallyport::apps {
namespace {

using wire::RrType;

constexpr zones::TransferLimits kLimits{1U << 20U, 1000};

zones::TransferredZone root()
{
    zones::TransferredZone zone;
    const auto add = [&](std::string_view owner, RrType type, std::string_view rdata) {
        zone.add(*wire::Name::from_text(owner), type, wire::Ttl{300},
                 *wire::rdata_from_text(type, rdata, wire::Name{}));
    };
    add(".", RrType::SOA, "ns.root. host.root. 2026112000 1800 900 604800 86400");
    add(".", RrType::NS, "ns.root.");
    add("ns.root.", RrType::A, "192.0.2.1");
    add("tld.", RrType::NS, "ns.tld.");
    return zone;
}

class RootFile : public ::testing::Test {
protected:
    RootFile() { std::filesystem::create_directory(folder_); }
    ~RootFile() override { std::filesystem::remove_all(folder_); }
    void write(const std::string& octets) const { std::ofstream{file_, std::ios::binary} << octets; }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("sallyport-root-file-" + std::to_string(::getpid()));
    std::string file_ = (folder_ / "root-zone").string();
};

TEST_F(RootFile, IsReadAsItWasWritten)
{
    EXPECT_FALSE(read_root_file(file_, kLimits).has_value());
    write(write_root_octets(root()));
    ASSERT_TRUE(touch_root_file(file_, 1'700'000'000).has_value());
    const auto kept = read_root_file(file_, kLimits);
    ASSERT_TRUE(kept.has_value());
    ASSERT_TRUE(kept->has_value()) << kept->error().to_string();
    EXPECT_EQ((*kept)->confirmed, 1'700'000'000);
    EXPECT_EQ((*kept)->zone.count(), 4U);
    EXPECT_EQ((*kept)->zone.soa().serial, 2026112000U);
    EXPECT_EQ(write_root_octets((*kept)->zone), write_root_octets(root()));
}

TEST_F(RootFile, NoticesEveryOctetThatChanged)
{
    const std::string good = write_root_octets(root());
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        EXPECT_FALSE(read_root_octets(base::as_bytes(bad), kLimits).has_value()) << i;
    }
}

TEST_F(RootFile, NoticesWhatIsMissing)
{
    const std::string good = write_root_octets(root());
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(read_root_octets(base::as_bytes(std::string_view{good}.substr(0, size)), kLimits).has_value());
    EXPECT_FALSE(read_root_octets(base::as_bytes(good + "x"), kLimits).has_value());
}

TEST_F(RootFile, KeepsItsLimits)
{
    write(write_root_octets(root()));
    const auto few = read_root_file(file_, {1U << 20U, 2});
    ASSERT_TRUE(few.has_value());
    ASSERT_FALSE(few->has_value());
    EXPECT_NE(few->error().to_string().find("too many records"), std::string::npos);
    write(std::string(200'000, 'x'));
    const auto large = read_root_file(file_, {1000, 1000});
    ASSERT_TRUE(large.has_value());
    ASSERT_FALSE(large->has_value());
    EXPECT_EQ(large->error().code, base::ErrorCode::limit);
}

TEST_F(RootFile, ReadsNothingButFiles)
{
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    const auto pipe = read_root_file(file_, kLimits);
    ASSERT_TRUE(pipe.has_value());
    ASSERT_FALSE(pipe->has_value());
    EXPECT_NE(pipe->error().to_string().find("no regular file"), std::string::npos);
}

} // namespace
} // namespace sallyport::apps
