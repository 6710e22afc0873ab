#pragma once

#include "base/result.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace sallyport::apps {

/// Where the management API is, as the command line says it.
struct AdminTarget {
    std::string url;        ///< `http://127.0.0.1:8080`, `127.0.0.1:8080` or `unix:/run/sallyport/admin.sock`
    std::string token_file; ///< for what changes state
    std::string config;     ///< a configuration whose `admin` section says both
};

/// Adds `--admin`, `--token-file` and `-c,--config` to a subcommand. `target` must outlive the parsing.
void add_admin_options(CLI::App& command, AdminTarget& target);

/// An answer of the gateway.
struct AdminAnswer {
    unsigned status = 0;
    std::string body;
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
};

/// Asks the management API of a running gateway; waits for the answer. One connection a request.
class AdminClient {
public:
    /// Finds out where: `--admin` before the configuration's `admin` section before `127.0.0.1:8080`, which is where
    /// the quickstart configuration has it. Errors: a configuration that does not read, or has no `admin`; a token file
    /// that can not be read.
    [[nodiscard]] static base::Result<AdminClient> make(const AdminTarget& target);

    /// `target` is path and query string, percent-encoded: `/api/v1/cache?name=example.org`. `body` is JSON. The error
    /// is for people: `no gateway answers on 127.0.0.1:8080; is 'admin' configured?`. An answer of 400 and above is no
    /// error here; see `require`.
    [[nodiscard]] base::Result<AdminAnswer>
    request(std::string_view method, const std::string& target, std::string_view body = {},
            std::chrono::milliseconds patience = std::chrono::seconds{30}) const;
    [[nodiscard]] base::Result<AdminAnswer> get(const std::string& target) const { return request("GET", target); }
    /// The body of a good answer; of others what the gateway said is the error.
    [[nodiscard]] base::Result<std::string> require(std::string_view method, const std::string& target,
                                                    std::string_view body = {}) const;

    /// Where it asks, for messages.
    [[nodiscard]] const std::string& address() const noexcept { return address_; }

private:
    AdminClient() = default;
    std::string address_; ///< `127.0.0.1:8080`, `unix:/…`
    std::string token_;
};

/// A text in the query string of a URL.
[[nodiscard]] std::string percent_encode(std::string_view text);

} // namespace sallyport::apps
