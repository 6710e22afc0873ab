#include "admin/token_file.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace sallyport::admin {
namespace {

struct TokenFile : testing::Test {
    TokenFile()
    {
        std::string pattern = std::filesystem::temp_directory_path() / "sallyport-token-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        file = folder / "token";
    }
    ~TokenFile() override { std::filesystem::remove_all(folder); }

    std::string read(const std::string& text, mode_t mode = 0600)
    {
        problems.clear();
        std::ofstream{file, std::ios::binary} << text;
        ::chmod(file.c_str(), mode);
        return read_token(file, {"c.yaml", 3, 4}, problems);
    }

    std::filesystem::path folder, file;
    base::Problems problems;
};

TEST_F(TokenFile, IsOneWord)
{
    EXPECT_EQ(read("0123456789abcdef\n"), "0123456789abcdef");
    EXPECT_EQ(read("0123456789abcdef\r\n", 0640), "0123456789abcdef");
    EXPECT_TRUE(problems.empty());
    for (const char* text : {"", "short\n", "0123456789 abcdef", "0123456789abcdef\nmore"}) {
        EXPECT_EQ(read(text), "") << text;
        ASSERT_EQ(problems.size(), 1U) << text;
    }
    EXPECT_EQ(read(std::string(513, 'x')), "");
    EXPECT_EQ(read(std::string(512, 'x')), std::string(512, 'x'));
}

TEST_F(TokenFile, IsNobodyElses)
{
    for (const mode_t mode : {0644U, 0604U, 0620U, 0602U}) {
        EXPECT_EQ(read("0123456789abcdef\n", mode), "");
        ASSERT_EQ(problems.size(), 1U);
        EXPECT_EQ(problems[0].to_string(), "c.yaml:3:4: token file " + file.string() +
                                               ": others may read or change it; expected mode 0600 or 0640");
    }
}

TEST_F(TokenFile, ThatIsMissingIsAProblem)
{
    EXPECT_EQ(read_token(file, {}, problems), "");
    EXPECT_EQ(problems.size(), 1U);
    problems.clear();
    EXPECT_EQ(read_token("", {}, problems), "");
    EXPECT_TRUE(problems.empty());
}

} // namespace
} // namespace sallyport::admin
