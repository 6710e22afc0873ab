// fuzz: links sallyport_resolver
#include "resolver/bootstrap_reply.hpp"

#include <cstdlib>

using namespace sallyport;

/// Whatever a bootstrap server sends: addresses are of the family that was asked for, no more aliases are followed than
/// may be, and there is either something found or something to ask.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto view = wire::MessageView::parse({data, size});
    if (!view || view->header().question_count == 0) return 0;
    constexpr unsigned kAliases = 3;
    for (const wire::RrType qtype : {wire::RrType::A, wire::RrType::AAAA}) {
        const auto read = resolver::read_addresses(*view, view->qname().to_name(), qtype, kAliases);
        const bool found = read.finding.kind == resolver::Finding::Kind::found;
        if (found == read.finding.addresses.empty()) std::abort();
        if (read.finding.addresses.size() > view->answers().size() || read.aliases > kAliases) std::abort();
        for (const auto& address : read.finding.addresses)
            if (address.is_v4() != (qtype == wire::RrType::A)) std::abort();
        if (read.next && (found || read.too_many_aliases || read.aliases == 0)) std::abort();
    }
    return 0;
}
