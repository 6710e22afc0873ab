#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace sallyport::lua {

/// What becomes of a query whose script fails or takes too long.
enum class OnError : std::uint8_t { proceed, refuse };

struct Options {
    std::string script; ///< file; empty: no script
    base::SourcePosition position;
    OnError on_error = OnError::proceed;
    std::uint32_t instructions = 1'000'000;        ///< of one call
    std::chrono::microseconds time{5'000};         ///< of one call
    std::uint32_t memory = 8U << 20U;              ///< octets of one state
    std::uint32_t start_instructions = 50'000'000; ///< while the file itself runs, at start and reload
    std::uint32_t script_octets = 1U << 20U;       ///< of the file
    std::uint32_t list_octets = 64U << 20U;        ///< of one file of names
    std::uint32_t list_names = 5'000'000;          ///< of one set of names
};

} // namespace sallyport::lua
