#pragma once

#include "resolver/iterate/dns64.hpp"
#include "resolver/iterate/parts.hpp"

namespace sallyport::resolver::iterate {

/// A client's question that DNS64 has a part in: one after the other, the questions that its answer is made of. All by
/// the means of one. Lives until it has told.
class Dns64Question final : public std::enable_shared_from_this<Dns64Question> {
public:
    Dns64Question(Engine::Parts& parts, Question question, Done done, BudgetPtr budget)
        : parts_(parts),
          rules_(parts.options.dns64),
          question_(std::move(question)),
          tell_(std::move(done)),
          budget_(std::move(budget))
    {
    }

    void begin();

private:
    void ask(const Question& question, void (Dns64Question::*then)(const Answer& answer));
    void take_ipv6(const Answer& answer);
    void take_ipv4(const Answer& answer);
    void take_reverse(const Answer& answer);
    void tell(const Answer& answer) { tell_(answer); }

    Engine::Parts& parts_;
    Dns64 rules_;
    Question question_;
    Done tell_;
    BudgetPtr budget_;
    Answer ipv6_;
};

/// The same from what is known without asking; nothing where it is not.
[[nodiscard]] std::optional<Answer>
find_known_dns64(const Options& options, const Question& question, base::Instant now,
                 const std::function<std::optional<Answer>(const Question&)>& find_known);

} // namespace sallyport::resolver::iterate
