#include "dnssec/anchors.hpp"
#include "resolver/options.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace sallyport::resolver {
namespace {

constexpr std::size_t kMaxHints = 1U << 20U;
constexpr std::size_t kMaxFile = 1U << 20U; // read to see whether it is another

/// Root hints as they are handed out (RFC 8109 §2): NS records of the root, and A and AAAA records of those names. One
/// record a line, each with its owner.
class HintsReader {
public:
    HintsReader(std::string file, std::uint16_t port, base::Problems& problems)
        : file_(std::move(file)), port_(port), problems_(problems)
    {
    }

    [[nodiscard]] iterate::FixedZone read(std::istream& input)
    {
        std::string line;
        std::size_t octets = 0;
        while (std::getline(input, line) && (octets += line.size() + 1) <= kMaxHints) {
            ++line_;
            read_line(line);
        }
        iterate::FixedZone root;
        for (const auto& [owner, address] : addresses_)
            if (std::find(names_.begin(), names_.end(), owner) != names_.end())
                root.servers.push_back({address, port_, 0});
        if (root.servers.empty() && problems_.empty())
            complain(0, "no name server of the root with an address in it; expected NS records of '.' and A or AAAA "
                        "records of what they name");
        return root;
    }

private:
    void complain(std::uint32_t line, std::string message)
    {
        problems_.push_back({base::ErrorCode::invalid, std::move(message), {file_, line, 0}});
    }

    static std::vector<std::string> words_of(std::string_view line)
    {
        std::vector<std::string> words;
        std::istringstream text{std::string{line.substr(0, line.find(';'))}};
        for (std::string word; text >> word;) words.push_back(word);
        return words;
    }

    /// `owner [TTL] [class] type rdata`
    void read_line(std::string_view line)
    {
        const auto words = words_of(line);
        if (words.empty()) return;
        const auto owner = wire::Name::from_text(words.front());
        std::size_t at = 1;
        while (at < words.size() && (is_number(words[at]) || words[at] == "IN" || words[at] == "in")) ++at;
        const auto type = at + 1 < words.size() ? wire::parse_rr_type(words[at]) : std::nullopt;
        if (!owner || !type || words.size() != at + 2) {
            complain(line_, "expected an owner, a type and one value: '. NS a.example.' or 'a.example. A 192.0.2.1'");
            return;
        }
        add(owner->lower(), *type, words[at + 1]);
    }

    void add(const wire::Name& owner, wire::RrType type, const std::string& value)
    {
        if (type == wire::RrType::NS) {
            const auto server = wire::Name::from_text(value);
            if (!server || !owner.is_root())
                complain(line_, "expected a name server of the root: '. NS a.example.'");
            else
                names_.push_back(server->lower());
            return;
        }
        const auto address = base::IpAddress::parse(value);
        if ((type != wire::RrType::A && type != wire::RrType::AAAA) || !address ||
            address->is_v4() != (type == wire::RrType::A))
            complain(line_, "'" + value + "' is no address of that type; root hints hold NS, A and AAAA records");
        else
            addresses_.emplace_back(owner, *address);
    }

    static bool is_number(const std::string& word)
    {
        return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
    }

