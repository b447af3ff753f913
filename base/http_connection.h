// One connection of an HttpServer. Only for base/http_server.cc.

#ifndef KODISTIL_BASE_HTTP_CONNECTION_H_
#define KODISTIL_BASE_HTTP_CONNECTION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "base/http_message.h"
#include "base/http_server.h"
#include "boost/asio/basic_stream_socket.hpp"
#include "boost/asio/basic_waitable_timer.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/beast/core/flat_buffer.hpp"
#include "boost/beast/http/parser.hpp"
#include "boost/beast/http/string_body.hpp"

namespace kodistil {

class HttpConnection;

// What a connection needs of its server. Thread-safe.
class HttpDispatcher {
 public:
  virtual ~HttpDispatcher() = default;
  virtual const HttpServerOptions& options() const = 0;
  // Whether the server ends: each answer then closes its connection.
  virtual bool draining() const = 0;
  // Has `request` answered, after it set `route` to the path of the route that
  // takes it.
  virtual void Dispatch(const HttpRequest& request, absl::string_view* route,
                        HttpReply reply) = 0;
  virtual void OnClosed() = 0;
};

// A thread's connections. They, and all here but `context` and `ended`, are
// touched on that thread only. Connections hold it, since an answer may come
// when the server is gone: it is dropped then.
struct HttpLoop {
  using Clock = std::chrono::steady_clock;
  using Socket =
      boost::asio::basic_stream_socket<boost::asio::ip::tcp,
                                       boost::asio::io_context::executor_type>;
  using Timer =
      boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>,
                                        boost::asio::io_context::executor_type>;

  explicit HttpLoop(HttpDispatcher* to) : dispatcher(to), timer(context) {}

  // Closes what has been idle or slow for too long, now and every tick.
  void Sweep();
  // The value of a Date header, remade each second.
  const std::string& Date();

  HttpDispatcher* const dispatcher;
  boost::asio::io_context context{1};
  std::atomic<bool> ended{false};
  absl::flat_hash_set<std::shared_ptr<HttpConnection>> connections;
  Timer timer;
  int64_t date_second = -1;
  std::string date;
};

// Reads a request, has it answered, writes the answer, and so on. All methods
// but Send and Defer are for the loop's thread.
class HttpConnection : public HttpReplySink,
                       public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<HttpLoop> loop, HttpLoop::Socket socket);

  void Start();
  // Tells the client that there is no place for it.
  void Refuse();
  // Closes at once if no request is under way, otherwise after its answer.
  void Drain();
  // Closes, or tells a client that is too slow, when its time is over.
  void CheckDeadline(HttpLoop::Clock::time_point now);
  void Close();

  void Send(HttpResponse response) override;
  void Defer(std::function<void()> task) override;

 private:
  using Parser =
      boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class State {
    kIdle,       // nothing of a request has come
    kHeader,     // a part of its header has
    kBody,       // its header has
    kHandling,   // it is being answered
    kWriting,    // the answer is being sent
    kLingering,  // the last answer is sent; what still comes is thrown away
    kClosed,
  };

  void NextRequest();
  // Parses what is in the buffer, and reads more if that is not a request.
  void Parse();
  // Whether the body may come; otherwise the request is answered already.
  bool CheckHeader();
  bool IsReceiving() const;
  void Read();
  void OnRead(size_t bytes);
  void Handle();
  void Reject(int status, absl::string_view message);
  void RejectParse(const boost::system::error_code& error);
  void Answer(HttpResponse response);
  std::string AnswerHead(const HttpResponse& response) const;
  void Write();
  void OnWritten();
  void ContinueBody();
  void Linger();
  void SetDeadline(State state, absl::Duration timeout);

  const std::shared_ptr<HttpLoop> loop_;
  HttpLoop::Socket socket_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  HttpRequest request_;
  State state_ = State::kIdle;
  HttpLoop::Clock::time_point deadline_;
  HttpLoop::Clock::time_point received_;
  absl::string_view route_;
  int64_t header_bytes_ = 0;  // as they came, of this request
  int64_t body_bytes_ = 0;
  bool reading_ = false;
  bool head_only_ = false;
  bool keep_alive_ = true;
  bool received_whole_ = false;
  std::string out_;  // the answer
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_HTTP_CONNECTION_H_
