#include "apps/ask.hpp"

#include "apps/ask_exchange.hpp"
#include "apps/ask_print.hpp"
#include "apps/ask_query.hpp"
#include "net/client/factory.hpp"

#include <netdb.h>

#include <cstdio>

namespace sallyport::apps {

namespace {

using base::Transport;
using net::client::FailureKind;

bool by_id(Transport transport) noexcept
{
    return transport == Transport::udp || transport == Transport::tcp || transport == Transport::dot;
}

bool is_encrypted(const AskOptions& options) noexcept
{
    return options.transport != Transport::udp && options.transport != Transport::tcp && !options.doh_cleartext;
}

void complain(const std::string& line) { std::fprintf(stderr, "sallyport ask: %s\n", line.c_str()); }

base::Result<std::vector<base::Endpoint>> addresses_of(const AskOptions& options)
{
    if (const auto address = base::IpAddress::parse(options.host)) {
        return std::vector<base::Endpoint>{{*address, options.port}};
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int result = ::getaddrinfo(options.host.c_str(), nullptr, &hints, &found);
    if (result != 0) {
        return base::Error{base::ErrorCode::not_found, "no address of " + options.host + ": " + ::gai_strerror(result)};
    }
    std::vector<base::Endpoint> endpoints;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        base::Endpoint endpoint = base::Endpoint::from_sockaddr(one->ai_addr);
        endpoint.port = options.port;
        endpoints.push_back(endpoint);
    }
    ::freeaddrinfo(found);
    return endpoints;
}

/// What people can do about it.
std::string advice(const net::client::Failure& failure, const AskOptions& options, const std::string& name)
{
    switch (failure.kind) {
    case FailureKind::not_trusted:
        return "certificate not trusted (" + failure.detail +
               "); name its CA with --ca FILE (a development CA: --ca "
               "certs/dev/ca.crt), or ask anyway with --insecure";
    case FailureKind::wrong_name:
        return "the certificate is not for " + name + " (" + failure.detail + "); say whose it is with --name";
    case FailureKind::certificate: return "bad certificate: " + failure.detail;
    case FailureKind::refused: return "connection refused: nothing listens on this port";
    case FailureKind::closed:
        return failure.detail + (options.transport == Transport::dot ? "; is this port really DNS over TLS?" : "");
    default: return failure.detail;
    }
}

/// One run of `sallyport ask`.
class Asking {
public:
    explicit Asking(const AskOptions& options)
        : options_(options), name_(options.tls_name.empty() ? options.host : options.tls_name)
    {
    }

    int run();

private:
    [[nodiscard]] net::client::PeerOptions peer(Transport transport) const;
    [[nodiscard]] std::vector<AskItem> make_items();
    [[nodiscard]] AskRules rules(Transport transport) const noexcept;
    bool connect(Transport transport);
    bool exchange(std::vector<AskItem>& items);
    void ask_truncated_again(std::vector<AskItem>& items);
    bool ask_all();
    bool repeat();
    void print(const std::vector<AskItem>& items) const;
    void print_failure(const AskItem& item) const;
    void fill_report(const AskExchange& exchange);

