#include "tests/replay/runner.hpp"

#include "resolver/iterate/subnet.hpp"
#include "tests/replay/expression.hpp"
#include "tests/replay/front.hpp"
#include "tests/replay/managed.hpp"
#include "tests/replay/settings.hpp"

#include <algorithm>
#include <iostream>
#include <list>

namespace sallyport::replay {
namespace {

using resolver::iterate::Answer;
using resolver::iterate::Ask;
using resolver::iterate::Engine;
using resolver::iterate::Token;

constexpr unsigned kMaxRounds = 5000;
constexpr unsigned kMaxTimeouts = 300;

/// The clock of the scenario, which begins at 0, and that of signatures, which may stand still.
class ScenarioClock final : public base::Clock {
public:
    explicit ScenarioClock(std::optional<std::int64_t> date) : date_(date) {}
    [[nodiscard]] base::Instant now() const noexcept override { return base::Instant{std::chrono::hours{1}} + passed_; }
    [[nodiscard]] base::WallTime wall() const noexcept override
    {
        if (date_) return base::WallTime{std::chrono::seconds{*date_}};
        return base::WallTime{std::chrono::duration_cast<base::WallTime::duration>(passed_)};
    }
    void advance_to(base::Instant when) { passed_ = std::max(passed_, when - base::Instant{std::chrono::hours{1}}); }
    void advance(base::Duration step) { passed_ += step; }
    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(passed_).count(); }

private:
    std::optional<std::int64_t> date_;
    base::Duration passed_{};
};

/// The same numbers in every run.
class FixedRandom final : public base::RandomSource {
public:
    void fill(base::MutableBytes bytes) noexcept override
    {
        for (std::uint8_t& octet : bytes) {
            state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
            octet = static_cast<std::uint8_t>(state_ >> 33U);
        }
    }

private:
    std::uint64_t state_ = 20'260'131;
};

/// A query that waits for somebody to answer it.
struct Waiting {
    Token token = 0;
    base::IpAddress server;
    bool tcp = false;
    std::vector<std::uint8_t> bytes;
    Message message;      ///< with the name in lower case
    bool refused = false; ///< what its range says is no reply to it
};

/// A query of a client.
struct Query {
    base::IpAddress client;
    bool tcp = false;
    std::vector<std::uint8_t> bytes;
    Message message;
};

struct ClientAnswer {
    base::IpAddress client;
    bool tcp = false;
    Message message;
};

class Network final : public resolver::iterate::Upstream {
public:
    void send(const Ask& ask) noexcept override
    {
        Waiting waiting{ask.token, ask.server.address, ask.tcp, {ask.message.begin(), ask.message.end()}, {}, false};
        if (auto message = to_message(ask.message)) waiting.message = std::move(*message);
        for (QuestionLine& question : waiting.message.questions) question.qname.make_lower();
        queries.push_front(std::move(waiting));
    }
    void cancel(Token token) noexcept override
    {
        queries.remove_if([token](const Waiting& waiting) { return waiting.token == token; });
    }
    std::list<Waiting> queries; ///< the newest first
};

class Run {
public:
    Run(const Scenario& scenario, Settings settings, bool trace, Level level)
        : scenario_(scenario),
          settings_(std::move(settings)),
          clock_(settings_.date),
          store_(settings_.store),
          managed_(settings_),
          front_(settings_, clock_, random_),
          engine_(clock_, random_, network_, store_, settings_.engine),
          trace_(trace),
          level_(level)
    {
        if (!trace_) return;
        engine_.set_trace([this](std::string_view what, std::string_view detail) {
            std::cerr << "    [" << clock_.seconds() << "] " << what << ": " << detail << '\n';
        });
    }

    Outcome play()
    {
        if (!managed_.problem().empty()) return {Outcome::Kind::failed, managed_.problem(), 0};
        for (unsigned round = 0; round < kMaxRounds; ++round) {
            pump();
            if (step_ >= scenario_.steps.size() && !may_deliver()) return end();
            if (!take_round()) return {Outcome::Kind::failed, reason_, unanswered_};
        }
        return {Outcome::Kind::failed, "no end in sight", unanswered_};
    }

private:
    [[nodiscard]] const Step* current() const
    {
        return step_ < scenario_.steps.size() ? &scenario_.steps[step_] : nullptr;
    }
    [[nodiscard]] std::uint64_t time() const
    {
        if (const Step* step = current()) return step->number;
        return scenario_.steps.empty() ? 0 : scenario_.steps.back().number;
    }
    bool fail(const Step& step, const std::string& what)
    {
        reason_ = "step " + std::to_string(step.number) + " (line " + std::to_string(step.line) + "): " + what;
        return false;
    }

