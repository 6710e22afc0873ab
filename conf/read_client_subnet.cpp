#include "conf/parts.hpp"
#include "conf/upstream_url.hpp"

namespace sallyport::conf {

/// Whom a server may be told of, and how much (RFC 7871). Absent: nobody of nobody.
void read_client_subnet(Section& resolve, resolver::RecurseOptions& options)
{
    resolver::iterate::SubnetOptions& rules = options.engine.subnet;
    Reading& reading = resolve.reading();
    Section section{reading, resolve.map("client_subnet"), "resolve.client_subnet"};
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    section.texts("zones", texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto name = wire::Name::from_text(texts[i]);
        if (name && (texts[i] == "." || is_domain_name(texts[i])))
            rules.zones.push_back(name->lower());
        else
            reading.complain(positions[i], "'" + texts[i] + "' is no domain name; expected one like cdn.example");
    }
    section.prefixes("servers", rules.servers);
    section.number("ipv4_bits", rules.ipv4_bits, 1, 32);
    section.number("ipv6_bits", rules.ipv6_bits, 1, 128);
    section.boolean("from_clients", options.subnet_from_clients);
    section.number("entries", rules.max_entries, 16, 10'000'000);
    section.size("size", rules.max_octets, 1ULL << 16U, 1ULL << 36U);
}

} // namespace sallyport::conf
