#pragma once

#include "base/ip_address.hpp"
#include "wire/name.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_lexer.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::zones {

/// `4.3.2.1.in-addr.arpa.` or the 32 nibbles under `ip6.arpa.` (RFC 1035 §3.5, RFC 3596 §2.5).
[[nodiscard]] wire::Name reverse_name(const base::IpAddress& address);

/// Which name an address has, by reverse name: the first name of the first line that has the address, as resolvers
/// of hosts files read it.
using ReverseNames = std::map<std::string, wire::Name>;

/// Reads a hosts file: `ADDRESS NAME [ALIAS...]`, comments from `#` on, CRLF or LF, a byte order mark.
///
/// A name without a dot is put under the builder's apex; one with a dot must lie there already. A name elsewhere is a
/// problem and not a zone of its own: to take over `www.example.com` a person should have to write a zone for it.
/// Problems have file, line and column; reading goes on with the next line.
class HostsFileReader {
public:
    HostsFileReader(ZoneBuilder& builder, const Limits& limits, ReverseNames& reverse)
        : builder_(builder), limits_(limits), reverse_(reverse)
    {
    }

    void read_file(const std::string& path, const base::SourcePosition& named_at);
    void read(TextInput& input, const std::string& file);

private:
    struct Word {
        std::string text;
        Place place;
    };
    [[nodiscard]] bool read_line(TextInput& input, std::vector<Word>& words);
    void skip_line(TextInput& input);
    void take_line(const std::vector<Word>& words);
    [[nodiscard]] bool add_name(const Word& word, const base::IpAddress& address, bool first);
    void problem(std::string message, const Place& place);

    ZoneBuilder& builder_;
    const Limits& limits_;
    ReverseNames& reverse_;
    std::uint16_t file_ = 0;
};

} // namespace sallyport::zones
