#include "apps/hints.hpp"

#include "apps/gateway.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <sstream>
#include <string>

namespace sallyport::apps {
namespace {

using listeners::Port;

namespace fs = std::filesystem;

/// This program as it can be typed here: by its name where the shell would find it, else by its path.
std::string typed_program()
{
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (error) return "sallyport";
    const char* const path = std::getenv("PATH");
    std::istringstream folders{path != nullptr ? std::string{path} : std::string{}};
    for (std::string folder; std::getline(folders, folder, ':');)
        if (fs::path(folder) == self.parent_path()) return self.filename().string();
    const fs::path near = self.lexically_relative(fs::current_path(error));
    const bool below = !near.empty() && *near.begin() != "..";
    return below ? near.string() : self.string();
}

/// What the lines have in common.
struct Words {
    std::string name; ///< the gateway's, on its certificate
    std::string ask;  ///< a name in a local zone
    std::string ca;   ///< file of the development CA; empty where there is none
};

struct Line {
    std::string door;
    std::string where;
    std::string paste;
};

Words words_for(const Gateway& gateway)
{
    const auto& configuration = gateway.loaded().configuration;
    Words words;
    words.name = configuration.pipeline.ddr.target.empty() ? "gate.test" : configuration.pipeline.ddr.target;
    words.ask = configuration.zones.zones.empty() ? words.name : configuration.zones.zones.front().name;
    const auto ca = fs::path(configuration.certificates.directory) / "ca.crt";
    if (std::error_code error; fs::exists(ca, error)) words.ca = ca.string();
    return words;
}

std::string at(const base::Endpoint& endpoint)
{
    return "@" + endpoint.address.to_string() + " -p " + std::to_string(endpoint.port);
}

std::string trust(const Words& words)
{
    return (words.ca.empty() ? "+tls" : "+tls-ca=" + words.ca) + " +tls-hostname=" + words.name;
}

void tls_lines(const Port& port, const base::Endpoint& bound, const Words& words, std::vector<Line>& lines)
{
    if (port.dot != nullptr)
        lines.push_back(
            {"DoT", bound.to_string(), "kdig " + at(bound) + " +tls " + trust(words) + " " + words.ask + " AAAA"});
    if (port.doh == nullptr) return;
    const auto& path = port.doh->doh.paths.front();
    const std::string ca = words.ca.empty() ? "" : " --cacert " + words.ca;
    lines.push_back({"DoH", "https://" + bound.to_string() + path,
                     "kdig " + at(bound) + " +https=" + path + " " + trust(words) + " " + words.ask + " A"});
    lines.push_back({"", "",
                     "curl" + ca + " --doh-url https://" + bound.to_string() + path + " https://" + words.name + ":" +
                         std::to_string(bound.port) + "/"});
}

void quic_lines(const Port& port, const base::Endpoint& bound, const Words& words, std::vector<Line>& lines)
{
    if (port.doq != nullptr)
        // +quic last: in kdig the words for certificates switch to TLS over TCP.
        lines.push_back({"DoQ", bound.to_string() + "/udp",
                         "kdig " + at(bound) + " " + trust(words) + " +quic " + words.ask + " MX"});
    if (port.doh != nullptr)
        lines.push_back({"DoH/3", bound.to_string() + "/udp",
                         typed_program() + " ask " + words.ask + " TXT --doh3 " + bound.to_string() + " --name " +
                             words.name + (words.ca.empty() ? "" : " --ca " + words.ca)});
}

std::vector<Line> lines_for(const Gateway& gateway, const Words& words)
{
    std::vector<Line> lines;
    for (std::size_t i = 0; i < gateway.ports().size(); ++i) {
        const Port& port = gateway.ports()[i];
        const base::Endpoint& bound = gateway.bound()[i];
        switch (port.kind) {
        case Port::Kind::udp:
            lines.push_back({"Do53/UDP", bound.to_string(), "kdig " + at(bound) + " " + words.ask + " A"});
            break;
        case Port::Kind::tcp:
            lines.push_back({"Do53/TCP", bound.to_string(), "kdig " + at(bound) + " +tcp " + words.ask + " A"});
            break;
        case Port::Kind::unix_stream: lines.push_back({"Do53/Unix", port.address.unix_path, ""}); break;
        case Port::Kind::tls: tls_lines(port, bound, words, lines); break;
        case Port::Kind::http_cleartext:
            lines.push_back({"DoH (cleartext)", "http://" + bound.to_string() + port.doh->doh.paths.front(), ""});
            break;
        case Port::Kind::quic: quic_lines(port, bound, words, lines); break;
        }
    }
    return lines;
}

void print_table(const std::vector<Line>& lines, std::ostream& out)
{
    std::size_t door = 4;
    std::size_t where = 5;
    for (const auto& line : lines) {
        door = std::max(door, line.door.size());
        where = std::max(where, line.where.size());
    }
    const auto pad = [](const std::string& text, std::size_t width) {
        return text + std::string(width - text.size() + 2, ' ');
    };
    out << "\n  " << pad("door", door) << pad("where", where) << "to paste into another terminal\n";
    for (const auto& line : lines) out << "  " << pad(line.door, door) << pad(line.where, where) << line.paste << '\n';
}

/// Devices want the DoH address as a browser writes it, and the name on the certificate.
void print_devices(const Gateway& gateway, const Words& words, std::ostream& out)
{
    for (std::size_t i = 0; i < gateway.ports().size(); ++i) {
        const Port& port = gateway.ports()[i];
        if (port.kind != Port::Kind::tls || port.doh == nullptr) continue;
        const std::string url = "https://" + gateway.bound()[i].to_string() + port.doh->doh.paths.front();
        out << "\n  Firefox   Settings > Privacy & Security > DNS over HTTPS > Max Protection > Custom: " << url
            << "\n  Chromium  Settings > Privacy and security > Security > Use secure DNS > With: " << url << '\n';
        if (!words.ca.empty())
            out << "            both must trust " << words.ca << " first (import it as an authority)\n";
        break;
    }
    out << "  Android   Settings > Network > Private DNS: the host name " << words.name
        << " (port 853 and a publicly trusted certificate)\n\n  Ctrl-C ends it.\n\n";
}

} // namespace

void print_hints(const Gateway& gateway, std::ostream& out)
{
    const Words words = words_for(gateway);
    print_table(lines_for(gateway, words), out);
    print_devices(gateway, words, out);
    out.flush();
}

} // namespace sallyport::apps
