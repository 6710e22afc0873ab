#include "apps/reload_cli.hpp"

#include "apps/admin_client.hpp"
#include "apps/exit_codes.hpp"
#include "conf/configuration.hpp"

#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

// Reading large zones takes its time.
constexpr std::chrono::minutes kLoadingPatience{5};

std::string member_text(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

void print_list(const json::object& object, std::string_view key, std::string_view before)
{
    const auto* const list = object.if_contains(key);
    if (list == nullptr || !list->is_array()) return;
    for (const auto& line : list->get_array())
        if (line.is_string()) std::cerr << before << std::string_view(line.get_string()) << '\n';
}

int report(const AdminAnswer& answer)
{
    boost::system::error_code failed;
    const auto value = json::parse(answer.body, failed);
    if (failed || !value.is_object()) {
        std::cerr << "the gateway's answer can not be read (status " << answer.status << ")\n";
        return exit_failed;
    }
    const auto& object = value.get_object();
    if (answer.ok()) {
        std::cout << member_text(object, "summary") << '\n';
        print_list(object, "restarts", "changes with a restart only: ");
        return exit_ok;
    }
    print_list(object, "problems", "");
    std::cerr << member_text(object, "error") << '\n';
    return object.contains("problems") ? exit_bad_input : exit_failed;
}

/// A configuration that does not read does not say either where its gateway is: then it is its errors that count.
int why_not(const AdminTarget& target, const base::Error& error)
{
    base::Problems problems;
    if (!target.config.empty()) (void)conf::read_configuration(target.config, problems);
    if (problems.empty()) {
        std::cerr << error.to_string() << '\n';
        return exit_failed;
    }
    for (const auto& problem : problems) std::cerr << problem.to_string() << '\n';
    std::cerr << "the gateway was not asked; everything stays as it was\n";
    return exit_bad_input;
}

int reload(const AdminTarget& target)
{
    const auto client = AdminClient::make(target);
    if (!client) return why_not(target, client.error());
    const auto answer = client->request("POST", "/api/v1/reload", "{}", kLoadingPatience);
    if (!answer) {
        std::cerr << answer.error().to_string() << '\n';
        return exit_failed;
    }
    return report(*answer);
}

} // namespace

void add_reload(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand(
        "reload", "Make a running gateway read its configuration again; where anything is wrong nothing changes");
    auto target = std::make_shared<AdminTarget>();
    add_admin_options(*command, *target);
    command->callback([target, &code] { code = reload(*target); });
}

} // namespace sallyport::apps
