#pragma once

#include "pipeline/pipeline.hpp"
#include "tests/replay/settings.hpp"

#include <optional>
#include <vector>

namespace sallyport::replay {

/// What the gateway does before anybody is asked: the product's own pipeline, with a resolver behind it that only
/// notes that a query has come so far.
class Front {
public:
    Front(const Settings& settings, const base::Clock& clock, base::RandomSource& random);
    ~Front();
    Front(const Front&) = delete;
    Front& operator=(const Front&) = delete;

    struct Verdict {
        bool goes_on = false;                           ///< to the resolver
        std::optional<std::vector<std::uint8_t>> reply; ///< else; without one there is silence
    };
    [[nodiscard]] Verdict receive(base::Bytes message, const base::IpAddress& client, bool tcp, base::Instant now);

private:
    class Behind;
    std::unique_ptr<Behind> behind_;
    pipeline::Pipeline pipeline_;
};

} // namespace sallyport::replay
