#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using namespace std::chrono_literals;
using reading::read;
using testing::HasSubstr;

TEST(ReadAdmin, IsOffByDefault)
{
    const auto result = read("");
    EXPECT_EQ(result.problems, "");
    EXPECT_EQ(result.configuration.admin.on, "");
    EXPECT_TRUE(result.configuration.query_log.outputs.empty());
}

TEST(ReadAdmin, ReadsTheDoor)
{
    const auto result = read("admin: { on: 'unix:/run/x.sock', token_file: token, hosts: [gate.test], socket_mode: "
                             "'0660', connections: 5, request: 2s, head: 4KiB, body: 8KiB, failures: 3 }\n");
    EXPECT_EQ(result.problems, "");
    const auto& admin = result.configuration.admin;
    EXPECT_EQ(admin.on, "unix:/run/x.sock");
    EXPECT_EQ(admin.token_file, "dir/token");
    EXPECT_THAT(admin.hosts, testing::ElementsAre("gate.test"));
    EXPECT_EQ(admin.socket_mode, admin::SocketMode::group);
    EXPECT_EQ(admin.connections, 5U);
    EXPECT_EQ(admin.request, 2s);
    EXPECT_EQ(admin.head, 4096U);
    EXPECT_EQ(admin.body, 8192U);
    EXPECT_EQ(admin.failures, 3U);
}

TEST(ReadAdmin, ReadsTheQueryLog)
{
    const auto result = read("query_log: { outputs: [stdout, syslog, {syslog: s}, {file: q.log, rotate_size: 1MiB, "
                             "rotate_every: 6h, keep: 3, compress: false}], mask: network, response_data: false, "
                             "ring: 100 }\n");
    EXPECT_EQ(result.problems, "");
    const auto& log = result.configuration.query_log;
    ASSERT_EQ(log.outputs.size(), 4U);
    EXPECT_EQ(log.outputs[0].kind, admin::LogKind::stdout_);
    EXPECT_EQ(log.outputs[1].kind, admin::LogKind::syslog);
    EXPECT_EQ(log.outputs[2].path, "dir/s");
    EXPECT_EQ(log.outputs[3].kind, admin::LogKind::file);
    EXPECT_EQ(log.outputs[3].path, "dir/q.log");
    EXPECT_EQ(log.outputs[3].rotate_size, 1U << 20U);
    EXPECT_EQ(log.outputs[3].rotate_every, 6h);
    EXPECT_EQ(log.outputs[3].keep, 3U);
    EXPECT_FALSE(log.outputs[3].compress);
    EXPECT_EQ(log.mask, admin::Mask::network);
    EXPECT_FALSE(log.response_data);
    EXPECT_EQ(log.ring, 100U);
}

TEST(ReadAdmin, SaysWhereItIsWrong)
{
    EXPECT_THAT(read("admin: { on: 'nowhere' }\n").problems, HasSubstr("dir/c.yaml:2:10: 'admin.on' is 'nowhere'"));
    EXPECT_THAT(read("query_log: { outputs: [stderr] }\n").problems, HasSubstr("'stderr' is no output"));
    EXPECT_THAT(read("query_log: { outputs: [{keep: 3}] }\n").problems, HasSubstr("either 'file' or 'syslog'"));
    EXPECT_THAT(read("query_log: { outputs: [{file: a, syslog: b}] }\n").problems, HasSubstr("either 'file'"));
    EXPECT_THAT(read("query_log: { mask: some }\n").problems, HasSubstr("mask"));
}

} // namespace
} // namespace sallyport::conf
