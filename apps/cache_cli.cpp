#include "apps/cache_cli.hpp"

#include "apps/admin_client.hpp"
#include "apps/cache_dump.hpp"
#include "apps/exit_codes.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <cmath>
#include <iostream>
#include <memory>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

constexpr const char* kCacheFooter = "Exit codes: 0 good; 1 nothing of the kind is kept; 2 the command line is wrong;\n"
                                     "4 no gateway answers there, or it refused.\n\n"
                                     "Examples:\n"
                                     "  sallyport cache lookup www.example.org\n"
                                     "  sallyport cache list example.org --limit 20\n"
                                     "  sallyport cache dump cache.txt --subtree example.org\n"
                                     "  sallyport cache flush --subtree example.org\n";

/// What was typed.
struct CacheTyped {
    AdminTarget target;
    std::string name, type, apex, subtree, file;
    std::uint64_t limit = 1000;
    bool all = false;
    bool as_json = false;
};

int failed(const base::Error& error)
{
    std::cerr << "sallyport cache: " << error.to_string() << '\n';
    return exit_failed;
}

/// The body of the gateway's answer.
base::Result<std::string> call(const CacheTyped& typed, std::string_view method, const std::string& path,
                               std::string_view body = {})
{
    const auto client = AdminClient::make(typed.target);
    if (!client) return client.error();
    return client->require(method, path, body);
}

std::string text_in(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string{std::string_view{value->get_string()}} : std::string{};
}

std::int64_t number_in(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    if (value == nullptr) return 0;
    if (value->is_double()) return std::llround(value->get_double());
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    return error ? 0 : number;
}

