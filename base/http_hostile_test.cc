// What strangers send: every request ends in an error of the client's or a
// closed connection, memory stays bounded, and the next request is answered.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/http_server.h"
#include "base/http_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int64_t kMostGrowth = 64 << 20;

class HttpHostileTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(const HttpServerOptions& options) {
    const HttpHandler size = [](const HttpRequest& request) {
      HttpResponse response;
      response.body = absl::StrCat(request.body.size());
      return response;
    };
    ASSERT_OK_AND_ASSIGN(
        server_, HttpServer::Start(options, {{"GET", "/", size, nullptr},
                                             {"POST", "/", size, nullptr}}));
  }

  // The status that `request` is answered with, and that the connection ends.
  int Refused(absl::string_view request) {
    RawHttpClient client(server_->port());
    client.Send(request);
    const absl::StatusOr<RawHttpAnswer> answer = client.Receive();
    if (!answer.ok()) return 0;
    EXPECT_EQ(answer->headers.at("connection"), "close");
    EXPECT_TRUE(client.ClosedByServer());
    return answer->status;
  }

  void ExpectServing() {
    const absl::StatusOr<RawHttpAnswer> answer =
        HttpCall(server_->port(), "GET", "/");
    ASSERT_OK(answer);
    EXPECT_EQ(answer->status, 200);
  }

  // Sends `piece` until the server stops taking it or `limit` bytes are sent,
  // and returns the status, 0 if the connection was cut without an answer.
  int SendForever(absl::string_view begin, const std::string& piece,
                  int64_t limit) {
    RawHttpClient client(server_->port());
    client.Send(begin);
    int64_t sent = 0;
    while (sent < limit && client.Send(piece)) sent += piece.size();
    const absl::StatusOr<RawHttpAnswer> answer = client.Receive();
    return answer.ok() ? answer->status : 0;
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpHostileTest, AHeaderLineOfTenMegabytes) {
  const int64_t before = ResidentBytes();
  EXPECT_THAT(SendForever("GET / HTTP/1.1\r\nHost: x\r\nX: ",
                          std::string(64 << 10, 'a'), 10 << 20),
              AnyOf(431, 0));
  EXPECT_LT(ResidentBytes() - before, kMostGrowth);
  ExpectServing();
}

TEST_F(HttpHostileTest, ARequestLineAndHeadersWithoutEnd) {
  EXPECT_THAT(SendForever("GET /", std::string(4096, 'a'), 1 << 20),
              AnyOf(431, 0));
  std::string headers;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&headers, "X", i, ": y\r\n");
  EXPECT_THAT(SendForever("GET / HTTP/1.1\r\n", headers, 1 << 20),
              AnyOf(431, 0));
  ExpectServing();
}

// The limit to the byte, which also shows that what is below it passes.
TEST_F(HttpHostileTest, AHeaderUpToTheLimitPasses) {
  const auto request = [](size_t size) {
    std::string text = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ";
    text.append(size - text.size() - 4, 'a');
    return text + "\r\n\r\n";
  };
  const size_t limit = HttpServerOptions().max_header_bytes;
  EXPECT_EQ(Refused(request(limit)), 200);
  EXPECT_EQ(Refused(request(limit + 1)), 431);
}

TEST_F(HttpHostileTest, AChunkedBodyOfAHundredMegabytes) {
  const int64_t before = ResidentBytes();
  const std::string chunk =
      absl::StrCat("10000\r\n", std::string(0x10000, 'a'), "\r\n");
  EXPECT_THAT(SendForever("POST / HTTP/1.1\r\nHost: x\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n",
                          chunk, 100 << 20),
              AnyOf(413, 0));
  EXPECT_LT(ResidentBytes() - before, kMostGrowth);
  ExpectServing();
}

// A byte of content for much framing; and a frame's header that has no end.
TEST_F(HttpHostileTest, TheFramesOfChunksCount) {
  const std::string begin =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk =
      absl::StrCat("1;", std::string(1000, 'x'), "\r\na\r\n");
  EXPECT_THAT(SendForever(begin, chunk, 8 << 20), AnyOf(413, 0));
  EXPECT_THAT(SendForever(begin + "1;", std::string(4096, 'x'), 8 << 20),
              AnyOf(413, 0));
  EXPECT_THAT(SendForever(begin + "0\r\n", "X: y\r\n", 8 << 20),
              AnyOf(413, 431, 0));
  ExpectServing();
}

