#include "running.hpp"

#include "wire/rdata.hpp"

namespace sallyport::lua {
namespace {

using Action = policy::Verdict::Action;

/// An answer with the records that are given as text.
class Answered {
public:
    explicit Answered(wire::Rcode rcode = wire::Rcode::NOERROR)
    {
        writer_.begin(7, static_cast<std::uint16_t>(wire::flag::QR | static_cast<std::uint16_t>(rcode)));
        EXPECT_TRUE(writer_.question(name("www.example.com"), wire::RrType::A, wire::RrClass::IN));
    }
    Answered& add(const char* owner, wire::RrType type, const char* data, wire::Section section = wire::Section::answer)
    {
        const auto rdata = wire::rdata_from_text(type, data, wire::Name{});
        EXPECT_TRUE(rdata);
        EXPECT_TRUE(writer_.record(section, name(owner), type, wire::RrClass::IN, wire::Ttl{300}, *rdata));
        return *this;
    }
    wire::MessageView view()
    {
        const auto parsed = wire::MessageView::parse(writer_.message());
        EXPECT_TRUE(parsed);
        return *parsed;
    }

private:
    static wire::Name name(const char* text) { return *wire::Name::from_text(text); }
    std::array<std::uint8_t, 4096> octets_{};
    wire::MessageWriter writer_{octets_, octets_.size()};
};

std::string told(Answered& answered, const std::string& body)
{
    Running run{"local office = clients {'198.51.100.0/24'}\non.answer(function(q, a)\n" + body + "\nend)"};
    if (run.runtime == nullptr) return "error: " + run.error.message;
    const wire::MessageView view = answered.view();
    run.runtime->on_answer(run.facts, view, run.verdict);
    return run.stats.errors.get() == 0 ? run.verdict.reason : "error";
}

std::string value(Answered& answered, const std::string& expression)
{
    return told(answered, "return q:refuse(tostring(" + expression + "))");
}

TEST(Answer, ShowsItsRecords)
{
    Answered answered;
    answered.add("www.example.com", wire::RrType::CNAME, "Web.example.net")
        .add("web.example.net", wire::RrType::A, "192.0.2.1");
    EXPECT_EQ(told(answered, "local t = {} for name, type, ttl, data in a:records() do\n"
                             "t[#t + 1] = name .. ' ' .. ttl .. ' ' .. type .. ' ' .. data end\n"
                             "return q:refuse(table.concat(t, '; '))"),
              "www.example.com 300 CNAME Web.example.net.; web.example.net 300 A 192.0.2.1");
    EXPECT_EQ(value(answered, "a.rcode"), "NOERROR");
    Answered none{wire::Rcode::NXDOMAIN};
    EXPECT_EQ(value(none, "a.rcode"), "NXDOMAIN");
    EXPECT_EQ(told(none, "for _ in a:records() do q:block() end"), "");
    EXPECT_EQ(value(none, "a.answers"), "error");
}

TEST(Answer, AddressesAreThoseOfRecordsAndOfHints)
{
    Answered answered;
    answered.add("x.example", wire::RrType::A, "192.0.2.1")
        .add("x.example", wire::RrType::HTTPS, "1 . alpn=h2 ipv4hint=192.0.2.2,192.0.2.3 ipv6hint=2001:db8::4")
        .add("x.example", wire::RrType::TXT, "\"192.0.2.9\"")
        .add("x.example", wire::RrType::HTTPS, "0 other.example")
        .add("x.example", wire::RrType::AAAA, "2001:db8::5");
    EXPECT_EQ(told(answered, "local t = {} for address in a:addresses() do t[#t + 1] = tostring(address) end\n"
                             "return q:refuse(table.concat(t, ' '))"),
              "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::4 2001:db8::5");
    EXPECT_EQ(value(answered, "a:any_address_in('192.0.2.3')"), "true");
    EXPECT_EQ(value(answered, "a:any_address_in('2001:db8::5/128')"), "true");
    EXPECT_EQ(value(answered, "a:any_address_in('192.0.2.9', '10.0.0.0/8')"), "false");
    EXPECT_EQ(value(answered, "a:any_address_in(office)"), "false");
    EXPECT_EQ(value(answered, "a:any_address_in(7)"), "error");
}

TEST(Answer, AddressesBesideTheAnswerCountToo)
{
    Answered answered;
    answered.add("x.example", wire::RrType::HTTPS, "1 y.example alpn=h2")
        .add("y.example", wire::RrType::A, "192.168.1.1", wire::Section::additional);
    EXPECT_EQ(value(answered, "a:any_address_in('private')"), "true");
    EXPECT_EQ(value(answered, "a:addresses()()"), "192.168.1.1");
    Answered only;
    only.add("y.example", wire::RrType::A, "192.168.1.1", wire::Section::additional);
    EXPECT_EQ(value(only, "a:any_address_in('private')"), "true");
}

TEST(Answer, ManyAddressesAreLookedUpWithinTheBudget)
{
    Options options;
    options.instructions = 20'000;
    Running run{"local t = {} for i = 0, 4095 do t[i + 1] = '10.' .. (i >> 8) .. '.' .. (i & 255) .. '.0/24' end\n"
                "local office = clients(t)\n"
                "on.answer(function(q, a) if a:any_address_in(office) then q:refuse() end end)",
                options};
    ASSERT_NE(run.runtime, nullptr) << run.error.message;
    Answered answered;
    std::string hints = "1 . ipv4hint=192.0.2.0";
    for (int i = 1; i < 100; ++i) hints += ",192.0.2." + std::to_string(i);
    answered.add("x.example", wire::RrType::HTTPS, hints.c_str());
    const wire::MessageView view = answered.view();
    run.runtime->on_answer(run.facts, view, run.verdict);
    EXPECT_EQ(run.stats.over_instructions.get(), 1U);
}

TEST(Answer, SaysWhereItIsFrom)
{
    Running run{"on.answer(function(q, a) return q:refuse(a.source) end)"};
    Answered answered;
    const wire::MessageView view = answered.view();
    for (const char* const source : {"zone", "cache", "stale", "upstream", "gateway"}) {
        run.facts.source = source;
        run.runtime->on_answer(run.facts, view, run.verdict);
        EXPECT_EQ(run.verdict.reason, source);
    }
}

TEST(Answer, KnowsWhatRebindingAimsAt)
{
    for (const char* const inside :
         {"127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"}) {
        Answered answered;
        answered.add("x.example", wire::RrType::A, "192.0.2.1").add("x.example", wire::RrType::A, inside);
        EXPECT_EQ(value(answered, "a:any_address_in('private')"), "true") << inside;
    }
    for (const char* const inside : {"::1", "::", "fd00::1", "fe80::1", "::ffff:10.0.0.1"}) {
        Answered answered;
        answered.add("x.example", wire::RrType::AAAA, inside);
        EXPECT_EQ(value(answered, "a:any_address_in('private')"), "true") << inside;
    }
    for (const char* const outside : {"8.8.8.8", "172.32.0.1", "100.128.0.1"}) {
        Answered answered;
        answered.add("x.example", wire::RrType::A, outside);
        EXPECT_EQ(value(answered, "a:any_address_in('private')"), "false") << outside;
    }
}

TEST(Answer, IsDecidedThroughTheQuery)
{
    Answered answered;
    answered.add("www.example.com", wire::RrType::A, "10.0.0.1");
    EXPECT_EQ(told(answered, "if a:any_address_in('private') and not q.name:under('home.arpa') then return "
                             "q:refuse('rebinding') end"),
              "rebinding");
    EXPECT_EQ(told(answered, "return q:forward('corp')"), "error");
}

TEST(Answer, HandlesEndWithTheirQuery)
{
    Running run{"local kept, records, addresses\non.answer(function(q, a)\n"
                "  if not kept then kept, records, addresses = a, a:records(), a:addresses() return end\n"
                "  local n = 0\n"
                "  for _, f in ipairs { function() return kept.rcode end, records, addresses,\n"
                "                       function() return kept:any_address_in('private') end } do\n"
                "    local good, why = pcall(f)\n"
                "    if not good and why:find('this query has ended', 1, true) then n = n + 1 end\n"
                "  end\n"
                "  return q:refuse(tostring(n))\nend)"};
    ASSERT_NE(run.runtime, nullptr) << run.error.message;
    Answered answered;
    answered.add("www.example.com", wire::RrType::A, "10.0.0.1");
    const wire::MessageView view = answered.view();
    run.runtime->on_answer(run.facts, view, run.verdict);
    run.runtime->on_answer(run.facts, view, run.verdict);
    EXPECT_EQ(run.verdict.reason, "4");
}

TEST(Answer, HooksAreTold)
{
    Running query{"on.query(function() end)"};
    EXPECT_TRUE(query.runtime->has_query_hook());
    EXPECT_FALSE(query.runtime->has_answer_hook());
    Running answer{"on.answer(function() end)"};
    EXPECT_FALSE(answer.runtime->has_query_hook());
    EXPECT_TRUE(answer.runtime->has_answer_hook());
}

} // namespace
} // namespace sallyport::lua
