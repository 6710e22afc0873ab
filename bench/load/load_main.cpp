#include "bench/load/load.hpp"
#include "net/client/doh_request.hpp"
#include "wire/message_writer.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sys/resource.h>

namespace sallyport::load {

namespace {

using base::Transport;

struct Typed {
    LoadOptions options;
    std::string door = "udp";
    std::string server = "127.0.0.1:5300";
    std::string names_file;
    std::string name = "gate.test";
    std::string type = "A";
    std::uint16_t padding = 0;
    bool dnssec = false;
    bool no_edns = false;
    bool insecure = false;
    bool json = false;
    double timeout = 5;
};

std::optional<Transport> transport_named(const std::string& name)
{
    for (std::size_t i = 0; i < base::kTransports; ++i) {
        const auto transport = static_cast<Transport>(i);
        if (base::to_string(transport) == name) return transport;
    }
    if (name == "doh") return Transport::doh2;
    return std::nullopt;
}

[[noreturn]] void refuse(const std::string& what) { throw CLI::ValidationError(what); }

Template make_template(const std::string& name, const std::string& type, const Typed& typed)
{
    const auto qname = wire::Name::from_text(name);
    const auto qtype = wire::parse_rr_type(type);
    if (!qname) refuse("'" + name + "' is no domain name");
    if (!qtype) refuse("'" + type + "' is no record type");
    Template made;
    made.query.resize(2048);
    wire::MessageWriter writer{made.query, made.query.size()};
    writer.begin(0, wire::flag::RD);
    if (!writer.question(*qname, *qtype, wire::RrClass::IN)) refuse("'" + name + "' does not fit a message");
    made.question_size = writer.size() - wire::kHeaderSize;
    if (!typed.no_edns && writer.begin_opt(1232, typed.dnssec)) {
        if (typed.padding > 0) writer.pad_to(typed.padding);
        writer.end_opt();
    }
    made.query.resize(writer.message().size());
    return made;
}

std::vector<Template> make_templates(const Typed& typed)
{
    std::vector<Template> templates;
    if (typed.names_file.empty()) {
        templates.push_back(make_template(typed.name, typed.type, typed));
        return templates;
    }
    std::ifstream file{typed.names_file};
    if (!file) refuse(typed.names_file + " cannot be read");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        std::string name;
        std::string type;
        if (!(words >> name)) continue;
        if (!(words >> type)) type = typed.type;
        templates.push_back(make_template(name, type, typed));
    }
    if (templates.empty()) refuse(typed.names_file + " names nothing");
    return templates;
}

void read_typed(Typed& typed)
{
    LoadOptions& options = typed.options;
    const auto transport = transport_named(typed.door);
    if (!transport) refuse("--door: expected udp, tcp, dot, doh, doh1, doh3 or doq");
    const auto server = base::Endpoint::parse(typed.server);
    if (!server) refuse("--server: expected ADDRESS:PORT");
    options.server = *server;
    options.peer.transport = *transport;
    options.peer.tls.verify = !typed.insecure;
    if (options.peer.tls.server_name.empty()) options.peer.tls.server_name = server->address.to_string();
    if (options.peer.doh.authority.empty()) options.peer.doh.authority = server->to_string();
    options.timeout = std::chrono::milliseconds{static_cast<std::int64_t>(typed.timeout * 1000)};
    if (options.connections == 0 || options.outstanding == 0) refuse("--connections and --outstanding are at least 1");
}

double microseconds(std::chrono::nanoseconds duration) { return static_cast<double>(duration.count()) / 1000.0; }

double cpu_per_answer(const LoadResult& result)
{
    if (result.answered == 0) return 0;
    return microseconds(result.finished.cpu - result.connected.cpu) / static_cast<double>(result.answered);
}

double rate(const LoadResult& result)
{
    const double seconds = std::chrono::duration<double>{result.duration}.count();
    return seconds > 0 ? static_cast<double>(result.answered) / seconds : 0;
}

void print_text(const LoadOptions& options, const LoadResult& r)
{
    std::printf("door %s, %u connection(s) with %u outstanding each, made in %.2f s\n",
                std::string{base::to_string(options.peer.transport)}.c_str(), options.connections, options.outstanding,
                std::chrono::duration<double>{r.ramp}.count());
    std::printf("sent %llu, answered %llu, timeouts %llu, wrong %llu, unanswered %llu, failed connections %llu, "
                "truncated %llu\n",
                static_cast<unsigned long long>(r.sent), static_cast<unsigned long long>(r.answered),
                static_cast<unsigned long long>(r.timeouts), static_cast<unsigned long long>(r.wrong),
                static_cast<unsigned long long>(r.unanswered), static_cast<unsigned long long>(r.failed_connections),
                static_cast<unsigned long long>(r.truncated));
    std::printf("rcodes:");
    for (std::size_t i = 0; i < r.rcodes.size(); ++i) {
        if (r.rcodes[i] == 0) continue;
        std::printf(" %s %llu", wire::to_string(static_cast<wire::Rcode>(i)).c_str(),
                    static_cast<unsigned long long>(r.rcodes[i]));
    }
    std::printf("\n%.0f answers/s, latency p50 %.0f us, p99 %.0f us\n", rate(r), microseconds(r.latency.quantile(0.5)),
                microseconds(r.latency.quantile(0.99)));
    if (options.server_pid > 0) {
        std::printf(
            "server: %.2f us CPU an answer; RSS %llu KiB before, %llu connected, %llu peak, %llu at the end, "
            "%llu closed; descriptors %llu before, %llu peak, %llu closed\n",
            cpu_per_answer(r), static_cast<unsigned long long>(r.before.rss_kib),
            static_cast<unsigned long long>(r.connected.rss_kib), static_cast<unsigned long long>(r.rss_peak_kib),
            static_cast<unsigned long long>(r.finished.rss_kib), static_cast<unsigned long long>(r.closed.rss_kib),
            static_cast<unsigned long long>(r.before.descriptors), static_cast<unsigned long long>(r.descriptors_peak),
            static_cast<unsigned long long>(r.closed.descriptors));
    }
    if (!r.first_failure.empty()) std::printf("first failure: %s\n", r.first_failure.c_str());
}

void print_json(const LoadOptions& options, const LoadResult& r)
{
    std::string failure;
    for (const char c : r.first_failure) failure += c >= ' ' && c < 0x7F && c != '"' && c != '\\' ? c : ' ';
    std::printf("{\"door\":\"%s\",\"connections\":%u,\"outstanding\":%u,\"sent\":%llu,\"answered\":%llu,"
                "\"timeouts\":%llu,\"wrong\":%llu,\"unanswered\":%llu,\"failed_connections\":%llu,\"truncated\":%llu,"
                "\"errors\":%llu,\"noerror\":%llu,",
                std::string{base::to_string(options.peer.transport)}.c_str(), options.connections, options.outstanding,
                static_cast<unsigned long long>(r.sent), static_cast<unsigned long long>(r.answered),
                static_cast<unsigned long long>(r.timeouts), static_cast<unsigned long long>(r.wrong),
                static_cast<unsigned long long>(r.unanswered), static_cast<unsigned long long>(r.failed_connections),
                static_cast<unsigned long long>(r.truncated), static_cast<unsigned long long>(r.errors()),
                static_cast<unsigned long long>(r.rcodes[0]));
    std::printf("\"answers_per_second\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"ramp_s\":%.3f,\"seconds\":%.3f,"
                "\"cpu_us\":%.3f,",
                rate(r), microseconds(r.latency.quantile(0.5)), microseconds(r.latency.quantile(0.99)),
                std::chrono::duration<double>{r.ramp}.count(), std::chrono::duration<double>{r.duration}.count(),
                cpu_per_answer(r));
    std::printf("\"rss_before_kib\":%llu,\"rss_connected_kib\":%llu,\"rss_peak_kib\":%llu,\"rss_end_kib\":%llu,"
                "\"rss_closed_kib\":%llu,\"fds_before\":%llu,\"fds_peak\":%llu,\"fds_closed\":%llu,"
                "\"first_failure\":\"%s\"}\n",
                static_cast<unsigned long long>(r.before.rss_kib), static_cast<unsigned long long>(r.connected.rss_kib),
                static_cast<unsigned long long>(r.rss_peak_kib), static_cast<unsigned long long>(r.finished.rss_kib),
                static_cast<unsigned long long>(r.closed.rss_kib),
                static_cast<unsigned long long>(r.before.descriptors),
                static_cast<unsigned long long>(r.descriptors_peak),
                static_cast<unsigned long long>(r.closed.descriptors), failure.c_str());
}

void add_options(CLI::App& app, Typed& typed)
{
    LoadOptions& options = typed.options;
    app.add_option("--door", typed.door, "udp, tcp, dot, doh (HTTP/2), doh1, doh3 or doq")->capture_default_str();
    app.add_option("--server", typed.server, "ADDRESS:PORT")->capture_default_str();
    app.add_option("--connections", options.connections, "How many")->capture_default_str();
    app.add_option("--outstanding", options.outstanding, "Queries in flight on each connection")
        ->check(CLI::Range(1U, 4096U))
        ->capture_default_str();
    app.add_option("--in-flight", options.in_flight,
                   "Queries in flight over all connections, which take turns (default: no such limit)");
    app.add_option("--queries", options.queries, "How many in all (default: as many as --seconds allows)");
    app.add_option("--seconds", options.seconds, "How long, without --queries")->capture_default_str();
    app.add_option("--ramp", options.ramp, "Connections being made at once")->capture_default_str();
    app.add_option("--name", typed.name, "What to ask")->capture_default_str();
    app.add_option("--type", typed.type, "Record type")->capture_default_str();
    app.add_option("--names", typed.names_file, "File of what to ask in turn: NAME [TYPE] a line");
    app.add_option("--padding", typed.padding, "Pad queries to a multiple of this")->capture_default_str();
    app.add_flag("--dnssec", typed.dnssec, "Set DO");
    app.add_flag("--no-edns", typed.no_edns, "Send no OPT record");
    app.add_option("--ca", options.peer.tls.ca_file, "PEM file of the CA");
    app.add_option("--tls-name", options.peer.tls.server_name, "Name of the certificate (default: the address)");
    app.add_flag("--insecure", typed.insecure, "Do not check the certificate");
    app.add_option("--path", options.peer.doh.path, "DoH: path")->capture_default_str();
    app.add_flag("--get", options.peer.doh.get, "DoH: GET instead of POST");
    app.add_option("--timeout", typed.timeout, "Seconds to wait for an answer")->capture_default_str();
    app.add_option("--server-pid", options.server_pid, "Process whose CPU time and memory are reported");
    app.add_option("--settle", options.settle, "Seconds before the last look at it")->capture_default_str();
    app.add_flag("--json", typed.json, "Print one JSON object");
}

void allow_descriptors(unsigned connections)
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, connections + 256U);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run_load(Typed& typed)
{
    read_typed(typed);
    const auto factory = net::client::SessionFactory::make(typed.options.peer);
    if (!factory) refuse(factory.error().to_string());
    allow_descriptors(typed.options.connections);
    Load load{typed.options, make_templates(typed), **factory};
    const LoadResult result = load.run();
    typed.json ? print_json(typed.options, result) : print_text(typed.options, result);
    return result.errors() == 0 && result.answered > 0 ? 0 : 1;
}

} // namespace

} // namespace sallyport::load

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"Asks one door of a DNS server many questions and says what it cost.\n"
                 "Exit codes: 0 every query was answered; 1 not every one; 2 the command line is wrong."};
    sallyport::load::Typed typed;
    sallyport::load::add_options(app, typed);
    try {
        app.parse(argc, argv);
        return sallyport::load::run_load(typed);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : 2;
    }
}
