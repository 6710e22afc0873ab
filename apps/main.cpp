#include "apps/ask.hpp"
#include "apps/cache_cli.hpp"
#include "apps/cert.hpp"
#include "apps/check.hpp"
#include "apps/exit_codes.hpp"
#include "apps/explain.hpp"
#include "apps/health_cli.hpp"
#include "apps/reload_cli.hpp"
#include "apps/run.hpp"
#include "apps/stats_cli.hpp"
#include "apps/version.hpp"

#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>

namespace {

using namespace sallyport::apps;

constexpr const char* kFooter =
    "Exit codes: 0 good; 1 the configuration or what it names is wrong (every error is printed);\n"
    "2 the command line is wrong; 3 an address can not be bound; 4 the system refused something.\n"
    "The manual: man sallyport. Configuration: docs/configuration.md.";

void add_run(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand(
        "run", "Serve until SIGINT or SIGTERM; SIGHUP reads the configuration again, SIGUSR1 prints what was counted");
    auto options = std::make_shared<RunOptions>();
    command->add_option("-c,--config", options->config, "Configuration file")->required()->type_name("FILE");
    command->add_flag("--hints", options->hints, "Print lines to paste for each door");
    command->callback([options, &code] { code = run(*options); });
}

void add_check(CLI::App& app, int& code)
{
    auto* const command =
        app.add_subcommand("check", "Read the configuration and all it names, without serving; report every error");
    auto config = std::make_shared<std::string>();
    command->add_option("-c,--config", *config, "Configuration file")->required()->type_name("FILE");
    command->callback([config, &code] { code = check(*config); });
}

void add_cert(CLI::App& app, int& code)
{
    auto* const cert = app.add_subcommand("cert", "Certificates");
    cert->require_subcommand(1);
    auto* const dev =
        cert->add_subcommand("dev", "Make a development CA and a certificate; what is still good is kept");
    auto options = std::make_shared<CertDevOptions>();
    dev->add_option("-d,--directory", options->directory, "Where they go")->type_name("DIR")->capture_default_str();
    dev->add_option("-n,--name", options->names,
                    "Names and addresses of the certificate [gate.test *.gate.test localhost 127.0.0.1 ::1]")
        ->type_name("NAME");
    dev->add_option("--days", options->days, "Days the certificate is valid")
        ->check(CLI::Range(1, 397))
        ->capture_default_str();
    dev->add_flag("--replace", options->replace, "Make everything anew, the CA too");
    dev->add_flag("--quiet", options->quiet, "Say nothing when all is there");
    dev->callback([options, &code] { code = cert_dev(*options); });
}

void add_version(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand("version", "Print the version and the libraries in use");
    command->callback([&code] {
        print_version(std::cout);
        code = exit_ok;
    });
}

int parse_and_run(int argc, char** argv)
{
    CLI::App app{"Sallyport: encrypted DNS gateway (DoT, DoH, DoQ, Do53)", "sallyport"};
    app.require_subcommand(1);
    app.footer(kFooter);
    app.set_version_flag("--version", version_line());
    int code = exit_ok;
    add_run(app, code);
    add_check(app, code);
    add_ask(app, code);
    add_explain(app, code);
    add_reload(app, code);
    add_stats(app, code);
    add_log_level(app, code);
    add_cache(app, code);
    add_health(app, code);
    add_cert(app, code);
    add_version(app, code);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_ok : exit_usage;
    }
    return code;
}

} // namespace

int main(int argc, char** argv)
{
    try {
        return parse_and_run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "sallyport: " << error.what() << '\n';
        return exit_failed;
    }
}
