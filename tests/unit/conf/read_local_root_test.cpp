#include "reading.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <string>

namespace sallyport::conf {
namespace {

using namespace std::chrono_literals;
using reading::read;
using testing::HasSubstr;

reading::Read read_root(const std::string& local_root)
{
    return read("resolve:\n  mode: recurse\n  local_root:\n" + local_root);
}

TEST(ReadLocalRoot, TransfersNothingUnlessTold)
{
    const auto text = read("resolve: { mode: recurse }\n");
    EXPECT_EQ(text.problems, "");
    const auto& transfer = text.configuration.resolver.recurse.local_root_transfer;
    EXPECT_TRUE(transfer.from.empty());
    EXPECT_EQ(transfer.octets, 64U << 20U);
    EXPECT_EQ(transfer.least_pause, 1min);
    EXPECT_EQ(transfer.most_pause, 24h);
}

TEST(ReadLocalRoot, ReadsFromWhereTheZoneIsTransferred)
{
    const auto text = read_root("    from: [192.0.2.1, '192.0.2.2:5353', '2001:db8::1', '[2001:db8::2]:5353']\n"
                                "    state_file: state/root\n"
                                "    limits: { size: 8MiB, records: 50000, connect: 2s, idle: 3s, time: 30s, "
                                "least_pause: 1s, most_pause: 1h }\n");
    EXPECT_EQ(text.problems, "");
    const auto& transfer = text.configuration.resolver.recurse.local_root_transfer;
    ASSERT_EQ(transfer.from.size(), 4U);
    EXPECT_EQ(transfer.from[0].to_string(), "192.0.2.1:53");
    EXPECT_EQ(transfer.from[1].to_string(), "192.0.2.2:5353");
    EXPECT_EQ(transfer.from[2].to_string(), "[2001:db8::1]:53");
    EXPECT_EQ(transfer.from[3].to_string(), "[2001:db8::2]:5353");
    EXPECT_EQ(transfer.state_file, "dir/state/root");
    EXPECT_EQ(transfer.octets, 8U << 20U);
    EXPECT_EQ(transfer.records, 50'000U);
    EXPECT_EQ(transfer.connect, 2s);
    EXPECT_EQ(transfer.idle, 3s);
    EXPECT_EQ(transfer.whole, 30s);
    EXPECT_EQ(transfer.least_pause, 1s);
    EXPECT_EQ(transfer.most_pause, 1h);
}

TEST(ReadLocalRoot, SaysWhereItIsWrong)
{
    EXPECT_THAT(read_root("    from: [b.root-servers.net]\n").problems,
                HasSubstr("dir/c.yaml:5:12: 'b.root-servers.net' is no address"));
    EXPECT_THAT(read_root("    from: [192.0.2.1, '192.0.2.1:53']\n").problems,
                HasSubstr("dir/c.yaml:5:23: '192.0.2.1:53' is there already"));
    EXPECT_THAT(read_root("    file: root.zone\n    from: 192.0.2.1\n").problems,
                HasSubstr("dir/c.yaml:6:5: 'resolve.local_root' has both 'file' and 'from'"));
    EXPECT_THAT(read_root("    state_file: root\n").problems,
                HasSubstr("dir/c.yaml:5:5: 'resolve.local_root.state_file' is for a zone that is transferred"));
    EXPECT_THAT(read_root("    from: 192.0.2.1\n    limits: { least_pause: 2h, most_pause: 1h }\n").problems,
                HasSubstr("'resolve.local_root.limits.least_pause' is longer"));
    EXPECT_THAT(read_root("    from: 192.0.2.1\n    limits: { size: 1 }\n").problems, HasSubstr("dir/c.yaml:6:"));
    std::string many = "    from: [";
    for (int i = 1; i <= 17; ++i) many += "192.0.2." + std::to_string(i) + ", ";
    EXPECT_THAT(read_root(many + "]\n").problems, HasSubstr("at most 16 servers"));
}

} // namespace
} // namespace sallyport::conf
