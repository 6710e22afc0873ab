// Sanitizers bring an operator new of their own, and with it the checks that are what a sanitized build is for: there
// this file is empty.
#ifndef SALLYPORT_SANITIZED

#include "served.hpp"

#include "wire/message_writer.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> crypto_allocations{0};

void* counted(std::size_t size) noexcept
{
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}

void* counted_or_throw(std::size_t size)
{
    if (void* at = counted(size)) return at;
    throw std::bad_alloc{};
}

// libcrypto takes its memory from malloc, behind the back of operator new. It takes other functions only before its
// first allocation, so they are given here and not in a test.
const bool crypto_is_counted = CRYPTO_set_mem_functions(
                                   [](std::size_t size, const char*, int) {
                                       ++crypto_allocations;
                                       return std::malloc(size);
                                   },
                                   [](void* at, std::size_t size, const char*, int) {
                                       ++crypto_allocations;
                                       return std::realloc(at, size);
                                   },
                                   [](void* at, const char*, int) { std::free(at); }) == 1;

} // namespace

// The whole test program counts. All forms are here, since each must free what its partner took.
void* operator new(std::size_t size) { return counted_or_throw(size); }
void* operator new[](std::size_t size) { return counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept { std::free(at); }
void operator delete[](void* at, const std::nothrow_t&) noexcept { std::free(at); }

namespace sallyport::zones {
namespace {

using test::Served;

struct Taken {
    std::uint64_t by_new = 0;
    std::uint64_t by_crypto = 0;
};

/// What `answer` allocates for one question.
Taken taken_by(Served& served, std::string_view question, bool dnssec_ok, bool over_udp, std::size_t limit = 65535)
{
    const auto blank = question.find(' ');
    const auto name = wire::Name::from_text(question.substr(0, blank)).value();
    const auto type = wire::parse_rr_type(question.substr(blank + 1)).value();
    const Snapshot& snapshot = *served.snapshot();
    std::vector<std::uint8_t> buffer(limit);
    wire::MessageWriter writer{buffer, limit};
    writer.begin(0, wire::flag::QR);
    EXPECT_TRUE(writer.question(name, type, wire::RrClass::IN));
    const Question asking{&name, type, dnssec_ok, over_udp};
    const Taken before{allocations, crypto_allocations};
    const auto result = answer(snapshot, asking, served.options.limits, writer, served.stats);
    const Taken after{allocations, crypto_allocations};
    EXPECT_NE(result.outcome, Outcome::not_ours) << question;
    return {after.by_new - before.by_new, after.by_crypto - before.by_crypto};
}

/// Every way through `answer`: data, additional addresses, alias, DNAME, wildcard, NODATA, NXDOMAIN, empty
/// non-terminal, referral with and without DS, ANY, RRSIG, a chain that leaves local data, a type that is refused.
constexpr std::string_view kQuestions[] = {
    "www.signed.test A",      "signed.test MX",          "alias.signed.test A",
    "alias.signed.test MX",   "x.old.signed.test A",     "y.old.signed.test A",
    "foo.wild.signed.test A", "foo.wild.signed.test MX", "foo.walias.signed.test A",
    "nope.signed.test A",     "a.b.nope.signed.test A",  "b.ent.signed.test A",
    "www.signed.test TXT",    "x.secure.signed.test A",  "x.insecure.signed.test A",
    "secure.signed.test DS",  "insecure.signed.test DS", "foo.below.opt.signed.test A",
    "www.signed.test ANY",    "www.signed.test RRSIG",   "www.signed.test AXFR",
    "away.plain.test A",      "svc.plain.test HTTPS",    "loop.plain.test A",
};

class Allocations : public testing::TestWithParam<const char*> {};

TEST_P(Allocations, OfAnAnswerAreNone)
{
    ASSERT_TRUE(crypto_is_counted);
    Served served;
    served.data_file("signed.test", GetParam());
    served.zone("plain.test", test::apex_records() + "ns A 192.0.2.1\naway CNAME www.example.\nloop CNAME loop2\n"
                                                     "loop2 CNAME loop\nsvc HTTPS 1 . alpn=h2\nsvc A 192.0.2.2\n");
    (void)served.snapshot();
    for (const auto question : kQuestions) {
        for (const bool dnssec_ok : {false, true}) {
            for (const std::size_t limit : {65535U, 200U}) {
                const auto taken = taken_by(served, question, dnssec_ok, limit == 200, limit);
                EXPECT_EQ(taken.by_new, 0U) << question << (dnssec_ok ? " with DO" : "");
                EXPECT_EQ(taken.by_crypto, 0U) << question << (dnssec_ok ? " with DO" : "");
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(ZoneFiles, Allocations, testing::Values("nsec.zone", "nsec3.zone", "optout.zone"),
                         [](const auto& one) {
                             const std::string file{one.param};
                             return file.substr(0, file.find('.'));
                         });

TEST(FirstAnswer, OfAThreadAllocatesNothingEither)
{
    Served served;
    served.data_file("signed.test", "nsec3.zone");
    (void)served.snapshot();
    std::thread worker{[&served] {
        const auto taken = taken_by(served, "nope.signed.test A", true, true);
        EXPECT_EQ(taken.by_new, 0U);
        EXPECT_EQ(taken.by_crypto, 0U); // libcrypto makes no digest context for NSEC3
    }};
    worker.join();
}

} // namespace
} // namespace sallyport::zones

#endif // SALLYPORT_SANITIZED
