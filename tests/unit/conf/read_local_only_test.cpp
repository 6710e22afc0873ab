#include "conf/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

zones::LocalOnlyOptions read(std::string_view text)
{
    base::Problems problems;
    auto configuration =
        parse_configuration(text, "sallyport.yaml", [](const char*) -> const char* { return nullptr; }, problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    return configuration.zones.local_only;
}

TEST(LocalOnlyKey, IsYesNoOrWhatToLeaveOut)
{
    EXPECT_TRUE(read("").enabled);
    EXPECT_TRUE(read("resolve: { local_only: yes }\n").enabled);
    EXPECT_TRUE(read("resolve: { local_only: yes }\n").leave_out.empty());
    EXPECT_FALSE(read("resolve: { local_only: no }\n").enabled);
    EXPECT_FALSE(read("resolve: { local_only: false }\n").enabled);
    const auto some = read("resolve:\n  local_only: [home.arpa, 10.in-addr.arpa]\n");
    EXPECT_TRUE(some.enabled);
    EXPECT_THAT(some.leave_out, testing::ElementsAre("home.arpa", "10.in-addr.arpa"));
    EXPECT_EQ(some.position.line, 2U);
    EXPECT_THAT(read("resolve: { local_only: test }\n").leave_out, testing::ElementsAre("test"));
}

} // namespace
} // namespace sallyport::conf
