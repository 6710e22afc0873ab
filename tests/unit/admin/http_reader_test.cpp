#include "admin/http_reader.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::admin {
namespace {

using Step = HttpReader::Step;

Options small()
{
    Options options;
    options.head = 1024;
    options.body = 2048;
    return options;
}

unsigned status_of(std::string_view text)
{
    HttpReader reader{small()};
    switch (reader.feed(text)) {
    case Step::complete: return 200;
    case Step::more: return 0;
    case Step::bad: break;
    }
    return reader.status();
}

TEST(HttpReader, ReadsARequest)
{
    HttpReader reader{small()};
    ASSERT_EQ(reader.feed("PUT /a?b=c HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
                          "Content-Type: application/json\r\nOrigin: http://o\r\nContent-Length: 4\r\n\r\n{  }"),
              Step::complete);
    const auto request = reader.take();
    EXPECT_EQ(request.method, "PUT");
    EXPECT_EQ(request.target, "/a?b=c");
    EXPECT_EQ(request.host, "localhost");
    EXPECT_EQ(request.authorization, "Bearer x");
    EXPECT_EQ(request.content_type, "application/json");
    EXPECT_EQ(request.origin, "http://o");
    EXPECT_EQ(request.body, "{  }");
    EXPECT_TRUE(reader.idle());
}

TEST(HttpReader, OctetByOctetAndOneBehindTheOther)
{
    HttpReader reader{small()};
    const std::string text = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (std::size_t i = 0; i + 1 < text.size(); ++i) ASSERT_EQ(reader.feed(text.substr(i, 1)), Step::more) << i;
    ASSERT_EQ(reader.feed(text.substr(text.size() - 1) + "GET /y HTTP/1.1\r\nHost: b\r\n\r\n"), Step::complete);
    EXPECT_EQ(reader.take().body, "abc");
    ASSERT_EQ(reader.feed(""), Step::complete);
    EXPECT_EQ(reader.take().target, "/y");
    EXPECT_EQ(reader.feed(""), Step::more);
}

TEST(HttpReader, RefusesWhatOthersMayReadDifferently)
{
    const std::string get = "GET / HTTP/1.1\r\n";
    EXPECT_EQ(status_of(get + "\r\n"), 400U) << "no Host";
    EXPECT_EQ(status_of(get + "Host: a\r\nHost: a\r\n\r\n"), 400U) << "two Hosts";
    EXPECT_EQ(status_of(get + "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"), 400U) << "two lengths";
    EXPECT_EQ(status_of(get + "Host: a\r\nContent-Length: 1, 1\r\n\r\nx"), 400U) << "a list of lengths";
    EXPECT_EQ(status_of(get + "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400U);
    EXPECT_EQ(status_of(get + "Host: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501U);
    EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), 400U) << "bare LF";
    EXPECT_EQ(status_of(get + "Host: a\rb\r\n\r\n"), 400U) << "bare CR";
    EXPECT_EQ(status_of(get + "Host : a\r\n\r\n"), 400U) << "space before the colon";
    EXPECT_EQ(status_of(get + "Host: a\r\n b\r\n\r\n"), 400U) << "folded line";
    EXPECT_EQ(status_of(std::string{"GET /\0 HTTP/1.1\r\n", 17} + "Host: a\r\n\r\n"), 400U) << "NUL";
    EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505U) << "HTTP/2 in the clear";
    EXPECT_EQ(status_of("\r\n" + get + "Host: a\r\n\r\n"), 400U) << "an empty line first";
}

TEST(HttpReader, TrailersSayNothing)
{
    HttpReader reader{small()};
    ASSERT_EQ(reader.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                          "Host: b\r\nAuthorization: Bearer x\r\nContent-Type: application/json\r\nOrigin: c\r\n\r\n"),
              Step::complete);
    const HttpRequest request = reader.take();
    EXPECT_EQ(request.host, "a");
    EXPECT_FALSE(request.has_authorization);
    EXPECT_EQ(request.authorization + request.content_type + request.origin, "");
    EXPECT_EQ(request.body, "x");
}

TEST(HttpReader, LimitsHeadAndBody)
{
    const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const std::string fitting = begin + std::string(1024 - begin.size() - 4, 'x') + "\r\n\r\n";
    EXPECT_EQ(status_of(fitting), 200U);
    EXPECT_EQ(status_of(begin + std::string(1024, 'x')), 431U) << "no end";
    EXPECT_EQ(status_of(begin + std::string(1024, 'x') + "\r\n\r\n"), 431U);
    const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_EQ(status_of(post + "Content-Length: 2048\r\n\r\n" + std::string(2048, 'x')), 200U);
    EXPECT_EQ(status_of(post + "Content-Length: 2049\r\n\r\n"), 413U);
    EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\n\r\n801\r\n" + std::string(2049, 'x')), 413U);
}

TEST(HttpReader, TellsWhenTheClientWaits)
{
    HttpReader reader{small()};
    ASSERT_EQ(reader.feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
              Step::more);
    EXPECT_TRUE(reader.wants_continue());
    EXPECT_FALSE(reader.wants_continue());
    EXPECT_EQ(reader.feed("x"), Step::complete);
}

TEST(HttpReader, KnowsWhoWantsToGoOn)
{
    HttpReader reader{small()};
    ASSERT_EQ(reader.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Step::complete);
    EXPECT_TRUE(reader.take().keep_alive);
    ASSERT_EQ(reader.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), Step::complete);
    EXPECT_FALSE(reader.take().keep_alive);
    ASSERT_EQ(reader.feed("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), Step::complete);
    EXPECT_FALSE(reader.take().keep_alive);
}

} // namespace
} // namespace sallyport::admin
