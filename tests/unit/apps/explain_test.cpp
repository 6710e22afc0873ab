#include "apps/explain.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

namespace sallyport::apps {
namespace {

ExplainRequest request(const std::string& name)
{
    ExplainRequest made;
    made.name = name;
    return made;
}

TEST(Explain, UnderstandsAQueryInWords)
{
    ExplainRequest asked = request("WWW.gate.test");
    asked.type = "aaaa";
    asked.client = "2001:db8::7";
    asked.door = "doh";
    asked.server_name = "Kids.Gate.Test";
    const auto question = understand(asked);
    ASSERT_TRUE(question);
    EXPECT_EQ(question->question.qtype, wire::RrType::AAAA);
    EXPECT_EQ(question->transport, base::Transport::doh2);
    EXPECT_EQ(question->server_name, "kids.gate.test");
    for (auto* const word : {&asked.type, &asked.client, &asked.door}) {
        const std::string kept = std::exchange(*word, "nonsense!");
        EXPECT_FALSE(understand(asked)) << kept;
        *word = kept;
    }
    EXPECT_FALSE(understand(request("a..b")));
}

TEST(Explain, RequestsPassThroughJson)
{
    ExplainRequest asked = request("www.gate.test");
    asked.door = "dot";
    asked.server_name = "gate.test";
    asked.path = "/x";
    asked.dnssec_ok = true;
    const auto read = read_explain_request(to_json(asked));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->name, asked.name);
    EXPECT_EQ(read->door, asked.door);
    EXPECT_EQ(read->server_name, asked.server_name);
    EXPECT_EQ(read->path, asked.path);
    EXPECT_TRUE(read->dnssec_ok);
    EXPECT_FALSE(read->checking_disabled);
    for (const char* const bad : {"", "[]", "{}", R"({"name": 1})", R"({"name": "a", "do": 1})",
                                  R"({"name": "a", "who": "b"})", R"({"name": "")"})
        EXPECT_FALSE(read_explain_request(bad)) << bad;
}

TEST(Explain, ExplanationsPassThroughJson)
{
    Explanation told;
    told.steps = {{"script", "answered", "home.lua:3"}};
    told.end = Explanation::End::answered;
    told.rcode = "REFUSED";
    told.source = "a rule";
    told.rule = "home.lua:3";
    told.errors = {"15 Blocked: \"why\""};
    told.records = {"a. 1 IN A 192.0.2.1"};
    told.trust = {{".", "secure", "trust anchor DS 20326"}, {"a.", "BOGUS", "signature expired"}};
    told.milliseconds = 0.5;
    const auto read = read_explanation(to_json(told));
    ASSERT_TRUE(read);
    EXPECT_EQ(to_json(*read), to_json(told));
    const std::string text = to_text(request("a"), *read);
    EXPECT_NE(text.find("  script  answered  home.lua:3\n"), std::string::npos) << text;
    EXPECT_NE(text.find("REFUSED, from a rule (home.lua:3), 0.500 ms\n"), std::string::npos) << text;
    EXPECT_NE(text.find("chain of trust\n  .   secure  trust anchor DS 20326\n  a.  BOGUS   signature"),
              std::string::npos)
        << text;
}

TEST(Explain, WalksThroughAPipeline)
{
    base::ManualClock clock;
    base::SystemRandom random;
    pipeline::Pipeline pipeline{pipeline::Options{}, clock, random};
    ExplainRequest asked = request("www.example");
    ExplainWalk walk{*understand(asked)};
    bool done = false;
    walk.begin(pipeline, clock, [&] { done = true; });
    EXPECT_TRUE(done);
    EXPECT_EQ(walk.result().end, Explanation::End::answered);
    EXPECT_EQ(walk.result().rcode, "REFUSED");
    EXPECT_FALSE(walk.result().steps.empty());
}

} // namespace
} // namespace sallyport::apps
