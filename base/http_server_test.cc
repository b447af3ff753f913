#include "base/http_server.h"

#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/http_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

HttpResponse Text(std::string text) {
  HttpResponse response;
  response.body = std::move(text);
  return response;
}

// /echo says what it was given; /inline answers on the connection's thread,
// /later keeps its reply.
class HttpServerTest : public ::testing::Test {
 protected:
  void Start(const HttpServerOptions& options) {
    std::vector<HttpRoute> routes;
    const HttpHandler echo = [](const HttpRequest& request) {
      return Text(absl::StrCat(request.method, " ", request.path, "?",
                               request.query, " ", request.body));
    };
    routes.push_back({"GET", "/echo", echo, nullptr});
    routes.push_back({"POST", "/echo", echo, nullptr});
    routes.push_back({"GET", "/inline", nullptr,
                      [](const HttpRequest& request, const HttpReply& reply) {
                        reply.Send(Text(std::string(request.query)));
                      }});
    routes.push_back(
        {"GET", "/later", nullptr, [this](const HttpRequest&, HttpReply reply) {
           absl::MutexLock lock(&mutex_);
           kept_.push_back(std::move(reply));
         }});
    routes.push_back({"GET", "/held",
                      [this](const HttpRequest&) {
                        ++started_;
                        go_.WaitForNotification();
                        return Text("held");
                      },
                      nullptr});
    ASSERT_OK_AND_ASSIGN(server_, HttpServer::Start(options, routes));
  }

  HttpReply TakeKept() {
    absl::MutexLock lock(&mutex_);
    const auto any = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !kept_.empty();
    };
    mutex_.Await(absl::Condition(&any));
    HttpReply reply = std::move(kept_.front());
    kept_.erase(kept_.begin());
    return reply;
  }

  void WaitForStarted(int count) {
    while (started_ < count) std::this_thread::yield();
  }
  void WaitForConnections(int count) {
    while (server_->connections() != count) std::this_thread::yield();
  }

  absl::Mutex mutex_;
  std::vector<HttpReply> kept_ ABSL_GUARDED_BY(mutex_);
  absl::Notification go_;
  std::atomic<int> started_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithWhatTheHandlerSaid) {
  Start({});
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(server_->port(), "POST", "/ec%68o?a=%20b",
                                "body", "text/plain"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST /echo?a=%20b body");
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
  EXPECT_THAT(answer.headers.at("date"), HasSubstr(" GMT"));
}

TEST_F(HttpServerTest, KeepsTheConnection) {
  Start({});
  RawHttpClient client(server_->port());
  for (int i = 0; i < 5; ++i) {
    client.Send(absl::StrCat("GET /echo?", i, " HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
    EXPECT_EQ(answer.body, absl::StrCat("GET /echo?", i, " "));
    EXPECT_EQ(answer.headers.at("connection"), "keep-alive");
  }
  EXPECT_EQ(server_->connections(), 1);
}

// Inline answers and answers of workers, bodies between them.
TEST_F(HttpServerTest, AnswersPipelinedRequestsInTheirOrder) {
  HttpServerOptions options;
  options.worker_threads = 4;
  Start(options);
  std::string all;
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(
        &all,
        i % 3 == 0   ? absl::StrCat("GET /inline?", i, " HTTP/1.1\r\n")
        : i % 3 == 1 ? absl::StrCat("GET /echo?", i, " HTTP/1.1\r\n")
                     : absl::StrCat("POST /echo?", i,
                                    " HTTP/1.1\r\nContent-Length: 3\r\n"),
        "Host: x\r\n\r\n", i % 3 == 2 ? "abc" : "");
  }
  RawHttpClient client(server_->port());
  client.Send(all);
  for (int i = 0; i < 60; ++i) {
    ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
    EXPECT_EQ(answer.body, i % 3 == 0 ? absl::StrCat(i)
                           : i % 3 == 1
                               ? absl::StrCat("GET /echo?", i, " ")
                               : absl::StrCat("POST /echo?", i, " abc"));
  }
}

TEST_F(HttpServerTest, ReadsARequestByteByByte) {
  Start({});
  RawHttpClient client(server_->port());
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
  for (const char byte : request) client.Send(absl::string_view(&byte, 1));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
  EXPECT_EQ(answer.body, "POST /echo? abcde");
}

TEST_F(HttpServerTest, HeadIsGetWithoutABody) {
  Start({});
  RawHttpClient client(server_->port());
  client.Send(
      "HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /inline?next HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer head, client.Receive(false));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "11");  // "GET /echo? "
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer next, client.Receive());
  EXPECT_EQ(next.body, "next");
}

TEST_F(HttpServerTest, OtherMethodsAre405WithAllow) {
  Start({});
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(server_->port(), "DELETE", "/echo"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD, POST");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer other,
                       HttpCall(server_->port(), "GET", "/nothing"));
  EXPECT_EQ(other.status, 404);
  EXPECT_THAT(other.body, HasSubstr("there is no such page"));
}

TEST_F(HttpServerTest, HonoursHttp10AndConnectionClose) {
  Start({});
  RawHttpClient old(server_->port());
  old.Send("GET /echo HTTP/1.0\r\n\r\n");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, old.Receive());
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(old.ClosedByServer());
  RawHttpClient kept(server_->port());
  for (int i = 0; i < 2; ++i) {
    kept.Send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_OK(kept.Receive());
  }
}

TEST_F(HttpServerTest, AsksForABodyThatWaitsForLeave) {
  Start({});
  RawHttpClient client(server_->port());
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
      "Expect: 100-continue\r\n\r\n");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer leave, client.Receive(false));
  EXPECT_EQ(leave.status, 100);
  client.Send("abc");
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
  EXPECT_EQ(answer.body, "POST /echo? abc");
}

