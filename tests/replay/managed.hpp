#pragma once

#include "dnssec/dnssec.hpp"
#include "resolver/iterate/iterate.hpp"
#include "tests/replay/settings.hpp"

#include <list>
#include <memory>
#include <optional>
#include <string>

namespace sallyport::replay {

/// The trust anchors of a scenario that follow RFC 5011: their state files, as text, and when each looks again. As the
/// product does, it asks for the keys with CD, judges them by the anchors themselves, and hands the engine the new
/// ones. Times are seconds of the scenario's clock.
class ManagedAnchors {
public:
    /// Puts what the files trust among the anchors of the settings. `problem()` where one is not to be read.
    explicit ManagedAnchors(Settings& settings);
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    /// Takes up what came back, and looks where it is time. True where something was done.
    bool work(resolver::iterate::Engine& engine, cache::RrsetStore& store, std::int64_t now);
    /// When to look next; nothing where nobody ever will, or is looking.
    [[nodiscard]] std::optional<std::int64_t> next() const;
    /// The state file as it was written last; null where there is none of that name.
    [[nodiscard]] const std::string* find_file(std::string_view id) const;

private:
    struct File {
        std::string id;
        std::string text;
        dnssec::ManagedAnchor anchor;
        bool had_success = false; ///< nothing is written before the first
        bool looking = false;
        std::optional<resolver::iterate::Answer> reply{};
    };
    void look(File& file, resolver::iterate::Engine& engine, cache::RrsetStore& store);
    void take(File& file, std::int64_t now);
    [[nodiscard]] bool is_secure(const dnssec::RrsetView& keys, const File& file, std::int64_t now) const;
    [[nodiscard]] std::shared_ptr<const dnssec::TrustAnchors> anchors() const;
    [[nodiscard]] static bool looks_ever(const File& file);

    std::shared_ptr<const dnssec::TrustAnchors> configured_;
    dnssec::Policy policy_;
    std::optional<std::int64_t> date_;
    std::list<File> files_; // replies point to them
    std::string problem_;
};

} // namespace sallyport::replay
