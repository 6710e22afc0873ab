#include "apps/ask.hpp"
#include "apps/ask_query.hpp"
#include "apps/ask_trace.hpp"
#include "net/client/doh_request.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

namespace sallyport::apps {

namespace {

using base::Transport;

constexpr std::uint16_t kPadBlock = 128; // RFC 8467 §4.1

struct Door {
    const char* option;
    Transport transport;
    std::uint16_t port;
    const char* help;
};

constexpr Door kDoors[] = {
    {"--udp", Transport::udp, 53, "plain UDP, and TCP where the answer is truncated"},
    {"--tcp", Transport::tcp, 53, "plain TCP"},
    {"--dot", Transport::dot, 853, "DNS over TLS (RFC 7858)"},
    {"--doh", Transport::doh2, 443, "DNS over HTTPS, HTTP/2; a server or an https:// URL (RFC 8484)"},
    {"--doh1", Transport::doh1, 443, "DNS over HTTPS, HTTP/1.1"},
    {"--doh3", Transport::doh3, 443, "DNS over HTTPS, HTTP/3"},
    {"--doq", Transport::doq, 853, "DNS over QUIC (RFC 9250)"},
};

constexpr const char* kAskFooter =
    "SERVER is a name or an address, with a port after a colon where it is not the usual one (53, 853, 443);\n"
    "an IPv6 address with a port stands in brackets.\n\n"
    "Exit codes: 0 an answer came, whatever its response code; 2 the command line is wrong;\n"
    "9 no answer: refused, no answer in time, certificate not trusted, not every line of a batch answered; with "
    "--trace\n"
    "also: the answer is bogus.\n\n"
    "Examples:\n"
    "  sallyport ask gate.test AAAA --doq 127.0.0.1:8853 --ca certs/dev/ca.crt\n"
    "  sallyport ask gate.test --doh https://gate.test:8443/dns-query --at 127.0.0.1 --ca certs/dev/ca.crt\n"
    "  sallyport ask gate.test MX --dot 192.0.2.1 --name dns.example --repeat 3 --reconnect\n"
    "  sallyport ask www.example.com AAAA --trace\n";

/// What was typed, before it means anything.
struct Typed {
    std::vector<std::string> words;
    std::string servers[std::size(kDoors)];
    std::string at;
    std::string batch;
    std::string subnet;
    std::string reverse;
    double timeout = 5;
    bool insecure = false;
    bool no_recurse = false;
    bool no_edns = false;
    bool no_padding = false;
    std::uint16_t padding = kPadBlock;
    std::uint16_t id = 0;
    AskOptions options;
};

void add_door_options(CLI::App& ask, Typed& typed)
{
    auto* doors = ask.add_option_group("door", "Which door to knock at (default: --udp 127.0.0.1)");
    for (std::size_t i = 0; i < std::size(kDoors); ++i) {
        doors->add_option(kDoors[i].option, typed.servers[i], kDoors[i].help)->type_name("SERVER[:PORT]");
    }
    doors->require_option(0, 1);
    AskOptions& options = typed.options;
    ask.add_option("--at", typed.at, "Connect to this address instead of looking the server's name up")
        ->type_name("ADDRESS");
    ask.add_option("--name", options.tls_name,
                   "Name that the certificate must be for, sent as SNI (default: the server)");
    ask.add_option("--ca", options.ca_file, "Trust the CA certificates of this PEM file (default: the system's)")
        ->type_name("FILE");
    ask.add_flag("--insecure", typed.insecure, "Do not check the certificate");
    ask.add_option("--path", options.doh_path, "DoH: path of the resource")->capture_default_str();
    ask.add_flag("--get", options.doh_get, "DoH: use GET, not POST");
    ask.add_flag("--early-data", options.early_data, "QUIC: send queries in 0-RTT when a session is resumed");
}

void add_query_options(CLI::App& ask, Typed& typed)
{
    AskQueryOptions& query = typed.options.query;
    ask.add_flag("--dnssec", query.dnssec_ok, "Ask for DNSSEC records (DO)");
    ask.add_flag("--cd", query.checking_disabled, "Checking disabled");
    ask.add_flag("--no-rd", typed.no_recurse, "Do not ask for recursion");
    ask.add_flag("--no-edns", typed.no_edns, "Send no OPT record");
    ask.add_option("--bufsize", query.payload_size, "EDNS: size of UDP answers that we take")->capture_default_str();
    ask.add_option("--padding", typed.padding, "EDNS: pad the query to a multiple of this (encrypted doors only)")
        ->capture_default_str();
    ask.add_flag("--no-padding", typed.no_padding, "EDNS: no padding");
    ask.add_flag("--nsid", query.nsid, "EDNS: ask for the server's identity (RFC 5001)");
    ask.add_flag("--cookie", query.cookie, "EDNS: send a client cookie (RFC 7873)");
    ask.add_option("--subnet", typed.subnet, "EDNS: send this client subnet (RFC 7871)")->type_name("ADDRESS/LENGTH");
    ask.add_option("--id", typed.id, "Message id (never sent over DoQ)");
    ask.add_option("-x,--reverse", typed.reverse, "Ask PTR for this address")->type_name("ADDRESS");
}

void add_trace_options(CLI::App& ask, Typed& typed)
{
    AskTrace& trace = typed.options.trace;
    const auto add = [](CLI::Option* option, const char* type = "") {
        option->group("Trace");
        if (*type != '\0') option->type_name(type);
        return option;
    };
    add(ask.add_flag("--trace", trace.on,
                     "Ask no server but find the answer from the root down, validate it, and show each step"));
    add(ask.add_option("-c,--config", trace.config, "As the gateway with this configuration recurses"), "FILE");
    add(ask.add_option("--root-hints", trace.root_hints, "Names and addresses of the root's servers, as zone text"),
        "FILE");
    add(ask.add_option("--trust-anchors", trace.trust_anchors,
                       "DS or DNSKEY to believe, as zone text or IANA's XML, in the place of the built-in ones"),
        "FILE")
        ->allow_extra_args(false); // what follows is a question; several files are several options
    add(ask.add_option("--port", trace.port, "Of all name servers (default: 53)"), "PORT")->check(CLI::Range(1, 65535));
    add(ask.add_flag("--allow-loopback", trace.allow_loopback, "Ask name servers at loopback addresses, too"));
    auto* const ipv4 = add(ask.add_flag("-4,--ipv4", trace.ipv4_only, "Ask over IPv4 alone"));
    add(ask.add_flag("-6,--ipv6", trace.ipv6_only, "Ask over IPv6 alone"))->excludes(ipv4);
}

void add_run_options(CLI::App& ask, Typed& typed)
{
    AskOptions& options = typed.options;
    ask.add_option("--timeout", typed.timeout, "Seconds to wait for the connection, and for each answer")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 3600.0));
    ask.add_option("--retry", options.retries, "UDP: send again so often")->capture_default_str();
    ask.add_flag("--ignore", options.ignore_truncation, "UDP: take a truncated answer as it is");
    ask.add_option("--repeat", options.repeat, "Ask so many times more, over the same connection");
    ask.add_flag("--reconnect", options.reconnect, "With --repeat: a new connection each time, resuming the session");
    ask.add_option("--batch", typed.batch, "Read questions, one a line: NAME [TYPE [CLASS]]; - is standard input")
        ->type_name("FILE");
    ask.add_flag("--short", options.print_short, "Print only the data of the answer");
    ask.add_flag("--json", options.print_json, "Print one JSON object a line");
}

