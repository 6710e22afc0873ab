#include "admin/admin.hpp"
#include "net/socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kToken = "0123456789abcdef";
constexpr int kPatience = 20'000; // milliseconds

/// A client that sends what it is told to.
class Client {
public:
    explicit Client(const std::string& address)
    {
        sockaddr_storage target{};
        socklen_t size = 0;
        if (address.starts_with("unix:")) {
            auto& local = reinterpret_cast<sockaddr_un&>(target);
            local.sun_family = AF_UNIX;
            std::strncpy(local.sun_path, address.c_str() + 5, sizeof local.sun_path - 1);
            size = sizeof local;
        } else {
            size = base::Endpoint::parse(address)->to_sockaddr(target);
        }
        socket_.reset(::socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        connected = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target), size) == 0;
    }
    void send(std::string_view text)
    {
        static_cast<void>(!::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL));
    }
    /// Until the server closes, or `enough` stands in it.
    std::string read(std::string_view enough = "\x01")
    {
        std::string text;
        std::array<char, 4096> room;
        while (text.find(enough) == std::string::npos) {
            pollfd waiting{socket_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, kPatience) <= 0) return text + " (timed out)";
            const auto size = ::recv(socket_.get(), room.data(), room.size(), 0);
            if (size <= 0) break;
            text.append(room.data(), static_cast<std::size_t>(size));
        }
        return text;
    }
    bool connected = false;

private:
    net::Descriptor socket_;
};

std::string request(const std::string& line, const std::string& fields = "", const std::string& body = "")
{
    return line + " HTTP/1.1\r\nHost: localhost\r\n" + fields +
           (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body;
}

struct AdminServer : testing::Test {
    AdminServer()
    {
        std::string pattern = std::filesystem::temp_directory_path() / "sallyport-admin-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        std::ofstream{folder / "token"} << kToken << '\n';
        ::chmod((folder / "token").c_str(), 0600);
        options.on = "127.0.0.1:0";
        options.token_file = folder / "token";
    }
    ~AdminServer() override
    {
        server.close();
        std::filesystem::remove_all(folder);
    }
    std::vector<Route> routes()
    {
        return {
            {"GET", "/hello", false, [](const Request& r) { return Response{200, "text/plain", "hello " + r.path}; }},
            {"GET", "/fail", false, [](const Request&) -> Response { throw std::runtime_error("secret"); }},
            {"GET", "/large", false,
             [](const Request&) { return Response{200, "text/plain", std::string(4U << 20U, 'x')}; }},
            {"POST", "/slow", true,
             [this](const Request& r) {
                 entered.set_value();
                 release.get_future().wait();
                 return Response{200, "application/json", r.body};
             }},
            {"GET", "/look", false, [](const Request&) { return Response{200, "text/plain", "looked"}; }, true}};
    }
    void open()
    {
        base::Problems problems;
        ASSERT_TRUE(server.open(options, problems)) << problems.front().to_string();
        server.start();
    }
    std::string ask(const std::string& text)
    {
        Client client{server.address()};
        client.send(text);
        return client.read();
    }

    std::filesystem::path folder;
    Options options;
    std::promise<void> entered, release;
    Server server{routes()};
};

const std::string kClose = "Connection: close\r\n";
const std::string kChange = std::string("Authorization: Bearer ") + kToken + "\r\nContent-Type: application/json\r\n";

TEST_F(AdminServer, AnswersAndKeepsTheConnection)
{
    open();
    Client client{server.address()};
    client.send(request("GET /hello"));
    const auto first = client.read("hello /hello");
    EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(first, HasSubstr("Content-Length: 12\r\nContent-Type: text/plain\r\n"));
    EXPECT_THAT(first, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
    // Three at once, one behind the other.
    client.send(request("GET /hello") + request("HEAD /hello") + request("GET /hello", kClose));
    const auto rest = client.read();
    std::size_t answers = 0, bodies = 0;
    for (auto at = rest.find("HTTP/1.1 200"); at != std::string::npos; at = rest.find("HTTP/1.1 200", at + 1))
        ++answers;
    for (auto at = rest.find("hello /hello"); at != std::string::npos; at = rest.find("hello /hello", at + 1)) ++bodies;
    EXPECT_EQ(answers, 3U);
    EXPECT_EQ(bodies, 2U) << "HEAD has none";
    EXPECT_EQ(server.stats().requests.get(), 4U);
}

TEST_F(AdminServer, ARouteThatFailsTellsNothing)
{
    open();
    const auto answer = ask(request("GET /fail", kClose));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
    EXPECT_EQ(answer.find("secret"), std::string::npos);
    EXPECT_EQ(server.stats().failed.get(), 1U);
}

TEST_F(AdminServer, ASlowChangeHoldsUpNobody)
{
    open();
    Client slow{server.address()};
    slow.send(request("POST /slow", kChange + kClose, "{\"a\":1}"));
    ASSERT_EQ(entered.get_future().wait_for(20s), std::future_status::ready);
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("hello"));
    EXPECT_THAT(ask(request("GET /look", kClose)), HasSubstr("looked")) << "slow itself, but no change";
    release.set_value();
    EXPECT_THAT(slow.read(), HasSubstr("{\"a\":1}"));
}

TEST_F(AdminServer, AClientThatLeavesIsForgotten)
{
    open();
    {
        Client slow{server.address()};
        slow.send(request("POST /slow", kChange, "{}"));
        ASSERT_EQ(entered.get_future().wait_for(20s), std::future_status::ready);
    }
    release.set_value();
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("hello"));
}