TEST_F(HttpServerTest, TakesAnAnswerFromAnyThreadLater) {
  Start({});
  RawHttpClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  std::thread([reply = TakeKept()] { reply.Send(Text("late")); }).join();
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
  EXPECT_EQ(answer.body, "late");
  client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  { const HttpReply forgotten = TakeKept(); }
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer none, client.Receive());
  EXPECT_EQ(none.status, 500);
}

// Requests that arrive in one piece are all there before the first deferred
// task runs.
TEST_F(HttpServerTest, DeferredTasksFindWhatHasArrived) {
  std::vector<HttpReply> waiting;  // on the one thread
  size_t most = 0;
  const AsyncHttpHandler gather = [&](const HttpRequest&, HttpReply reply) {
    waiting.push_back(reply);
    if (waiting.size() > 1) return;
    reply.Defer([&] {
      most = std::max(most, waiting.size());
      for (const HttpReply& one : std::exchange(waiting, {})) {
        one.Send(Text("gathered"));
      }
    });
  };
  const AsyncHttpHandler hold = [this](const HttpRequest&, HttpReply reply) {
    ++started_;
    go_.WaitForNotification();
    reply.Send(Text("held"));
  };
  ASSERT_OK_AND_ASSIGN(server_,
                       HttpServer::Start({}, {{"GET", "/", nullptr, gather},
                                              {"GET", "/h", nullptr, hold}}));
  RawHttpClient holder(server_->port());
  RawHttpClient clients[2] = {RawHttpClient(server_->port()),
                              RawHttpClient(server_->port())};
  WaitForConnections(3);
  holder.Send("GET /h HTTP/1.1\r\nHost: x\r\n\r\n");
  WaitForStarted(1);
  // Both are in the sockets' buffers when the thread goes on.
  for (RawHttpClient& client : clients) {
    client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  go_.Notify();
  for (RawHttpClient& client : clients) {
    ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client.Receive());
    EXPECT_EQ(answer.body, "gathered");
  }
  server_->Shutdown();
  EXPECT_EQ(most, 2u);
}

// One request is worked on, two wait, the others are refused at once; with room
// again (the control) one more is taken.
TEST_F(HttpServerTest, AFullQueueIs503AtOnce) {
  HttpServerOptions options;
  options.max_queue = 2;
  Start(options);
  const std::string request = "GET /held HTTP/1.1\r\nHost: x\r\n\r\n";
  RawHttpClient first(server_->port());
  first.Send(request);
  WaitForStarted(1);
  std::vector<std::unique_ptr<RawHttpClient>> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(std::make_unique<RawHttpClient>(server_->port()));
    waiting.back()->Send(request);
  }
  int refused = 0;
  while (refused < 4) {
    for (auto& client : waiting) {
      if (client == nullptr || !client->WaitReadable(absl::Milliseconds(1))) {
        continue;
      }
      ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client->Receive());
      EXPECT_EQ(answer.status, 503);
      EXPECT_EQ(answer.headers.at("retry-after"), "1");
      EXPECT_THAT(answer.body, HasSubstr("2 requests wait already"));
      client = nullptr;
      ++refused;
    }
  }
  go_.Notify();
  for (auto& client : waiting) {
    if (client == nullptr) continue;
    ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, client->Receive());
    EXPECT_EQ(answer.body, "held");
  }
  EXPECT_EQ(HttpCall(server_->port(), "GET", "/echo")->status, 200);
}

