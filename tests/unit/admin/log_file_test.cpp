#include "admin/log_file.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct LogFileTest : testing::Test {
    LogFileTest()
    {
        std::string pattern = fs::temp_directory_path() / "sallyport-log-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        options.path = folder / "queries.log";
        options.rotate_size = 100;
        options.rotate_every = 0s;
        options.keep = 3;
    }
    ~LogFileTest() override { fs::remove_all(folder); }

    void open()
    {
        auto opened = LogFile::open(options, wall, stats, [](const std::function<void()>& task) {
            task();
            return true;
        });
        ASSERT_TRUE(opened) << opened.error().to_string();
        log = std::move(*opened);
    }
    void line(std::string_view text)
    {
        log->write(text);
        log->flush(wall);
    }
    static std::string contents(const fs::path& path)
    {
        gzFile file = ::gzopen(path.c_str(), "rb");
        std::string text(4096, '\0');
        const int size = file == nullptr ? 0 : ::gzread(file, text.data(), static_cast<unsigned>(text.size()));
        if (file != nullptr) ::gzclose(file);
        text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return text;
    }

    fs::path folder;
    LogOutput options;
    OutputStats stats;
    base::WallTime wall{std::chrono::seconds{1'795'194'900}}; // 2026-11-20T17:15:00Z
    std::unique_ptr<LogSink> log;
};

TEST_F(LogFileTest, AppendsLines)
{
    std::ofstream{options.path} << "old\n";
    open();
    line("one");
    line("two");
    EXPECT_EQ(contents(options.path), "old\none\ntwo\n");
    EXPECT_EQ(stats.lines.get(), 2U);
}

TEST_F(LogFileTest, PutsALargeFileAsideAndCompressesIt)
{
    open();
    line(std::string(99, 'x'));
    line("next");
    EXPECT_EQ(contents(options.path), "next\n");
    const auto files = rotated_files(options.path);
    ASSERT_EQ(files.size(), 1U);
    EXPECT_EQ(files[0], options.path + ".20261120T171500Z.gz");
    EXPECT_EQ(contents(files[0]), std::string(99, 'x') + "\n");
    for (const auto& file : {files[0], options.path})
        EXPECT_EQ(fs::status(file).permissions() & fs::perms::others_all, fs::perms::none) << file;
    EXPECT_EQ(stats.rotations.get(), 1U);
}

TEST_F(LogFileTest, KeepsSoManyAndNoMore)
{
    options.compress = false;
    open();
    // Some within one second, so that names have to be told apart.
    for (int i = 0; i < 6; ++i) {
        line(std::to_string(i) + std::string(100, 'x'));
        if (i % 2 == 1) wall += 1min;
    }
    const auto files = rotated_files(options.path);
    ASSERT_EQ(files.size(), 3U);
    EXPECT_EQ(contents(files[0]).front(), '3');
    EXPECT_EQ(contents(files[2]).front(), '5');
}

TEST_F(LogFileTest, PutsAnOldFileAside)
{
    options.rotate_size = 0;
    options.rotate_every = 1h;
    options.compress = false;
    open();
    wall += 2h;
    log->flush(wall);
    EXPECT_TRUE(rotated_files(options.path).empty()) << "an empty file is not old";
    line("a");
    wall += 59min;
    log->flush(wall);
    EXPECT_TRUE(rotated_files(options.path).empty());
    wall += 1min;
    log->flush(wall);
    EXPECT_EQ(rotated_files(options.path).size(), 1U);
    EXPECT_EQ(contents(options.path), "");
}

TEST_F(LogFileTest, FinishesWhatAnEarlierRunLeftBehind)
{
    std::ofstream{options.path + ".20260101T000000Z"} << "left\n";
    std::ofstream{options.path + ".20260101T000000Z.gz.part"} << "half";
    std::ofstream{options.path + ".notes"} << "not ours\n";
    open();
    line("x");
    ASSERT_EQ(rotated_files(options.path).size(), 1U);
    EXPECT_EQ(contents(options.path + ".20260101T000000Z.gz"), "left\n");
    EXPECT_TRUE(fs::exists(options.path + ".notes"));
    EXPECT_FALSE(fs::exists(options.path + ".20260101T000000Z.gz.part"));
}

TEST_F(LogFileTest, TouchesNothingThatItDidNotMake)
{
    options.keep = 1;
    std::ofstream{folder / "elsewhere"} << "elsewhere\n";
    for (const char* end :
         {".20260101T000000Z.notes", ".20260101T000000Z-x", ".2026T101T000000Z", ".20260101T000000Z-"})
        std::ofstream{options.path + end} << "not ours\n";
    fs::create_symlink(folder / "elsewhere", options.path + ".20260101T000000Z");
    ASSERT_EQ(::mkfifo((options.path + ".20260102T000000Z").c_str(), 0600), 0);
    // Where what is compressed would be written.
    fs::create_symlink(folder / "elsewhere", options.path + ".20261120T171500Z.gz.part");
    open();
    line(std::string(100, 'x'));
    ASSERT_EQ(rotated_files(options.path), std::vector<std::string>{options.path + ".20261120T171500Z.gz"});
    EXPECT_EQ(contents(folder / "elsewhere"), "elsewhere\n");
    for (const char* end : {".20260101T000000Z.notes", ".20260101T000000Z-x", ".2026T101T000000Z", ".20260101T000000Z-",
                            ".20260101T000000Z", ".20260102T000000Z"})
        EXPECT_TRUE(fs::exists(fs::symlink_status(options.path + end))) << end;
    EXPECT_FALSE(fs::exists(fs::symlink_status(options.path + ".20261120T171500Z.gz.part")));
}

TEST_F(LogFileTest, AFullDiskLosesWholeLinesAndIsForgotten)
{
    options.rotate_size = 0;
    open();
    line("first");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit small = before;
    small.rlim_cur = 20; // room for 14 octets more
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    log->write("fits");
    log->write("does not fit any more");
    log->write("nor this");
    log->flush(wall);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(contents(options.path), "first\nfits\n");
    EXPECT_EQ(stats.lost.get(), 2U);
    EXPECT_EQ(stats.lines.get(), 2U);
    line("last");
    EXPECT_EQ(contents(options.path), "first\nfits\nlast\n");
}

TEST_F(LogFileTest, AFileTakenAwayIsMadeAnew)
{
    options.compress = false;
    open();
    fs::remove(options.path);
    line(std::string(100, 'x'));
    line("here");
    EXPECT_EQ(contents(options.path), "here\n");
}

TEST_F(LogFileTest, WhatIsNoFileIsRefused)
{
    options.path = folder;
    const auto background = [](const std::function<void()>&) { return true; };
    EXPECT_FALSE(LogFile::open(options, wall, stats, background));
    options.path = folder / "pipe";
    ASSERT_EQ(::mkfifo(options.path.c_str(), 0600), 0);
    EXPECT_FALSE(LogFile::open(options, wall, stats, background));
    options.path = folder / "nowhere" / "queries.log";
    EXPECT_FALSE(LogFile::open(options, wall, stats, background));
}

} // namespace
} // namespace sallyport::admin