    /// Lets the resolver do what is due without the clock moving.
    void pump()
    {
        for (unsigned i = 0; i < kMaxRounds; ++i) {
            const auto due = engine_.due();
            const bool expired = due && *due <= clock_.now();
            if (expired) engine_.expire(clock_.now());
            if (!managed_.work(engine_, store_, whole_seconds()) && !expired) return;
        }
    }
    [[nodiscard]] std::int64_t whole_seconds() const { return static_cast<std::int64_t>(clock_.seconds()); }

    // --- one round of the main loop

    bool take_round()
    {
        const Step* step = current();
        if (step != nullptr && step->kind == StepKind::check_out_query && out_query_fits(*step)) {
            ++step_;
            return true;
        }
        if (step != nullptr && step->kind == StepKind::check_answer && !answers_.empty()) return check_answer(*step);
        if (deliver()) return true;
        if (step == nullptr) return true;
        return carry_out(*step);
    }

    bool out_query_fits(const Step& step)
    {
        for (Waiting& waiting : network_.queries) {
            if (step.address && !(*step.address == waiting.server)) continue;
            if (!fits_query(*step.entry, waiting.message, waiting.tcp)) continue;
            const bool replies =
                step.entry->adjust.copy_id && std::find(seen_.begin(), seen_.end(), waiting.token) != seen_.end();
            if (replies) {
                // The engine may drop it meanwhile. NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
                const Waiting query = waiting;
                give(query, *step.entry);
            }
            return true;
        }
        return false;
    }

    bool check_answer(const Step& step)
    {
        std::string difference;
        for (auto it = answers_.begin(); it != answers_.end(); ++it) {
            if (step.address && !(*step.address == it->client)) continue;
            const auto found = find_difference(*step.entry, it->message, it->tcp, level_);
            if (!found) {
                answers_.erase(it);
                ++step_;
                return true;
            }
            if (difference.empty()) difference = *found + (trace_ ? "\n  got " + to_text(it->message) : std::string{});
        }
        return fail(step, difference.empty() ? "no answer for that client" : difference);
    }

    // --- the network

    struct Choice {
        const Waiting* query = nullptr;
        const Entry* entry = nullptr;
    };
    [[nodiscard]] Choice find_reply() const
    {
        for (const Waiting& waiting : network_.queries) {
            if (waiting.refused) continue;
            for (auto range = scenario_.ranges.rbegin(); range != scenario_.ranges.rend(); ++range) {
                if (time() < range->first || time() > range->last) continue;
                if (range->address && !(*range->address == waiting.server)) continue;
                for (const Entry& entry : range->entries) {
                    if (fits_query(entry, waiting.message, waiting.tcp)) return {&waiting, &entry};
                }
            }
        }
        return {};
    }
    [[nodiscard]] bool may_deliver() const { return find_reply().entry != nullptr; }

    bool deliver()
    {
        const Choice choice = find_reply();
        if (choice.entry == nullptr) return false;
        const Waiting query = *choice.query;
        give(query, *choice.entry);
        return true;
    }

    void give(const Waiting& query, const Entry& entry)
    {
        std::vector<std::uint8_t> bytes;
        const std::uint16_t id = base::load_be16(query.bytes, 0);
        if (entry.bytes) {
            bytes = *entry.bytes;
            if (bytes.size() >= 2) base::store_be16(bytes, 0, id);
        } else {
            Message reply = entry.message;
            const auto asked = to_message(query.bytes);
            if (asked && (entry.adjust.copy_query || same_name(reply, *asked))) reply.questions = asked->questions;
            if (asked) adjust_scope(reply, *asked, entry.adjust);
            bytes = to_bytes(reply, id);
        }
        if (trace_) std::cerr << "    <- line " << entry.line << '\n';
        const bool taken = engine_.answer(query.token, bytes);
        network_.queries.remove_if([&](const Waiting& each) { return taken && each.token == query.token; });
        if (taken) return;
        for (Waiting& each : network_.queries) {
            if (each.token == query.token) each.refused = true;
        }
    }
    static bool same_name(const Message& reply, const Message& query)
    {
        return !reply.questions.empty() && !query.questions.empty() &&
               reply.questions[0].qname == query.questions[0].qname &&
               reply.questions[0].qtype == query.questions[0].qtype;
    }

