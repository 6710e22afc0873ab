#include "base/result.hpp"

#include <stdexcept>
#include <system_error>

namespace sallyport::base {

std::string Error::to_string() const
{
    std::string text;
    if (!position.file.empty()) {
        text += position.file;
        text += ':';
    }
    if (position.line != 0) {
        text += std::to_string(position.line);
        text += ':';
        if (position.column != 0) {
            text += std::to_string(position.column);
            text += ':';
        }
    }
    if (!text.empty()) text += ' ';
    return text + message;
}

void throw_exception_from_error(const Error& error, const boost::source_location&)
{
    throw std::runtime_error(error.to_string());
}

Error system_error(std::string what, int errno_value)
{
    what += ": ";
    what += std::generic_category().message(errno_value);
    return Error{ErrorCode::system, std::move(what)};
}

} // namespace sallyport::base
