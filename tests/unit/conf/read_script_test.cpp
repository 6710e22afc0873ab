#include "conf/configuration.hpp"

#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using Kind = pipeline::BlockOptions::Kind;

Configuration read(std::string_view text, base::Problems& problems)
{
    return parse_configuration(
        text, "dir/sallyport.yaml", [](const char*) -> const char* { return nullptr; }, problems);
}

Configuration read_good(std::string_view text)
{
    base::Problems problems;
    auto configuration = read(text, problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    return configuration;
}

TEST(Policy, ReadsScriptAndLimits)
{
    const auto configuration = read_good("policy:\n"
                                         "  script: rules/home.lua\n"
                                         "  on_error: refuse\n"
                                         "  block: zero\n"
                                         "  block_ttl: 10\n"
                                         "  limits: {instructions: 5000, time: 20ms, memory: 1MiB, list_names: 7}\n");
    EXPECT_EQ(configuration.script.script, "dir/rules/home.lua");
    EXPECT_EQ(configuration.script.position.line, 2U);
    EXPECT_EQ(configuration.script.on_error, lua::OnError::refuse);
    EXPECT_EQ(configuration.script.instructions, 5000U);
    EXPECT_EQ(configuration.script.time, std::chrono::milliseconds{20});
    EXPECT_EQ(configuration.script.memory, 1U << 20U);
    EXPECT_EQ(configuration.script.list_names, 7U);
    EXPECT_EQ(configuration.pipeline.block.kind, Kind::zero_address);
    EXPECT_EQ(configuration.pipeline.block.ttl, 10U);
}

TEST(Policy, BlocksByWordOrByAddresses)
{
    EXPECT_EQ(read_good("workers: 1\n").pipeline.block.kind, Kind::nxdomain);
    EXPECT_EQ(read_good("policy: {block: nodata}\n").pipeline.block.kind, Kind::nodata);
    EXPECT_EQ(read_good("policy: {block: refused}\n").pipeline.block.kind, Kind::refused);
    const auto addresses = read_good("policy: {block: [192.0.2.1, '2001:db8::1']}\n").pipeline.block;
    EXPECT_EQ(addresses.kind, Kind::address);
    EXPECT_EQ(addresses.addresses.size(), 2U);
}

TEST(Policy, SaysWhatIsWrong)
{
    for (const char* const text :
         {"policy: {block: nowhere}\n", "policy: {block: [nodata, zero]}\n", "policy: {on_error: stop}\n",
          "policy: {limits: {time: 1h}}\n", "policy: {skript: x.lua}\n"}) {
        base::Problems problems;
        (void)read(text, problems);
        EXPECT_FALSE(problems.empty()) << text;
    }
}

} // namespace
} // namespace sallyport::conf