    /// The first option is a client subnet: its scope is to be what was asked with (RFC 7871 §6), or what is said.
    static void adjust_scope(Message& reply, const Message& asked, const Adjust& adjust)
    {
        constexpr std::size_t kSource = 6;
        constexpr std::size_t kScope = 7;
        if (reply.edns_data.size() <= kScope || asked.edns_data.size() <= kScope) return;
        std::uint8_t& scope = reply.edns_data[kScope];
        if (adjust.copy_subnet) scope = asked.edns_data[kSource];
        if (adjust.increment_scope) ++scope;
        if (adjust.scope) scope = *adjust.scope;
    }

    // --- steps

    bool carry_out(const Step& step)
    {
        seen_.clear();
        for (const Waiting& waiting : network_.queries) seen_.push_back(waiting.token);
        switch (step.kind) {
        case StepKind::query: ++step_; return ask(step);
        case StepKind::check_answer: return wait_for_answer(step);
        case StepKind::check_out_query: return fail(step, "no such query was sent");
        case StepKind::reply:
        case StepKind::timeout:
        case StepKind::error: return act_on_newest(step);
        case StepKind::time_passes: ++step_; return pass_time(step);
        case StepKind::assign: ++step_; return assign(step);
        case StepKind::infra_rtt: ++step_; return feed_rtt(step);
        case StepKind::check_autotrust: ++step_; return check_file(step);
        case StepKind::traffic:
        case StepKind::nothing: ++step_; return true;
        default: return fail(step, "this runner has no such step");
        }
    }

    bool act_on_newest(const Step& step)
    {
        if (network_.queries.empty()) return fail(step, "no query is waiting");
        const Waiting query = network_.queries.front();
        ++step_;
        if (step.kind == StepKind::reply) {
            give(query, *step.entry);
        } else if (step.kind == StepKind::timeout) {
            engine_.timed_out(query.token);
        } else {
            network_.queries.pop_front();
            engine_.failed(query.token);
        }
        return true;
    }

    /// Nothing is ready: what nobody answers times out, the oldest first. Testbound would fail here at once.
    bool wait_for_answer(const Step& step)
    {
        if (network_.queries.empty()) return fail(step, "no answer, and nothing is asked of anyone");
        if (++unanswered_ > kMaxTimeouts) return fail(step, "no answer after many time-outs");
        const Waiting& oldest = network_.queries.back();
        if (trace_) std::cerr << "    nobody answers " << oldest.server.to_string() << '\n';
        if (first_unanswered_.empty() && !oldest.message.questions.empty()) {
            first_unanswered_ = oldest.message.questions[0].qname.to_text() + ' ' +
                                wire::to_string(oldest.message.questions[0].qtype) + " at " + oldest.server.to_string();
        }
        engine_.timed_out(oldest.token);
        return true;
    }

    bool ask(const Step& step)
    {
        Query query;
        query.client = step.address ? *step.address : *base::IpAddress::parse("127.0.0.1");
        query.tcp = step.entry->match.tcp;
        query.bytes = step.entry->bytes ? *step.entry->bytes : to_bytes(step.entry->message, 0);
        const auto message = to_message(query.bytes);
        if (message) query.message = *message;
        const bool is_for_resolver = message && !message->questions.empty();
        const bool beyond = is_for_resolver && is_beyond(query);
        if (!beyond) {
            auto verdict = front_.receive(query.bytes, query.client, query.tcp, clock_.now());
            if (!verdict.goes_on) {
                if (verdict.reply) take_answer(query, *verdict.reply);
                return true;
            }
        }
        if (!is_for_resolver) return fail(step, "a query without question");
        resolve(std::make_shared<const Query>(std::move(query)));
        return true;
    }

