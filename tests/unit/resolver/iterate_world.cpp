#include "tests/unit/resolver/iterate_world.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate::test {

using wire::RrType;
using wire::Section;

Reply& Reply::answer(const std::string& owner, RrType type, const std::string& rdata, std::uint32_t ttl)
{
    lines.push_back({Section::answer, owner, type, rdata, ttl});
    return *this;
}

Reply& Reply::authority(const std::string& owner, RrType type, const std::string& rdata, std::uint32_t ttl)
{
    lines.push_back({Section::authority, owner, type, rdata, ttl});
    return *this;
}

Reply& Reply::additional(const std::string& owner, RrType type, const std::string& rdata, std::uint32_t ttl)
{
    lines.push_back({Section::additional, owner, type, rdata, ttl});
    return *this;
}

Reply referral(const std::string& zone, const std::string& server, const std::string& glue, std::uint32_t ttl)
{
    Reply reply;
    reply.flags = wire::flag::QR;
    reply.authority(zone, RrType::NS, server, ttl);
    if (!glue.empty()) reply.additional(server, RrType::A, glue, ttl);
    return reply;
}

Reply name_error(const std::string& zone)
{
    Reply reply = no_data(zone);
    reply.rcode = wire::Rcode::NXDOMAIN;
    return reply;
}

Reply no_data(const std::string& zone)
{
    Reply reply;
    reply.authority(zone, RrType::SOA, "ns.invalid. host.invalid. 1 3600 600 86400 60");
    return reply;
}

Reply refuse(wire::Rcode rcode)
{
    Reply reply;
    reply.rcode = rcode;
    reply.flags = wire::flag::QR;
    return reply;
}

Options plain_options()
{
    Options options;
    FixedZone root;
    root.servers.push_back({address("192.0.2.1"), 53, 0});
    options.fixed.push_back(root);
    options.prime = false;
    options.qname_minimisation = false;
    options.do_not_query = useless_addresses();
    return options;
}

World::World(Options options, cache::RrsetOptions store_options)
    : kept(std::make_shared<cache::RrsetStore>(store_options)),
      store(*kept),
      engine(clock, random, *this, store, std::move(options))
{
}

World::World(Options options, World& other)
    : servers(other.servers), kept(other.kept), store(*kept), engine(clock, random, *this, store, std::move(options))
{
}

void World::send(const Ask& ask) noexcept
{
    const auto view = wire::MessageView::parse(ask.message);
    Sent sent{ask.token,
              ask.server.address,
              ask.tcp,
              *ask.qname,
              ask.qtype,
              view && view->edns() != nullptr,
              {ask.message.begin(), ask.message.end()}};
    log.push_back(sent);
    waiting.push_back(std::move(sent));
}

void World::cancel(Token token) noexcept
{
    std::erase_if(waiting, [token](const Sent& sent) { return sent.token == token; });
}

std::vector<std::uint8_t> World::message(const Sent& sent, const Reply& reply) const
{
    std::vector<std::uint8_t> room(wire::kMaxMessageSize);
    wire::MessageWriter writer({room.data(), room.size()}, room.size());
    writer.begin(base::load_be16(sent.bytes, 0), reply.flags);
    writer.set_rcode(reply.rcode);
    static_cast<void>(writer.question(sent.qname, sent.qtype, wire::RrClass::IN));
    for (const Reply::Line& line : reply.lines) {
        const auto rdata = wire::rdata_from_text(line.type, line.rdata, wire::Name{});
        static_cast<void>(
            writer.record(line.section, name(line.owner), line.type, wire::RrClass::IN, wire::Ttl{line.ttl}, *rdata));
    }
    if (reply.subnet && writer.begin_opt(1232, false)) {
        static_cast<void>(writer.option(wire::EdnsOptionCode::CLIENT_SUBNET, *reply.subnet));
        writer.end_opt();
    }
    const base::Bytes done = writer.message();
    return {done.begin(), done.end()};
}

void World::run()
{
    bool again = true;
    while (again) {
        again = false;
        while (engine.due() && *engine.due() <= clock.now()) engine.expire(clock.now());
        const auto now_waiting = waiting;
        for (const Sent& sent : now_waiting) {
            const auto server = servers.find(sent.server);
            if (server == servers.end()) continue;
            const auto reply = server->second(sent);
            if (!reply) continue;
            cancel(sent.token);
            engine.answer(sent.token, message(sent, *reply));
            again = true;
        }
    }
}

void World::start(const std::string& qname, RrType qtype, Done done)
{
    engine.resolve({name(qname), qtype, wire::RrClass::IN, false}, std::move(done));
    run();
}

Answer World::ask(const std::string& qname, RrType qtype)
{
    std::optional<Answer> result;
    start(qname, qtype, [&result](const Answer& answer) { result = answer; });
    for (int i = 0; i < 10'000 && !result; ++i) {
        const auto due = engine.due();
        if (!due) break;
        if (*due > clock.now()) clock.advance(*due - clock.now());
        engine.expire(clock.now());
        run();
    }
    return result ? *result : Answer{};
}

bool World::asked(const std::string& server, const std::string& qname) const
{
    return std::any_of(log.begin(), log.end(),
                       [&](const Sent& sent) { return sent.server == address(server) && sent.qname == name(qname); });
}

} // namespace sallyport::resolver::iterate::test
