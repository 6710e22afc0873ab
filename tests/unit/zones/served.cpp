#include "served.hpp"

#include "wire/message_view.hpp"
#include "wire/rdata.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/special_zones.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace sallyport::zones::test {

namespace {

[[nodiscard]] std::string record_text(base::Bytes message, const wire::RecordView& record)
{
    std::vector<std::uint8_t> rdata;
    EXPECT_TRUE(wire::decompress_rdata(message, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                       record.type, rdata));
    std::string text = record.owner.to_name().to_text() + " " + std::to_string(record.ttl.seconds()) + " " +
                       wire::to_string(record.type);
    const std::string presented = wire::rdata_to_text(record.type, rdata);
    text += " " + (record.type == wire::RrType::RRSIG ? presented.substr(0, presented.find(' ')) : presented);
    return text;
}

[[nodiscard]] std::string section_text(std::string_view label, base::Bytes message, const wire::RecordRange& records)
{
    std::string text;
    for (const wire::RecordView& record : records) {
        text += std::string{label} + " " + record_text(message, record) + "\n";
    }
    return text;
}

[[nodiscard]] std::unique_ptr<Zone> build(std::string_view apex, std::string_view text, const Limits& limits,
                                          base::Problems& problems)
{
    ZoneBuilder builder{wire::Name::from_text(apex).value(), limits, problems};
    ZoneTextReader reader{builder, limits, TextOrigin::imported};
    reader.read_text(text, {"zone", 1, 1});
    return builder.finish({});
}

} // namespace

Served& Served::zone(std::string_view apex, std::string_view text)
{
    texts_.push_back({std::string{apex}, std::string{text}, {}});
    return *this;
}

Served& Served::data_file(std::string_view apex, const std::string& file)
{
    texts_.push_back({std::string{apex}, {}, data_path(file)});
    return *this;
}

const Snapshot* Served::snapshot()
{
    if (snapshot_ != nullptr) return snapshot_.get();
    SnapshotBuilder builder;
    for (const TextZone& zone : texts_) {
        std::unique_ptr<Zone> built;
        if (zone.file.empty()) {
            built = build(zone.apex, zone.text, options.limits, problems);
        } else {
            ZoneBuilder from_file{wire::Name::from_text(zone.apex).value(), options.limits, problems};
            ZoneTextReader{from_file, options.limits, TextOrigin::operators_own}.read_file(zone.file, {});
            built = from_file.finish({});
        }
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        problems.clear();
        EXPECT_TRUE(built != nullptr && builder.add(std::move(built)));
    }
    if (local_only) {
        std::vector<wire::Name> configured;
        for (const TextZone& zone : texts_) configured.push_back(wire::Name::from_text(zone.apex).value());
        add_special_zones(builder, options, configured, problems);
    }
    snapshot_ = builder.finish();
    return snapshot_.get();
}

std::string Served::ask(std::string_view question, const Asked& asked)
{
    const auto blank = question.find(' ');
    const auto name = wire::Name::from_text(question.substr(0, blank)).value();
    const auto lower = name.lower();
    const auto type = wire::parse_rr_type(question.substr(blank + 1)).value();
    std::vector<std::uint8_t> buffer(65535);
    wire::MessageWriter writer{buffer, asked.limit};
    writer.begin(7, wire::flag::QR);
    EXPECT_TRUE(writer.question(name, type, wire::RrClass::IN));
    const Question asking{&lower, type, asked.dnssec_ok, asked.over_udp};
    const auto result = answer(*snapshot(), asking, options.limits, writer, stats);
    last_size = writer.size();
    EXPECT_LE(writer.size(), asked.limit);
    if (result.outcome == Outcome::not_ours) {
        EXPECT_EQ(writer.count(wire::Section::answer), 0);
        return "not ours\n";
    }
    const auto message = wire::MessageView::parse(writer.message());
    if (!message) return "malformed: " + std::string{wire::to_string(message.error())} + "\n";
    std::string text = wire::to_string(message->rcode());
    if (message->header().has(wire::flag::AA)) text += " AA";
    if (message->header().has(wire::flag::TC)) text += " TC";
    EXPECT_EQ(message->header().has(wire::flag::TC), result.outcome == Outcome::truncated);
    text += "\n";
    text += section_text("AN", message->bytes(), message->answers());
    text += section_text("AU", message->bytes(), message->authorities());
    text += section_text("AD", message->bytes(), message->additionals());
    if (result.outcome == Outcome::unfinished) text += "-> " + result.rest.to_text() + "\n";
    return text;
}

std::string problems_of(std::string_view text, std::string_view apex, const Limits& limits)
{
    base::Problems problems;
    const auto zone = build(apex, text, limits, problems);
    EXPECT_EQ(zone == nullptr, !problems.empty());
    std::string out;
    for (auto& problem : problems) {
        problem.position.file.clear();
        const auto& at = problem.position;
        out += std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + problem.message + "\n";
    }
    return out;
}

std::string apex_soa() { return "@ 3600 SOA ns.a.test. hostmaster.a.test. 1 2 3 4 300\n"; }

std::string apex_records() { return "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n"; }

std::string data_path(const std::string& file) { return SALLYPORT_SOURCE_DIR "/tests/unit/zones/data/" + file; }

std::string shared_path(const std::string& below)
{
    const char* set = std::getenv("SALLYPORT_SHARED");
    const std::string path =
        (set != nullptr ? std::string{set} : std::string{SALLYPORT_SOURCE_DIR "/../shared"}) + "/corpus/" + below;
    return std::filesystem::exists(path) ? path : std::string{};
}

} // namespace sallyport::zones::test