bool flag_in(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

const json::array& items_in(const json::object& object, std::string_view key)
{
    static const json::array none;
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

/// One entry in one line.
void print_entry(const json::object& entry)
{
    const auto left = number_in(entry, "left_seconds");
    std::cout << text_in(entry, "name") << ' ' << text_in(entry, "class") << ' ' << text_in(entry, "type") << "  "
              << text_in(entry, "rcode") << ' ' << text_in(entry, "validation")
              << (flag_in(entry, "dnssec_ok") ? " DO" : "") << (flag_in(entry, "checking_disabled") ? " CD" : "");
    if (const auto partition = number_in(entry, "partition"); partition != 0) std::cout << " group " << partition;
    std::cout << (left > 0 ? "  left " : "  stale for ") << std::abs(left) << " s, hits " << number_in(entry, "hits")
              << ", " << number_in(entry, "octets") << " octets\n";
}

void print_record(const json::object& record)
{
    std::cout << "    " << text_in(record, "section") << "  " << text_in(record, "name") << ' '
              << number_in(record, "ttl") << ' ' << text_in(record, "type") << ' ' << text_in(record, "data") << '\n';
}

/// Prints the entries of an answer; false where it has none, nothing where it is no answer of ours.
std::optional<bool> print_entries(const std::string& body)
{
    boost::system::error_code error;
    const auto value = json::parse(body, error);
    if (error || !value.is_object()) return std::nullopt;
    const auto& entries = items_in(value.get_object(), "entries");
    for (const auto& entry : entries) {
        if (!entry.is_object()) return std::nullopt;
        print_entry(entry.get_object());
        for (const auto& record : items_in(entry.get_object(), "records"))
            if (record.is_object()) print_record(record.get_object());
    }
    if (flag_in(value.get_object(), "more")) std::cerr << "sallyport cache: there are more; see --limit\n";
    return !entries.empty();
}

int show(const CacheTyped& typed, const std::string& path, const std::string& what)
{
    const auto body = call(typed, "GET", path);
    if (!body) return failed(body.error());
    if (typed.as_json) {
        std::cout << *body;
        return exit_ok;
    }
    const auto any = print_entries(*body);
    if (!any) return failed({base::ErrorCode::invalid, "the gateway's answer can not be read", {}});
    if (!*any) std::cerr << "sallyport cache: nothing is kept " << what << '\n';
    return *any ? exit_ok : exit_bad_input;
}

int look_up(const CacheTyped& typed)
{
    std::string path = "/api/v1/cache/lookup?name=" + percent_encode(typed.name);
    if (!typed.type.empty()) path += "&type=" + percent_encode(typed.type);
    return show(typed, path, "of " + typed.name);
}

int list(const CacheTyped& typed)
{
    std::string path = "/api/v1/cache/list?limit=" + std::to_string(typed.limit);
    if (!typed.apex.empty()) path += "&apex=" + percent_encode(typed.apex);
    return show(typed, path, typed.apex.empty() ? std::string{"at all"} : "at or below " + typed.apex);
}

int dump(const CacheTyped& typed)
{
    if (!typed.name.empty() && !typed.subtree.empty()) {
        std::cerr << "sallyport cache dump: expected --name or --subtree, not both\n";
        return exit_usage;
    }
    const auto client = AdminClient::make(typed.target);
    if (!client) return failed(client.error());
    const auto dumped = dump_cache(*client, {typed.file, typed.name, typed.subtree, typed.as_json});
    if (!dumped) return failed(dumped.error());
    if (*dumped == 0) std::cerr << "sallyport cache: nothing of the kind is kept\n";
    return *dumped == 0 ? exit_bad_input : exit_ok;
}

int flush(const CacheTyped& typed)
{
    json::object wanted;
    if (typed.all) wanted["all"] = true;
    if (!typed.name.empty()) wanted["name"] = typed.name;
    if (!typed.subtree.empty()) wanted["subtree"] = typed.subtree;
    if (wanted.size() != 1) {
        std::cerr << "sallyport cache flush: expected one of NAME, --subtree NAME and --all\n";
        return exit_usage;
    }
    const auto body = call(typed, "POST", "/api/v1/cache/flush", json::serialize(wanted));
    if (!body) return failed(body.error());
    if (typed.as_json) {
        std::cout << *body;
        return exit_ok;
    }
    boost::system::error_code error;
    const auto value = json::parse(*body, error);
    if (error || !value.is_object())
        return failed({base::ErrorCode::invalid, "the gateway's answer can not be read", {}});
    std::cout << "answers flushed: " << number_in(value.get_object(), "flushed") << '\n';
    return exit_ok;
}

CLI::App* add_command(CLI::App& cache, const char* name, const char* help, CacheTyped& typed)
{
    CLI::App* const command = cache.add_subcommand(name, help);
    add_admin_options(*command, typed.target);
    command->add_flag("--json", typed.as_json, "Print the gateway's answer as it is");
    return command;
}

} // namespace

void add_cache(CLI::App& app, int& exit_code)
{
    CLI::App* const cache = app.add_subcommand("cache", "Look into the cache of a running gateway, or flush it");
    cache->require_subcommand(1);
    cache->footer(kCacheFooter);

    const auto looked_up = std::make_shared<CacheTyped>();
    CLI::App* command = add_command(*cache, "lookup", "Show what is kept of one name", *looked_up);
    command->add_option("name", looked_up->name, "Domain name")->required()->type_name("NAME");
    command->add_option("type", looked_up->type, "Type of records (default: all)")->type_name("TYPE");
    command->callback([looked_up, &exit_code] { exit_code = look_up(*looked_up); });

    const auto listed = std::make_shared<CacheTyped>();
    command = add_command(*cache, "list", "List what is kept, in the order of the names", *listed);
    command->add_option("apex", listed->apex, "Only what is at or below this name")->type_name("APEX");
    command->add_option("--limit", listed->limit, "Entries shown at most")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command->callback([listed, &exit_code] { exit_code = list(*listed); });

    const auto dumped = std::make_shared<CacheTyped>();
    command = add_command(*cache, "dump", "Write out all that is kept, with its records", *dumped);
    command->add_option("file", dumped->file, "Where to; - or nothing: standard output")->type_name("FILE");
    command->add_option("--name", dumped->name, "Only answers of this name")->type_name("NAME");
    command->add_option("--subtree", dumped->subtree, "Only what is at or below this name")->type_name("NAME");
    command->callback([dumped, &exit_code] { exit_code = dump(*dumped); });

    const auto flushed = std::make_shared<CacheTyped>();
    command = add_command(*cache, "flush", "Take answers out of the cache", *flushed);
    command->add_option("name", flushed->name, "Every answer of this name")->type_name("NAME");
    command->add_option("--subtree", flushed->subtree, "Every answer at or below this name")->type_name("NAME");
    command->add_flag("--all", flushed->all, "Every answer");
    command->callback([flushed, &exit_code] { exit_code = flush(*flushed); });
}

} // namespace sallyport::apps
