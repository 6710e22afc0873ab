// bench: links sallyport_wire
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"

#include <benchmark/benchmark.h>

#include <array>

using namespace sallyport;
using namespace sallyport::wire;

namespace {

struct Message {
    std::array<std::uint8_t, 1024> octets;
    std::size_t size = 0;
    [[nodiscard]] base::Bytes bytes() const { return {octets.data(), size}; }
};

Name name(std::string_view text) { return *Name::from_text(text); }

void put_question(MessageWriter& writer)
{
    writer.begin(0x1234, flag::RD);
    static_cast<void>(writer.question(name("www.gate.test"), RrType::AAAA, RrClass::IN));
}

Message make_query_without_edns()
{
    Message message;
    MessageWriter writer{message.octets, message.octets.size()};
    put_question(writer);
    message.size = writer.message().size();
    return message;
}

/// With OPT and a client cookie: what browsers and resolvers ask.
Message make_query()
{
    Message message;
    MessageWriter writer{message.octets, message.octets.size()};
    constexpr std::uint8_t kCookie[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    put_question(writer);
    static_cast<void>(writer.begin_opt(1232, true));
    static_cast<void>(writer.option(EdnsOptionCode::COOKIE, kCookie));
    writer.end_opt();
    message.size = writer.message().size();
    return message;
}

/// Three aliases and addresses, two name servers, one address of theirs, OPT: seven records.
bool write_answer(MessageWriter& writer, base::Bytes question)
{
    static const Name qname = name("www.gate.test");
    static const Name target = name("web.cdn.example.net");
    static const Name zone = name("cdn.example.net");
    static const Name first_server = name("ns1.cdn.example.net");
    static const Name second_server = name("ns2.cdn.example.net");
    constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
    return writer.begin_response(0x1234, flag::RD, question, 1) &&
           writer.record(Section::answer, qname, RrType::CNAME, RrClass::IN, Ttl{300}, target.wire()) &&
           writer.record(Section::answer, target, RrType::A, RrClass::IN, Ttl{60}, kAddress) &&
           writer.record(Section::answer, target, RrType::A, RrClass::IN, Ttl{60}, kAddress) &&
           writer.record(Section::authority, zone, RrType::NS, RrClass::IN, Ttl{60}, first_server.wire()) &&
           writer.record(Section::authority, zone, RrType::NS, RrClass::IN, Ttl{60}, second_server.wire()) &&
           writer.record(Section::additional, first_server, RrType::A, RrClass::IN, Ttl{60}, kAddress) &&
           writer.begin_opt(1232, true);
}

void parse(benchmark::State& state, const Message& message)
{
    for (auto _ : state) {
        auto view = MessageView::parse(message.bytes());
        benchmark::DoNotOptimize(view);
    }
}

void parse_query_without_edns(benchmark::State& state) { parse(state, make_query_without_edns()); }
BENCHMARK(parse_query_without_edns);

void parse_query_with_opt_and_cookie(benchmark::State& state) { parse(state, make_query()); }
BENCHMARK(parse_query_with_opt_and_cookie);

void parse_response_of_7_records(benchmark::State& state)
{
    const Message query = make_query();
    Message response;
    MessageWriter writer{response.octets, response.octets.size()};
    if (!write_answer(writer, MessageView::parse(query.bytes())->question_bytes()))
        return state.SkipWithError("too long");
    writer.end_opt();
    response.size = writer.message().size();
    parse(state, response);
}
BENCHMARK(parse_response_of_7_records);

void write_response_of_7_records(benchmark::State& state)
{
    const Message query = make_query();
    const auto view = MessageView::parse(query.bytes());
    Message response;
    MessageWriter writer{response.octets, response.octets.size()};
    for (auto _ : state) {
        benchmark::DoNotOptimize(write_answer(writer, view->question_bytes()));
        writer.end_opt();
        benchmark::DoNotOptimize(writer.message().data());
    }
}
BENCHMARK(write_response_of_7_records);

void write_padded_response_of_1_address(benchmark::State& state)
{
    const Message query = make_query();
    const auto view = MessageView::parse(query.bytes());
    const Name qname = view->qname().to_name().lower();
    constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
    Message response;
    MessageWriter writer{response.octets, response.octets.size()};
    for (auto _ : state) {
        bool good = writer.begin_response(1, flag::RD, view->question_bytes(), 1) &&
                    writer.record(Section::answer, qname, RrType::A, RrClass::IN, Ttl{300}, kAddress) &&
                    writer.begin_opt(1232, true);
        benchmark::DoNotOptimize(good);
        writer.pad_to(468); // RFC 8467 §4.1
        writer.end_opt();
        benchmark::DoNotOptimize(writer.message().data());
    }
}
BENCHMARK(write_padded_response_of_1_address);

void lower_and_hash_a_name(benchmark::State& state)
{
    const Message query = make_query();
    const auto view = MessageView::parse(query.bytes());
    for (auto _ : state) {
        Name qname = view->qname().to_name();
        qname.make_lower();
        benchmark::DoNotOptimize(hash_lower(qname.wire()));
    }
}
BENCHMARK(lower_and_hash_a_name);

void read_an_address_from_text(benchmark::State& state)
{
    const Name origin = name("gate.test");
    for (auto _ : state) benchmark::DoNotOptimize(rdata_from_text(RrType::A, "192.0.2.17", origin));
}
BENCHMARK(read_an_address_from_text);

} // namespace