[[noreturn]] void refuse(const std::string& what) { throw CLI::ValidationError(what); }

void read_server(const Door& door, const std::string& text, const Typed& typed, AskOptions& options)
{
    options.transport = door.transport;
    options.port = door.port;
    if (text.find("://") != std::string::npos) {
        const auto url = net::client::parse_doh_url(text);
        if (!url) refuse(url.error().message);
        if (door.port != 443) refuse(std::string{door.option} + " takes a server, not a URL");
        options.host = url->host;
        options.port = url->port;
        options.doh_authority = url->target.authority;
        options.doh_path = url->target.path;
        options.doh_cleartext = url->target.cleartext;
    } else if (const auto endpoint = base::Endpoint::parse(text, door.port)) {
        options.host = endpoint->address.to_string();
        options.port = endpoint->port;
    } else if (const auto colon = text.rfind(':'); colon != std::string::npos) {
        const auto port = base::Endpoint::parse("127.0.0.1" + text.substr(colon));
        if (!port || colon == 0)
            refuse("'" + text + "' is no server: expected NAME, ADDRESS, NAME:PORT or [IPV6]:PORT");
        options.host = text.substr(0, colon);
        options.port = port->port;
    } else {
        options.host = text;
    }
    if (options.doh_cleartext && door.transport == Transport::doh3) refuse("HTTP/3 is never in clear text");
    if (!typed.at.empty()) {
        const auto address = base::IpAddress::parse(typed.at);
        if (!address) refuse("--at: '" + typed.at + "' is no address");
        if (options.tls_name.empty()) options.tls_name = options.host;
        options.host = address->to_string();
    }
}

