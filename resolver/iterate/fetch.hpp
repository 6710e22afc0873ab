#pragma once

#include "resolver/iterate/parts.hpp"
#include "resolver/iterate/response.hpp"

namespace sallyport::resolver::iterate {

/// What a look-up found; unchecked.
struct Fetched {
    RrsetPtr set;               ///< the set, the alias or the denial; null: failure, or `rcode`
    std::vector<RrsetPtr> more; ///< further sets of the same reply: along the aliases, or of other types for ANY
    wire::Rcode rcode = wire::Rcode::NOERROR; ///< YXDOMAIN where a DNAME made the name too long
    std::optional<wire::ExtendedError> ede{};
    std::string text;
    bool spent = false;       ///< the budget of whoever began it ran out
    bool crowded_out = false; ///< there was no room for it
    bool silence = false;     ///< failure: nobody replied to what was asked last
    base::IpAddress server;
};

/// One name and type, looked up from the closest known zone cut down to who answers (RFC 1034 §5.3.3). Follows
/// referrals, not aliases.
class Fetch final : public Job {
public:
    /// `renews`: cuts in the last tenth of their life are not used.
    Fetch(Engine::Parts& parts, Question question, BudgetPtr budget, unsigned depth, std::vector<base::IpAddress> avoid,
          bool whole_name, bool renews);
    ~Fetch() override;

    void run() override;
    [[nodiscard]] bool waits_for(const Job& other, unsigned depth) const override;
    [[nodiscard]] const Fetched& result() const noexcept { return result_; }
    [[nodiscard]] const Question& question() const noexcept { return question_; }

    /// What became of the query that was sent. `message` is null where it did not parse.
    void reply(const Pending& query, const wire::MessageView* message);
    void no_reply(const Pending& query, bool timed_out);
    void ask_over_tcp(const Pending& query);
    void set_token(Token token) noexcept { token_ = token; }
    /// Others who ask the same find it, until it ends.
    void set_shared() noexcept { shared_ = true; }
    /// Ends for others who want its place, and tells who waits.
    void give_way();
    void lookup_is_slow() override;

private:
    enum class State : std::uint8_t { begin, priming, select, waiting };
    /// One address, in one delegation.
    struct Attempt {
        base::IpAddress address;
        unsigned tries = 0;
        unsigned tcp_tries = 0;
        bool out = false;            ///< said something that is of no use
        bool recursive_lame = false; ///< answers from a cache of its own
        bool plain = false;          ///< tried without EDNS
        bool untold = false;         ///< tried without the client's network
        bool empty = false;          ///< said nothing at all
    };

    void begin();
    void enter(DelegationPtr delegation);
    [[nodiscard]] DelegationPtr closest_cut(const wire::Name& name) const;
    void note_own_servers(const Response& response);
    [[nodiscard]] bool leads_to_itself(const Delegation& delegation) const;
    void select();
    void select_group();
    void ask_group();
    [[nodiscard]] bool choose_server(unsigned most_tries);
    [[nodiscard]] std::vector<base::Endpoint> known_addresses() const;
    [[nodiscard]] bool may_ask(const base::Endpoint& server, unsigned most_tries) const;
    [[nodiscard]] bool look_up_addresses();
    void ask(const base::Endpoint& server, bool tcp);
    void begin_minimisation();
    void set_outgoing_name();
    void note_no_cut(const Response& response);
    [[nodiscard]] bool is_minimised() const;
    void next_label();
    void give_up_minimisation();

    void use(Response& response, const Pending& query);
    void use_answer(Response& response, const Asked& asked);
    void use_long_name(const Response& response, const Asked& asked);
    void use_denial(Response& response, const Asked& asked, cache::RrsetKind kind);
    void use_referral(Response& response, const Asked& asked);
    void use_root(const Response& response, const cache::Rrset& set);
    void keep_no_ds(const wire::Name& cut, wire::Ttl ttl, const std::vector<cache::Rrset>& denials);
    void keep_cut_of_forwarder(const Response& response);
    [[nodiscard]] bool retry_plain(const Response* response, wire::Rcode rcode, const Pending& query);
    void remove_private(std::vector<cache::Rrset>& chain);
    Attempt& attempt(const base::IpAddress& address);
    void succeed();
    void fail(wire::ExtendedError ede, std::string text, bool spent = false);
    void end_without(wire::ExtendedError ede, std::string text, bool spent);
    void query_ended() noexcept;
    void leave_all() noexcept;
    [[nodiscard]] bool join_zone();
    [[nodiscard]] bool join_server(const base::IpAddress& server);
    void refuse_crowded(const base::IpAddress& server);
    void crowd_out(wire::ExtendedError ede, std::string text);

    void choose_subnet(Pending& query, const Server& server, const Attempt& how) const;
    [[nodiscard]] bool take_subnet(const Pending& query, const wire::MessageView& message);
    [[nodiscard]] bool retry_untold(wire::Rcode rcode, const Pending& query);
    void ask_untold(const Pending& query);
    void note_untold(const Pending& query);
    [[nodiscard]] RrsetPtr keep(cache::Rrset set);

    [[nodiscard]] const wire::Name* server_name(const base::IpAddress& address) const;
    void tell(Event::Kind kind, const Pending& query, std::string_view word, const Response* response = nullptr,
              const wire::Name* cut = nullptr, std::size_t octets = 0) const;
    void tell_reply(const Pending& query, const Response& response, ReplyKind kind) const;
    void tell_failure(std::string_view text) const;

    Question question_;
    State state_ = State::begin;
    DelegationPtr zone_;
    std::vector<base::IpAddress> avoid_;
    std::vector<Attempt> attempts_;
    mutable std::uint64_t searched_ = 0;          ///< the search for a loop that came by last
    std::vector<std::shared_ptr<Fetch>> lookups_; ///< of addresses of name servers, in flight
    std::vector<Key> looked_up_;
    std::vector<wire::Name> other_names_; ///< that names of servers are aliases of
    unsigned failing_lookups_ = 0;
    unsigned referrals_ = 0;
    unsigned minimised_labels_ = 0; ///< labels of the name that is asked for
    unsigned minimisation_steps_ = 0;
    bool minimise_ = false;
    bool whole_name_;
    bool shared_ = false; ///< stands in `Parts::fetches`
    bool renews_;
    bool own_names_used_ = false;
    bool empty_seen_ = false;               ///< some server said nothing at all
    bool skip_first_ = false;               ///< configured servers that are only the first choice have failed
    bool parents_word_ = false;             ///< glue of the servers' own zones is used, too
    bool silence_ = false;                  ///< what was asked last got no reply
    bool hurry_ = false;                    ///< the look-up of an address takes long
    bool told_ = false;                     ///< the reply in hand is to a query with the client's network
    std::optional<base::Prefix> network_{}; ///< what that reply says counts for this network alone
    std::uint8_t asked_recursively_ = 0;
    wire::Name outgoing_;
    wire::RrType outgoing_type_{};
    Token token_ = 0;
    Place in_flight_{*this};
    Place in_zone_{*this};
    Place at_server_{*this};
    std::string last_trouble_;
    wire::ExtendedError last_ede_ = wire::ExtendedError::no_reachable_authority;
    Fetched result_;
};

} // namespace sallyport::resolver::iterate
