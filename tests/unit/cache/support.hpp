#pragma once

#include "cache/cache.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of this module share: responses as upstreams send them, and clients who look at what comes back.
namespace sallyport::cache::testing {

using Octets = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

inline const base::Instant kStart{std::chrono::hours{1}};

/// Room for the largest message, its octets as they come: to fill it with zeros takes longer than most tests.
class Room {
public:
    static constexpr std::size_t kSize = 65'535;
    Room() : octets_(new std::uint8_t[kSize]) {}
    [[nodiscard]] base::MutableBytes bytes() const { return {octets_.get(), kSize}; }

private:
    std::unique_ptr<std::uint8_t[]> octets_;
};

inline wire::Name name(std::string_view text) { return wire::Name::from_text(text).value(); }

inline Octets rdata(wire::RrType type, std::string_view text)
{
    static const wire::Name root;
    const auto octets = wire::rdata_from_text(type, text, root);
    EXPECT_TRUE(octets) << text;
    return octets ? *octets : Octets{};
}

inline Key key_of(const wire::Name& qname, wire::RrType qtype = wire::RrType::A)
{
    Key key;
    key.qname = &qname;
    key.qtype = qtype;
    return key;
}

/// Writes a response of an upstream.
class Response {
public:
    explicit Response(std::string_view qname, wire::RrType qtype = wire::RrType::A,
                      std::uint16_t flags = wire::flag::RA, wire::Rcode rcode = wire::Rcode::NOERROR)
        : writer_(room_.bytes(), Room::kSize)
    {
        writer_.begin(0x4321, static_cast<std::uint16_t>(wire::flag::QR | wire::flag::RD | flags));
        writer_.set_rcode(rcode);
        EXPECT_TRUE(writer_.question(name(qname), qtype, wire::RrClass::IN));
    }
    Response& put(wire::Section section, std::string_view owner, wire::RrType type, std::uint32_t ttl,
                  std::string_view text, wire::RrClass rr_class = wire::RrClass::IN)
    {
        EXPECT_TRUE(writer_.record(section, name(owner), type, rr_class, wire::Ttl{ttl}, rdata(type, text)));
        return *this;
    }
    Response& answer(std::string_view owner, wire::RrType type, std::uint32_t ttl, std::string_view text)
    {
        return put(wire::Section::answer, owner, type, ttl, text);
    }
    Response& authority(std::string_view owner, wire::RrType type, std::uint32_t ttl, std::string_view text)
    {
        return put(wire::Section::authority, owner, type, ttl, text);
    }
    Response& additional(std::string_view owner, wire::RrType type, std::uint32_t ttl, std::string_view text)
    {
        return put(wire::Section::additional, owner, type, ttl, text);
    }
    Response& opt()
    {
        EXPECT_TRUE(writer_.begin_opt(1232, true));
        EXPECT_TRUE(writer_.extended_error(wire::ExtendedError::other, "of the upstream"));
        writer_.end_opt();
        return *this;
    }
    [[nodiscard]] wire::MessageWriter& writer() { return writer_; }
    [[nodiscard]] wire::MessageView view() { return wire::MessageView::parse(writer_.message()).value(); }

private:
    Room room_;
    wire::MessageWriter writer_;
};

/// A prepared response with the room it lies in.
struct Ready {
    Room room;
    std::optional<Prepared> prepared{};
    explicit operator bool() const { return prepared.has_value(); }
    Prepared& operator*() { return *prepared; }
    Prepared* operator->() { return &*prepared; }
    [[nodiscard]] wire::MessageView view() const { return wire::MessageView::parse(prepared->message).value(); }
};

inline Ready ready(const wire::MessageView& response, const Key& key, const Options& options = {})
{
    Ready out;
    out.prepared = prepare(response, key, options, out.room.bytes());
    return out;
}

/// What a client gets.
struct Reply {
    Found found;
    Octets message;
    std::uint32_t smallest_ttl = 0;
    [[nodiscard]] wire::MessageView view() const { return wire::MessageView::parse(message).value(); }
    [[nodiscard]] bool has(std::uint16_t flag) const { return view().header().has(flag); }
    [[nodiscard]] std::vector<std::string> lines() const
    {
        std::vector<std::string> out;
        for (const wire::RecordView& record : view().records()) {
            Octets plain;
            EXPECT_TRUE(wire::decompress_rdata(view().bytes(), record.rdata_offset,
                                               static_cast<std::uint16_t>(record.rdata.size()), record.type, plain));
            out.push_back(record.owner.to_name().to_text() + ' ' + std::to_string(record.ttl.seconds()) + ' ' +
                          wire::to_string(record.type) + ' ' + wire::rdata_to_text(record.type, plain));
        }
        return out;
    }
};

/// A response begun for a client who spells the name his way.
inline Octets question_of(const wire::Name& spelled, wire::RrType qtype)
{
    Octets question{spelled.wire().begin(), spelled.wire().end()};
    const auto type = static_cast<std::uint16_t>(qtype);
    question.insert(question.end(), {static_cast<std::uint8_t>(type >> 8U), static_cast<std::uint8_t>(type), 0, 1});
    return question;
}

struct Client {
    std::size_t limit = 65'535;
    Stale stale = Stale::no;

    Reply ask(Cache& cache, std::string_view spelled, base::Instant now, wire::RrType qtype = wire::RrType::A) const
    {
        const wire::Name lower = name(spelled).lower();
        return ask(cache, name(spelled), key_of(lower, qtype), now);
    }
    Reply ask(Cache& cache, const wire::Name& spelled, const Key& key, base::Instant now) const
    {
        Reply reply;
        const Octets question = question_of(spelled, key.qtype);
        const Room room;
        wire::MessageWriter writer{room.bytes(), limit};
        EXPECT_TRUE(writer.begin_response(0x1234, wire::flag::RD, question, 1));
        reply.found = cache.find(key, now, writer, stale);
        reply.smallest_ttl = writer.smallest_ttl(wire::Ttl{UINT32_MAX}).seconds();
        reply.message.assign(writer.message().begin(), writer.message().end());
        return reply;
    }
};

/// Prepares and keeps a response; false where either will not.
inline bool keep(Cache& cache, Response& response, base::Instant now, const Notes& notes = {},
                 const Options& options = {})
{
    const wire::Name qname = response.view().qname().to_name().lower();
    const Key key = key_of(qname, response.view().qtype());
    const Ready made = ready(response.view(), key, options);
    return made && cache.store(key, *made.prepared, notes, now);
}

/// One address under `qname`.
inline bool keep_address(Cache& cache, std::string_view qname, base::Instant now, std::uint32_t ttl = 300,
                         std::string_view address = "192.0.2.1")
{
    Response response{qname};
    response.answer(qname, wire::RrType::A, ttl, address);
    return keep(cache, response, now);
}

inline std::map<std::string, std::uint64_t> counters(const Cache& cache)
{
    std::map<std::string, std::uint64_t> out;
    cache.each_counter([&](const char* counter, const char*, std::uint64_t value) { out[counter] = value; });
    return out;
}

inline Options small_options()
{
    Options options;
    options.bytes = 1U << 20U;
    options.shards = 1;
    return options;
}

} // namespace sallyport::cache::testing
