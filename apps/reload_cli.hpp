#pragma once

namespace CLI {
class App;
}

namespace sallyport::apps {

/// `sallyport reload`: makes a running gateway read its configuration again, and prints what came of it: 0 taken over,
/// 1 refused with every reason printed, 4 where no gateway could be asked.
void add_reload(CLI::App& app, int& code);

} // namespace sallyport::apps
