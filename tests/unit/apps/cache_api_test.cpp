#include "apps/cache_api.hpp"

#include "wire/message_writer.hpp"

#include <boost/json.hpp>

#include <gtest/gtest.h>

namespace sallyport::apps {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

class CacheApi : public ::testing::Test {
protected:
    CacheApi() : cache_(options())
    {
        for (const char* name : {"b.example", "a.example", "example", "evil-example"}) keep(name);
    }
    static cache::Options options()
    {
        cache::Options options;
        options.bytes = 1U << 20U;
        return options;
    }
    void keep(std::string_view text)
    {
        constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
        const wire::Name qname = *wire::Name::from_text(text);
        std::array<std::uint8_t, 512> room;
        wire::MessageWriter writer{room, room.size()};
        writer.begin(0, wire::flag::QR);
        ASSERT_TRUE(writer.question(qname, wire::RrType::A, wire::RrClass::IN));
        ASSERT_TRUE(
            writer.record(wire::Section::answer, qname, wire::RrType::A, wire::RrClass::IN, wire::Ttl{300}, kAddress));
        cache::Key key;
        key.qname = &qname;
        key.qtype = wire::RrType::A;
        cache::Prepared prepared;
        prepared.message = writer.message();
        prepared.lifetime = 300s;
        ASSERT_TRUE(cache_.store(key, prepared, {}, clock_.now()));
    }
    static admin::Request request(std::map<std::string, std::string, std::less<>> parameters, std::string body = {})
    {
        admin::Request made;
        made.parameters = std::move(parameters);
        made.body = std::move(body);
        return made;
    }
    static json::object body_of(const admin::Response& response)
    {
        EXPECT_EQ(response.status, 200U) << response.body;
        return json::parse(response.body).as_object();
    }

