#pragma once

#include "cache/cache.hpp"
#include "patient_clock.hpp"
#include "resolver/resolver.hpp"
#include "resolver/shared.hpp"
#include "scripted_server.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <string>

/// What the tests of forwarding share: upstreams under their command, someone who waits, and a resolver between them.
namespace sallyport::forward_testing {

using namespace std::chrono_literals;
using resolver::Strategy;
using resolver::Taken;

/// Someone who waits, and keeps what he hears.
class Client final : public resolver::Waiter {
public:
    void resolved(const resolver::Outcome& outcome, base::Instant) noexcept override
    {
        ++heard;
        answered = outcome.answer != nullptr;
        if (answered) {
            rcode = outcome.answer->rcode;
            message = octets_of(outcome.answer->message);
            authentic = outcome.answer->authentic;
        }
        ede = outcome.ede;
        ede_text = outcome.ede_text;
        upstream = outcome.upstream;
        if (then) then();
    }
    unsigned heard = 0;
    bool answered = false;
    bool authentic = false;
    Rcode rcode{};
    Octets message;
    std::optional<wire::ExtendedError> ede;
    std::string ede_text;
    std::string upstream;
    std::function<void()> then;
};

class Forward : public testing::Test {
protected:
    void SetUp() override
    {
        static int number = 0;
        directory_ = std::filesystem::temp_directory_path() /
                     ("sallyport-forward-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
        std::filesystem::create_directories(directory_);
        options_.limits.first_timeout = 100ms;
    }
    void TearDown() override
    {
        resolver_.reset();
        std::filesystem::remove_all(directory_);
    }

    static resolver::UpstreamOptions upstream(const base::Endpoint& server,
                                              base::Transport transport = base::Transport::udp)
    {
        resolver::UpstreamOptions made;
        made.transport = transport;
        made.host = server.address.to_string();
        made.port = server.port;
        made.addresses = {server.address};
        made.name = std::string{base::to_string(transport)} + "-" + std::to_string(server.port);
        return made;
    }
    resolver::GroupOptions& group(Strategy strategy, std::vector<resolver::UpstreamOptions> upstreams,
                                  std::string name = "default")
    {
        resolver::GroupOptions made;
        made.name = std::move(name);
        made.strategy = strategy;
        made.upstreams = std::move(upstreams);
        options_.groups.push_back(std::move(made));
        return options_.groups.back();
    }
    void open()
    {
        options_.mode = resolver::Mode::forward;
        if (!resolver_) resolver_ = std::make_unique<resolver::Resolver>(worker_, shared_, &cache_);
        resolver_->reconfigure(std::make_shared<const resolver::Options>(options_));
    }

    static resolver::Question question(std::string_view name, RrType type = RrType::A)
    {
        resolver::Question made;
        made.qname = *wire::Name::from_text(name);
        made.qtype = type;
        return made;
    }
    Taken ask(Client& client, std::string_view name)
    {
        return resolver_->resolve(question(name), client, worker_.refresh_now());
    }
    /// Asks and waits for the outcome.
    Client resolve(std::string_view name)
    {
        Client client;
        EXPECT_EQ(ask(client, name), Taken::waiting);
        EXPECT_TRUE(until([&] { return client.heard > 0; })) << name;
        return client;
    }

    template <class Done>
    bool until(Done&& done, base::Duration patience = 8s)
    {
        const auto end = clock_.now() + patience;
        while (!done()) {
            if (clock_.now() > end) return false;
            worker_.run_for(1ms);
            if (other_) other_->run_for(0ms);
        }
        return true;
    }
    void run(base::Duration time)
    {
        until([] { return false; }, time);
    }

    std::uint64_t counter(const std::string& name, const resolver::Resolver* of = nullptr) const
    {
        std::uint64_t sum = 0;
        (of != nullptr ? of : resolver_.get())
            ->each_counter([&](const char* each, const char*, const base::Counter& value) {
                if (each == name) sum += value.get();
            });
        return sum;
    }
    std::uint64_t upstream_counter(const std::string& name, const std::string& of = {}) const
    {
        std::uint64_t sum = 0;
        resolver_->each_upstream_counter(
            [&](const char* each, const char*, const std::string& labels, const base::Counter& value) {
                if (each == name && labels.find(of) != std::string::npos) sum += value.get();
            });
        return sum;
    }

    test::PatientClock clock_;
    base::SystemRandom random_;
    net::Worker worker_{0, clock_};
    std::unique_ptr<net::Worker> other_;
    cache::Options cache_options_;
    cache::Cache cache_{cache_options_};
    resolver::Shared shared_;
    resolver::Options options_;
    std::unique_ptr<resolver::Resolver> resolver_;
    std::filesystem::path directory_;
};

} // namespace sallyport::forward_testing
