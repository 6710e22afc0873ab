#include "admin/log_event.hpp"

#include "admin/json.hpp"
#include "wire/name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;

const base::WallTime kWhen = base::WallTime{1'795'194'332'123ms}; // 2026-11-20T17:05:32.123Z

/// A response to `gate.test A` with a CNAME and an address; the owner of the address is compressed.
const std::vector<std::uint8_t> kAnswer = {
    0,   0,    0x81, 0x80, 0,    1, 0,    2,    0, 0, 0, 0, 4,  'g', 'a', 't', 'e', 4, 't', 'e', 's',
    't', 0,    0,    1,    0,    1, 0xC0, 0x0C, 0, 5, 0, 1, 0,  0,   1,   44,  0,   6, 3,   'w', 'w',
    'w', 0xC0, 0x0C, 0xC0, 0x27, 0, 1,    0,    1, 0, 0, 1, 44, 0,   4,   192, 0,   2, 80};

struct Observed {
    pipeline::Query query;
    LogObserver observer;
    std::vector<std::uint8_t> octets;

    Observed()
    {
        observer.make_ring(4096);
        observer.set(true, true);
        query.qname = *wire::Name::from_text("gate.test");
        query.qtype = wire::RrType::A;
        query.client.peer.address = *base::IpAddress::parse("198.51.100.77");
        query.client.transport = base::Transport::dot;
        query.id = 0x0001'0000'0000'002AU;
    }
    std::string line(base::Bytes answer, LineStyle style = {})
    {
        observer.ended(query, answer, wire::Rcode::NOERROR, 1'234'567ns);
        if (!observer.ring().pop(octets)) return "dropped";
        const auto event = read_event(octets);
        if (!event) return "unreadable";
        std::string out;
        append_line(out, *event, kWhen, style);
        return out;
    }
};

TEST(LogEvent, BecomesALineWithAllFields)
{
    Observed seen;
    seen.query.source = pipeline::Source::upstream;
    seen.query.upstream = "tls://dns.example";
    seen.query.rule = "policy.lua:12 \"ads\"";
    EXPECT_EQ(seen.line(kAnswer),
              R"({"timestamp":"2026-11-20T17:05:32.123Z","request_id":"000100000000002a","client_ip":"198.51.100.77",)"
              R"("transport":"dot","query_type":"A","domain":"gate.test.","response_code":"NOERROR",)"
              R"("response_time_ms":1.234,"cache_hit":false,"upstream_server":"tls://dns.example",)"
              R"("response_data":["CNAME www.gate.test.","A 192.0.2.80"],"rule":"policy.lua:12 \"ads\""})");
    EXPECT_EQ(seen.observer.events().get(), 1U);
}

TEST(LogEvent, TellsWhatIsNotThereAsNull)
{
    Observed seen;
    seen.query.source = pipeline::Source::stale_cache;
    const auto line = seen.line({});
    EXPECT_NE(line.find(R"("response_code":null)"), std::string::npos) << line;
    EXPECT_NE(line.find(R"("cache_hit":true,"upstream_server":null,"response_data":null,"rule":null)"),
              std::string::npos)
        << line;
}

TEST(LogEvent, MasksTheClient)
{
    Observed seen;
    EXPECT_NE(seen.line(kAnswer, {Mask::network, false}).find(R"("client_ip":"198.51.100.0")"), std::string::npos);
    EXPECT_NE(seen.line(kAnswer, {Mask::all, false}).find(R"("client_ip":null)"), std::string::npos);
    EXPECT_NE(seen.line(kAnswer, {Mask::none, false}).find(R"("response_data":null)"), std::string::npos);
    seen.query.client.peer.address = *base::IpAddress::parse("2001:db8:1:2:3::4");
    EXPECT_NE(seen.line(kAnswer, {Mask::network, false}).find(R"("client_ip":"2001:db8:1::")"), std::string::npos);
}

TEST(LogEvent, EscapesNamesTwice)
{
    Observed seen;
    seen.query.qname = *wire::Name::from_wire(base::as_bytes(std::string_view{"\5a\"\\\n.\0", 7}));
    const auto line = seen.line(kAnswer);
    EXPECT_NE(line.find(R"("domain":"a\\\"\\\\\\010\\..")"), std::string::npos) << line;
    EXPECT_TRUE(is_json(line)) << line;
}

TEST(LogEvent, AnAnswerTooLargeComesWithoutItsRecords)
{
    Observed seen;
    seen.observer.make_ring(1U << 20U);
    const std::vector<std::uint8_t> large(LogObserver::kMostAnswer + 1);
    const auto line = seen.line(large);
    EXPECT_NE(line.find(R"("response_code":"NOERROR")"), std::string::npos) << line;
    EXPECT_NE(line.find(R"("response_data":null)"), std::string::npos) << line;
}

TEST(LogEvent, WhatDoesNotFitIsDroppedAndCounted)
{
    Observed seen;
    for (int i = 0; i < 100; ++i) seen.observer.ended(seen.query, kAnswer, wire::Rcode::NOERROR, 1us);
    EXPECT_GT(seen.observer.dropped().get(), 0U);
    EXPECT_EQ(seen.observer.dropped().get() + seen.observer.events().get(), 100U);
}

TEST(LogEvent, NothingIsKeptWhileItIsOff)
{
    Observed seen;
    seen.observer.set(false, true);
    EXPECT_EQ(seen.line(kAnswer), "dropped");
    EXPECT_EQ(seen.observer.events().get(), 0U);
}

TEST(LogEvent, RefusesOctetsThatAreNoEvent)
{
    EXPECT_FALSE(read_event({}));
    Observed seen;
    (void)seen.line(kAnswer);
    for (std::size_t size = 0; size < seen.octets.size(); ++size)
        EXPECT_FALSE(read_event({seen.octets.data(), size})) << size;
}

TEST(AdminJson, IsAlwaysUtf8)
{
    const auto text = [](std::string_view octets) {
        std::string out;
        append_json(out, octets);
        return out;
    };
    EXPECT_EQ(text("a\"b\\c\n\x7F"), R"("a\"b\\c\u000a\u007f")");
    EXPECT_EQ(text("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
    const std::string bad = "\"\xEF\xBF\xBD\"";
    EXPECT_EQ(text("\xFF"), bad);
    EXPECT_EQ(text("\xC3"), bad);
    EXPECT_EQ(text("\xC0"), bad);
    EXPECT_EQ(text(std::string_view{"\xED\xA0\x80", 3}).substr(0, 4), bad.substr(0, 4)) << "half of a surrogate pair";
}

} // namespace
} // namespace sallyport::admin
