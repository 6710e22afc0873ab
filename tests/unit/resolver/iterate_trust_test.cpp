#include "dnssec/dnssec.hpp"
#include "resolver/iterate/denials.hpp"
#include "tests/unit/resolver/iterate_world.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

cache::RrsetPtr nsec3(const std::string& parameters)
{
    auto set = std::make_shared<cache::Rrset>();
    set->owner = name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    set->type = RrType::NSEC3;
    set->records.add(
        *wire::rdata_from_text(RrType::NSEC3, parameters + " 2t7b4g4vsa5smi47k61mv5bv1a22bojr A", wire::Name{}));
    return set;
}

TEST(IterateTrust, ASignerAboveTheAnchorDoesNotMakeDataInsecure)
{
    Options options = plain_options();
    options.dnssec = true;
    auto anchors = std::make_shared<dnssec::TrustAnchors>();
    const auto ds = wire::rdata_from_text(RrType::DS, "1 13 2 " + std::string(64, 'A'), wire::Name{});
    anchors->add_ds(name("example."), *ds);
    options.anchors = anchors;
    World world(options);
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qtype == RrType::DNSKEY || sent.qtype == RrType::DS) return no_data("example.");
        return Reply{}
            .answer("www.example.", RrType::A, "203.0.113.66")
            .answer("www.example.", RrType::RRSIG, "A 13 2 300 20400101000000 20200101000000 1 . AAAA");
    };
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
}

TEST(IterateTrust, DenialsThatAreDearToUseAreNotKept)
{
    Denials denials;
    denials.add(nsec3("1 0 51 AB"), name("example."));
    denials.add(nsec3("1 0 65535 AB"), name("example."));
    denials.add(nsec3("1 0 0 " + std::string(130, 'A')), name("example."));
    EXPECT_EQ(denials.size(), 0U);
    denials.add(nsec3("1 0 50 AB"), name("example."));
    EXPECT_EQ(denials.size(), 1U);
}

TEST(IterateTrust, DenialsThatAreLargeAreNotKept)
{
    cache::Rrset set = *nsec3("1 0 0 -");
    set.signatures.add(std::vector<std::uint8_t>(Denials::kMaxOctets));
    Denials denials;
    denials.add(std::make_shared<const cache::Rrset>(set), name("example."));
    EXPECT_EQ(denials.size(), 0U);
}

} // namespace
} // namespace sallyport::resolver::iterate::test
