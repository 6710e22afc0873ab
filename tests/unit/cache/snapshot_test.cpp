#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"
#include "snapshot_in_memory.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sallyport::cache {
namespace {

using namespace testing;
using wire::RrType;

const base::WallTime kWall{std::chrono::hours{24 * 365 * 50}};
const Cancelled kGoOn{false};
constexpr std::uint64_t kFingerprint = 7;

Octets written(const Cache& cache, base::Instant now = kStart, base::WallTime wall = kWall)
{
    return write_to_memory(cache, nullptr, kFingerprint, {now, wall}, kGoOn);
}

SnapshotRead read_back(Cache& cache, base::Bytes octets, base::Instant now, base::WallTime wall,
                       std::uint64_t fingerprint = kFingerprint)
{
    return read_from_memory(cache, nullptr, octets, fingerprint, {now, wall}, kGoOn);
}

/// Another process: its monotonic clock has nothing to do with ours.
constexpr base::Instant kElsewhere{std::chrono::seconds{5}};

TEST(Snapshot, GivesAnswersBackAsMuchOlderAsTheWallClockWentOn)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart, 300));
    const Octets file = written(cache, kStart + 40s);
    Cache other{small_options()};
    const SnapshotRead read = read_back(other, file, kElsewhere, kWall + 60s);
    EXPECT_EQ(read.entries, 1U);
    EXPECT_FALSE(read.trouble) << *read.trouble;
    const Reply reply = Client{}.ask(other, "www.EXAMPLE.org", kElsewhere);
    ASSERT_TRUE(reply.found);
    EXPECT_EQ(reply.lines(), std::vector<std::string>{"www.EXAMPLE.org. 200 A 192.0.2.1"});
    EXPECT_EQ(reply.found.age, 100s);
    EXPECT_FALSE(Client{}.ask(other, "www.example.org", kElsewhere + 200s).found);
}

TEST(Snapshot, KeepsQuestionsApartThatTheCacheKeepsApart)
{
    Cache cache{small_options()};
    const wire::Name qname = name("a.example.");
    std::vector<Key> keys;
    for (unsigned i = 0; i < 8; ++i) {
        Key key = key_of(qname);
        key.dnssec_ok = (i & 1U) != 0;
        key.checking_disabled = (i & 2U) != 0;
        key.partition = (i & 4U) != 0 ? 70'000 : 0;
        keys.push_back(key);
        Response response{"a.example"};
        response.answer("a.example", RrType::A, 300, "192.0.2." + std::to_string(i));
        const Ready made = ready(response.view(), key);
        ASSERT_TRUE(made && cache.store(key, *made.prepared, {}, kStart));
    }
    Cache other{small_options()};
    EXPECT_EQ(read_back(other, written(cache), kElsewhere, kWall).entries, 8U);
    for (unsigned i = 0; i < 8; ++i) {
        const Reply reply = Client{}.ask(other, qname, keys[i], kElsewhere);
        ASSERT_TRUE(reply.found);
        EXPECT_EQ(reply.lines(), std::vector<std::string>{"a.example. 300 A 192.0.2." + std::to_string(i)});
    }
}

TEST(Snapshot, KeepsWhatWasNotedBesideAnAnswer)
{
    Cache cache{small_options()};
    Response response{"gone.example", RrType::A, wire::flag::RA, wire::Rcode::NXDOMAIN};
    response.authority("example", RrType::SOA, 900, "ns.example. admin.example. 1 2 3 4 600");
    Notes notes{wire::ValidationState::secure, wire::ExtendedError::unsupported_nsec3_iterations, "fifty and more"};
    ASSERT_TRUE(keep(cache, response, kStart, notes));
    Cache other{small_options()};
    ASSERT_EQ(read_back(other, written(cache), kElsewhere, kWall + 1s).entries, 1U);
    const Reply reply = Client{}.ask(other, "gone.example", kElsewhere);
    ASSERT_TRUE(reply.found);
    EXPECT_EQ(reply.found.rcode, wire::Rcode::NXDOMAIN);
    EXPECT_EQ(reply.found.validation, wire::ValidationState::secure);
    EXPECT_EQ(reply.found.ede, wire::ExtendedError::unsupported_nsec3_iterations);
    EXPECT_EQ(std::string_view(reply.found.ede_text.data(), reply.found.ede_text_size), "fifty and more");
    EXPECT_TRUE(reply.has(wire::flag::AD));
    EXPECT_EQ(reply.smallest_ttl, 599U);
}

