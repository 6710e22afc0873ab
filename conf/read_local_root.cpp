#include "conf/parts.hpp"

#include <algorithm>

namespace sallyport::conf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kMostServers = 16;

void read_servers(Section& section, std::vector<base::Endpoint>& servers)
{
    std::vector<std::string> texts;
    std::vector<base::SourcePosition> positions;
    section.texts("from", texts, &positions);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto address = base::IpAddress::parse(texts[i]);
        const auto server = address ? base::Result<base::Endpoint>{base::Endpoint{*address, kDnsPort, 0}}
                                    : base::Endpoint::parse(texts[i], kDnsPort);
        if (!server)
            section.reading().complain(positions[i], "'" + texts[i] +
                                                         "' is no address; expected one like 192.0.2.1, 192.0.2.1:5353 "
                                                         "or [2001:db8::1]:5353");
        else if (std::find(servers.begin(), servers.end(), *server) != servers.end())
            section.reading().complain(positions[i], "'" + texts[i] + "' is there already");
        else
            servers.push_back(*server);
    }
    if (servers.size() > kMostServers)
        section.reading().complain(section.position_of("from"),
                                   "at most " + std::to_string(kMostServers) + " servers are asked for the root zone");
}

void read_limits(Section& local_root, resolver::RootTransferOptions& options)
{
    Section section{local_root.reading(), local_root.map("limits"), "resolve.local_root.limits"};
    section.size("size", options.octets, 1U << 12U, 1ULL << 30U);
    section.number("records", options.records, 1, 10'000'000);
    section.duration("connect", options.connect, milliseconds{100}, minutes{1});
    section.duration("idle", options.idle, milliseconds{100}, minutes{5});
    section.duration("time", options.whole, milliseconds{500}, hours{1});
    section.duration("least_pause", options.least_pause, milliseconds{100}, hours{24});
    section.duration("most_pause", options.most_pause, seconds{1}, hours{24 * 30});
    if (options.least_pause > options.most_pause)
        section.reading().complain(section.position_of("least_pause"),
                                   "'resolve.local_root.limits.least_pause' is longer than 'most_pause'");
}

} // namespace

void read_local_root(Section& resolve, resolver::RecurseOptions& options)
{
    Section section{resolve.reading(), resolve.map("local_root"), "resolve.local_root"};
    section.path("file", options.local_root_file);
    options.local_root_position = section.position_of("file");
    auto& transfer = options.local_root_transfer;
    read_servers(section, transfer.from);
    section.path("state_file", transfer.state_file);
    read_limits(section, transfer);
    if (!options.local_root_file.empty() && !transfer.from.empty())
        section.reading().complain(section.position_of("from"),
                                   "'resolve.local_root' has both 'file' and 'from'; expected one of them: what is "
                                   "transferred is kept in 'state_file'");
    if (!transfer.state_file.empty() && transfer.from.empty())
        section.reading().complain(section.position_of("state_file"),
                                   "'resolve.local_root.state_file' is for a zone that is transferred; expected 'from' "
                                   "beside it");
}

} // namespace sallyport::conf
