// fuzz: links sallyport_resolver
#include "resolver/iterate/iterate.hpp"

#include "dnssec/dnssec.hpp"
#include "resolver/iterate/subnet.hpp"
#include "wire/message_view.hpp"

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

/// The fuzzer is every name server. Whatever they say: each question ends, within its packets and its time, and
/// nothing is kept that the asked zone has no say in, nor for everybody what was said for one network (RFC 7871).
namespace {

using namespace sallyport;
using namespace sallyport::resolver::iterate;

struct Sent {
    Token token;
    std::vector<std::uint8_t> bytes;
    wire::Name zone; ///< whose server is asked
};

class Network final : public Upstream {
public:
    void send(const Ask& ask) noexcept override
    {
        ++packets;
        waiting.push_back({ask.token, {ask.message.begin(), ask.message.end()}, *ask.zone});
    }
    void cancel(Token token) noexcept override
    {
        std::erase_if(waiting, [token](const Sent& sent) { return sent.token == token; });
    }
    std::vector<Sent> waiting;
    unsigned packets = 0;
};

class FixedRandom final : public base::RandomSource {
public:
    void fill(base::MutableBytes bytes) noexcept override
    {
        for (std::uint8_t& octet : bytes) octet = static_cast<std::uint8_t>(state_ = state_ * 1'103'515'245U + 12'345U);
    }

private:
    std::uint32_t state_ = 7;
};

/// What servers of a zone have said, whether or not it was theirs to say.
class Said {
public:
    void hear(const wire::Name& zone, base::Bytes reply)
    {
        zones_.insert(zone.lower().to_text());
        const auto message = wire::MessageView::parse(reply);
        if (!message) return;
        for (const auto& section : {message->answers(), message->authorities(), message->additionals()}) {
            for (const wire::RecordView& record : section) said_.insert(key(zone, record.owner.to_name(), record.type));
        }
    }
    [[nodiscard]] bool has(const cache::Rrset& set) const
    {
        // That there is nothing stands under the name that was asked for; an alias may be made of a DNAME.
        if (!set.is_data()) return zones_.contains(set.zone.lower().to_text());
        if (said_.contains(key(set.zone, set.owner, set.type))) return true;
        if (set.type != wire::RrType::CNAME) return false;
        for (wire::Name above = set.owner; !above.is_root();) {
            above = above.parent();
            if (said_.contains(key(set.zone, above, wire::RrType::DNAME))) return true;
        }
        return false;
    }

private:
    static std::string key(const wire::Name& zone, const wire::Name& owner, wire::RrType type)
    {
        return zone.lower().to_text() + ' ' + owner.lower().to_text() + ' ' + wire::to_string(type);
    }
    std::set<std::string> zones_;
    std::set<std::string> said_;
};

/// Octets of the input, one after the other; zeros at its end.
class Input {
public:
    explicit Input(base::Bytes bytes) : rest_(bytes) {}
    std::uint8_t next()
    {
        if (rest_.empty()) return 0;
        const std::uint8_t octet = rest_[0];
        rest_ = rest_.subspan(1);
        return octet;
    }
    [[nodiscard]] bool empty() const { return rest_.empty(); }

private:
    base::Bytes rest_;
};

const char* const kNames[] = {".",      "example.",  "www.example.", "a.b.example.", "ns.example.",
                              "other.", "ns.other.", "*.example.",   "sub.example.", "victim.test."};
constexpr wire::RrType kTypes[] = {wire::RrType::A,   wire::RrType::NS,     wire::RrType::CNAME, wire::RrType::DNAME,
                                   wire::RrType::SOA, wire::RrType::DNSKEY, wire::RrType::DS,    wire::RrType::NSEC,
                                   wire::RrType::TXT, wire::RrType::RRSIG,  wire::RrType::NSEC3, wire::RrType::AAAA};

/// Second octet of addresses that stand in answers for one network alone.
constexpr std::uint8_t kForOneNetwork = 99;

/// What the server says of the network that it was told of: nothing, something about it, something about another.
std::optional<SubnetData> pick_subnet(Input& input, const wire::MessageView& query)
{
    if (query.edns() == nullptr || !query.edns()->client_subnet) return std::nullopt;
    const auto told = wire::read_client_subnet(*query.edns()->client_subnet);
    if (!told || told->source_prefix == 0) std::abort(); // who is not told of is not mentioned
    if (!query.qname().to_name().is_under(*wire::Name::from_text("example."))) std::abort(); // nobody else is told
    const std::uint8_t how = input.next();
    if (how % 4U == 0) return std::nullopt;
    SubnetData data = write_subnet(subnet_of(*told), static_cast<std::uint8_t>(input.next() % 40U));
    if (how % 4U == 1) data.octets[input.next() % data.size] ^= input.next();
    return data;
}

bool is_for_everybody(const std::optional<SubnetData>& subnet) { return !subnet || subnet->octets[3] == 0; }

wire::Name pick_name(Input& input) { return *wire::Name::from_text(kNames[input.next() % std::size(kNames)]); }

void write_record(Input& input, wire::MessageWriter& writer, wire::Section section, const wire::Name& qname,
                  bool scoped = false)
{
    const std::uint8_t how = input.next();
    const wire::Name owner = (how & 1U) != 0 ? qname : pick_name(input);
    const wire::RrType type = kTypes[input.next() % std::size(kTypes)];
    std::vector<std::uint8_t> rdata;
    const wire::Name target = pick_name(input);
    switch (type) {
    case wire::RrType::A:
        rdata = {192, 0, 2, static_cast<std::uint8_t>(input.next() % 4)};
        if (scoped) rdata[1] = kForOneNetwork;
        break;
    case wire::RrType::AAAA: rdata.assign(16, input.next()); break;
    case wire::RrType::NS:
    case wire::RrType::CNAME:
    case wire::RrType::DNAME: rdata.assign(target.wire().begin(), target.wire().end()); break;
    case wire::RrType::SOA:
        rdata.assign(target.wire().begin(), target.wire().end());
        rdata.push_back(0);
        rdata.resize(rdata.size() + 20, 0);
        rdata.back() = input.next();
        break;
    default:
        for (unsigned size = input.next() % 48U; size > 0; --size) rdata.push_back(input.next());
        break;
    }
    static_cast<void>(writer.record(section, owner, type, wire::RrClass::IN, wire::Ttl{input.next() * 16U}, rdata));
}

std::vector<std::uint8_t> write_reply(Input& input, const Sent& sent)
{
    std::vector<std::uint8_t> room(4096);
    wire::MessageWriter writer({room.data(), room.size()}, room.size());
    const auto query = wire::MessageView::parse(sent.bytes);
    if (!query) std::abort(); // what we send can be read
    const std::uint8_t flags = input.next();
    std::uint16_t bits = wire::flag::QR;
    if ((flags & 1U) == 0) bits |= wire::flag::AA;
    if ((flags & 6U) == 6U) bits |= wire::flag::TC;
    if ((flags & 8U) != 0) bits |= wire::flag::RA;
    writer.begin(static_cast<std::uint16_t>(query->id() ^ ((flags & 0x70U) == 0x70U ? 1U : 0U)), bits);
    static_cast<void>(writer.question(query->qname().to_name(), query->qtype(), query->qclass()));
    writer.set_rcode(static_cast<wire::Rcode>((flags & 0x80U) != 0 ? input.next() % 6U : 0U));
    const std::uint8_t counts = input.next();
    const wire::Name qname = query->qname().to_name();
    const auto subnet = pick_subnet(input, *query);
    const bool scoped = !is_for_everybody(subnet);
    for (unsigned i = counts & 3U; i > 0; --i) write_record(input, writer, wire::Section::answer, qname, scoped);
    for (unsigned i = (counts >> 2U) & 3U; i > 0; --i) write_record(input, writer, wire::Section::authority, qname);
    for (unsigned i = (counts >> 4U) & 3U; i > 0; --i) write_record(input, writer, wire::Section::additional, qname);
    if (subnet && writer.begin_opt(1232, false)) {
        static_cast<void>(writer.option(wire::EdnsOptionCode::CLIENT_SUBNET, subnet->bytes()));
        writer.end_opt();
    }
    const base::Bytes done = writer.message();
    return {done.begin(), done.end()};
}

Options options_of(std::uint8_t how)
{
    Options options;
    FixedZone root;
    root.servers.push_back({*base::IpAddress::parse("192.0.2.0"), 53, 0});
    options.fixed.push_back(root);
    // Servers of `example.` alone have a say in it: nothing of victim.test. may ever be known.
    FixedZone victim;
    victim.zone = *wire::Name::from_text("victim.test.");
    options.fixed.push_back(victim);
    options.prime = (how & 1U) != 0;
    options.qname_minimisation = (how & 2U) != 0;
    options.ipv6 = (how & 4U) != 0;
    options.limits.packets = 40;
    if ((how & 8U) != 0) {
        auto anchors = std::make_shared<dnssec::TrustAnchors>();
        anchors->add_built_in();
        options.anchors = anchors;
    }
    if ((how & 16U) != 0) options.subnet.zones = {*wire::Name::from_text("example.")};
    options.subnet.max_entries = 4;
    return options;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input input({data, size});
    base::ManualClock clock;
    FixedRandom random;
    Network network;
    cache::RrsetStore store{cache::RrsetOptions{}};
    const std::uint8_t how = input.next();
    Engine engine(clock, random, network, store, options_of(how));
    Said said;
    unsigned ended = 0;
    constexpr unsigned kQuestions = 3;
    for (unsigned i = 0; i < kQuestions; ++i) {
        Question question{pick_name(input), kTypes[input.next() % std::size(kTypes)], wire::RrClass::IN, false};
        if ((how & 32U) != 0) question.subnet = base::Prefix{base::IpAddress::v4({10, 1, input.next(), 0}), 24};
        engine.resolve(question, [&ended](const Answer& answer) {
            ++ended;
            std::vector<std::uint8_t> room(wire::kMaxMessageSize);
            wire::MessageWriter writer({room.data(), room.size()}, room.size());
            writer.begin(0, wire::flag::QR);
            static_cast<void>(write_answer(answer, {}, true, base::Instant{std::chrono::hours{2}}, writer));
            if (!wire::MessageView::parse(writer.message())) std::abort();
        });
    }
    for (unsigned round = 0; round < 2000 && ended < kQuestions; ++round) {
        if (!network.waiting.empty() && !input.empty() && input.next() % 8U != 0) {
            const Sent sent = network.waiting[input.next() % network.waiting.size()];
            const std::vector<std::uint8_t> reply = write_reply(input, sent);
            said.hear(sent.zone, reply);
            if (engine.answer(sent.token, reply)) network.cancel(sent.token);
            continue;
        }
        const auto due = engine.due();
        if (!due) break;
        if (*due > clock.now()) clock.advance(*due - clock.now());
        engine.expire(clock.now());
    }
    if (ended != kQuestions) std::abort();               // every question ends
    if (network.packets > 40 * kQuestions) std::abort(); // within its means
    const wire::Name victim = *wire::Name::from_text("victim.test.");
    store.each(clock.now(), [&](const cache::Rrset& set) {
        // What is known lies in the zone whose servers said it, and they did say it.
        if (!set.owner.is_under(set.zone) || !said.has(set)) std::abort();
        if (set.is_data() && set.zone == victim) std::abort(); // its servers were never named
        if (set.network) std::abort();
        for (const base::Bytes rdata : set.records)
            if (set.type == wire::RrType::A && rdata.size() == 4 && rdata[1] == kForOneNetwork) std::abort();
        return true;
    });
    return 0;
}
