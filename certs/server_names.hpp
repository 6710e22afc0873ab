#pragma once

#include "base/bytes.hpp"
#include "base/hash.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sallyport::certs {

/// Which identity a server name (RFC 6066 §3) means: the exact name first, then a wildcard for its leftmost label
/// (RFC 9525 §6.3: one whole label, leftmost only). Read-only once filled: any thread.
class ServerNames {
public:
    /// `name` as `Identity::names` gives it. The first identity to claim a name keeps it: false for a later one.
    bool add(std::string_view name, std::size_t identity);
    /// Whatever case, with or without the final dot. Allocates nothing.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view server_name) const noexcept;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return base::keyed_hash(base::as_bytes(text)); }
    };
    struct Equal {
        using is_transparent = void;
        bool operator()(std::string_view left, std::string_view right) const noexcept { return left == right; }
    };
    std::unordered_map<std::string, std::size_t, Hash, Equal> exact_;
    std::unordered_map<std::string, std::size_t, Hash, Equal> below_; // of `*.gate.test`: `gate.test`
};

/// Lower-cased and without a final dot, or nothing where it is no host name (a wildcard may stand leftmost).
[[nodiscard]] std::optional<std::string> canonical_host_name(std::string_view text);

} // namespace sallyport::certs
