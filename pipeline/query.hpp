#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/transport.hpp"
#include "resolver/waiter.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "wire/name.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sallyport::pipeline {

/// Who asks, and through which door. Texts are borrowed from the connection, which outlives its queries.
struct Client {
    base::Endpoint peer;  ///< behind a trusted proxy: the address the proxy reports
    base::Endpoint local; ///< the address the query came to
    base::Transport transport = base::Transport::udp;
    std::string_view server_name{};      ///< TLS server name (SNI), lower case; empty without
    std::string_view path{};             ///< of the DoH request
    std::string_view certificate_name{}; ///< of the client's certificate; empty without
};

class Query;
class Finisher;
class Pipeline;
class Trace;

/// Where an answer came from.
enum class Source : std::uint8_t { none, pipeline, rule, zone, cache, stale_cache, upstream };

/// An answer on its way out; borrowed for the call.
struct Reply {
    const Query& query;
    std::uint64_t tag;      ///< as the door gave it
    base::Bytes message;    ///< without length prefix; the id is the client's
    wire::Ttl smallest_ttl; ///< for `cache-control: max-age`; 0 where nothing may be kept
    wire::Rcode rcode;

    /// The message with its two-octet length before it (RFC 1035 §4.2.2): no copy, the room is there.
    [[nodiscard]] base::Bytes framed() const noexcept { return {message.data() - 2, message.size() + 2}; }
};

/// Where the answer of a query goes: the one thing that knows the transport. A door's connection implements it.
class ReplySink {
public:
    virtual void reply(const Reply& reply) noexcept = 0;
    /// No answer will come for this one (dropped by policy, or its time is over).
    virtual void dropped(std::uint64_t tag) noexcept = 0;

protected:
    ~ReplySink() = default;
};

using QueryHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// The queries of one connection that wait for an answer. The connection owns the list; when it goes, it gives the list
/// to `Pipeline::abandon`.
using QueryList = boost::intrusive::list<Query, boost::intrusive::constant_time_size<false>>;

/// One question in flight. Made and owned by the pipeline; doors see it only in `Reply`.
class Query final : public QueryHook, private resolver::Waiter {
public:
    Query() = default;
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    wire::MessageView request; ///< borrows the door's buffer until the query is suspended, our own copy from then on
    wire::Name qname;          ///< lower case
    wire::RrType qtype{};
    wire::RrClass qclass{};
    bool dnssec_ok = false;
    Client client;
    base::Instant arrival;
    ReplySink* sink = nullptr;
    std::uint64_t tag = 0;

    /// The answer being written; begun (header and question) when the first stage sees the query.
    wire::MessageWriter* answer = nullptr;

    struct Ede {
        wire::ExtendedError code{};
        std::string_view text{}; ///< static text, or text in the arena of whoever set it, living until `deliver` ends
    };
    std::optional<Ede> ede;
    bool cookie_valid = false; ///< the client sent a server cookie of ours: its address is its own
    bool is_error = false;     ///< counts against the error answers a network may cause over UDP

    /// For a stage of someone else's that holds queries; unlinks itself when the client goes.
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> waiting;

    /// Of those that wait, by age (`Waiting`).
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> age;

    /// The answer is meant for clients within so many bits of the network that was told of (RFC 7871).
    std::optional<std::uint8_t> subnet_scope;

    /// May not be kept by anyone (cache-control: max-age=0).
    bool uncacheable = false;

    /// A local zone's alias leads out of what we own: `rest` is what remains to be found out, and `answer` has the
    /// start of the chain.
    bool chained = false;
    wire::Name rest;

    // What became of it, for logs, metrics and explain. Texts live until the observer has heard.
    std::uint64_t id = 0; ///< of this process: worker and running number
    Source source = Source::none;
    wire::ValidationState validation = wire::ValidationState::unchecked;
    std::string_view upstream{}; ///< who answered
    std::string_view rule{};     ///< the rule that decided
    std::string_view group{};    ///< of upstreams, where a rule chose one
    std::string_view why{};      ///< what the last stage has to say for `explain`; static text, or as `rule`
    Trace* trace = nullptr;      ///< someone wants to know what each stage decides

    /// Waits for the resolver; `pipeline` is told. Unlinks itself when the client goes.
    [[nodiscard]] resolver::Waiter& waiter(Pipeline& pipeline) noexcept
    {
        pipeline_ = &pipeline;
        return *this;
    }

private:
    friend class Pipeline;
    friend class Finisher;
    void resolved(const resolver::Outcome& outcome, base::Instant now) noexcept override;

    Pipeline* pipeline_ = nullptr;
    std::vector<std::uint8_t> kept_; ///< the request of a suspended query; a common capacity stays with the pool
    QueryList* owner_ = nullptr;
    std::size_t stage_ = 0; ///< where the walk stands
    bool suspended_ = false;
    bool cookie_renew_ = false;
    Query* next_free_ = nullptr;
};

} // namespace sallyport::pipeline