    /// Questions that the gateway answers by itself and the resolver could, too, which is what is tested here: classes
    /// other than IN, type ANY (RFC 8482), and, for those who may look, what is known.
    [[nodiscard]] bool is_beyond(const Query& query) const
    {
        const QuestionLine& line = query.message.questions[0];
        return line.qclass != wire::RrClass::IN || line.qtype == wire::RrType::ANY ||
               ((query.message.flags & wire::flag::RD) == 0 && may_snoop(query.client));
    }

    void resolve(const std::shared_ptr<const Query>& query)
    {
        const QuestionLine& line = query->message.questions[0];
        const resolver::iterate::Question question{line.qname.lower(), line.qtype, line.qclass,
                                                   (query->message.flags & wire::flag::CD) != 0,
                                                   settings_.subnets ? subnet_of(*query) : std::nullopt};
        if (trace_)
            std::cerr << "  query " << question.qname.to_text() << ' ' << wire::to_string(question.qtype) << '\n';
        if ((query->message.flags & wire::flag::RD) != 0 || !may_snoop(query->client)) {
            engine_.resolve(question,
                            [this, query, question](const Answer& answer) { respond(*query, question, answer); });
            return;
        }
        // Without RD: what is known, for those who may look (RFC 1034 §4.3.1).
        if (const auto known = engine_.find_known(question)) return respond(*query, question, *known);
        // The closest cut that is known, or the root, is where to go: what Unbound says is a referral.
        const wire::Name cut = engine_.known_cut(question.qname);
        engine_.resolve({cut, wire::RrType::NS, wire::RrClass::IN, false},
                        [this, query, question, at_root = cut.is_root()](const Answer& answer) {
                            Answer referral = answer;
                            if (!at_root) {
                                referral.authority.swap(referral.answers);
                                referral.answers.clear();
                                referral.rcode = wire::Rcode::NOERROR;
                            }
                            respond(*query, question, referral);
                        });
    }
    [[nodiscard]] bool may_snoop(const base::IpAddress& client) const
    {
        return std::any_of(settings_.access.begin(), settings_.access.end(), [&](const auto& rule) {
            return rule.first.contains(client) && rule.second == "allow_snoop";
        });
    }
    /// What the client says its network is, or its address (RFC 7871 §7.1.1).
    static std::optional<base::Prefix> subnet_of(const Query& query)
    {
        if (const auto option = query.message.subnet()) return resolver::iterate::subnet_of(*option);
        return base::Prefix{query.client, 128};
    }

    void respond(const Query& query, const resolver::iterate::Question& question, const Answer& answer)
    {
        const auto view = wire::MessageView::parse(query.bytes);
        std::vector<std::uint8_t> room(wire::kMaxMessageSize);
        wire::MessageWriter writer({room.data(), room.size()}, room.size());
        if (!view || !writer.begin_response(0, view->header().flags, view->question_bytes(), 1)) return;
        const bool dnssec_ok = query.message.dnssec_ok;
        static_cast<void>(write_answer(answer, question, dnssec_ok, clock_.now(), writer));
        // RFC 6840 §5.8: AD for those who say that they look at it.
        const bool wants_ad = dnssec_ok || (query.message.flags & wire::flag::AD) != 0;
        if (!wants_ad) writer.clear_flags(wire::flag::AD);
        if (query.message.edns && writer.begin_opt(1232, dnssec_ok)) {
            if (auto subnet = query.message.subnet_bytes(); settings_.subnets && !subnet.empty()) {
                constexpr std::size_t kScope = 3;
                subnet[kScope] = answer.subnet_scope.value_or(0);
                static_cast<void>(writer.option(wire::EdnsOptionCode::CLIENT_SUBNET, subnet));
            }
            const bool told = answer.stale ? settings_.stale_ede : settings_.ede;
            if (told && answer.ede) static_cast<void>(writer.extended_error(*answer.ede, answer.ede_text));
            writer.end_opt();
        }
        if (trace_ && !answer.ede_text.empty()) std::cerr << "    ede " << answer.ede_text << '\n';
        take_answer(query, writer.message());
    }
    void take_answer(const Query& query, base::Bytes bytes)
    {
        const auto message = to_message(bytes);
        if (!message) return;
        if (trace_) std::cerr << "  answer " << to_text(*message) << '\n';
        answers_.push_back({query.client, query.tcp, *message});
    }

    // --- time

