#include "resolver/iterate/no_cuts.hpp"

#include "resolver/iterate/make_place.hpp"

namespace sallyport::resolver::iterate {

void NoCuts::put(const wire::Name& name, const wire::Name& zone, base::Instant expires, base::Instant now)
{
    if (expires <= now) return;
    make_place(table_, options_.max_no_cuts, name, [now](const auto& entry) { return entry.second.expires <= now; });
    table_.insert_or_assign(name, Known{zone.label_count(), expires});
}

unsigned NoCuts::labels_above(const wire::Name& name, const wire::Name& zone, base::Instant now) const
{
    const unsigned top = zone.label_count();
    const unsigned labels = name.label_count();
    unsigned reached = top;
    if (table_.empty()) return reached;
    while (reached + 1 < labels) {
        const auto it = table_.find(name.parent(labels - reached - 1));
        if (it == table_.end() || it->second.zone_labels != top || it->second.expires <= now) break;
        ++reached;
    }
    return reached;
}

} // namespace sallyport::resolver::iterate