TEST(Snapshot, LeavesOutWhatIsPastItsTimeAndWhatFailed)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "short.example", kStart, 10));
    ASSERT_TRUE(keep_address(cache, "longer.example", kStart, 100));
    Response failure{"failed.example", RrType::A, wire::flag::RA, wire::Rcode::SERVFAIL};
    ASSERT_TRUE(keep(cache, failure, kStart));
    const Octets file = written(cache, kStart + 1s);
    Cache other{small_options()};
    const SnapshotRead read = read_back(other, file, kElsewhere, kWall + 10s);
    EXPECT_EQ(read.entries, 1U);
    EXPECT_EQ(read.left_out, 1U); // the failure was not even written
    EXPECT_TRUE(Client{}.ask(other, "longer.example", kElsewhere).found);
}

TEST(Snapshot, KeepsWhatIsPastItsTimeAsLongAsStaleAnswersAreGiven)
{
    Options options = small_options();
    options.serve_stale = true;
    options.stale_for = 100s;
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "old.example", kStart, 10));
    const Octets file = written(cache, kStart + 20s);
    Cache other{options};
    EXPECT_EQ(read_back(other, file, kElsewhere, kWall + 80s).entries, 1U);
    EXPECT_FALSE(Client{}.ask(other, "old.example", kElsewhere).found);
    const Client content{65'535, Stale::allowed};
    EXPECT_EQ(content.ask(other, "old.example", kElsewhere).found.kind, Found::Kind::stale);
    Cache third{options};
    EXPECT_EQ(read_back(third, file, kElsewhere, kWall + 91s).entries, 0U);
    Cache strict{small_options()};
    EXPECT_EQ(read_back(strict, file, kElsewhere, kWall).entries, 0U);
}

TEST(Snapshot, TakesNothingBogusFromAFile)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart));
    Octets file = written(cache);
    // The record's octet of validation, with the checksum as an attacker would make it.
    const std::size_t block = format::kHeaderSize;
    const std::size_t payload = block + format::kBlockHeadSize;
    file[payload + 5] = static_cast<std::uint8_t>(wire::ValidationState::bogus);
    const std::size_t size = base::load_be32(file, block + 4);
    const auto head =
        format::head_of(format::kAnswers, base::Bytes{file}.subspan(payload, size), 1, block ^ format::mark_of(file));
    std::copy(head.octets.begin(), head.octets.end(), file.begin() + static_cast<std::ptrdiff_t>(block));
    Cache other{small_options()};
    const SnapshotRead read = read_back(other, file, kElsewhere, kWall);
    EXPECT_FALSE(read.trouble) << *read.trouble;
    EXPECT_EQ(read.entries, 0U);
    EXPECT_EQ(read.left_out, 1U);
}

TEST(Snapshot, NeverTakesThePlaceOfANewerAnswer)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart, 300, "192.0.2.1"));
    Cache other{small_options()};
    ASSERT_TRUE(keep_address(other, "www.example.org", kElsewhere, 300, "192.0.2.2"));
    const SnapshotRead read = read_back(other, written(cache), kElsewhere, kWall);
    EXPECT_EQ(read.entries, 0U);
    EXPECT_EQ(Client{}.ask(other, "www.example.org", kElsewhere).lines(),
              std::vector<std::string>{"www.example.org. 300 A 192.0.2.2"});
}

