#pragma once

#include "base/siphash.hpp"
#include "net/worker.hpp"
#include "resolver/group_asker.hpp"
#include "resolver/options.hpp"
#include "resolver/resolution.hpp"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::resolver {

/// Puts the engine's questions to groups of upstreams (strategy, health, pools: `Resolution`) and brings back what they
/// said, unread. Its worker's thread only.
class Errands final : public GroupAsker {
public:
    using FindGroup = std::function<std::shared_ptr<Group>(std::string_view name)>;
    using FindLimits = std::function<const Limits&()>;

    Errands(net::Worker& worker, FindGroup find_group, FindLimits find_limits);
    ~Errands();
    Errands(const Errands&) = delete;
    Errands& operator=(const Errands&) = delete;

    [[nodiscard]] bool ask_group(GroupUser& user, const iterate::Ask& ask) noexcept override;
    void forget_asked(const GroupUser& user, iterate::Token token) noexcept override;
    /// Ends everything; nobody is told.
    void stop() noexcept;

private:
    class Errand;
    using Key = std::pair<const GroupUser*, iterate::Token>;

    /// Who said the last answer to a question: one to be passed over where that was bogus. One place for each hash,
    /// the newest stays.
    struct Said {
        std::uint64_t question = 0;
        std::uint8_t upstream = 0;
    };

    void ended(Errand& errand);
    void flush(base::Instant now) noexcept;
    void bring_back(Errand& errand) noexcept;
    [[nodiscard]] std::uint64_t hash_of(std::string_view group, const Inquiry& inquiry) const noexcept;

    net::Worker& worker_;
    FindGroup find_group_;
    FindLimits find_limits_;
    base::SipKey secret_{};
    std::array<Said, 256> said_{};
    std::map<Key, std::unique_ptr<Errand>> errands_;
    std::vector<Key> ended_;
    std::vector<std::unique_ptr<Errand>> forgotten_; // until nothing of them is on the stack
    net::Flush flush_{net::Flush::of<&Errands::flush>(*this)};
};

} // namespace sallyport::resolver
