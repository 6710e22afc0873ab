#pragma once

namespace CLI {
class App;
}

namespace sallyport::apps {

/// `sallyport health`: asks a running gateway how it is, for health checks of containers and monitoring: 0 healthy,
/// 1 not, with the reason printed, 4 where no gateway could be asked in time. With `--ready` whether it takes queries.
void add_health(CLI::App& app, int& code);

} // namespace sallyport::apps