TEST(Snapshot, CutsLifetimesToTodaysLimits)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart, 80'000));
    Options options = small_options();
    options.max_ttl = 600s;
    Cache other{options};
    EXPECT_EQ(read_back(other, written(cache), kElsewhere, kWall + 100s).entries, 1U);
    EXPECT_EQ(Client{}.ask(other, "www.example.org", kElsewhere).smallest_ttl, 500U);
}

TEST(Snapshot, CutsNegativeLifetimesToTodaysLimits)
{
    Cache cache{small_options()};
    Response none{"none.example", RrType::A, wire::flag::RA, wire::Rcode::NXDOMAIN};
    none.authority("example", RrType::SOA, 3000, "ns.example. admin.example. 1 2 3 4 3000");
    ASSERT_TRUE(keep(cache, none, kStart));
    Options options = small_options();
    options.max_negative_ttl = 600s;
    Cache other{options};
    EXPECT_EQ(read_back(other, written(cache), kElsewhere, kWall + 100s).entries, 1U);
    EXPECT_EQ(Client{}.ask(other, "none.example", kElsewhere).smallest_ttl, 500U);
}

TEST(Snapshot, LeavesOutWhatWasGotUnderAnotherConfiguration)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "before.example", kStart));
    ASSERT_TRUE(keep_address(cache, "after.example", kStart + 20s));
    const SnapshotSink nowhere = [](base::Bytes) { return base::Result<void>{}; };
    const auto saved = write_snapshot(cache, nullptr, nowhere, kFingerprint, {kStart + 30s, kWall}, kGoOn, 15s);
    ASSERT_TRUE(saved);
    EXPECT_EQ(saved->entries, 1U);
}

TEST(Snapshot, IsGivenUpEvenWhereItHasNoAnswers)
{
    Cache cache{small_options()};
    const Octets file = written(cache);
    std::size_t at = 0;
    const SnapshotSource source = [&](base::MutableBytes room) -> std::optional<std::size_t> {
        const std::size_t size = std::min(room.size(), file.size() - at);
        std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), size, room.begin());
        at += size;
        return size;
    };
    const Cancelled end{true};
    EXPECT_TRUE(read_snapshot(cache, nullptr, source, kFingerprint, {kStart, kWall}, end).trouble);
}

TEST(Snapshot, NeverGivesOutATtlThatMeansNone)
{
    Cache cache{small_options()};
    const wire::Name qname = name("www.example.org");
    Room room;
    wire::MessageWriter writer{room.bytes(), Room::kSize};
    writer.begin(0, wire::flag::QR);
    ASSERT_TRUE(writer.question(qname, RrType::A, wire::RrClass::IN));
    ASSERT_TRUE(writer.record(wire::Section::answer, qname, RrType::A, wire::RrClass::IN, wire::Ttl{60},
                              rdata(RrType::A, "192.0.2.1")));
    Kept kept;
    kept.key = key_of(qname);
    kept.prepared.message = writer.message();
    kept.prepared.rcode = wire::Rcode::NOERROR;
    kept.prepared.lifetime = 60s;
    const std::size_t ttl_at = kept.prepared.message.size() - 4 - 2 - 4;
    base::store_be32(room.bytes(), ttl_at, 0x8000'0100);
    ASSERT_TRUE(cache.put_back(kept, kStart));
    EXPECT_EQ(Client{}.ask(cache, "www.example.org", kStart).smallest_ttl, 0U);
}

TEST(Snapshot, GivesTheSmallerCacheWhatWasAskedForLately)
{
    Options options = small_options();
    options.bytes = 4U << 20U;
    Cache cache{options};
    const auto host = [](unsigned i) { return "host-" + std::to_string(i) + ".example.org"; };
    for (unsigned i = 0; i < 20'000; ++i) ASSERT_TRUE(keep_address(cache, host(i), kStart, 3600));
    for (unsigned i = 0; i < 20'000; i += 10) ASSERT_TRUE(Client{}.ask(cache, host(i), kStart).found);
    Cache small{small_options()};
    (void)read_back(small, written(cache), kElsewhere, kWall);
    EXPECT_LE(counters(small)["bytes"], 1U << 20U);
    unsigned asked = 0, others = 0;
    for (unsigned i = 0; i < 20'000; ++i) {
        if (!Client{}.ask(small, host(i), kElsewhere).found) continue;
        ++(i % 10 == 0 ? asked : others);
    }
    EXPECT_GT(asked, 1900U);
    EXPECT_GT(others, 1000U); // there is room for some
}

TEST(Snapshot, ReportsAForeignFileAnotherVersionAndAnotherConfiguration)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart));
    const Octets file = written(cache);
    Cache other{small_options()};
    Octets foreign = file;
    foreign[0] = 'x';
    EXPECT_EQ(read_back(other, foreign, kElsewhere, kWall).trouble,
              "at octet 0: expected a cache snapshot, which this is not");
    Octets later = file;
    later[11] = 9;
    EXPECT_EQ(read_back(other, later, kElsewhere, kWall).trouble, "at octet 8: expected version 2, found 9");
    EXPECT_EQ(read_back(other, file, kElsewhere, kWall, kFingerprint + 1).trouble,
              "made under another configuration of who is asked and what is believed");
    EXPECT_EQ(read_back(other, file, kElsewhere, kWall - 1h).trouble,
              "written 3600 s in the future by this machine's clock");
    EXPECT_EQ(read_back(other, file, kElsewhere, kWall + std::chrono::hours{24 * 32}).trouble, "too old to be of use");
    EXPECT_EQ(counters(other)["entries"], 0U);
    EXPECT_EQ(read_back(other, file, kElsewhere, kWall - 2s).entries, 1U); // a clock set right by a little
}