    const AskOptions& options_;
    std::string name_;
    base::SystemClock clock_;
    base::SystemRandom random_;
    net::client::Memory memory_;
    std::vector<base::Endpoint> servers_;
    std::unique_ptr<net::client::SessionFactory> factory_;
    std::unique_ptr<AskExchange> exchange_;
    std::unique_ptr<net::client::Connection> connection_;
    AskReport report_;
};

net::client::PeerOptions Asking::peer(Transport transport) const
{
    net::client::PeerOptions peer;
    peer.transport = transport;
    peer.tls.server_name = name_;
    peer.tls.ca_file = options_.ca_file;
    peer.tls.verify = options_.verify;
    peer.tls.early_data = options_.early_data;
    peer.doh.authority = options_.doh_authority;
    peer.doh.path = options_.doh_path;
    peer.doh.get = options_.doh_get;
    peer.doh.cleartext = options_.doh_cleartext;
    if (peer.doh.authority.empty()) {
        const bool v6 = name_.find(':') != std::string::npos;
        peer.doh.authority = v6 ? '[' + name_ + ']' : name_;
        const std::uint16_t usual = options_.doh_cleartext ? 80 : 443;
        if (options_.port != usual) peer.doh.authority += ':' + std::to_string(options_.port);
    }
    return peer;
}

AskRules Asking::rules(Transport transport) const noexcept
{
    AskRules rules;
    rules.timeout = options_.timeout;
    rules.retries = options_.retries;
    rules.match_by_id = by_id(transport);
    rules.datagrams = transport == Transport::udp;
    return rules;
}

std::vector<AskItem> Asking::make_items()
{
    AskQueryOptions query = options_.query;
    if (!is_encrypted(options_)) query.pad_block = 0;
    // RFC 9250 §4.2.1: the id is 0; RFC 8484 §4.1: it should be. Elsewhere ids in flight differ.
    auto id = static_cast<std::uint16_t>(by_id(options_.transport) ? random_.number() : 0);
    if (query.id && options_.transport != Transport::doq) id = *query.id;
    std::vector<AskItem> items(options_.questions.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        items[i].query = make_query(options_.questions[i], query, id, random_);
        if (by_id(options_.transport)) ++id;
    }
    return items;
}

bool Asking::connect(Transport transport)
{
    auto factory = net::client::SessionFactory::make(peer(transport));
    if (!factory) {
        complain(factory.error().to_string());
        return false;
    }
    factory_ = std::move(*factory);
    report_.transport = transport;
    report_.reused = false;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        exchange_ = std::make_unique<AskExchange>(clock_, rules(transport));
        auto opened =
            net::client::Connection::open(servers_[i], factory_->session(*exchange_, memory_.get()), clock_.now());
        report_.server = servers_[i].to_string();
        if (!opened) {
            complain(report_.server + ": " + opened.error().to_string());
            return false;
        }
        connection_ = std::move(*opened);
        exchange_->use(*connection_);
        const bool early = options_.early_data && connection_->session().room() > 0;
        const auto ready = [&] { return early || exchange_->ready_at() != base::Instant{}; };
        if (net::client::run_until(*connection_, clock_, clock_.now() + options_.timeout, ready)) return true;
        const std::string why = connection_->failure() ? advice(connection_->failure(), options_, name_)
                                                       : "no answer to the connection in time";
        complain(report_.server + " (" + long_name(transport) + "): " + why);
    }
    return false;
}

void Asking::fill_report(const AskExchange& exchange)
{
    report_.tls_name = name_;
    report_.security = connection_->session().security();
    report_.connect = {};
    report_.handshake = {};
    if (!connection_->session().is_datagram()) report_.connect = connection_->connected_at() - connection_->opened_at();
    if (!report_.security.version.empty()) report_.handshake = exchange.ready_at() - connection_->connected_at();
}

bool Asking::exchange(std::vector<AskItem>& items)
{
    exchange_->run(items);
    fill_report(*exchange_);
    if (exchange_->ignored() > 0) {
        complain(std::to_string(exchange_->ignored()) + " message(s) from the server fit no question and were ignored");
    }
    if (connection_->failure() && connection_->failure().kind == FailureKind::refused) {
        for (AskItem& item : items) {
            if (item.answer.empty()) item.failure = advice(connection_->failure(), options_, name_);
        }
    }
    bool all = true;
    for (const AskItem& item : items) all = all && !item.answer.empty();
    return all;
}

void Asking::ask_truncated_again(std::vector<AskItem>& items)
{
    std::vector<AskItem> again;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].answer.empty() || !items[i].truncated()) continue;
        places.push_back(i);
        again.emplace_back().query = items[i].query;
    }
    if (again.empty()) return;
    report_.note = "truncated over UDP, asked again over TCP";
    if (!connect(Transport::tcp)) return; // the truncated answers stand
    exchange(again);
    for (std::size_t i = 0; i < again.size(); ++i) {
        if (!again[i].answer.empty()) items[places[i]] = std::move(again[i]);
    }
}

bool Asking::ask_all()
{
    std::vector<AskItem> items = make_items();
    bool all = exchange(items);
    if (options_.transport == Transport::udp && !options_.ignore_truncation) ask_truncated_again(items);
    print(items);
    return all;
}

bool Asking::repeat()
{
    bool all = true;
    for (unsigned i = 0; i < options_.repeat; ++i) {
        const bool again = options_.reconnect || connection_->failure() || report_.transport != options_.transport;
        if (again) {
            connection_->close(clock_.now());
            if (!connect(options_.transport)) return false;
        }
        report_.reused = !again;
        report_.note.clear();
        all = ask_all() && all;
    }
    return all;
}

int Asking::run()
{
    auto servers = addresses_of(options_);
    if (!servers) {
        complain(servers.error().to_string());
        return ask_no_answer;
    }
    servers_ = std::move(*servers);
    if (!options_.verify && is_encrypted(options_)) {
        complain("WARNING: --insecure: the server's certificate is not checked, anybody may answer");
    }
    if (!connect(options_.transport)) return ask_no_answer;
    bool all = ask_all();
    all = repeat() && all;
    connection_->close(clock_.now());
    return all ? ask_answered : ask_no_answer;
}

void Asking::print_failure(const AskItem& item) const
{
    const auto query = wire::MessageView::parse(item.query);
    const std::string what = query ? query->qname().to_name().to_text() + ' ' + wire::to_string(query->qtype()) : "";
    complain(report_.server + " (" + long_name(report_.transport) + "): " + what + ": " + item.failure);
}

void Asking::print(const std::vector<AskItem>& items) const
{
    for (const AskItem& item : items) {
        std::string text;
        if (options_.print_json) {
            text = to_json(item, report_) + '\n';
        } else if (item.answer.empty()) {
            print_failure(item);
        } else {
            text = options_.print_short ? to_short_text(item) : to_text(item, report_);
        }
        std::fwrite(text.data(), 1, text.size(), stdout);
    }
    std::fflush(stdout);
}

} // namespace

int ask(const AskOptions& options) { return Asking{options}.run(); }

} // namespace sallyport::apps
