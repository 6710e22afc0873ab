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
    bool spent = false; ///< the budget of whoever began it ran out
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
        bool empty = false;          ///< said nothing at all
    };

    void begin();
    void enter(DelegationPtr delegation);
    [[nodiscard]] DelegationPtr closest_cut(const wire::Name& name) const;
    void note_own_servers(const Response& response);
    [[nodiscard]] bool leads_to_itself(const Delegation& delegation) const;
    void select();
    [[nodiscard]] bool choose_server(unsigned most_tries);
    [[nodiscard]] std::vector<base::Endpoint> known_addresses() const;
    [[nodiscard]] bool may_ask(const base::Endpoint& server, unsigned most_tries) const;
    [[nodiscard]] bool look_up_addresses();
    void ask(const base::Endpoint& server, bool tcp);
    void set_outgoing_name();
    [[nodiscard]] bool is_minimised() const;
    void next_label();
    void give_up_minimisation();

    void use(Response& response, const Pending& query);
    void use_answer(Response& response, const Asked& asked);
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
    void count_zone(bool add);

    Question question_;
    State state_ = State::begin;
    DelegationPtr zone_;
    std::vector<base::IpAddress> avoid_;
    std::vector<Attempt> attempts_;
    std::vector<std::shared_ptr<Fetch>> lookups_; ///< of addresses of name servers, in flight
    std::vector<Key> looked_up_;
    std::vector<wire::Name> other_names_; ///< that names of servers are aliases of
    unsigned failing_lookups_ = 0;
    unsigned referrals_ = 0;
    unsigned minimised_labels_ = 0; ///< labels of the name that is asked for
    unsigned minimisation_steps_ = 0;
    bool minimise_ = false;
    bool whole_name_;
    bool renews_;
    bool own_names_used_ = false;
    bool empty_seen_ = false; ///< some server said nothing at all
    bool skip_first_ = false; ///< configured servers that are only the first choice have failed
    bool counted_ = false;
    bool parents_word_ = false; ///< glue of the servers' own zones is used, too
    std::uint8_t asked_recursively_ = 0;
    wire::Name outgoing_;
    wire::RrType outgoing_type_{};
    Token token_ = 0;
    std::string last_trouble_;
    wire::ExtendedError last_ede_ = wire::ExtendedError::no_reachable_authority;
    Fetched result_;
};

} // namespace sallyport::resolver::iterate