    bool pass_time(const Step& step)
    {
        std::string_view words = step.words;
        const bool eval = words.find("EVAL") != std::string_view::npos;
        const std::size_t at = words.find(eval ? "EVAL" : "ELAPSE");
        if (at == std::string_view::npos) return fail(step, "expected ELAPSE or EVAL");
        const auto seconds = variables_.evaluate(words.substr(at + (eval ? 4 : 6)), clock_.seconds(), until_due());
        if (!seconds || *seconds < 0 || *seconds > 1e10) return fail(step, "expected a number of seconds");
        const base::Instant until =
            clock_.now() + std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(*seconds));
        for (unsigned i = 0; i < kMaxRounds; ++i) {
            const auto due = engine_.due();
            if (!due || *due > until) break;
            clock_.advance_to(*due);
            engine_.expire(clock_.now());
        }
        clock_.advance_to(until);
        return true;
    }
    [[nodiscard]] double until_due() const
    {
        std::optional<double> least; // what ended long ago may have a timer left, which does nothing
        if (const auto due = engine_.due(); due && !network_.queries.empty())
            least = std::chrono::duration<double>(*due - clock_.now()).count();
        if (const auto next = managed_.next()) {
            const double seconds = static_cast<double>(*next) - clock_.seconds();
            least = std::min(least.value_or(seconds), seconds);
        }
        return std::max(least.value_or(0), 0.0);
    }
    bool assign(const Step& step)
    {
        return variables_.assign(step.words, clock_.seconds(), until_due()) || fail(step, "expected name = expression");
    }
    bool feed_rtt(const Step& step)
    {
        const std::size_t blank = step.words.find(' ');
        const std::size_t last = step.words.find_last_of(' ');
        const auto address = base::IpAddress::parse(step.words.substr(0, blank));
        if (!address || last == std::string::npos) return fail(step, "expected address, zone and milliseconds");
        engine_.note_rtt(*address, std::chrono::milliseconds(std::atoi(step.words.c_str() + last + 1)));
        return true;
    }

    /// How often one look asks is everybody's own affair (RFC 5011 §2.3): it failed, or it did not.
    static bool same_line(std::string_view expected, std::string_view line)
    {
        constexpr std::string_view kFailed = ";;query_failed: ";
        const auto words = words_of(expected);
        if (!expected.starts_with(kFailed) || !line.starts_with(kFailed)) return words == words_of(line);
        return (expected == ";;query_failed: 0") == (line == ";;query_failed: 0");
    }
    /// The state file of RFC 5011, line by line, whatever blanks stand between the words.
    bool check_file(const Step& step)
    {
        const auto words = words_of(step.words);
        const std::string* file = words.empty() ? nullptr : managed_.find_file(words[0]);
        if (file == nullptr) return fail(step, "no state file of that name");
        std::string_view rest = *file;
        for (std::size_t i = 0; i < step.text.size(); ++i) {
            const auto expected = variables_.expand(step.text[i], clock_.seconds(), until_due());
            if (!expected) return fail(step, "a macro that means nothing in line " + std::to_string(i + 1));
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            if (!same_line(*expected, line)) {
                return fail(step, "the state file has '" + std::string(line) + "', expected '" + *expected + "'");
            }
        }
        return rest.empty() || fail(step, "the state file has more lines: " + std::string(rest));
    }

    Outcome end()
    {
        if (!answers_.empty()) return {Outcome::Kind::failed, "an answer was not looked at", unanswered_};
        return {Outcome::Kind::passed, first_unanswered_, unanswered_};
    }

    const Scenario& scenario_;
    Settings settings_;
    ScenarioClock clock_;
    FixedRandom random_;
    Network network_;
    cache::RrsetStore store_;
    ManagedAnchors managed_;
    Front front_;
    Engine engine_;
    bool trace_;
    Level level_;
    std::size_t step_ = 0;
    std::list<ClientAnswer> answers_;
    std::vector<Token> seen_; ///< queries that waited before the current step
    Variables variables_;
    unsigned unanswered_ = 0;
    std::string first_unanswered_;
    std::string reason_;
};

} // namespace

Outcome run_scenario(const Scenario& scenario, bool trace, Level level)
{
    Settings settings;
    if (const auto reason = read_settings(scenario, settings)) {
        return {Outcome::Kind::skipped, *reason, 0};
    }
    return Run(scenario, std::move(settings), trace, level).play();
}

} // namespace sallyport::replay
