#include "conf/parts.hpp"
#include "conf/upstream_url.hpp"

#include <algorithm>

namespace sallyport::conf {
namespace {

/// RFC 6052 §2.2: of a length that is known, and with nothing in the octet that has to stay zero.
bool holds_ipv4(const base::Prefix& prefix)
{
    constexpr unsigned kLengths[] = {32, 40, 48, 56, 64, 96};
    constexpr std::size_t kUnusedOctet = 8;
    return !prefix.address().is_v4() && prefix.address().octets()[kUnusedOctet] == 0 &&
           std::find(std::begin(kLengths), std::end(kLengths), prefix.length()) != std::end(kLengths);
}

void read_dns64_prefixes(Section& section, std::vector<base::Prefix>& prefixes)
{
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    section.texts("prefixes", texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto prefix = base::Prefix::parse(texts[i]);
        if (prefix && holds_ipv4(*prefix))
            prefixes.push_back(*prefix);
        else
            section.reading().complain(positions[i], "'" + texts[i] +
                                                         "' is no prefix for IPv4 addresses; expected an IPv6 network "
                                                         "of 32, 40, 48, 56, 64 or 96 bits like 64:ff9b::/96");
    }
}

void read_ignored(Section& section, std::vector<wire::Name>& zones)
{
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    section.texts("ignore", texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto name = wire::Name::from_text(texts[i]);
        if (name && (texts[i] == "." || is_domain_name(texts[i])))
            zones.push_back(name->lower());
        else
            section.reading().complain(positions[i],
                                       "'" + texts[i] + "' is no domain name; expected one like corp.example");
    }
}

} // namespace

/// For networks whose clients reach IPv4 through a translator (RFC 6147). Absent: none.
void read_dns64(Section& resolve, resolver::iterate::Dns64Options& options)
{
    Section section{resolve.reading(), resolve.map("dns64"), "resolve.dns64"};
    read_dns64_prefixes(section, options.prefixes);
    section.prefixes("exclude", options.exclude);
    read_ignored(section, options.ignore);
    if (options.prefixes.empty() && (!options.exclude.empty() || !options.ignore.empty()))
        resolve.reading().complain(resolve.position_of("dns64"), "'resolve.dns64' needs 'prefixes'");
}

} // namespace sallyport::conf
