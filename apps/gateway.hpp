#pragma once

#include "apps/loaded.hpp"
#include "apps/statistics.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

#include <chrono>
#include <memory>
#include <vector>

namespace sallyport::apps {

/// The running gateway: the parts given to each other, one thread a worker.
class Gateway {
public:
    explicit Gateway(std::unique_ptr<Loaded> loaded);
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    /// Opens every socket; those that the service manager holds for us are taken. Errors name the address.
    [[nodiscard]] bool open(base::Problems& problems);
    /// Starts the workers.
    [[nodiscard]] base::Result<void> start();
    /// Looks for changed certificates and ticket keys; about once a second, on the control thread.
    void tick();
    /// Reads the configuration again: zones, certificates, access, limits of answers. What is wrong is logged, and
    /// nothing changes. Doors and workers stay as they were; the log says so where they differ.
    void reload();
    /// Stops accepting and lets connections finish, for `limits.drain` at most; `ended` tells when.
    void begin_stop();
    /// True once every worker has ended.
    [[nodiscard]] bool ended() const noexcept;
    /// Ends the workers now, whatever their connections are doing.
    void hurry();

    /// Everything that is counted, of all workers together. Before `begin_stop` only.
    void collect(Statistics& statistics) const;

    [[nodiscard]] const Loaded& loaded() const noexcept;
    [[nodiscard]] const std::vector<base::Endpoint>& bound() const noexcept;
    [[nodiscard]] const std::vector<listeners::Port>& ports() const noexcept;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::apps
