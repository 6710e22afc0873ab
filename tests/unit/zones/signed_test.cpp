#include "served.hpp"

#include "wire/message_view.hpp"
#include "wire/rdata.hpp"
#include "zones/nsec3.hpp"

#include <gtest/gtest.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

namespace sallyport::zones {
namespace {

using test::Served;
using wire::Name;
using wire::RrType;

/// The hash of a name as ldns makes it, as a name: to check our own by.
Name ldns_hash(const Name& name, std::uint16_t iterations, std::vector<std::uint8_t> salt)
{
    ldns_rdf* rdf = ldns_dname_new_frm_data(static_cast<std::uint16_t>(name.size()), name.wire().data());
    ldns_rdf* hash = ldns_nsec3_hash_name(rdf, 1, iterations, static_cast<std::uint8_t>(salt.size()), salt.data());
    const auto out = Name::from_wire({ldns_rdf_data(hash), ldns_rdf_size(hash)}).value();
    ldns_rdf_deep_free(rdf);
    ldns_rdf_deep_free(hash);
    return out;
}

/// What a validator reads out of the NSEC or NSEC3 records of a response.
struct Denials {
    struct Span {
        Name owner;
        Name next;
        std::string text; ///< RDATA in presentation format, the types at its end
    };
    std::vector<Span> spans;
    bool hashed = false;
    std::uint16_t iterations = 0;
    std::vector<std::uint8_t> salt;

    void take(base::Bytes message, const wire::RecordView& record)
    {
        if (record.type != RrType::NSEC && record.type != RrType::NSEC3) return;
        std::vector<std::uint8_t> rdata;
        ASSERT_TRUE(wire::decompress_rdata(message, record.rdata_offset,
                                           static_cast<std::uint16_t>(record.rdata.size()), record.type, rdata));
        Span span{record.owner.to_name(), {}, wire::rdata_to_text(record.type, rdata)};
        std::istringstream words{span.text};
        std::string next;
        if (record.type == RrType::NSEC3) {
            hashed = true;
            const auto parameters = read_nsec3_parameters(rdata).value();
            iterations = parameters.iterations;
            salt.assign(parameters.salt.begin(), parameters.salt.begin() + parameters.salt_size);
            for (int i = 0; i < 4; ++i) words >> next;
            words >> next;
            span.next = Name::from_text(next + ".signed.test.").value();
        } else {
            words >> next;
            span.next = Name::from_text(next).value();
        }
        spans.push_back(span);
    }