TEST(Snapshot, LosesTheDamagedBlockAlone)
{
    Options options = small_options();
    options.bytes = 4U << 20U;
    Cache cache{options};
    for (unsigned i = 0; i < 8'000; ++i)
        ASSERT_TRUE(keep_address(cache, "host-" + std::to_string(i) + ".example.org", kStart));
    const Octets file = written(cache);
    const std::size_t second = format::kHeaderSize + format::kBlockHeadSize +
                               base::load_be32(file, format::kHeaderSize + 4); // where the second block begins
    const std::uint32_t in_first = base::load_be32(file, format::kHeaderSize + 8);
    const std::uint32_t in_second = base::load_be32(file, second + 8);
    ASSERT_LT(second + format::kBlockHeadSize + base::load_be32(file, second + 4) + 1000, file.size()); // a third
    Octets damaged = file;
    damaged[second + 1000] ^= 0x10;
    Cache other{options};
    const SnapshotRead read = read_back(other, damaged, kElsewhere, kWall);
    EXPECT_EQ(read.entries, 8'000 - in_second);
    EXPECT_EQ(read.trouble, "at octet " + std::to_string(second) + ": expected a block whose checksum is right");
    // The same where nobody can tell where the next one begins.
    for (std::size_t at = second; at < second + format::kBlockHeadSize; at += 9) {
        Octets other_head = file;
        other_head[at] ^= 0x01;
        Cache fifth{options};
        const SnapshotRead found = read_back(fifth, other_head, kElsewhere, kWall);
        EXPECT_EQ(found.entries, 8'000 - in_second) << at - second;
        EXPECT_TRUE(found.trouble);
    }
    Cache third{options};
    const SnapshotRead cut = read_back(third, base::Bytes{file}.first(second + 1000), kElsewhere, kWall);
    EXPECT_EQ(cut.entries, in_first);
    EXPECT_EQ(cut.trouble, "at octet " + std::to_string(second + format::kBlockHeadSize) +
                               ": expected a block, but the file ends at octet " + std::to_string(second + 1000));
    // A block that is missing: the next one does not stand where it says.
    Octets without(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(format::kHeaderSize));
    without.insert(without.end(), file.begin() + static_cast<std::ptrdiff_t>(second), file.end());
    Cache fourth{options};
    EXPECT_EQ(read_back(fourth, without, kElsewhere, kWall).entries, 0U);
}

TEST(Snapshot, TakesNoHeadThatWasMadeUpByWhoeverHadHisDataKept)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart));
    const Octets file = written(cache);
    const std::size_t inside = format::kHeaderSize + format::kBlockHeadSize;
    const base::Bytes payload = base::Bytes{file}.subspan(inside, base::load_be32(file, format::kHeaderSize + 4));
    // A whole block stands where the payload of one began whose head is damaged.
    const auto entries = [&](std::uint64_t mark) {
        Octets made(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(inside));
        made[format::kHeaderSize] ^= 0x01;
        const auto head = format::head_of(format::kAnswers, payload, 1, inside ^ mark);
        made.insert(made.end(), head.octets.begin(), head.octets.end());
        made.insert(made.end(), payload.begin(), payload.end());
        Cache other{small_options()};
        return read_back(other, made, kElsewhere, kWall).entries;
    };
    EXPECT_EQ(entries(format::mark_of(file)), 1U);
    EXPECT_EQ(entries(0), 0U); // the place alone may be guessed
}

