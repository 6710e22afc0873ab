#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// SvcParams of SVCB and HTTPS records (RFC 9460, keys of RFC 9461, RFC 9540 and RFC 9848 too).
namespace sallyport::wire {

/// SvcParamKeys with a name of their own; every other is `keyNNNNN`.
enum class SvcParamKey : std::uint16_t {
    mandatory = 0,
    alpn = 1,
    no_default_alpn = 2,
    port = 3,
    ipv4hint = 4,
    ech = 5,
    ipv6hint = 6,
    dohpath = 7,
    ohttp = 8,
    tls_supported_groups = 9,
};

/// Keys in strictly increasing order, values of known keys well-formed, all mandatory keys there (RFC 9460 §2.2, §8).
[[nodiscard]] base::Result<void, ParseError> check_svc_params(base::Bytes params) noexcept;

/// ` alpn="h2,h3" port=443`: each with a space before it. `params` has passed `check_svc_params`.
void append_svc_params(std::string& text, base::Bytes params);

/// Collects SvcParams from their presentation format, in any order, and writes them sorted.
class SvcParamsReader {
public:
    /// Takes one `key=value`, `key="value"` or `key`. The error says what was expected.
    [[nodiscard]] base::Result<void> add(std::string_view token);
    /// Appends all of them in wire format. Keys that are there twice, and all that `check_svc_params` refuses, are
    /// errors.
    [[nodiscard]] base::Result<void> finish(std::vector<std::uint8_t>& out);

private:
    struct Param {
        std::uint16_t key;
        std::vector<std::uint8_t> value;
    };
    std::vector<Param> params_;
};

} // namespace sallyport::wire
