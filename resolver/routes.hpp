#pragma once

#include "resolver/options.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver {

/// Which group of upstreams a name goes to. Made from options that were checked; immutable.
class Routes {
public:
    struct Match {
        std::size_t group = 0;
        std::string_view zone{}; ///< the route that decided, as it was written; empty for the default group
    };

    explicit Routes(const Options& options);

    /// The longest match; else the first group. Nothing without groups. DS is asked where the parent's names go: it is
    /// the parent that has it (RFC 4034 §5).
    [[nodiscard]] std::optional<Match> find(const wire::Name& qname, wire::RrType qtype) const noexcept;
    [[nodiscard]] std::optional<std::size_t> find_group(std::string_view name) const noexcept;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const noexcept;
    };

    std::vector<std::string> groups_;
    std::unordered_map<std::string, std::pair<std::size_t, std::string>, Hash, std::equal_to<>> zones_;
};

} // namespace sallyport::resolver