/// What version 1 made of the same answers: one checksum for a block and its head, and answers alone.
Octets as_version_1(base::Bytes file)
{
    format::Writer out;
    out.append(file.first(format::kHeaderSize - 8));
    out.octets[11] = format::kOldVersion;
    out.number(format::checksum(out.octets));
    for (std::size_t at = format::kHeaderSize; at < file.size();) {
        const base::Bytes fields = file.subspan(at, format::kBlockFields);
        const bool ends = base::load_be32(fields, 0) == format::kEnd;
        const std::size_t size = base::load_be32(fields, 4);
        base::Bytes payload = file.subspan(at + format::kBlockHeadSize, size);
        at += format::kBlockHeadSize + size;
        if (ends) payload = payload.first(8);
        const std::uint64_t place = out.octets.size();
        format::Writer head;
        head.append(fields.first(4));
        head.number(static_cast<std::uint32_t>(payload.size()));
        head.append(fields.last(4));
        head.number(format::place_checksum(head.octets, place) ^ format::checksum(payload));
        out.append(head.octets);
        out.append(payload);
    }
    return out.octets;
}

TEST(Snapshot, ReadsWhatTheVersionBeforeHasWritten)
{
    Cache cache{small_options()};
    for (unsigned i = 0; i < 100; ++i)
        ASSERT_TRUE(keep_address(cache, "host-" + std::to_string(i) + ".example.org", kStart));
    const Octets file = as_version_1(written(cache));
    Cache other{small_options()};
    const SnapshotRead read = read_back(other, file, kElsewhere, kWall);
    EXPECT_FALSE(read.trouble) << *read.trouble;
    EXPECT_EQ(read.entries, 100U);
    Octets damaged = file;
    damaged[file.size() / 2] ^= 0x01;
    Cache third{small_options()};
    EXPECT_EQ(read_back(third, damaged, kElsewhere, kWall).trouble,
              "at octet 40: expected a block whose checksum is right");
}

TEST(Snapshot, NoticesEveryOctetThatIsNotAsItWasWritten)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example.org", kStart));
    const Octets file = written(cache);
    for (std::size_t at = 0; at < file.size(); ++at) {
        Octets damaged = file;
        damaged[at] ^= 0x01;
        Cache other{small_options()};
        EXPECT_TRUE(read_back(other, damaged, kElsewhere, kWall).trouble) << at;
        Cache third{small_options()};
        EXPECT_TRUE(read_back(third, base::Bytes{file}.first(at), kElsewhere, kWall).trouble) << at;
    }
}

class SnapshotFile : public ::testing::Test {
protected:
    SnapshotFile()
    {
        std::filesystem::create_directory(folder_);
        EXPECT_TRUE(keep_address(cache_, "www.example.org", kStart));
    }
    ~SnapshotFile() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] auto files() const { return std::distance(std::filesystem::directory_iterator{folder_}, {}); }

    std::filesystem::path folder_ =
        std::filesystem::path{::testing::TempDir()} / ("cache-snapshot." + std::to_string(::getpid()));
    std::string file_ = (folder_ / "cache.snapshot").string();
    Cache cache_{small_options()};
};

