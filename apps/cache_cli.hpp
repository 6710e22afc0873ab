#pragma once

namespace CLI {
class App;
}

namespace sallyport::apps {

/// `sallyport cache lookup NAME [TYPE]`, `cache list [APEX]` and `cache flush NAME | --subtree NAME | --all`: what a
/// running gateway has in its cache. Throws what CLI11 throws.
void add_cache(CLI::App& app, int& exit_code);

} // namespace sallyport::apps
