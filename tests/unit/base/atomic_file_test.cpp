#include "base/atomic_file.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace sallyport::base {
namespace {

class AtomicFileTest : public ::testing::Test {
protected:
    AtomicFileTest() { std::filesystem::create_directory(folder_); }
    ~AtomicFileTest() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] auto files() const { return std::distance(std::filesystem::directory_iterator{folder_}, {}); }
    [[nodiscard]] std::string text() const
    {
        std::ostringstream text;
        text << std::ifstream{path_}.rdbuf();
        return text.str();
    }

    std::filesystem::path folder_ =
        std::filesystem::path{::testing::TempDir()} / ("atomic-file." + std::to_string(::getpid()));
    std::string path_ = (folder_ / "state").string();
};

TEST_F(AtomicFileTest, ReplacesAFileWholeAndLeavesNothingBesideIt)
{
    ASSERT_TRUE(write_file_atomically(path_, "one\n"));
    ASSERT_TRUE(write_file_atomically(path_, "two\n", 0600));
    EXPECT_EQ(text(), "two\n");
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, ChangesNothingUntilItIsCommitted)
{
    ASSERT_TRUE(write_file_atomically(path_, "one\n"));
    {
        AtomicFile file;
        ASSERT_TRUE(file.open(path_, 0644));
        ASSERT_TRUE(file.write(as_bytes("two")));
        EXPECT_EQ(text(), "one\n");
        EXPECT_EQ(files(), 2);
    }
    EXPECT_EQ(text(), "one\n");
    EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, TellsWhereItCanNotWrite)
{
    const auto result = write_file_atomically((folder_ / "no" / "state").string(), "x");
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("No such file"), std::string::npos) << result.error().message;
    std::filesystem::create_directory(path_);
    EXPECT_FALSE(write_file_atomically(path_, "x"));
    EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, LeavesAloneWhatIsNoRegularFile)
{
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_FALSE(write_file_atomically(path_, "x"));
    EXPECT_TRUE(std::filesystem::is_fifo(path_));
    EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFileTest, RemovesWhatAKilledProcessLeftAndNothingElse)
{
    for (const char* name : {"state.new-aB3x9z", "state.new-short", "state.backup", "other.new-aB3x9z", "state"})
        std::ofstream{folder_ / name} << "x";
    EXPECT_EQ(remove_leftovers(path_), 1U);
    EXPECT_EQ(files(), 4);
    EXPECT_EQ(remove_leftovers((folder_ / "no" / "state").string()), 0U);
}

} // namespace
} // namespace sallyport::base
