#pragma once

namespace CLI {
class App;
}

namespace sallyport::apps {

/// `sallyport stats` and `sallyport log-level`. `code` is what the program ends with.
void add_stats(CLI::App& app, int& code);
void add_log_level(CLI::App& app, int& code);

} // namespace sallyport::apps