TEST_F(HttpHostileTest, ALengthAboveTheLimitIsRefusedUnread) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ";
  EXPECT_EQ(Refused(head + "1048577\r\n\r\n"), 413);
  EXPECT_EQ(Refused(head + "1048577\r\nExpect: 100-continue\r\n\r\n"), 413);
  EXPECT_EQ(Refused(head + "99999999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(Refused(head + "-1\r\n\r\n"), 400);
  // The control: one byte less is read and handed on.
  RawHttpClient client(server_->port());
  client.Send(head + "1048576\r\n\r\n" + std::string(1 << 20, 'a'));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
  EXPECT_EQ(answer.body, "1048576");
}

TEST_F(HttpHostileTest, ACompressedBodyIsNotUnpacked) {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n";
  EXPECT_EQ(Refused(head + "Content-Encoding: gzip\r\n\r\nabcd"), 415);
  EXPECT_EQ(Refused(head + "Content-Encoding: identity\r\n"
                           "Connection: close\r\n\r\nabcd"),
            200);
}

TEST_F(HttpHostileTest, AThousandRangesAreIgnored) {
  std::string request = "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0";
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&request, ",0-", i);
  RawHttpClient client(server_->port());
  client.Send(request + "\r\n\r\n");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "0");
}

// Two readings of where a request ends would let one client slip a request
// into another's connection.
TEST_F(HttpHostileTest, LengthsThatContradictEachOther) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\n";
  for (const char* lengths :
       {"Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n", "Content-Length : 3\r\n",
        "Content-Length: 3 4\r\n", "Content-Length: +3\r\n",
        "Transfer-Encoding: \x0b"
        "chunked\r\n"}) {
    EXPECT_THAT(Refused(absl::StrCat(head, lengths, "\r\n0\r\n\r\n")),
                AnyOf(400, 501))
        << lengths;
  }
}

TEST_F(HttpHostileTest, WhatIsNotHttp) {
  for (const char* request :
       {"\x16\x03\x01\x02\x00\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"}) {
    EXPECT_THAT(Refused(std::string(request) + "\r\n\r\n"),
                AnyOf(400, 417, 501, 505))
        << request;
  }
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer escape,
                       HttpCall(server_->port(), "GET", "/%zz"));
  EXPECT_EQ(escape.status, 400);
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer up,
                       HttpCall(server_->port(), "GET", "/../../etc/passwd"));
  EXPECT_EQ(up.status, 404);
  ExpectServing();
}

// The server's clock, not ours: it drops a client that sends a byte now and
// then although no single wait is long.
TEST_F(HttpHostileTest, ASlowDripIsCutOff) {
  HttpServerOptions options;
  options.header_timeout = absl::Milliseconds(300);
  options.body_timeout = absl::Milliseconds(300);
  Start(options);
  for (const char* begin :
       {"GET / HTTP/1.1\r\nX: ",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"}) {
    RawHttpClient client(server_->port());
    client.Send(begin);
    const absl::Time start = absl::Now();
    while (!client.WaitReadable(absl::Milliseconds(5))) client.Send("a");
    EXPECT_GE(absl::Now() - start, absl::Milliseconds(200));
    ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
    EXPECT_EQ(answer.status, 408);
  }
  ExpectServing();
}

// The control of the test above: within the time a drip is a request.
TEST_F(HttpHostileTest, AnIdleConnectionIsClosedAndADripInTimeIsNot) {
  HttpServerOptions options;
  options.idle_timeout = absl::Milliseconds(200);
  Start(options);
  RawHttpClient idle(server_->port());
  RawHttpClient drip(server_->port());
  drip.Send("G");
  EXPECT_TRUE(idle.ClosedByServer());
  for (const char c : absl::string_view("ET / HTTP/1.1\r\nHost: x\r\n\r\n")) {
    drip.Send(absl::string_view(&c, 1));
  }
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, drip.Receive());
  EXPECT_EQ(answer.status, 200);
}

// A client that asks and never reads holds its connection no longer than that.
TEST_F(HttpHostileTest, AClientThatDoesNotReadIsCutOff) {
  HttpServerOptions options;
  // Time for the control's 32 MiB.
  options.write_timeout = absl::Milliseconds(kSanitized ? 3000 : 200);
  const HttpHandler large = [](const HttpRequest&) {
    HttpResponse response;
    response.body.assign(32 << 20, 'a');
    return response;
  };
  ASSERT_OK_AND_ASSIGN(
      server_, HttpServer::Start(options, {{"GET", "/", large, nullptr}}));
  RawHttpClient client(server_->port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.WaitReadable(absl::Minutes(1));
  while (server_->connections() > 0) std::this_thread::yield();
  EXPECT_THAT(client.Receive(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
  // The control: one that reads gets it all.
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(server_->port(), "GET", "/"));
  EXPECT_EQ(answer.body.size(), 32u << 20);
}

// Each sends half a request and stays.
TEST_F(HttpHostileTest, ManyHalfRequestsAreBounded) {
  HttpServerOptions options;
  options.max_connections = 300;
  options.header_timeout = absl::Milliseconds(500);
  Start(options);
  const int64_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawHttpClient>> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(std::make_unique<RawHttpClient>(server_->port()));
    clients.back()->Send(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
        "1000000\r\nX: ");
    clients.back()->SendSome(std::string(8192, 'a'));
  }
  EXPECT_LT(ResidentBytes() - before, kMostGrowth);
  while (server_->connections() > 0) std::this_thread::yield();
  ExpectServing();
}

}  // namespace
}  // namespace kodistil