    base::ManualClock clock_;
    cache::Cache cache_;
};

TEST_F(CacheApi, LooksUpANameWithItsRecords)
{
    const auto body = body_of(cache_look_up(cache_, request({{"name", "A.example"}}), clock_.now() + 100s));
    EXPECT_EQ(body.at("name"), "A.example.");
    const auto& entry = body.at("entries").as_array().at(0).as_object();
    EXPECT_EQ(entry.at("name"), "a.example.");
    EXPECT_EQ(entry.at("type"), "A");
    EXPECT_EQ(entry.at("left_seconds").as_double(), 200.0);
    const auto& record = entry.at("records").as_array().at(0).as_object();
    EXPECT_EQ(record.at("data"), "192.0.2.1");
    EXPECT_EQ(record.at("ttl").to_number<int>(), 200);
    EXPECT_EQ(record.at("section"), "answer");

    const auto other = body_of(cache_look_up(cache_, request({{"name", "a.example"}, {"type", "aaaa"}}), clock_.now()));
    EXPECT_TRUE(other.at("entries").as_array().empty());
}

TEST_F(CacheApi, RefusesWhatIsNoNameAndNoType)
{
    EXPECT_EQ(cache_look_up(cache_, request({}), clock_.now()).status, 400U);
    EXPECT_EQ(cache_look_up(cache_, request({{"name", "a..b"}}), clock_.now()).status, 400U);
    EXPECT_EQ(cache_look_up(cache_, request({{"name", "a"}, {"type", "NONSENSE"}}), clock_.now()).status, 400U);
    EXPECT_EQ(cache_list(cache_, request({{"apex", "a..b"}}), clock_.now()).status, 400U);
    for (const char* limit : {"0", "100001", "1x", "-1"})
        EXPECT_EQ(cache_list(cache_, request({{"limit", limit}}), clock_.now()).status, 400U) << limit;
}

TEST_F(CacheApi, ListsInTheOrderOfNames)
{
    const auto body = body_of(cache_list(cache_, request({{"apex", "example"}}), clock_.now()));
    const auto& entries = body.at("entries").as_array();
    ASSERT_EQ(entries.size(), 3U);
    EXPECT_EQ(entries[0].at("name"), "example.");
    EXPECT_EQ(entries[1].at("name"), "a.example.");
    EXPECT_EQ(entries[2].at("name"), "b.example.");
    EXPECT_EQ(body.at("more"), false);

    const auto some = body_of(cache_list(cache_, request({{"limit", "2"}}), clock_.now()));
    EXPECT_EQ(some.at("entries").as_array().size(), 2U);
    EXPECT_EQ(some.at("more"), true);
    const auto all = body_of(cache_list(cache_, request({{"limit", "4"}}), clock_.now()));
    EXPECT_EQ(all.at("more"), false);
}

TEST_F(CacheApi, FlushesWhatItIsTold)
{
    const auto flush = [&](std::string body) { return cache_flush(cache_, request({}, std::move(body))); };
    EXPECT_EQ(body_of(flush(R"({"name": "B.example"})")).at("flushed").to_number<int>(), 1);
    EXPECT_EQ(body_of(flush(R"({"subtree": "example"})")).at("flushed").to_number<int>(), 2);
    EXPECT_EQ(body_of(flush(R"({"all": true})")).at("flushed").to_number<int>(), 1);
    for (const char* bad : {"", "{}", R"({"all": false})", R"({"name": 1})", R"({"name": "a", "all": true})", "[]",
                            R"({"subtree": "a..b"})", R"({"names": "a"})"})
        EXPECT_EQ(flush(bad).status, 400U) << bad;
}

TEST_F(CacheApi, DumpsInPages)
{
    std::vector<std::string> names;
    std::string from = "0.0";
    while (!from.empty()) {
        const auto body = body_of(cache_dump(cache_, request({{"limit", "1"}, {"from", from}}), clock_.now() + 100s));
        for (const auto& entry : body.at("entries").as_array()) {
            names.emplace_back(entry.at("name").as_string());
            for (const auto& record : entry.at("records").as_array())
                EXPECT_LE(record.at("ttl").to_number<int>(), 3500);
        }
        from = body.at("next").is_string() ? std::string{body.at("next").as_string()} : "";
    }
    const auto all = body_of(cache_list(cache_, request({}), clock_.now()));
    EXPECT_EQ(names.size(), all.at("entries").as_array().size());
}

TEST_F(CacheApi, DumpsWhatIsAskedForAlone)
{
    const auto count = [&](const char* key, const char* value) {
        return body_of(cache_dump(cache_, request({{key, value}}), clock_.now())).at("entries").as_array().size();
    };
    EXPECT_EQ(count("apex", "nothing.example"), 0U);
    EXPECT_EQ(
        count("apex", "EXAMPLE"),
        body_of(cache_list(cache_, request({{"apex", "example"}}), clock_.now())).at("entries").as_array().size());
    EXPECT_EQ(
        count("name", "a.example"),
        body_of(cache_look_up(cache_, request({{"name", "a.example"}}), clock_.now())).at("entries").as_array().size());
    for (const char* bad : {"", "1", "1.", ".1", "1.x", "-1.0", "99999999999.0"})
        EXPECT_EQ(cache_dump(cache_, request({{"from", bad}}), clock_.now()).status, *bad == 0 ? 200U : 400U) << bad;
    EXPECT_EQ(cache_dump(cache_, request({{"limit", "10001"}}), clock_.now()).status, 400U);
    EXPECT_EQ(cache_dump(cache_, request({{"apex", "a..b"}}), clock_.now()).status, 400U);
}

TEST_F(CacheApi, NeedsTheTokenThroughout)
{
    const auto routes = cache_routes(cache_, clock_);
    ASSERT_EQ(routes.size(), 4U);
    for (const auto& route : routes) {
        EXPECT_EQ(route.changes_state, route.method == "POST");
        EXPECT_EQ(route.confidential, route.method == "GET");
    }
}

} // namespace
} // namespace sallyport::apps
