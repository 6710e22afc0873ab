#pragma once

#include "resolver/iterate/iterate.hpp"
#include "wire/message_view.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A small DNS for tests of the engine: servers are functions, time stands still until told.
namespace sallyport::resolver::iterate::test {

inline wire::Name name(const std::string& text) { return *wire::Name::from_text(text); }
inline base::IpAddress address(const std::string& text) { return *base::IpAddress::parse(text); }

struct Reply {
    wire::Rcode rcode = wire::Rcode::NOERROR;
    std::uint16_t flags = wire::flag::QR | wire::flag::AA;
    struct Line {
        wire::Section section;
        std::string owner;
        wire::RrType type;
        std::string rdata;
        std::uint32_t ttl = 300;
    };
    std::vector<Line> lines;
    std::optional<std::vector<std::uint8_t>> subnet{}; ///< the data of an option of RFC 7871

    Reply& answer(const std::string& owner, wire::RrType type, const std::string& rdata, std::uint32_t ttl = 300);
    Reply& authority(const std::string& owner, wire::RrType type, const std::string& rdata, std::uint32_t ttl = 300);
    Reply& additional(const std::string& owner, wire::RrType type, const std::string& rdata, std::uint32_t ttl = 300);
};
/// To the servers of `zone`, with glue where an address is given.
Reply referral(const std::string& zone, const std::string& server, const std::string& glue = {},
               std::uint32_t ttl = 300);
Reply name_error(const std::string& zone);
Reply no_data(const std::string& zone);
Reply refuse(wire::Rcode rcode);

struct Sent {
    Token token = 0;
    base::IpAddress server;
    bool tcp = false;
    wire::Name qname; ///< in the case it was sent
    wire::RrType qtype{};
    bool edns = false;
    std::vector<std::uint8_t> bytes;
};

/// Nothing: no reply, ever.
using Server = std::function<std::optional<Reply>(const Sent&)>;

class World : public Upstream {
public:
    explicit World(Options options = {}, cache::RrsetOptions store = {});
    /// Another worker beside `other`, with whom it shares what is kept.
    World(Options options, World& other);

    void send(const Ask& ask) noexcept override;
    void cancel(Token token) noexcept override;

    /// Asks, lets everything run, and passes time until there is an answer.
    Answer ask(const std::string& qname, wire::RrType qtype = wire::RrType::A);
    void start(const std::string& qname, wire::RrType qtype, Done done);
    /// Delivers replies until nobody has one.
    void run();
    [[nodiscard]] std::vector<std::uint8_t> message(const Sent& sent, const Reply& reply) const;
    [[nodiscard]] bool asked(const std::string& server, const std::string& qname) const;

    std::map<base::IpAddress, Server> servers;
    std::vector<Sent> log; ///< all that was sent
    std::vector<Sent> waiting;
    base::ManualClock clock;
    base::SystemRandom random;
    std::shared_ptr<cache::RrsetStore> kept;
    cache::RrsetStore& store;
    Engine engine;
};

/// Options with one root server and nothing that would be in the way.
Options plain_options();

} // namespace sallyport::resolver::iterate::test
