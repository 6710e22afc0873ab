#include "resolver/shared.hpp"

#include "net/worker.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::resolver {
namespace {

const Target kTarget{"dns.example", 853, base::Transport::dot};
const Target kOther{"dns.example", 443, base::Transport::doh2};

class AddressBooks : public testing::Test {
protected:
    /// One worker's: what it hears goes to `heard`.
    std::shared_ptr<Mailbox> box() { return std::make_shared<Mailbox>(worker_, &heard_, nullptr); }

    void put(std::vector<base::IpAddress> addresses)
    {
        book_.put(kTarget, std::move(addresses), [](void* owner, const Target& target, const auto& fresh) {
            static_cast<std::vector<std::string>*>(owner)->push_back(target.host + ' ' + fresh->at(0).to_string());
        });
        worker_.run_for(std::chrono::milliseconds{0});
    }

    base::ManualClock clock_;
    net::Worker worker_{0, clock_};
    std::vector<std::string> heard_;
    AddressBook book_;
};

TEST_F(AddressBooks, TheFirstLooksUpAndAllHear)
{
    const auto one = box();
    const auto two = box();
    EXPECT_TRUE(book_.enrol(one));
    EXPECT_FALSE(book_.enrol(two));
    EXPECT_TRUE(book_.enrol(one)) << "however often";
    put({base::IpAddress::v4({192, 0, 2, 1})});
    EXPECT_EQ(heard_, (std::vector<std::string>{"dns.example 192.0.2.1", "dns.example 192.0.2.1"}));
    two->close();
    book_.leave(one);
    put({base::IpAddress::v4({192, 0, 2, 2})});
    EXPECT_EQ(heard_.size(), 2U) << "one has left, and the other hears nothing any more";
    EXPECT_EQ(book_.find(kTarget)->size(), 1U);
}

TEST_F(AddressBooks, KeepsWhatIsWantedAndSaysWhatIsMissing)
{
    EXPECT_TRUE(book_.find(kTarget)->empty());
    book_.keep(std::vector{kTarget, kOther});
    EXPECT_EQ(book_.missing(), std::vector<std::string>{"dns.example"}) << "each host once";
    put({base::IpAddress::v4({192, 0, 2, 1})});
    EXPECT_EQ(book_.missing().size(), 1U);
    book_.keep(std::vector{kTarget});
    EXPECT_TRUE(book_.missing().empty());
    EXPECT_EQ(book_.find(kTarget)->size(), 1U) << "a reload keeps what stays";
    book_.keep({});
    EXPECT_TRUE(book_.find(kTarget)->empty());
}

} // namespace
} // namespace sallyport::resolver
