#include "conf/parts.hpp"

namespace sallyport::conf {
namespace {

using namespace std::chrono;
using admin::LogKind;

void read_door(Section& top, admin::Options& options)
{
    Section section{top.reading(), top.map("admin"), "admin"};
    section.text("on", options.on);
    options.position = section.position_of("on");
    if (!options.on.empty() && !options.on.starts_with("unix:") && !base::Endpoint::parse(options.on, 8080))
        top.reading().complain(options.position, "'admin.on' is '" + options.on +
                                                     "'; expected an address like 127.0.0.1:8080, or unix:PATH");
    section.path("token_file", options.token_file);
    options.token_position = section.position_of("token_file");
    section.texts("hosts", options.hosts);
    section.choice<admin::SocketMode>("socket_mode", options.socket_mode,
                                      {{"0600", admin::SocketMode::owner}, {"0660", admin::SocketMode::group}});
    section.number("connections", options.connections, 1, 10'000);
    section.duration("request", options.request, milliseconds{100}, minutes{5});
    section.size("head", options.head, 1024, 1U << 20U);
    section.size("body", options.body, 1024, 64U << 20U);
    section.number("failures", options.failures, 1, 1000);
}

/// Whether an entry that is one word names an output, and which.
bool read_word(const YamlNode& item, admin::LogOutput& output)
{
    if (item.kind != YamlNode::Kind::scalar) return false;
    if (item.scalar == "stdout") output.kind = LogKind::stdout_;
    if (item.scalar == "syslog") output.kind = LogKind::syslog;
    return item.scalar == "stdout" || item.scalar == "syslog";
}

void read_output(Reading& reading, const YamlNode& item, admin::QueryLogOptions& options)
{
    admin::LogOutput output;
    output.position = reading.position(item);
    if (item.kind == YamlNode::Kind::scalar) {
        if (!read_word(item, output))
            return reading.complain(item, "'" + item.scalar +
                                              "' is no output; expected stdout, syslog, {file: PATH} or "
                                              "{syslog: PATH}");
        options.outputs.push_back(std::move(output));
        return;
    }
    Section entry{reading, &item, "query_log.outputs[]", false};
    std::string socket;
    entry.path("file", output.path);
    entry.path("syslog", socket);
    entry.size("rotate_size", output.rotate_size, 0, 1ULL << 40U);
    entry.duration("rotate_every", output.rotate_every, seconds{0}, hours{24} * 366);
    entry.number("keep", output.keep, 0, 100'000);
    entry.boolean("compress", output.compress);
    if (output.path.empty() == socket.empty())
        return reading.complain(item, "an output is one thing; expected either 'file' or 'syslog'");
    if (!socket.empty()) {
        output.kind = LogKind::syslog;
        output.path = std::move(socket);
    }
    options.outputs.push_back(std::move(output));
}

void read_query_log(Section& top, admin::QueryLogOptions& options)
{
    Section section{top.reading(), top.map("query_log"), "query_log"};
    for (const YamlNode& item : section.items("outputs")) read_output(top.reading(), item, options);
    section.choice<admin::Mask>(
        "mask", options.mask,
        {{"none", admin::Mask::none}, {"network", admin::Mask::network}, {"all", admin::Mask::all}});
    section.boolean("response_data", options.response_data);
    section.number("ring", options.ring, 64, 1'000'000);
}

} // namespace

void read_admin(Section& top, admin::Options& options, admin::QueryLogOptions& query_log)
{
    read_door(top, options);
    read_query_log(top, query_log);
}

} // namespace sallyport::conf
