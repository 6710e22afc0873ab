#include "wire/summary.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

using test::Octets;
using test::Raw;

MessageView parsed(const Raw& raw) { return MessageView::parse(raw.octets).value(); }

Raw answer()
{
    const Octets options = test::from_hex("000f 0009 000f 626c6f1b636b65 000a 0008 0102030405060708 000c 0003 000000"
                                          "000b 0002 0064 0008 0007 0001 18 00 c00002 0003 0002 6761 fde9 0001 ff");
    Raw raw;
    raw.u16(7).u16(flag::QR | flag::RD | flag::RA | 3).u16(1).u16(1).u16(1).u16(1);
    raw.question("ga\\027te.test", RrType::TXT);
    raw.pointer(12).fields(RrType::TXT, test::from_hex("05 61221b5c62"), 60);
    raw.pointer(12).fields(RrType::A, test::from_hex("c00002"));
    return raw.opt(options, 0x8000);
}

TEST(Summary, PrintsAsDigDoes)
{
    const Raw raw = answer();
    EXPECT_EQ(to_dig_text(parsed(raw)), R"(;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 7
;; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
; EDE: 15 (Blocked): "blo\027cke"
; COOKIE: 0102030405060708
; PADDING: 3 octets
; TCP-KEEPALIVE: 10.0 s
; CLIENT-SUBNET: 192.0.2.0/24/0
; NSID: 6761 "ga"
; OPT65001: FF

;; QUESTION SECTION:
;ga\027te.test.		IN	TXT

;; ANSWER SECTION:
ga\027te.test.	60	IN	TXT	"a\"\027\\b"

;; AUTHORITY SECTION:
ga\027te.test.	300	IN	A	\# 3 C00002
)");
}

TEST(Summary, WritesJson)
{
    Raw raw;
    raw.u16(7).u16(flag::QR | flag::AA).u16(1).u16(1).u16(0).u16(0).question("a.test");
    raw.pointer(12).fields(RrType::TXT, test::from_hex("03 61225c"), 60);
    EXPECT_EQ(
        to_json(parsed(raw)),
        R"({"ID":7,"Opcode":0,"Status":0,"StatusName":"NOERROR","QR":true,"AA":true,"TC":false,"RD":false,)"
        R"("RA":false,"AD":false,"CD":false,"Question":[{"name":"a.test.","type":1,"typeName":"A","class":"IN"}],)"
        R"("Answer":[{"name":"a.test.","type":16,"typeName":"TXT","class":"IN","TTL":60,"data":"\"a\\\"\\\\\""}],)"
        R"("Authority":[],"Additional":[]})");
}

TEST(Summary, JsonOfEdnsNamesItsOptions)
{
    const Raw raw = answer();
    const std::string json = to_json(parsed(raw));
    EXPECT_NE(json.find(R"("EDNS":{"version":0,"udp":1232,"DO":true,"options":[{"code":15,"name":"EDE",)"
                        R"("data":"15 (Blocked): \"blo\\027cke\""},)"),
              std::string::npos)
        << json;
}

TEST(Summary, LetsNoControlCharacterThrough)
{
    Raw raw;
    raw.header(1, 1).u8(4).u8(0x1B).u8('[').u8(0x9B).u8(0x7F).u8(0).u16(0xFF00).u16(0xFF00);
    raw.pointer(12).fields(static_cast<RrType>(0xFF01), test::from_hex("1b5b"));
    for (const std::string& text : {to_dig_text(parsed(raw)), to_json(parsed(raw))}) {
        for (const char c : text) EXPECT_TRUE((c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t');
    }
}

TEST(Summary, PrintsMessagesWithoutQuestionOrWithMany)
{
    EXPECT_EQ(to_dig_text(parsed(Raw{}.header(0))).find("QUESTION SECTION"), std::string::npos);
    const Raw two = Raw{}.header(2).question("a.test").pointer(12).u16(28).u16(1);
    EXPECT_NE(to_dig_text(parsed(two)).find(";a.test.\t\tIN\tAAAA\n"), std::string::npos);
}

} // namespace
} // namespace sallyport::wire
