// fuzz: links sallyport_wire
#include "wire/name.hpp"

#include <cstdlib>
#include <vector>

using namespace sallyport;
using wire::Name;

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

void check(const Name& name)
{
    const auto from_wire = Name::from_wire(name.wire());
    require(from_wire && base::equal(from_wire->wire(), name.wire()));
    const std::string text = name.to_text();
    for (const char c : text) require(c > 0x20 && c < 0x7F);
    const auto from_text = Name::from_text(text);
    require(from_text && base::equal(from_text->wire(), name.wire()));

    const Name lower = name.lower();
    require(lower == name && (lower <=> name) == 0 && lower.hash() == name.hash());
    require(wire::hash_lower(lower.wire()) == name.hash());
    require(name.is_under(name.parent()) && name.is_under(Name{}));
    require(name.is_root() || ((name <=> name.parent()) > 0 && !name.parent().is_under(name)));
}

} // namespace

// The first octet chooses: octets of one name, text of one name, or octets of two names in order.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const base::Bytes rest{data + 1, size - 1};
    if (data[0] % 3 == 0) {
        if (const auto name = Name::from_wire(rest)) check(*name);
    } else if (data[0] % 3 == 1) {
        if (const auto name = Name::from_text(base::as_text(rest))) check(*name);
    } else if (const auto first_size = wire::measure_name(rest)) {
        const auto first = Name::from_wire(rest.first(*first_size));
        const auto second = Name::from_wire(rest.subspan(*first_size));
        require(static_cast<bool>(first));
        if (!second) return 0;
        require((*first == *second) == ((*first <=> *second) == 0));
        require((*first < *second) == (*second > *first));
        if (first->is_under(*second)) {
            const auto moved = first->substitute(*second, Name{});
            require(moved && moved->size() == first->size() - second->size() + 1);
        }
    }
    return 0;
}
