#pragma once

#include "base/clock.hpp"
#include "resolver/iterate/options.hpp"
#include "wire/name.hpp"

#include <unordered_map>

namespace sallyport::resolver::iterate {

/// Names at which minimised queries found no zone cut (RFC 9156): what is below them is asked for with one label more
/// at once. Only a hint: where a cut comes to be there meanwhile, its parent's servers refer to it all the same.
class NoCuts {
public:
    explicit NoCuts(const Options& options) : options_(options) {}

    /// The servers of `zone` know of no cut at `name`.
    void put(const wire::Name& name, const wire::Name& zone, base::Instant expires, base::Instant now);
    /// Labels of the deepest name above `name` down to which, from `zone`, no cut is known to be; those of `zone` where
    /// nothing is known.
    [[nodiscard]] unsigned labels_above(const wire::Name& name, const wire::Name& zone, base::Instant now) const;
    [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
    void clear() { table_.clear(); }

private:
    struct Known {
        unsigned zone_labels = 0; ///< the zone is the ancestor with so many
        base::Instant expires{};
    };
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    const Options& options_;
    std::unordered_map<wire::Name, Known, NameHash> table_;
};

} // namespace sallyport::resolver::iterate
