#pragma once

#include <algorithm>
#include <cstddef>

/// Room in tables of what ends by itself. A few places are looked at, not all: whoever fills a table would have every
/// newcomer pay for a walk through it.
namespace sallyport::resolver::iterate {

/// Takes what `is_over` out of some places of a hash table, from the place `first` on.
template <class Table, class IsOver>
void take_out_some(Table& table, std::size_t first, const IsOver& is_over)
{
    constexpr std::size_t kPlaces = 64;
    const std::size_t places = table.bucket_count();
    for (std::size_t i = 0; i < std::min(kPlaces, places); ++i) {
        const std::size_t place = (first + i) % places;
        for (auto it = table.begin(place); it != table.end(place);) {
            const auto one = it++;
            if (!is_over(*one)) continue;
            const auto key = one->first; // outlives its entry
            table.erase(key);
        }
    }
}

/// A place for one more where there may be `most`. Where nothing is over near the newcomer's place, what stands next to
/// that goes: nobody can choose what that is.
template <class Table, class IsOver>
void make_place(Table& table, std::size_t most, const typename Table::key_type& newcomer, const IsOver& is_over)
{
    if (table.size() < most || table.empty() || table.contains(newcomer)) return;
    take_out_some(table, table.bucket(newcomer), is_over);
    if (table.size() < most || table.empty()) return;
    std::size_t place = table.bucket(newcomer);
    while (table.begin(place) == table.end(place)) place = (place + 1) % table.bucket_count();
    const auto key = table.begin(place)->first;
    table.erase(key);
}

} // namespace sallyport::resolver::iterate
