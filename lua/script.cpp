#include "lua/context.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

namespace sallyport::lua {
namespace {

base::Error file_error(base::ErrorCode code, std::string what, const Options& options)
{
    base::Error error{code, std::move(what), options.position};
    if (error.position.file.empty()) error.position.file = options.script;
    return error;
}

base::Result<std::string> read_text(const Options& options)
{
    struct stat status{};
    if (::stat(options.script.c_str(), &status) != 0)
        return file_error(base::ErrorCode::unreadable,
                          base::system_error("cannot read the script " + options.script, errno).message, options);
    if (!S_ISREG(status.st_mode))
        return file_error(base::ErrorCode::unreadable, "the script " + options.script + " is no file", options);
    if (static_cast<std::uint64_t>(status.st_size) > options.script_octets)
        return file_error(base::ErrorCode::limit,
                          "the script " + options.script + " is larger than 'policy.limits.script_size'", options);
    errno = 0;
    std::ifstream stream{options.script, std::ios::binary};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    stream.read(text.data(), status.st_size);
    if (!stream)
        return file_error(base::ErrorCode::unreadable,
                          base::system_error("cannot read the script " + options.script, errno).message, options);
    return text;
}

} // namespace

base::Result<std::shared_ptr<const Script>> Script::load(const Options& options)
{
    auto text = read_text(options);
    if (!text) return text.error();
    return compile(options, std::move(*text));
}

base::Result<std::shared_ptr<const Script>> Script::compile(const Options& options, std::string text)
{
    std::shared_ptr<Script> script{new Script};
    script->text_ = std::move(text);
    script->options_ = options;
    const auto context = start_context(*script, nullptr, &script->domain_sets_);
    if (!context) return context.error();
    for (const auto& [source, set] : script->domain_sets_)
        if (!source.ends_with('\n') && !source.empty()) script->files_.push_back(source);
    return std::shared_ptr<const Script>{std::move(script)};
}

} // namespace sallyport::lua
