#include "apps/ask_print.hpp"

#include "wire/message_view.hpp"
#include "wire/rdata.hpp"
#include "wire/summary.hpp"

#include <cstdio>

namespace sallyport::apps {

std::string milliseconds(base::Duration duration)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", std::chrono::duration<double, std::milli>(duration).count());
    return text;
}

std::string json_string(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            (out += '\\') += c;
        } else if (octet < 0x20 || octet >= 0x7F) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", octet);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string printable(std::string_view text)
{
    std::string out;
    for (const char c : text) out += c >= ' ' && c < 0x7F ? c : '?';
    return out;
}

std::string json_bool(bool value) { return value ? "true" : "false"; }

namespace {

std::string yes(bool value) { return value ? "yes" : "no"; }

std::string security_lines(const AskReport& report)
{
    const auto& s = report.security;
    if (s.version.empty()) return {};
    std::string text = ";; TLS: " + s.version + ", " + s.cipher + (s.group.empty() ? "" : ", " + s.group) + ", ALPN " +
                       (s.alpn.empty() ? "none" : printable(s.alpn)) + ", resumed: " + yes(s.resumed) +
                       ", 0-RTT: " + yes(s.early_data) + '\n';
    if (!s.certificate_names.empty()) {
        text += ";; CERTIFICATE: " + printable(s.certificate_names) + "; issuer " + printable(s.certificate_issuer) +
                "; until " + s.certificate_expiry + '\n';
    }
    return text + (s.verified ? ";; VERIFIED: the certificate is for " + report.tls_name + '\n'
                              : ";; NOT VERIFIED: --insecure was given; this could be anybody\n");
}

std::string timing_line(const AskItem& item, const AskReport& report)
{
    std::string text = ";; Query time: " + milliseconds(item.answered_at - item.sent_at) + " ms";
    if (report.reused) return text + " (connection reused)\n";
    std::string before;
    if (report.connect.count() > 0) before = "connect " + milliseconds(report.connect) + " ms";
    if (report.handshake.count() > 0) {
        before += (before.empty() ? "" : ", ") + ("handshake " + milliseconds(report.handshake) + " ms");
    }
    return text + (before.empty() ? "" : " (before it: " + before + ")") + '\n';
}

std::string json_security(const AskReport& report)
{
    const auto& s = report.security;
    return "{\"version\":" + json_string(s.version) + ",\"cipher\":" + json_string(s.cipher) +
           ",\"group\":" + json_string(s.group) + ",\"alpn\":" + json_string(s.alpn) +
           ",\"resumed\":" + json_bool(s.resumed) + ",\"early_data\":" + json_bool(s.early_data) +
           ",\"verified\":" + json_bool(s.verified) + ",\"verified_name\":" + json_string(report.tls_name) +
           ",\"certificate\":{\"names\":" + json_string(s.certificate_names) +
           ",\"issuer\":" + json_string(s.certificate_issuer) + ",\"not_after\":" + json_string(s.certificate_expiry) +
           "}}";
}

} // namespace

std::string long_name(base::Transport transport)
{
    switch (transport) {
    case base::Transport::udp: return "UDP";
    case base::Transport::tcp: return "TCP";
    case base::Transport::dot: return "DNS over TLS";
    case base::Transport::doh1: return "DNS over HTTPS, HTTP/1.1";
    case base::Transport::doh2: return "DNS over HTTPS, HTTP/2";
    case base::Transport::doh3: return "DNS over HTTPS, HTTP/3";
    case base::Transport::doq: return "DNS over QUIC";
    }
    return {};
}

std::string to_text(const AskItem& item, const AskReport& report)
{
    const auto message = wire::MessageView::parse(item.answer);
    if (!message) return {};
    std::string text = wire::to_dig_text(*message);
    if (!text.ends_with("\n\n")) text += '\n';
    text += timing_line(item, report);
    text += ";; SERVER: " + report.server + " (" + long_name(report.transport) + ")\n";
    if (!report.note.empty()) text += ";; NOTE: " + report.note + '\n';
    if (!item.http.empty()) text += ";; HTTP: " + printable(item.http) + '\n';
    text += security_lines(report);
    return text + ";; MSG SIZE  sent: " + std::to_string(item.query.size()) +
           ", received: " + std::to_string(item.answer.size()) + '\n';
}

std::string to_short_text(const AskItem& item)
{
    const auto message = wire::MessageView::parse(item.answer);
    std::string text;
    if (!message) return text;
    for (const wire::RecordView& record : message->answers()) {
        std::vector<std::uint8_t> rdata;
        const auto size = static_cast<std::uint16_t>(record.rdata.size());
        if (wire::decompress_rdata(item.answer, record.rdata_offset, size, record.type, rdata)) {
            text += wire::rdata_to_text(record.type, rdata) + '\n';
        } else {
            text += wire::rdata_to_text(wire::RrType{}, record.rdata) + '\n';
        }
    }
    return text;
}

std::string to_json(const AskItem& item, const AskReport& report)
{
    std::string text = "{\"server\":" + json_string(report.server) +
                       ",\"transport\":" + json_string(base::to_string(report.transport));
    const auto query = wire::MessageView::parse(item.query);
    if (query) {
        text += ",\"question\":{\"name\":" + json_string(query->qname().to_name().to_text()) +
                ",\"type\":" + json_string(wire::to_string(query->qtype())) + '}';
    }
    if (!report.note.empty()) text += ",\"note\":" + json_string(report.note);
    if (!report.security.version.empty()) text += ",\"tls\":" + json_security(report);
    if (!item.http.empty()) text += ",\"http\":" + json_string(item.http);
    const auto message = wire::MessageView::parse(item.answer);
    if (!message) return text + ",\"error\":" + json_string(item.failure) + '}';
    text += ",\"connect_ms\":" + milliseconds(report.connect) + ",\"handshake_ms\":" + milliseconds(report.handshake) +
            ",\"answer_ms\":" + milliseconds(item.answered_at - item.sent_at) +
            ",\"reused\":" + json_bool(report.reused) + ",\"query_size\":" + std::to_string(item.query.size()) +
            ",\"answer_size\":" + std::to_string(item.answer.size());
    return text + ",\"message\":" + wire::to_json(*message) + '}';
}

} // namespace sallyport::apps
