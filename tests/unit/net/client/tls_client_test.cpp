#include "net/client/tls_client.hpp"

#include <gtest/gtest.h>

namespace sallyport::net::client {
namespace {

Failure failure_for(const std::string& name)
{
    TlsOptions options;
    options.server_name = name;
    const auto context = TlsContext::make(options);
    EXPECT_TRUE(context);
    TlsChannel channel{**context, "", nullptr};
    channel.advance();
    return channel.failure();
}

TEST(TlsClient, ANameThatCanNotBeCheckedIsNotLeftUnchecked)
{
    EXPECT_FALSE(failure_for("dns.example"));
    EXPECT_FALSE(failure_for("192.0.2.1"));
    EXPECT_FALSE(failure_for("2001:db8::1"));
    EXPECT_EQ(failure_for(std::string("dns\0.example", 12)).kind, FailureKind::wrong_name);
    EXPECT_EQ(failure_for(std::string(300, 'a')).kind, FailureKind::wrong_name) << "no SNI for it";
}

} // namespace
} // namespace sallyport::net::client