TEST_F(HttpServerTest, OneConnectionTooManyIs503) {
  HttpServerOptions options;
  options.max_connections = 2;
  Start(options);
  auto first = std::make_unique<RawHttpClient>(server_->port());
  const RawHttpClient second(server_->port());
  WaitForConnections(2);
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer refused,
                       HttpCall(server_->port(), "GET", "/echo"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("2 connections already"));
  first = nullptr;
  WaitForConnections(1);
  EXPECT_EQ(HttpCall(server_->port(), "GET", "/echo")->status, 200);
}

TEST_F(HttpServerTest, ShutdownFinishesWhatIsInFlight) {
  Start({});
  RawHttpClient idle(server_->port());
  RawHttpClient busy(server_->port());
  busy.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  const HttpReply reply = TakeKept();
  const int port = server_->port();
  std::thread shutdown([this] { server_->Shutdown(); });
  EXPECT_TRUE(idle.ClosedByServer());
  // Nobody listens any more: the connection is refused.
  while (HttpConnects(port)) std::this_thread::yield();
  reply.Send(Text("done"));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer, busy.Receive());
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(busy.ClosedByServer());
  shutdown.join();
}

TEST_F(HttpServerTest, ShutdownCutsWhatTakesTooLong) {
  HttpServerOptions options;
  options.drain = absl::ZeroDuration();
  Start(options);
  RawHttpClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  const HttpReply reply = TakeKept();
  server_->Shutdown();
  EXPECT_TRUE(client.ClosedByServer());
  server_ = nullptr;
  reply.Send(Text("too late"));  // is dropped
}

TEST_F(HttpServerTest, ShutdownEndsWhenATimerHasJustExpired) {
  HttpServerOptions options;
  options.idle_timeout = absl::Milliseconds(4);  // looked at each millisecond
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE(i);
    Start(options);
    absl::Notification over;
    std::thread shutdown([&] {
      server_->Shutdown();
      over.Notify();
    });
    // A thread that goes on for good cannot be joined: the test ends here.
    CHECK(over.WaitForNotificationWithTimeout(absl::Seconds(20))) << i;
    shutdown.join();
  }
}

TEST_F(HttpServerTest, TellsTheObserver) {
  absl::Mutex mutex;
  std::vector<std::string> seen;
  HttpServerOptions options;
  options.headers = {{"Referrer-Policy", "no-referrer"}};
  options.observer = [&](absl::string_view path, int status,
                         absl::Duration taken) {
    absl::MutexLock lock(&mutex);
    seen.push_back(
        absl::StrCat(path, " ", status, " ", taken >= absl::ZeroDuration()));
  };
  Start(options);
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(server_->port(), "GET", "/echo"));
  EXPECT_EQ(answer.headers.at("referrer-policy"), "no-referrer");
  ASSERT_OK(HttpCall(server_->port(), "GET", "/other"));
  server_->Shutdown();
  absl::MutexLock lock(&mutex);
  EXPECT_THAT(seen, ElementsAre("/echo 200 1", " 404 1"));
}

TEST_F(HttpServerTest, AHeaderThatWouldBreakItsLineIsNotSent) {
  ASSERT_OK_AND_ASSIGN(
      server_, HttpServer::Start(
                   {}, {{"GET", "/bad",
                         [](const HttpRequest&) {
                           HttpResponse response;
                           response.headers = {{"X", "a\r\nSet-Cookie: b"}};
                           return response;
                         },
                         nullptr}}));
  ASSERT_OK_AND_ASSIGN(const RawHttpAnswer answer,
                       HttpCall(server_->port(), "GET", "/bad"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.headers.count("set-cookie"), 0u);
}

TEST_F(HttpServerTest, StartNamesWhatIsWrong) {
  HttpServerOptions options;
  Start(options);
  options.port = server_->port();
  EXPECT_THAT(HttpServer::Start(options, {}),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat("127.0.0.1:", options.port))));
  options.host = "here";
  EXPECT_THAT(HttpServer::Start(options, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"here\"; expected an IP address")));
  options = {};
  options.idle_timeout = absl::ZeroDuration();
  EXPECT_THAT(HttpServer::Start(options, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("idle_timeout is 0; expected 1ms to 1h")));
  const HttpRoute route = {
      "GET", "/a", [](const HttpRequest&) { return HttpResponse(); }, nullptr};
  EXPECT_THAT(HttpServer::Start({}, {route, route}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("two routes for GET /a")));
}

}  // namespace
}  // namespace kodistil
