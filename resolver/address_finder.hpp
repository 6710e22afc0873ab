#pragma once

#include "base/counter.hpp"
#include "net/worker.hpp"
#include "resolver/address_book.hpp"
#include "resolver/bootstrap.hpp"
#include "resolver/options.hpp"
#include "resolver/resolution.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::resolver {

/// Looks up where upstreams are that were given by name: asks the bootstrap servers, with what forwarding is made of
/// (pools, health, checks of replies: `Resolution`), when `Bootstrap` says so, and tells what came of it. One worker of
/// the gateway does it for all; its thread only.
class AddressFinder {
public:
    /// Of one look-up.
    struct Found {
        Bootstrap::Outcome outcome;
        unsigned refused = 0;
        const std::vector<base::IpAddress>& addresses; ///< all that are known now
    };
    using Tell = std::function<void(const Target& target, const Found& found)>;

    AddressFinder(net::Worker& worker, Tell tell);
    ~AddressFinder();
    AddressFinder(const AddressFinder&) = delete;
    AddressFinder& operator=(const AddressFinder&) = delete;

    /// What is looked up from now on, and whom to ask. What is known of what stays is kept.
    void reconfigure(std::shared_ptr<const Options> options, std::shared_ptr<Group> servers,
                     std::span<const Target> targets, base::Instant now);
    /// See `Bootstrap::doubt`.
    void doubt(const Target& target);
    /// Ends everything; nobody is told.
    void stop() noexcept;

private:
    class LookUp;

    void due(base::Instant now) noexcept { work(now); }
    void flush(base::Instant now) noexcept { work(now); }
    void work(base::Instant now) noexcept;
    void begin_due(base::Instant now);
    void take_ended(base::Instant now);
    void ended(LookUp& look_up, base::Instant now);
    [[nodiscard]] unsigned refuse(const Target& target, Finding& finding) const;
    void log(const Target& target, const Found& found, const std::string& why) const;

    net::Worker& worker_;
    Tell tell_;
    std::shared_ptr<const Options> options_ = std::make_shared<const Options>();
    std::shared_ptr<Group> servers_;
    Bootstrap bootstrap_;
    std::vector<std::unique_ptr<LookUp>> running_;
    std::vector<std::unique_ptr<LookUp>> buried_; // until nothing of them is on the stack
    net::Timer timer_{net::Timer::of<&AddressFinder::due>(*this)};
    net::Flush flush_{net::Flush::of<&AddressFinder::flush>(*this)};
};

} // namespace sallyport::resolver
