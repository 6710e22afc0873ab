#include "apps/cache_fingerprint.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sallyport::apps {
namespace {

class CacheFingerprint : public ::testing::Test {
protected:
    CacheFingerprint() { std::filesystem::create_directory(folder_); }
    ~CacheFingerprint() override { std::filesystem::remove_all(folder_); }

    void write(const char* file, const char* text) const { std::ofstream{folder_ / file} << text; }
    [[nodiscard]] std::uint64_t of(const std::string& text) const
    {
        base::Problems problems;
        const auto configuration = conf::parse_configuration(
            text, (folder_ / "sallyport.yaml").string(), [](const char*) -> const char* { return nullptr; }, problems);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        return cache_fingerprint_of(configuration);
    }

    std::filesystem::path folder_ =
        std::filesystem::path{::testing::TempDir()} / ("cache-fingerprint." + std::to_string(::getpid()));
};

TEST_F(CacheFingerprint, TellsConfigurationsApartThatMakeOtherAnswers)
{
    const auto plain = of("resolve: { upstreams: [192.0.2.1] }\n");
    EXPECT_NE(plain, of("resolve: { upstreams: [192.0.2.2] }\n"));
    EXPECT_NE(plain, of("resolve: { mode: recurse }\n"));
    EXPECT_NE(of("resolve: { mode: recurse, dnssec: { permissive: true } }\n"), of("resolve: { mode: recurse }\n"));
    EXPECT_NE(plain,
              of("resolve: { upstreams: [192.0.2.1] }\nzones: [ { name: a.example, records: ['@ A 192.0.2.1'] } ]\n"));
}

TEST_F(CacheFingerprint, IsTheSameWhereAnswersAre)
{
    const auto plain = of("resolve: { upstreams: [192.0.2.1] }\n");
    EXPECT_EQ(plain, of("resolve:\n  upstreams: [ '192.0.2.1' ] # as above\n"));
    EXPECT_EQ(plain, of("resolve: { upstreams: [192.0.2.1] }\ncache: { size: 2MiB, serve_stale: true }\nworkers: 3\n"));
}

TEST_F(CacheFingerprint, ReadsTheFilesThatAreNamed)
{
    write("hints", ". NS a.example.\n");
    const std::string named = "resolve: { mode: recurse, root_hints: hints }\n";
    const auto before = of(named);
    EXPECT_EQ(before, of(named));
    write("hints", ". NS b.example.\n");
    EXPECT_NE(before, of(named));
}

TEST_F(CacheFingerprint, ReadsWhatTheEnvironmentSaysOfIt)
{
    const auto before = of("resolve: { mode: recurse }\n");
    ::setenv("SALLYPORT_RESOLVE_IPV6", "false", 1);
    const auto then = of("resolve: { mode: recurse }\n");
    ::unsetenv("SALLYPORT_RESOLVE_IPV6");
    EXPECT_NE(before, then);
}

} // namespace
} // namespace sallyport::apps