    std::string file_;
    std::uint16_t port_;
    base::Problems& problems_;
    std::uint32_t line_ = 0;
    std::vector<wire::Name> names_;
    std::vector<std::pair<wire::Name, base::IpAddress>> addresses_;
};

std::optional<iterate::FixedZone> read_hints(const RecurseOptions& options, base::Problems& problems)
{
    std::ifstream input(options.root_hints);
    if (!input) {
        base::Error error = base::system_error("root hints '" + options.root_hints + "' can not be read", errno);
        error.position = options.root_hints_position;
        problems.push_back(std::move(error));
        return std::nullopt;
    }
    base::Problems found;
    auto root = HintsReader{options.root_hints, options.engine.port, found}.read(input);
    if (found.empty()) return root;
    problems.insert(problems.end(), found.begin(), found.end());
    return std::nullopt;
}

std::vector<base::Prefix> prefixes_of(std::initializer_list<std::string_view> texts)
{
    std::vector<base::Prefix> prefixes;
    for (const std::string_view text : texts)
        if (const auto prefix = base::Prefix::parse(text)) prefixes.push_back(*prefix);
    return prefixes;
}

/// Never asked, beside what the operator named.
void refuse_useless_addresses(RecurseOptions& options)
{
    const auto loopback = prefixes_of({"127.0.0.0/8", "::/127"});
    for (const base::Prefix& prefix : iterate::useless_addresses()) {
        const bool is_loopback = std::find(loopback.begin(), loopback.end(), prefix) != loopback.end();
        if (!options.allow_loopback || !is_loopback) options.engine.do_not_query.push_back(prefix);
    }
}

/// Answers from outside that name something inside: a browser would be led there (DNS rebinding).
void refuse_private_addresses(RecurseOptions& options)
{
    if (!options.strip_private_addresses || !options.engine.private_addresses.empty()) return;
    options.engine.private_addresses =
        prefixes_of({"0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                     "::/127", "fc00::/7", "fe80::/10"});
}

std::string whole_file(const std::string& name)
{
    std::ifstream input(name, std::ios::binary);
    std::string text(kMaxFile, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(input.gcount(), 0)));
    return text;
}

/// What the configuration says, what is in the files that it names, and what came from elsewhere. The day, because
/// anchors have dates.
std::string fingerprint_of(const RecurseOptions& options, const cache::RrsetOptions& lifetimes, std::int64_t date)
{
    constexpr std::int64_t kDay = 86'400;
    std::string text = options.fingerprint;
    text += std::to_string(date / kDay) + (options.engine.prefetch ? " prefetch " : " ");
    for (const std::uint32_t ttl : {lifetimes.min_ttl, lifetimes.max_ttl, lifetimes.max_negative_ttl})
        text += std::to_string(ttl) + ' ';
    for (const base::Prefix& prefix : options.engine.do_not_query) text += prefix.to_string() + ' ';
    if (!options.root_hints.empty()) text += whole_file(options.root_hints) + '\n';
    for (const std::string& file : options.dnssec.anchor_files) text += whole_file(file) + '\n';
    return text;
}

/// Groups of upstreams, as the engine sees them: servers of their zones that recurse.
void add_groups(Options& options)
{
    RecurseOptions& recurse = options.recurse;
    const auto add = [&](const wire::Name& zone, const std::string& group, bool first) {
        iterate::FixedZone made;
        made.zone = zone.lower();
        made.forward = true;
        made.first = first;
        made.group = group;
        recurse.engine.fixed.push_back(std::move(made));
    };
    if (options.mode == Mode::forward && !options.groups.empty())
        add(wire::Name{}, options.groups.front().name, options.first);
    for (const RouteOptions& route : options.routes) {
        for (const std::string& zone : route.zones) {
            const auto name = wire::Name::from_text(zone);
            if (!name) continue;
            add(*name, route.group, route.first);
            if (route.validate) continue;
            recurse.dnssec.insecure.push_back({zone, 0, route.position});
            recurse.engine.private_domains.push_back(name->lower()); // names of this network may lead into it
        }
    }
    // The group gives up by itself, and is not asked again before that.
    recurse.engine.group_timeout = options.limits.budget + 500ms;
}

} // namespace

bool prepare_recursion(Options& options, const Options* before, const cache::RrsetOptions& lifetimes, std::int64_t date,
                       base::Problems& problems)
{
    if (!needs_engine(options)) return true;
    RecurseOptions& recurse = options.recurse;
    const std::size_t faults = problems.size();
    if (!recurse.fingerprint.empty()) recurse.fingerprint = fingerprint_of(recurse, lifetimes, date);
    if (before != nullptr && !recurse.fingerprint.empty() && before->recurse.fingerprint == recurse.fingerprint &&
        before->recurse.store) {
        recurse = before->recurse;
        return true;
    }
    if (!recurse.root_hints.empty())
        if (auto root = read_hints(recurse, problems)) recurse.engine.fixed.push_back(std::move(*root));
    add_groups(options);
    recurse.dnssec.built_in_anchors = recurse.dnssec.anchor_files.empty() && recurse.dnssec.anchors.empty();
    auto anchors = dnssec::load_anchors(recurse.dnssec, date, problems);
    if (recurse.dnssec.enabled)
        recurse.engine.anchors = std::make_shared<const dnssec::TrustAnchors>(std::move(anchors));
    recurse.engine.policy = recurse.dnssec.policy();
    recurse.engine.permissive = recurse.dnssec.permissive;
    recurse.engine.sentinel = recurse.dnssec.sentinel;
    recurse.engine.case_randomisation = options.case_randomisation;
    recurse.engine.cookies = options.cookies;
    recurse.engine.udp_payload_size = options.udp_payload_size;
    refuse_useless_addresses(recurse);
    refuse_private_addresses(recurse);
    if (problems.size() != faults) return false;
    cache::RrsetOptions wanted = lifetimes;
    wanted.bytes = recurse.store_bytes;
    recurse.store = std::make_shared<cache::RrsetStore>(wanted);
    return true;
}

} // namespace sallyport::resolver
