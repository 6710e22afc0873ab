#include "apps/cache_dump.hpp"

#include "base/atomic_file.hpp"

#include <boost/json.hpp>

#include <sys/stat.h>

#include <cmath>
#include <iostream>
#include <string_view>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

constexpr const char* kPage = "2000";

/// A file or standard output.
class Output {
public:
    explicit Output(const std::string& file) : to_file_(!file.empty() && file != "-"), name_(file) {}
    [[nodiscard]] base::Result<void> open()
    {
        struct stat status{};
        // /dev/stdout is a link: a file would take its place, for everybody.
        if (to_file_ && ::lstat(name_.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
            return base::Error{
                base::ErrorCode::invalid, name_ + " is no regular file; - stands for standard output", {}};
        return to_file_ ? file_.open(name_, 0600) : base::Result<void>{};
    }
    [[nodiscard]] base::Result<void> write(const std::string& text)
    {
        if (to_file_) return file_.write(base::as_bytes(text));
        if (std::cout << text) return {};
        return base::Error{base::ErrorCode::system, "can not write to standard output", {}};
    }
    [[nodiscard]] base::Result<void> close()
    {
        std::cout.flush();
        return to_file_ ? file_.commit() : base::Result<void>{};
    }

private:
    bool to_file_;
    std::string name_;
    base::AtomicFile file_;
};

/// The text of a value: as it is where it is a text, else as JSON writes it.
std::string entry_text(const json::object& object, std::string_view key)
{
    const json::value& value = object.at(key);
    return value.is_string() ? std::string{std::string_view{value.get_string()}} : json::serialize(value);
}

std::string head_of(const json::object& entry)
{
    std::string text = "; " + entry_text(entry, "name") + ' ' + entry_text(entry, "class") + ' ' +
                       entry_text(entry, "type") + "  " + entry_text(entry, "rcode") + ' ' +
                       entry_text(entry, "validation");
    if (entry.at("dnssec_ok").as_bool()) text += " DO";
    if (entry.at("checking_disabled").as_bool()) text += " CD";
    if (entry.at("partition").to_number<std::uint64_t>() != 0) text += " group " + entry_text(entry, "partition");
    const auto left = std::llround(entry.at("left_seconds").to_number<double>());
    text += (left > 0 ? "  left " : "  stale for ") + std::to_string(std::abs(left)) + " s, hits " +
            entry_text(entry, "hits") + ", " + entry_text(entry, "octets") + " octets";
    if (entry.contains("ede")) text += ", EDE " + entry_text(entry, "ede");
    return text + '\n';
}

std::string zone_text_of(const json::object& entry)
{
    std::string text = head_of(entry);
    for (const json::value& value : entry.at("records").as_array()) {
        const json::object& record = value.as_object();
        const std::string section = entry_text(record, "section");
        // What stands beside an answer is no data of the name: it is not read where the text is read as a zone.
        if (section != "answer") text += "; " + section + "  ";
        text += entry_text(record, "name") + '\t' + entry_text(record, "ttl") + '\t' + entry_text(entry, "class") +
                '\t' + entry_text(record, "type") + '\t' + entry_text(record, "data") + '\n';
    }
    return text;
}

/// A page as text; `next` is where the one after it begins, empty at the end. Throws where it is no page.
std::string read_page(const std::string& body, bool as_json, std::string& next, std::uint64_t& count)
{
    const json::value page = json::parse(body);
    std::string text;
    for (const json::value& entry : page.at("entries").as_array()) {
        text += as_json ? json::serialize(entry) + '\n' : zone_text_of(entry.as_object());
        ++count;
    }
    const json::value& further = page.at("next");
    next = further.is_string() ? std::string{std::string_view{further.get_string()}} : std::string{};
    return text;
}

base::Result<std::uint64_t> dump_pages(const AdminClient& client, const DumpOptions& options, Output& output)
{
    std::string path = "/api/v1/cache/dump?limit=" + std::string{kPage};
    if (!options.name.empty()) path += "&name=" + percent_encode(options.name);
    if (!options.subtree.empty()) path += "&apex=" + percent_encode(options.subtree);
    std::uint64_t count = 0;
    std::string next = "0.0";
    while (!next.empty()) {
        const auto body = client.require("GET", path + "&from=" + percent_encode(next));
        if (!body) return body.error();
        if (auto written = output.write(read_page(*body, options.as_json, next, count)); !written)
            return written.error();
    }
    return count;
}

} // namespace

base::Result<std::uint64_t> dump_cache(const AdminClient& client, const DumpOptions& options)
{
    Output output{options.file};
    if (auto opened = output.open(); !opened) return opened.error();
    try {
        auto count = dump_pages(client, options, output);
        if (!count) return count;
        if (auto closed = output.close(); !closed) return closed.error();
        return count;
    } catch (const std::exception&) {
        return base::Error{base::ErrorCode::invalid, "the gateway's answer can not be read", {}};
    }
}

} // namespace sallyport::apps
