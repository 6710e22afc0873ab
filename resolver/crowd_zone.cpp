#include "resolver/crowd_zone.hpp"

#include "base/bytes.hpp"

#include <array>
#include <string_view>

namespace sallyport::resolver {
namespace {

constexpr std::size_t kShortLabel = 3;
constexpr unsigned kReverseV4 = 4;  // in-addr.arpa and two octets
constexpr unsigned kReverseV6 = 10; // ip6.arpa and eight nibbles

} // namespace

wire::Name crowd_zone(const wire::Name& qname) noexcept
{
    const unsigned labels = qname.label_count();
    if (labels <= 2) return qname;
    // The last three labels, the last one first.
    std::array<std::string_view, 3> last;
    const wire::Name tail = qname.parent(labels - 3).lower();
    std::string_view rest = base::as_text(tail.wire());
    for (std::size_t i = last.size(); i > 0; --i) {
        const auto size = static_cast<std::size_t>(static_cast<std::uint8_t>(rest.front()));
        last[i - 1] = rest.substr(1, size);
        rest.remove_prefix(1 + size);
    }
    unsigned kept = 2;
    if (last[0] == "arpa")
        kept = last[1] == "ip6" ? kReverseV6 : last[1] == "in-addr" ? kReverseV4 : 3;
    else if (last[0].size() == 2 && last[1].size() <= kShortLabel)
        kept = 3;
    return labels <= kept ? qname : qname.parent(labels - kept);
}

} // namespace sallyport::resolver
