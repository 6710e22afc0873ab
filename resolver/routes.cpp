#include "resolver/routes.hpp"

#include "base/bytes.hpp"

namespace sallyport::resolver {

std::size_t Routes::Hash::operator()(std::string_view name) const noexcept
{
    return wire::hash_lower(base::as_bytes(name));
}

Routes::Routes(const Options& options)
{
    for (const GroupOptions& group : options.groups) groups_.push_back(group.name);
    for (const RouteOptions& route : options.routes) {
        const auto group = find_group(route.group);
        if (!group) continue;
        for (const std::string& zone : route.zones) {
            const auto name = wire::Name::from_text(zone);
            if (name) zones_.emplace(base::as_text(name->lower().wire()), std::pair{*group, zone});
        }
    }
}

std::optional<std::size_t> Routes::find_group(std::string_view name) const noexcept
{
    for (std::size_t i = 0; i < groups_.size(); ++i)
        if (groups_[i] == name) return i;
    return std::nullopt;
}

std::optional<Routes::Match> Routes::find(const wire::Name& qname, wire::RrType qtype) const noexcept
{
    if (groups_.empty()) return std::nullopt;
    if (zones_.empty()) return Match{};
    std::string_view rest = base::as_text(qname.wire());
    if (qtype == wire::RrType::DS && rest.size() > 1) rest.remove_prefix(1U + static_cast<std::uint8_t>(rest.front()));
    while (true) {
        if (const auto found = zones_.find(rest); found != zones_.end())
            return Match{found->second.first, found->second.second};
        if (rest.size() <= 1) return Match{};
        rest.remove_prefix(1U + static_cast<std::uint8_t>(rest.front()));
    }
}

} // namespace sallyport::resolver
