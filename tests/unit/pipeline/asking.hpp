#pragma once

#include "pipeline/pipeline.hpp"
#include "resolver/waiter.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"

#include <boost/intrusive/list.hpp>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// What the tests of the pipeline share: a door that remembers, and queries as clients write them.
namespace sallyport::pipeline::testing {

using Octets = std::vector<std::uint8_t>;

struct QueryOptions {
    wire::RrType qtype = wire::RrType::A;
    wire::RrClass qclass = wire::RrClass::IN;
    std::uint16_t id = 0x1234;
    std::uint16_t flags = wire::flag::RD;
    bool edns = false;
    std::uint16_t udp_size = 1232;
    bool dnssec_ok = false;
    std::uint8_t version = 0;
    std::vector<std::pair<wire::EdnsOptionCode, Octets>> options{};
};

inline Octets query_for(const std::string& qname, const QueryOptions& options = {})
{
    Octets buffer(2048);
    wire::MessageWriter writer{buffer, buffer.size()};
    writer.begin(options.id, options.flags);
    EXPECT_TRUE(writer.question(*wire::Name::from_text(qname), options.qtype, options.qclass));
    if (options.edns) {
        EXPECT_TRUE(writer.begin_opt(options.udp_size, options.dnssec_ok, options.version));
        for (const auto& [code, data] : options.options) EXPECT_TRUE(writer.option(code, data));
        writer.end_opt();
    }
    const auto message = writer.message();
    return {message.begin(), message.end()};
}

/// `owner rdata`, as a zone file has it.
inline std::string text_of(const wire::RecordView& record, base::Bytes message)
{
    std::vector<std::uint8_t> rdata;
    EXPECT_TRUE(wire::decompress_rdata(message, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                       record.type, rdata));
    return record.owner.to_name().to_text() + " " + wire::rdata_to_text(record.type, rdata);
}

/// Whoever waits for a resolver until it is told; who gives up leaves by himself.
class Waiters {
public:
    void add(resolver::Waiter& waiter) { list_.push_back(waiter); }
    [[nodiscard]] bool empty() const { return list_.empty(); }
    void tell(const resolver::Outcome& outcome, base::Instant now)
    {
        while (!list_.empty()) {
            resolver::Waiter& waiter = list_.front();
            list_.pop_front();
            waiter.resolved(outcome, now);
        }
    }

private:
    boost::intrusive::list<
        resolver::Waiter,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<
            boost::intrusive::tag<resolver::Waiter>, boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
        boost::intrusive::constant_time_size<false>>
        list_;
};

/// Remembers what it is given.
class Door final : public ReplySink {
public:
    void reply(const Reply& given) noexcept override
    {
        message.assign(given.message.begin(), given.message.end());
        ttl = given.smallest_ttl;
        tags.push_back(given.tag);
        ++replies;
        framed_matches = given.framed().size() == message.size() + 2 &&
                         given.framed().data() + 2 == given.message.data() &&
                         base::load_be16(given.framed(), 0) == message.size();
    }
    void dropped(std::uint64_t tag) noexcept override
    {
        tags.push_back(tag);
        ++drops;
    }

    [[nodiscard]] wire::MessageView answer() const
    {
        const auto parsed = wire::MessageView::parse(message);
        EXPECT_TRUE(parsed) << "the answer does not parse";
        return *parsed;
    }

    Octets message;
    wire::Ttl ttl;
    std::vector<std::uint64_t> tags;
    int replies = 0;
    int drops = 0;
    bool framed_matches = false;
};

/// A pipeline with one door.
struct Gate {
    explicit Gate(const Options& options = {}) : pipeline(options, clock, random)
    {
        client.peer = *base::Endpoint::parse("192.168.1.9:4000");
        client.local = *base::Endpoint::parse("192.168.1.1:53");
    }
    ~Gate() { pipeline.abandon(waiting); }

    Intake ask(const Octets& message, std::uint64_t tag = 7)
    {
        return pipeline.receive({message, client, door, tag, waiting, clock.now()});
    }

    void serve(const std::string& apex, std::vector<std::string> records)
    {
        zones::Options options;
        zones::ZoneOptions zone;
        zone.name = apex;
        zone.records = std::move(records);
        options.zones.push_back(std::move(zone));
        base::Problems problems;
        auto snapshot = zones::load(options, problems);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        pipeline.set_zones(std::move(snapshot), options.limits);
    }

    base::ManualClock clock;
    base::SystemRandom random;
    Pipeline pipeline;
    Client client;
    Door door;
    QueryList waiting;
};

/// The data of an EDNS option in an answer.
inline std::optional<Octets> option_of(const wire::MessageView& message, wire::EdnsOptionCode code)
{
    if (message.edns() == nullptr) return std::nullopt;
    auto rest = message.edns()->options;
    while (rest.size() >= 4) {
        const auto size = base::load_be16(rest, 2);
        if (base::load_be16(rest, 0) == static_cast<std::uint16_t>(code)) {
            const auto data = rest.subspan(4, size);
            return Octets{data.begin(), data.end()};
        }
        rest = rest.subspan(4U + size);
    }
    return std::nullopt;
}

} // namespace sallyport::pipeline::testing