void read_batch(const std::string& file, std::vector<AskQuestion>& questions)
{
    std::ifstream from_file;
    if (file != "-") {
        from_file.open(file);
        if (!from_file) refuse("--batch: " + file + " cannot be read");
    }
    std::istream& lines = file == "-" ? std::cin : from_file;
    std::string line;
    for (unsigned number = 1; std::getline(lines, line); ++number) {
        std::istringstream parts{line};
        std::vector<std::string> words;
        for (std::string word; parts >> word && !word.starts_with(';') && !word.starts_with('#');)
            words.push_back(word);
        if (words.empty()) continue;
        const auto question = read_question(words);
        if (!question) refuse(file + ':' + std::to_string(number) + ": " + question.error().message);
        questions.push_back(*question);
    }
    if (questions.size() > 60'000) refuse("--batch: at most 60000 questions");
}

void read_questions(Typed& typed)
{
    std::vector<AskQuestion>& questions = typed.options.questions;
    typed.options.batch = !typed.batch.empty();
    if (typed.options.batch) {
        if (!typed.words.empty()) refuse("--batch and NAME exclude each other");
        read_batch(typed.batch, questions);
    } else if (!typed.reverse.empty()) {
        const auto address = base::IpAddress::parse(typed.reverse);
        if (!address) refuse("--reverse: '" + typed.reverse + "' is no address");
        questions.push_back({reverse_name(*address), wire::RrType::PTR, wire::RrClass::IN});
    } else {
        const auto question = read_question(typed.words);
        if (!question) refuse(question.error().message);
        questions.push_back(*question);
    }
}

void read_query_options(const CLI::App& ask, Typed& typed)
{
    AskQueryOptions& query = typed.options.query;
    query.recurse = !typed.no_recurse;
    query.edns = !typed.no_edns;
    query.pad_block = typed.no_padding ? std::uint16_t{0} : typed.padding;
    if (ask.count("--id") > 0) query.id = typed.id;
    if (!typed.subnet.empty()) {
        const auto subnet = base::Prefix::parse(typed.subnet);
        if (!subnet) refuse("--subnet: " + subnet.error().message);
        query.subnet = *subnet;
    }
    typed.options.verify = !typed.insecure;
    typed.options.timeout = std::chrono::milliseconds{static_cast<std::int64_t>(typed.timeout * 1000)};
}

/// What says how a server is asked means nothing where none is.
void refuse_beside_trace(const CLI::App& ask)
{
    for (const char* option :
         {"--udp",   "--tcp",     "--dot",     "--doh",        "--doh1",     "--doh3",   "--doq",
          "--at",    "--name",    "--ca",      "--insecure",   "--path",     "--get",    "--early-data",
          "--no-rd", "--no-edns", "--padding", "--no-padding", "--nsid",     "--cookie", "--subnet",
          "--id",    "--retry",   "--ignore",  "--repeat",     "--reconnect"})
        if (ask.count(option) > 0) refuse(std::string("--trace asks by itself: ") + option + " does not go with it");
}

int run_trace(const CLI::App& ask, Typed& typed)
{
    refuse_beside_trace(ask);
    for (const AskQuestion& question : typed.options.questions)
        if (question.qclass != wire::RrClass::IN) refuse("--trace knows the class IN alone");
    if (ask.count("--timeout") > 0) typed.options.trace.time = typed.options.timeout;
    return trace(typed.options);
}

int run_typed(const CLI::App& ask, Typed& typed)
{
    // As people of dig write it.
    if (std::erase(typed.words, "+trace") > 0) typed.options.trace.on = true;
    read_query_options(ask, typed);
    read_questions(typed);
    if (typed.options.trace.on) return run_trace(ask, typed);
    for (const char* option :
         {"--config", "--root-hints", "--trust-anchors", "--port", "--allow-loopback", "--ipv4", "--ipv6"})
        if (ask.count(option) > 0) refuse(std::string(option) + " goes with --trace alone");
    for (std::size_t i = 0; i < std::size(kDoors); ++i) {
        if (!typed.servers[i].empty()) read_server(kDoors[i], typed.servers[i], typed, typed.options);
    }
    return sallyport::apps::ask(typed.options);
}

} // namespace

void add_ask(CLI::App& app, int& exit_code)
{
    CLI::App* ask = app.add_subcommand("ask", "Ask a DNS question at any door and show how the answer came");
    const auto typed = std::make_shared<Typed>();
    ask->add_option("question", typed->words, "NAME [TYPE [CLASS]]")->type_name("NAME [TYPE [CLASS]]")->expected(0, 4);
    add_door_options(*ask, *typed);
    add_query_options(*ask, *typed);
    add_run_options(*ask, *typed);
    add_trace_options(*ask, *typed);
    ask->footer(kAskFooter);
    ask->callback([ask, typed, &exit_code] {
        try {
            exit_code = run_typed(*ask, *typed);
        } catch (const CLI::ValidationError& error) {
            std::cerr << "sallyport ask: " << error.what() << '\n';
            exit_code = ask_usage;
        }
    });
}

} // namespace sallyport::apps
