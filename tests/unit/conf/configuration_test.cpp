#include "conf/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace sallyport::conf {
namespace {

using ::testing::HasSubstr;

struct Read {
    Configuration configuration;
    base::Problems problems;
    [[nodiscard]] std::string all() const
    {
        std::string text;
        for (const auto& problem : problems) text += problem.to_string() + "\n";
        return text;
    }
};

Read read(const std::string& text, const std::map<std::string, std::string>& environment = {})
{
    Read result;
    result.configuration = parse_configuration(
        text, "dir/test.yaml",
        [&](const char* name) {
            const auto found = environment.find(name);
            return found == environment.end() ? nullptr : found->second.c_str();
        },
        result.problems);
    return result;
}

TEST(Configuration, ReadsAnEmptyFileAsDefaults)
{
    const auto result = read("");
    EXPECT_EQ(result.all(), "");
    EXPECT_EQ(result.configuration.pipeline.udp_payload_size, 1232);
    EXPECT_EQ(result.configuration.listeners.streams.connections, 10'000U);
}

TEST(Configuration, ReadsEveryDoor)
{
    const auto result = read("listen:\n"
                             "  - do53: { on: ['127.0.0.1:5300', '[::1]'], tcp: false }\n"
                             "  - dot: { on: '127.0.0.1' , proxy_protocol_from: [10.0.0.0/8] }\n"
                             "  - doh: { on: '127.0.0.1:8443', path: [/dns-query, /q], http3: false, cors: '*' }\n"
                             "  - doq: { on: '127.0.0.1', early_data: true }\n");
    ASSERT_EQ(result.all(), "");
    const auto& doors = result.configuration.listeners.doors;
    ASSERT_EQ(doors.size(), 4U);
    EXPECT_EQ(doors[0].on[0].endpoint.port, 5300);
    EXPECT_EQ(doors[0].on[1].endpoint.port, 53);
    EXPECT_FALSE(doors[0].tcp);
    EXPECT_EQ(doors[1].on[0].endpoint.port, 853);
    EXPECT_EQ(doors[1].proxy_protocol_from.size(), 1U);
    EXPECT_EQ(doors[2].doh.paths, (std::vector<std::string>{"/dns-query", "/q"}));
    EXPECT_FALSE(doors[2].doh.http3);
    EXPECT_TRUE(doors[3].early_data);
}

TEST(Configuration, NamesTheNearestKeyWithItsPlace)
{
    const auto result = read("answers:\n  udp_sise: 1232\n");
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_EQ(result.problems[0].to_string(),
              "dir/test.yaml:2:3: unknown key 'udp_sise' in 'answers'; did you mean 'udp_size'?");
}

TEST(Configuration, ListsTheKeysWhereNoneIsNear)
{
    EXPECT_THAT(read("ddr: { completely_else: 1 }\n").all(), HasSubstr("expected one of enabled, target, ttl"));
}

TEST(Configuration, RefusesAKeyThatStandsTwice)
{
    const auto result = read("workers: 1\nworkers: 2\n");
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_THAT(result.all(), HasSubstr("dir/test.yaml:2:1: the key 'workers' stands here a second time"));
}

TEST(Configuration, ReportsAllErrorsInOneRun)
{
    const auto result = read("workers: many\n"
                             "listen:\n"
                             "  - dot: { on: ['not an address'] }\n"
                             "  - nothing: 1\n"
                             "limits:\n"
                             "  streams: { idle: 10, connections: 0 }\n"
                             "answers: { padding: 5000, cookie_secret: abc }\n"
                             "access: { allow: [10.0.0.0/40] }\n"
                             "zones: [ { name: a.test } ]\n"
                             "log: { level: loud }\n");
    const auto text = result.all();
    EXPECT_THAT(text, HasSubstr("test.yaml:1:10: 'workers' is 'many'; expected a number from 0 to 256"));
    EXPECT_THAT(text, HasSubstr("test.yaml:3:17: 'not an address' is not an address with a port"));
    EXPECT_THAT(text, HasSubstr("test.yaml:4:5: each entry of 'listen' is one door"));
    EXPECT_THAT(text, HasSubstr("'limits.streams.idle' is '10'; expected a time with its unit"));
    EXPECT_THAT(text, HasSubstr("'limits.streams.connections' is '0'; expected a number from 1"));
    EXPECT_THAT(text, HasSubstr("'answers.padding' is '5000'"));
    EXPECT_THAT(text, HasSubstr("32 hexadecimal digits"));
    EXPECT_THAT(text, HasSubstr("a prefix length from 0 to 32"));
    EXPECT_THAT(text, HasSubstr("exactly one of 'file', 'records' and 'hosts'"));
    EXPECT_THAT(text, HasSubstr("'log.level' is 'loud'; expected one of debug, info, warning, error"));
}

TEST(Configuration, SaysWhereTheYamlBreaks)
{
    EXPECT_THAT(read("a: [1, 2\nb: }\n").all(), HasSubstr("dir/test.yaml:2:"));
    EXPECT_THAT(read("a: &x 1\n").all(), HasSubstr("anchors and aliases"));
    EXPECT_THAT(read("a: !!binary x\n").all(), HasSubstr("the tag"));
    EXPECT_THAT(read("a: 1\n---\nb: 2\n").all(), HasSubstr("second document"));
    EXPECT_THAT(read(std::string("a: 1\0b", 6)).all(), HasSubstr("NUL"));
    EXPECT_THAT(read(std::string(40, '[') + std::string(40, ']')).all(), HasSubstr("nested deeper than 32"));
}

TEST(Configuration, TakesWrongKindsApart)
{
    EXPECT_THAT(read("listen: 5\n").all(), HasSubstr("'listen' must be a list"));
    EXPECT_THAT(read("answers: []\n").all(), HasSubstr("'answers' must be a map"));
    EXPECT_THAT(read("workers: [1]\n").all(), HasSubstr("'workers' must be a number"));
    EXPECT_THAT(read("- 1\n").all(), HasSubstr("the configuration must be a map"));
}

TEST(Configuration, TheEnvironmentOverridesAnyScalar)
{
    const auto result = read("answers: { udp_size: 512 }\n", {{"SALLYPORT_ANSWERS_UDP_SIZE", "1400"},
                                                              {"SALLYPORT_LIMITS_STREAMS_IDLE", "20s"},
                                                              {"SALLYPORT_LIMITS_QUIC_MEMORY", "128MiB"}});
    EXPECT_EQ(result.all(), "");
    EXPECT_EQ(result.configuration.pipeline.udp_payload_size, 1400);
    EXPECT_EQ(result.configuration.listeners.streams.idle, std::chrono::seconds{20});
    EXPECT_EQ(result.configuration.listeners.quic.memory, 128ULL << 20U);
    EXPECT_EQ(result.configuration.pipeline.keepalive_milliseconds, 20'000U);
}

TEST(Configuration, ABadVariableIsNamed)
{
    EXPECT_THAT(read("", {{"SALLYPORT_WORKERS", "x"}}).all(),
                HasSubstr("environment variable SALLYPORT_WORKERS: 'workers' is 'x'"));
}

TEST(Configuration, PathsAreRelativeToItsFolder)
{
    const auto result = read("zones: [{ name: a, file: z/a.zone }, { name: b, file: /abs/b.zone }]\n"
                             "certificates: { directory: ../certs }\n");
    EXPECT_EQ(result.configuration.zones.zones[0].file, "dir/z/a.zone");
    EXPECT_EQ(result.configuration.zones.zones[1].file, "/abs/b.zone");
    EXPECT_EQ(result.configuration.certificates.directory, "certs");
}

TEST(Configuration, FilesAreWatchedWhereAskedFor)
{
    EXPECT_FALSE(read("").configuration.watch_files);
    const auto result = read("reload: { watch: true, every: 250ms }\n");
    EXPECT_TRUE(result.configuration.watch_files);
    EXPECT_EQ(result.configuration.watch_every, std::chrono::milliseconds{250});
    EXPECT_THAT(read("reload: { every: 1ms }\n").all(), HasSubstr("'reload.every'"));
}

TEST(Configuration, AMissingFileIsOneClearLine)
{
    base::Problems problems;
    (void)read_configuration("does/not/exist.yaml", problems);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].to_string(), HasSubstr("does/not/exist.yaml: cannot read the configuration: No such file"));
}

TEST(Configuration, TheDocumentationNamesEveryKey)
{
    std::ifstream stream{std::string(SALLYPORT_SOURCE_DIR) + "/docs/configuration.md"};
    const std::string text{std::istreambuf_iterator<char>{stream}, {}};
    ASSERT_FALSE(text.empty());
    for (const auto& key : known_keys()) EXPECT_NE(text.find("`" + key + "`"), std::string::npos) << key;
}

TEST(Configuration, TheExampleIsGood)
{
    base::Problems problems;
    const auto configuration =
        read_configuration(std::string(SALLYPORT_SOURCE_DIR) + "/conf/examples/quickstart.yaml", problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    EXPECT_GE(configuration.listeners.doors.size(), 4U);
}

} // namespace
} // namespace sallyport::conf