TEST_F(AdminServer, OddRequestsAreRefusedAndTheConnectionCloses)
{
    open();
    EXPECT_THAT(ask("GET / HTTP/1.1\nHost: localhost\n\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(request("GET /hello", "X: " + std::string(options.head, 'x') + "\r\n")),
                StartsWith("HTTP/1.1 431 "));
    // The whole body stands in the way of the answer; it must arrive all the same.
    EXPECT_THAT(ask(request("POST /slow", kChange, std::string(options.body + 1, 'x'))), StartsWith("HTTP/1.1 413 "));
    EXPECT_EQ(server.stats().bad_requests.get(), 2U);
    EXPECT_EQ(server.stats().too_large.get(), 2U);
}

TEST_F(AdminServer, WhoeverSaysNothingMakesWay)
{
    options.connections = 2;
    open();
    Client silent{server.address()}, second{server.address()};
    second.send(request("GET /hello"));
    EXPECT_THAT(second.read("/hello"), HasSubstr("200 OK"));
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("200 OK"));
    EXPECT_EQ(silent.read(), "") << "the longest without a word";
    EXPECT_EQ(server.stats().connections_full.get(), 1U);
}

TEST_F(AdminServer, TakesSoManyConnectionsAndNoMore)
{
    options.connections = 1;
    open();
    Client working{server.address()};
    working.send(request("POST /slow", kChange + kClose, "{}"));
    ASSERT_EQ(entered.get_future().wait_for(20s), std::future_status::ready);
    EXPECT_EQ(ask(request("GET /hello")), "") << "whoever waits for an answer gets it";
    EXPECT_EQ(server.stats().connections_full.get(), 1U);
    EXPECT_EQ(server.stats().connections.get(), 1U);
    release.set_value();
    EXPECT_THAT(working.read(), HasSubstr("200 OK"));
}

TEST_F(AdminServer, ARequestHasItsTime)
{
    options.request = 200ms;
    open();
    EXPECT_EQ(ask("GET /hello HTTP/1.1\r\n"), "");
    EXPECT_EQ(server.stats().timeouts.get(), 1U);
}

TEST_F(AdminServer, AnAnswerThatIsNotReadHasItsTime)
{
    options.request = 200ms;
    open();
    Client lazy{server.address()};
    lazy.send(request("GET /large"));
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (server.stats().timeouts.get() == 0 && std::chrono::steady_clock::now() < deadline) {
        const auto answer = ask(request("GET /hello", kClose));
        EXPECT_THAT(answer, HasSubstr("hello"));
    }
    EXPECT_EQ(server.stats().timeouts.get(), 1U);
}

TEST_F(AdminServer, AUnixSocketNeedsNoToken)
{
    options.on = "unix:" + (folder / "admin.sock").string();
    open();
    struct stat status{};
    ASSERT_EQ(::stat((folder / "admin.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    release.set_value();
    EXPECT_THAT(ask(request("POST /slow", "Content-Type: application/json\r\n" + kClose, "{}")),
                StartsWith("HTTP/1.1 200 "));
    server.close();
    EXPECT_FALSE(std::filesystem::exists(folder / "admin.sock"));
}

TEST_F(AdminServer, WarnsOnceWhereOthersReachIt)
{
    const auto adopt = [&](const std::string& on) {
        options.on = on;
        base::Problems problems;
        testing::internal::CaptureStderr();
        auto prepared = server.prepare(options, problems);
        EXPECT_TRUE(prepared);
        if (prepared) server.adopt(std::move(prepared));
        return testing::internal::GetCapturedStderr();
    };
    EXPECT_EQ(adopt("127.0.0.1:0"), "");
    EXPECT_EQ(adopt("unix:" + (folder / "admin.sock").string()), "");
    EXPECT_THAT(adopt("0.0.0.0:0"), HasSubstr("whoever reaches it"));
    EXPECT_EQ(adopt("0.0.0.0:0"), "") << "once";
}

TEST_F(AdminServer, MovesWhileItRuns)
{
    open();
    const auto before = server.address();
    Client client{before};
    client.send(request("GET /hello"));
    EXPECT_THAT(client.read("/hello"), HasSubstr("200 OK"));

    base::Problems problems;
    options.on = "unix:" + (folder / "admin.sock").string();
    auto prepared = server.prepare(options, problems);
    ASSERT_TRUE(prepared);
    server.adopt(std::move(prepared));
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("hello"));
    // Who came before gets one answer more, and then the connection closes.
    client.send(request("GET /hello"));
    EXPECT_THAT(client.read(), HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(Client{before}.connected);

    // The same address again: the socket stays.
    prepared = server.prepare(options, problems);
    ASSERT_TRUE(prepared);
    server.adopt(std::move(prepared));
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("hello"));

    options.on.clear();
    prepared = server.prepare(options, problems);
    ASSERT_TRUE(prepared);
    server.adopt(std::move(prepared));
    EXPECT_EQ(server.address(), "");
    EXPECT_FALSE(std::filesystem::exists(folder / "admin.sock"));
}

TEST_F(AdminServer, WhatCanNotBeOpenedChangesNothing)
{
    open();
    const auto address = server.address();
    base::Problems problems;
    Options other = options;
    other.on = address;
    EXPECT_FALSE(server.prepare(other, problems)) << "in use, by ourselves under another spelling";
    other = options;
    other.token_file = folder / "nothing";
    EXPECT_FALSE(server.prepare(other, problems));
    EXPECT_EQ(problems.size(), 2U);
    EXPECT_THAT(ask(request("GET /hello", kClose)), HasSubstr("hello"));
}

} // namespace
} // namespace sallyport::admin
