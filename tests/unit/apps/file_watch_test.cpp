#include "apps/file_watch.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sallyport::apps {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class FileWatching : public testing::Test {
protected:
    void SetUp() override
    {
        directory_ = fs::temp_directory_path() / ("sallyport-watch-" + std::to_string(::getpid()) + "-" +
                                                  testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::create_directories(directory_);
        write("a", "one");
    }
    void TearDown() override { fs::remove_all(directory_); }
    void write(const std::string& name, const std::string& text) { std::ofstream{directory_ / name} << text; }
    [[nodiscard]] std::string path(const std::string& name) const { return (directory_ / name).string(); }

    fs::path directory_;
    base::WallTime later_ = std::chrono::system_clock::now() + 1h;
};

TEST_F(FileWatching, SeesAChangeOnceItHasSettled)
{
    FileWatch watch{{path("a"), ""}, later_};
    EXPECT_FALSE(watch.changed());
    write("a", "two and more");
    EXPECT_FALSE(watch.changed()); // may be half-written
    EXPECT_TRUE(watch.changed());
    EXPECT_FALSE(watch.changed());
}

TEST_F(FileWatching, SeesThatAFileIsReplacedRemovedOrNew)
{
    FileWatch watch{{path("a"), path("b")}, later_};
    write("new", "one");
    fs::rename(path("new"), path("a"));
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    fs::remove(path("a"));
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
    write("b", "two");
    EXPECT_FALSE(watch.changed());
    EXPECT_TRUE(watch.changed());
}

TEST_F(FileWatching, WhatIsWrittenWhileFilesAreReadIsAChange)
{
    const auto before = std::chrono::system_clock::now() - 1min;
    FileWatch watch{{path("a")}, before};
    EXPECT_TRUE(watch.changed());
    EXPECT_FALSE(watch.changed());
}

TEST_F(FileWatching, AFileNamedTwiceIsOne)
{
    FileWatch watch{{path("a"), path("a")}, later_};
    EXPECT_EQ(watch.files().size(), 1U);
}

} // namespace
} // namespace sallyport::apps