TEST_F(SnapshotFile, IsForItsOwnerAloneAndReplacedWhole)
{
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(save_snapshot(cache_, nullptr, file_, kFingerprint, {kStart, kWall}, kGoOn));
    struct stat status{};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(files(), 1);
    Cache other{small_options()};
    const SnapshotRead read = load_snapshot(other, nullptr, file_, kFingerprint, {kElsewhere, kWall}, kGoOn);
    EXPECT_TRUE(read.found);
    EXPECT_EQ(read.entries, 1U);
}

TEST_F(SnapshotFile, ThatIsNotThereIsNoTrouble)
{
    const SnapshotRead read = load_snapshot(cache_, nullptr, file_, kFingerprint, {kElsewhere, kWall}, kGoOn);
    EXPECT_FALSE(read.found);
    EXPECT_FALSE(read.trouble);
}

TEST_F(SnapshotFile, ThatIsAFolderIsTrouble)
{
    std::filesystem::create_directory(file_);
    EXPECT_TRUE(load_snapshot(cache_, nullptr, file_, kFingerprint, {kElsewhere, kWall}, kGoOn).trouble);
    EXPECT_FALSE(save_snapshot(cache_, nullptr, file_, kFingerprint, {kStart, kWall}, kGoOn));
    EXPECT_EQ(files(), 1);
}

TEST_F(SnapshotFile, StaysAsItWasWhereTheNewOneIsGivenUp)
{
    std::ofstream{file_} << "as it was";
    const Cancelled end{true};
    EXPECT_FALSE(save_snapshot(cache_, nullptr, file_, kFingerprint, {kStart, kWall}, end));
    EXPECT_EQ(files(), 1);
    EXPECT_EQ(std::filesystem::file_size(file_), 9U);
}

TEST(Snapshot, IsWrittenWhileOthersUseTheCache)
{
    Options options = small_options();
    options.bytes = 2U << 20U;
    Cache cache{options};
    std::atomic<bool> stop{false};
    std::thread worker{[&] {
        for (unsigned i = 0; !stop; i = (i + 1) % 30'000) {
            const std::string host = "host-" + std::to_string(i) + ".example.org";
            (void)keep_address(cache, host, kStart);
            (void)Client{}.ask(cache, host, kStart);
        }
    }};
    for (int i = 0; i < 10; ++i) {
        Cache other{options};
        const SnapshotRead read = read_back(other, written(cache), kElsewhere, kWall);
        EXPECT_FALSE(read.trouble) << *read.trouble;
    }
    stop = true;
    worker.join();
}

TEST(Kept, ComesInPagesUntilTheEnd)
{
    Options options = small_options();
    options.bytes = 4U << 20U;
    options.shards = 4;
    Cache cache{options};
    for (unsigned i = 0; i < 5'000; ++i)
        ASSERT_TRUE(keep_address(cache, "host-" + std::to_string(i) + ".example.org", kStart));
    std::map<std::string, unsigned> seen;
    unsigned pages = 0;
    std::optional<Position> at = Position{};
    while (at) {
        ++pages;
        unsigned count = 0;
        at = cache.page_of_kept(*at, kStart + 5s, [&](const Kept& kept) {
            ++seen[kept.qname.to_text()];
            EXPECT_EQ(kept.left(), 295s);
            EXPECT_TRUE(wire::MessageView::parse(kept.prepared.message));
            return ++count < 500;
        });
    }
    EXPECT_EQ(seen.size(), 5'000U);
    EXPECT_GE(pages, 4U);
    EXPECT_FALSE(cache.page_of_kept({4'000'000'000U, 7}, kStart, [](const Kept&) { return true; }));
}

} // namespace
} // namespace sallyport::cache