    [[nodiscard]] Name place(const Name& name) const
    {
        if (!hashed) return name;
        const auto hash = ldns_hash(name.lower(), iterations, salt);
        const auto zone = Name::from_text("signed.test.").value();
        return zone.prepend(hash.wire().subspan(1, hash.wire()[0])).value();
    }
    [[nodiscard]] const Span* match(const Name& name) const
    {
        const Name at = place(name);
        const auto found = std::find_if(spans.begin(), spans.end(), [&at](const Span& s) { return s.owner == at; });
        return found == spans.end() ? nullptr : &*found;
    }
    [[nodiscard]] bool covers(const Name& name) const
    {
        const Name at = place(name);
        return std::any_of(spans.begin(), spans.end(), [&at](const Span& s) {
            return s.owner < s.next ? s.owner < at && at < s.next : s.owner < at || at < s.next;
        });
    }
};

/// `cover NAME`, `match NAME`, `lacks NAME TYPE` (matches, and the type is not in the bitmap).
void check_fact(const Denials& denials, const std::string& fact, const std::string& where)
{
    std::istringstream words{fact};
    std::string verb;
    std::string name_text;
    std::string type;
    words >> verb >> name_text >> type;
    const Name name = Name::from_text(name_text).value();
    if (verb == "cover") {
        EXPECT_TRUE(denials.covers(name)) << where << ": " << fact;
        return;
    }
    const auto* span = denials.match(name);
    ASSERT_NE(span, nullptr) << where << ": " << fact;
    if (verb == "lacks") {
        std::istringstream types{span->text};
        const std::set<std::string> all{std::istream_iterator<std::string>{types}, {}};
        EXPECT_FALSE(all.contains(type)) << where << ": " << fact;
    }
}

struct Case {
    std::string question;
    std::string first_line;
    std::vector<std::string> nsec;
    std::vector<std::string> nsec3;
    std::optional<std::vector<std::string>> optout = std::nullopt; ///< as `nsec3` where it says nothing
};

const std::vector<Case>& cases()
{
    static const std::vector<Case> kCases{
        {"www.signed.test A", "NOERROR AA", {}, {}},
        {"alias.signed.test A", "NOERROR AA", {}, {}},
        {"x.old.signed.test A", "NOERROR AA", {}, {}},
        {"nope.signed.test A",
         "NXDOMAIN AA",
         {"cover nope.signed.test", "cover *.signed.test"},
         {"match signed.test", "cover nope.signed.test", "cover *.signed.test"}},
        {"a.b.nope.signed.test A",
         "NXDOMAIN AA",
         {"cover a.b.nope.signed.test", "cover *.signed.test"},
         {"match signed.test", "cover nope.signed.test", "cover *.signed.test"}},
        {"x.www.signed.test A",
         "NXDOMAIN AA",
         {"cover x.www.signed.test", "cover *.www.signed.test"},
         {"match www.signed.test", "cover x.www.signed.test", "cover *.www.signed.test"}},
        {"0.signed.test A",
         "NXDOMAIN AA",
         {"cover 0.signed.test", "cover *.signed.test"},
         {"match signed.test", "cover 0.signed.test", "cover *.signed.test"}},
        {"zzz.signed.test A",
         "NXDOMAIN AA",
         {"cover zzz.signed.test", "cover *.signed.test"},
         {"match signed.test", "cover zzz.signed.test", "cover *.signed.test"}},
        {"www.signed.test TXT", "NOERROR AA", {"lacks www.signed.test TXT"}, {"lacks www.signed.test TXT"}},
        {"signed.test TXT", "NOERROR AA", {"lacks signed.test TXT"}, {"lacks signed.test TXT"}},
        {"alias.signed.test MX", "NOERROR AA", {"lacks www.signed.test MX"}, {"lacks www.signed.test MX"}},
        {"b.ent.signed.test A", "NOERROR AA", {"cover b.ent.signed.test"}, {"lacks b.ent.signed.test A"}},
        {"ent.signed.test A", "NOERROR AA", {"cover ent.signed.test"}, {"lacks ent.signed.test A"}},
        {"foo.wild.signed.test A", "NOERROR AA", {"cover foo.wild.signed.test"}, {"cover foo.wild.signed.test"}},
        {"a.b.wild.signed.test A", "NOERROR AA", {"cover a.b.wild.signed.test"}, {"cover b.wild.signed.test"}},
        {"foo.walias.signed.test A", "NOERROR AA", {"cover foo.walias.signed.test"}, {"cover foo.walias.signed.test"}},
        {"foo.walias.signed.test MX",
         "NOERROR AA",
         {"cover foo.walias.signed.test", "lacks www.signed.test MX"},
         {"cover foo.walias.signed.test", "lacks www.signed.test MX"}},
        {"foo.wild.signed.test MX",
         "NOERROR AA",
         {"cover foo.wild.signed.test", "lacks *.wild.signed.test MX"},
         {"match wild.signed.test", "cover foo.wild.signed.test", "lacks *.wild.signed.test MX"}},
        {"z.y.wild.signed.test A",
         "NXDOMAIN AA",
         {"cover z.y.wild.signed.test", "cover *.y.wild.signed.test"},
         {"match y.wild.signed.test", "cover z.y.wild.signed.test", "cover *.y.wild.signed.test"}},
        {"y.old.signed.test A",
         "NXDOMAIN AA",
         {"cover y.new.signed.test", "cover *.new.signed.test"},
         {"match new.signed.test", "cover y.new.signed.test", "cover *.new.signed.test"}},
        {"x.secure.signed.test A", "NOERROR", {}, {}},
        {"secure.signed.test DS", "NOERROR AA", {}, {}},
        {"x.insecure.signed.test A",
         "NOERROR",
         {"lacks insecure.signed.test DS"},
         {"lacks insecure.signed.test DS"},
         {{"match signed.test", "cover insecure.signed.test"}}},
        {"insecure.signed.test DS",
         "NOERROR AA",
         {"lacks insecure.signed.test DS"},
         {"lacks insecure.signed.test DS"},
         {{"match signed.test", "cover insecure.signed.test"}}},
        // With opt-out the names between an insecure delegation and the apex have no NSEC3: the closest provable
        // encloser is the apex (RFC 5155 §7.2.4).
        {"deep.below.opt.signed.test A",
         "NOERROR",
         {"lacks deep.below.opt.signed.test DS"},
         {"lacks deep.below.opt.signed.test DS"},
         {{"match signed.test", "cover opt.signed.test"}}},
        {"below.opt.signed.test A",
         "NOERROR AA",
         {"cover below.opt.signed.test"},
         {"lacks below.opt.signed.test A"},
         {{"match signed.test", "cover opt.signed.test"}}},
        {"foo.below.opt.signed.test A",
         "NXDOMAIN AA",
         {"cover foo.below.opt.signed.test", "cover *.below.opt.signed.test"},
         {"match below.opt.signed.test", "cover foo.below.opt.signed.test", "cover *.below.opt.signed.test"},
         {{"match signed.test", "cover opt.signed.test", "cover *.signed.test"}}},
    };
    return kCases;
}

/// Every set but NS of a referral, glue, and a CNAME made from DNAME comes with its signature.
void check_signatures(const std::string& text, const std::string& where)
{
    std::istringstream lines{text};
    std::set<std::string> sets;
    std::set<std::string> signed_sets;
    std::string line;
    std::getline(lines, line);
    const bool referral = line == "NOERROR";
    bool dname = false;
    while (std::getline(lines, line)) {
        std::istringstream words{line};
        std::string section;
        std::string owner;
        std::string ttl;
        std::string type;
        std::string first;
        words >> section >> owner >> ttl >> type >> first;
        dname = dname || type == "DNAME";
        if (type == "RRSIG") signed_sets.insert(owner + first);
        if (type == "RRSIG" || (referral && (type == "NS" || section == "AD")) || (dname && type == "CNAME")) continue;
        sets.insert(owner + type);
    }
    EXPECT_EQ(sets, signed_sets) << where;
}

void check_zone(const std::string& file, const std::function<const std::vector<std::string>&(const Case&)>& facts_of)
{
    Served served;
    served.data_file("signed.test", file);
    for (const Case& one : cases()) {
        const auto blank = one.question.find(' ');
        const auto name = Name::from_text(one.question.substr(0, blank)).value();
        const auto type = wire::parse_rr_type(one.question.substr(blank + 1)).value();
        std::vector<std::uint8_t> buffer(65535);
        wire::MessageWriter writer{buffer, buffer.size()};
        writer.begin(0, wire::flag::QR);
        ASSERT_TRUE(writer.question(name, type, wire::RrClass::IN));
        (void)answer(*served.snapshot(), {&name, type, true, false}, served.options.limits, writer, served.stats);
        const auto message = wire::MessageView::parse(writer.message()).value();
        Denials denials;
        for (const auto& record : message.authorities()) denials.take(message.bytes(), record);

        const std::string where = file + ": " + one.question;
        const auto text = served.ask(one.question, {.dnssec_ok = true});
        EXPECT_EQ(text.substr(0, text.find('\n')), one.first_line) << where;
        const auto& facts = facts_of(one);
        for (const auto& fact : facts) check_fact(denials, fact, where);
        EXPECT_LE(denials.spans.size(), facts.size()) << where << ": more than is needed\n" << text;
        check_signatures(text, where);
        // Without DO nothing of it is there, and the answer is else the same.
        const auto plain = served.ask(one.question);
        EXPECT_EQ(plain.find("RRSIG"), std::string::npos) << where;
        EXPECT_EQ(plain.find("NSEC"), std::string::npos) << where;
        EXPECT_EQ(plain.substr(0, plain.find('\n')), one.first_line) << where;
    }
}

TEST(SignedZone, ProvesWithNsec)
{
    check_zone("nsec.zone", [](const Case& one) -> const auto& { return one.nsec; });
}

TEST(SignedZone, ProvesWithNsec3)
{
    check_zone("nsec3.zone", [](const Case& one) -> const auto& { return one.nsec3; });
}

TEST(SignedZone, ProvesWithNsec3AndOptOut)
{
    check_zone("optout.zone", [](const Case& one) -> const auto& { return one.optout ? *one.optout : one.nsec3; });
}

TEST(SignedZone, AnswersForTheDenialTypesThemselves)
{
    Served served;
    served.data_file("signed.test", "nsec.zone");
    EXPECT_TRUE(served.ask("www.signed.test NSEC").starts_with("NOERROR AA\nAN www.signed.test. 300 NSEC "));
    EXPECT_EQ(served.ask("mail.signed.test RRSIG"),
              "NOERROR AA\nAN mail.signed.test. 3600 RRSIG A\nAN mail.signed.test. 300 RRSIG NSEC\n");
    EXPECT_EQ(served.ask("mail.signed.test RRSIG", {.over_udp = true}),
              "NOERROR AA\nAN mail.signed.test. 3600 RRSIG A\n");
    EXPECT_TRUE(served.ask("ent.signed.test NSEC").starts_with("NOERROR AA\nAU signed.test. 300 SOA"));
}

TEST(SignedZone, HidesTheNamesOfNsec3)
{
    Served served;
    served.data_file("signed.test", "nsec3.zone");
    const auto hash = ldns_hash(Name::from_text("signed.test").value(), 5, {0xab, 0xcd}).to_text();
    // RFC 5155 §7.2.8: the owner of an NSEC3 is no name of the zone.
    for (const auto* type : {"NSEC3", "A", "RRSIG"}) {
        EXPECT_TRUE(served.ask(hash + "signed.test. " + type).starts_with("NXDOMAIN AA\n")) << type;
    }
    EXPECT_TRUE(served.ask("signed.test NSEC3PARAM").starts_with("NOERROR AA\nAN signed.test. 0 NSEC3PARAM 1 0 5 ABCD"))
        << served.ask("signed.test NSEC3PARAM");
}

TEST(SignedZone, SetsTcWhereAProofDoesNotFit)
{
    Served served;
    served.data_file("signed.test", "nsec3.zone");
    const auto whole = served.ask("nope.signed.test A", {.dnssec_ok = true});
    const auto size = served.last_size;
    EXPECT_EQ(served.ask("nope.signed.test A", {.dnssec_ok = true, .limit = size}), whole);
    EXPECT_EQ(served.ask("nope.signed.test A", {.dnssec_ok = true, .limit = size - 1}), "NXDOMAIN AA TC\n");
    EXPECT_EQ(served.ask("x.secure.signed.test A", {.dnssec_ok = true, .limit = 100}), "NOERROR TC\n");
    EXPECT_EQ(served.ask("www.signed.test A", {.dnssec_ok = true, .limit = 100}), "NOERROR AA TC\n");
}

TEST(SignedZone, RefusesTooManyIterations)
{
    const std::string zone = test::apex_soa() + "@ 60 NS ns\n@ 60 NSEC3PARAM 1 0 51 -\n";
    EXPECT_EQ(test::problems_of(zone), "3:1: a.test. NSEC3PARAM asks for 51 iterations, expected at most 50\n");
    Limits limits;
    limits.nsec3_iterations = 51;
    EXPECT_EQ(test::problems_of(zone, "a.test", limits), "");
}

TEST(Nsec3, HashesAsTheRfcShows)
{
    // RFC 5155 appendix A: salt aabbccdd, 12 iterations.
    Nsec3Parameters parameters;
    parameters.iterations = 12;
    parameters.salt_size = 4;
    parameters.salt = {0xaa, 0xbb, 0xcc, 0xdd};
    for (const auto& [name, label] : {std::pair{"example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
                                      std::pair{"a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"},
                                      std::pair{"*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"}}) {
        EXPECT_EQ(nsec3_hash(parameters, Name::from_text(name).value().wire()), nsec3_label(base::as_bytes(label)))
            << name;
    }
    EXPECT_FALSE(nsec3_label(base::as_bytes("0p9mhaveqvm6t7vbl5lop2u3t2rp3to")));
    EXPECT_FALSE(nsec3_label(base::as_bytes("0p9mhaveqvm6t7vbl5lop2u3t2rp3tow")));
}

} // namespace
} // namespace sallyport::zones
