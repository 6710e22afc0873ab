// fuzz: links sallyport_certs

#include "certs/ticket_keys.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace sallyport;

namespace {

/// A key written back as it stands in the file.
std::array<std::uint8_t, certs::kTicketKeySize> written(const certs::TicketKey& key)
{
    std::array<std::uint8_t, certs::kTicketKeySize> octets;
    std::ranges::copy(key.name, octets.begin());
    std::ranges::copy(key.mac, octets.begin() + 16);
    std::ranges::copy(key.cipher, octets.begin() + 48);
    return octets;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const base::Bytes file{data, size};
    auto keys = certs::parse_ticket_keys(file);
    if (!keys) {
        if (keys.error().message.empty()) std::abort(); // every refusal says why
        return 0;
    }
    if (size == 0 || size % certs::kTicketKeySize != 0) std::abort();
    if (keys->size() != std::min(size / certs::kTicketKeySize, certs::kMaxTicketKeys)) std::abort();
    for (std::size_t i = 0; i < keys->size(); ++i) {
        const auto octets = written((*keys)[i]);
        if (!base::equal(octets, file.subspan(i * certs::kTicketKeySize, certs::kTicketKeySize))) std::abort();
    }
    // Each key is found by its name, and by no other.
    const certs::TicketKeySet set{*keys};
    for (const certs::TicketKey& key : *keys) {
        const certs::TicketKey* found = set.find(key.name);
        if (found == nullptr || !(*found == key)) std::abort();
    }
    return 0;
}
