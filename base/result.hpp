#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// What functions return that can fail in normal operation.
namespace sallyport::base {

/// A place in a text file; line and column count from 1, 0 means unknown.
struct SourcePosition {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    bool operator==(const SourcePosition&) const = default;
};

enum class ErrorCode : std::uint8_t {
    invalid,     ///< what was read does not mean what was expected there
    not_found,   ///< a file, a name, a reference that is not there
    unreadable,  ///< there, but may or can not be read
    unsupported, ///< meaningful, but not something this build does
    limit,       ///< a documented limit was reached
    conflict,    ///< two things that exclude each other (an address in use, a key that does not match)
    system,      ///< the operating system refused
};

/// An error for people: what is wrong, where, and what was expected.
struct Error {
    ErrorCode code = ErrorCode::invalid;
    std::string message;
    SourcePosition position{};

    /// `file:line:column: message`, without the parts that are unknown.
    [[nodiscard]] std::string to_string() const;
};

/// All that is wrong in one run: reading goes on after an error so that people see every one at once.
using Problems = std::vector<Error>;

/// A value or an error. C++20 has no `std::expected`: this alias is the one line to change later.
template <class T, class E = Error>
using Result = boost::system::result<T, E>;

/// Called by `Result::value()` on an error: only tools and tests do that.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

/// `system`, with the system's own words for `errno_value` appended to `what`.
[[nodiscard]] Error system_error(std::string what, int errno_value);

} // namespace sallyport::base
