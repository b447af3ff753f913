#include "base/http_connection.h"

#include <glog/logging.h>
#include <time.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/dispatch.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/write.hpp"
#include "boost/beast/http/error.hpp"

namespace kodistil {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

// What is read at once: of a header, of a body.
constexpr size_t kHeaderRead = 8 << 10;
constexpr size_t kBodyRead = 64 << 10;
// How long a client that was told why its connection ends may go on sending: a
// close with unread bytes would take the answer away from it.
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr absl::Duration kLongestTick = absl::Milliseconds(100);

absl::string_view View(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

// The tick of deadlines: a quarter of the shortest of them at most.
absl::Duration Tick(const HttpServerOptions& options) {
  const absl::Duration shortest =
      std::min(std::min(options.header_timeout, options.body_timeout),
               std::min(options.write_timeout, options.idle_timeout));
  return std::max(absl::Milliseconds(1), std::min(kLongestTick, shortest / 4));
}

// Whether a header's name or value would not stay on its line.
bool BreaksLine(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  });
}

bool HasBody(int status) { return status != 204 && status != 304; }

}  // namespace

void HttpLoop::Sweep() {
  // A timer that has expired is not cancelled any more: it would go on for
  // good, and the loop with it.
  if (ended) return;
  const Clock::time_point now = Clock::now();
  // A copy: closing takes a connection out of the set.
  const std::vector<std::shared_ptr<HttpConnection>> all(connections.begin(),
                                                         connections.end());
  for (const auto& connection : all) connection->CheckDeadline(now);
  timer.expires_after(absl::ToChronoNanoseconds(Tick(dispatcher->options())));
  timer.async_wait([this](const error_code& error) {
    if (!error) Sweep();
  });
}

const std::string& HttpLoop::Date() {
  const int64_t second = time(nullptr);
  if (second != date_second) {
    date_second = second;
    date = HttpDate(second);
  }
  return date;
}

HttpConnection::HttpConnection(std::shared_ptr<HttpLoop> loop,
                               HttpLoop::Socket socket)
    : loop_(std::move(loop)), socket_(std::move(socket)) {}

void HttpConnection::Start() {
  error_code ignored;
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  NextRequest();
}

void HttpConnection::Refuse() {
  parser_.emplace();
  state_ = State::kHandling;
  keep_alive_ = false;
  Answer(HttpOverloaded(absl::StrCat(
      "the server has ", loop_->dispatcher->options().max_connections,
      " connections already")));
}

void HttpConnection::SetDeadline(State state, absl::Duration timeout) {
  state_ = state;
  deadline_ = HttpLoop::Clock::now() + absl::ToChronoNanoseconds(timeout);
}

void HttpConnection::NextRequest() {
  const HttpServerOptions& options = loop_->dispatcher->options();
  if (buffer_.size() == 0) {
    if (loop_->dispatcher->draining()) return Close();
    // A large body's memory is not kept by an idle connection.
    if (buffer_.capacity() > 2 * kHeaderRead) buffer_.shrink_to_fit();
  }
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(options.max_header_bytes));
  parser_->body_limit(static_cast<uint64_t>(options.max_body_bytes));
  header_bytes_ = 0;
  body_bytes_ = 0;
  head_only_ = false;
  received_whole_ = false;
  route_ = {};
  SetDeadline(State::kIdle, options.idle_timeout);
  Parse();
}

void HttpConnection::Parse() {
  const HttpServerOptions& options = loop_->dispatcher->options();
  while (buffer_.size() > 0) {
    if (state_ == State::kIdle) {
      SetDeadline(State::kHeader, options.header_timeout);
    }
    error_code error;
    const size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    (state_ == State::kBody ? body_bytes_ : header_bytes_) += used;
    if (error && error != http::error::need_more) return RejectParse(error);
    if (state_ == State::kHeader && parser_->is_header_done()) {
      // The parser's own limit is a matter of how the bytes arrive.
      if (header_bytes_ > options.max_header_bytes) {
        return RejectParse(http::error::header_limit);
      }
      if (!CheckHeader()) return;
      SetDeadline(State::kBody, options.body_timeout);
      parser_->eager(true);
      if (!parser_->is_done()) ContinueBody();
    }
    if (parser_->is_done()) return Handle();
    // What is left belongs to this request, as its body is not over.
    if (state_ == State::kBody &&
        body_bytes_ + static_cast<int64_t>(buffer_.size()) >
            options.max_body_bytes) {
      return RejectParse(http::error::body_limit);
    }
    if (error) break;
  }
  Read();
}

bool HttpConnection::CheckHeader() {
  const auto& header = parser_->get();
  const auto refuse = [this](int status, absl::string_view message) {
    Reject(status, message);
    return false;
  };
  if (header.method() == http::verb::unknown) {
    return refuse(501, "the method is not known");
  }
  if (header.version() >= 11 && header.count(http::field::host) != 1) {
    return refuse(400, absl::StrCat("found ", header.count(http::field::host),
                                    " Host headers, expected one"));
  }
  if (header.count(http::field::transfer_encoding) != 0 &&
      (header.count(http::field::transfer_encoding) != 1 ||
       !absl::EqualsIgnoreCase(View(header[http::field::transfer_encoding]),
                               "chunked"))) {
    return refuse(501, "a Transfer-Encoding other than chunked is not taken");
  }
  if (header.count(http::field::content_encoding) != 0 &&
      !absl::EqualsIgnoreCase(View(header[http::field::content_encoding]),
                              "identity")) {
    return refuse(415, "a Content-Encoding is not taken");
  }
  if (header.count(http::field::expect) != 0 &&
      !absl::EqualsIgnoreCase(View(header[http::field::expect]),
                              "100-continue")) {
    return refuse(417, "an Expect other than 100-continue is not met");
  }
  return true;
}

// The client waits for leave to send its body. Some bytes into an empty socket
// buffer: they are taken at once or the client is not worth it.
void HttpConnection::ContinueBody() {
  const auto& header = parser_->get();
  if (header.count(http::field::expect) == 0 || header.version() < 11) return;
  error_code ignored;
  static constexpr absl::string_view kContinue =
      "HTTP/1.1 100 Continue\r\n\r\n";
  socket_.write_some(boost::asio::buffer(kContinue.data(), kContinue.size()),
                     ignored);
}

void HttpConnection::Read() {
  if (reading_) return;
  reading_ = true;
  const size_t bytes = state_ == State::kBody || state_ == State::kLingering
                           ? kBodyRead
                           : kHeaderRead;
  socket_.async_read_some(
      buffer_.prepare(bytes),
      [self = shared_from_this()](const error_code& error, size_t read) {
        self->reading_ = false;
        if (self->state_ == State::kClosed) return;
        if (error) {
          // An answer that is on its way is still sent.
          if (self->IsReceiving()) self->Close();
          return;
        }
        self->OnRead(read);
      });
}

bool HttpConnection::IsReceiving() const {
  return state_ == State::kIdle || state_ == State::kHeader ||
         state_ == State::kBody || state_ == State::kLingering;
}

void HttpConnection::OnRead(size_t bytes) {
  if (!IsReceiving()) return;  // it was answered before it was whole
  if (state_ == State::kLingering) return Read();
  buffer_.commit(bytes);
  Parse();
}

void HttpConnection::Handle() {
  const auto& message = parser_->get();
  received_ = HttpLoop::Clock::now();
  received_whole_ = true;
  state_ = State::kHandling;
  head_only_ = message.method() == http::verb::head;
  request_.method = head_only_ ? "GET" : View(message.method_string());
  request_.body = message.body();
  request_.headers.clear();
  for (const auto& field : message) {
    request_.headers.push_back(
        {View(field.name_string()), View(field.value())});
  }
  absl::string_view target = View(message.target());
  // The form that clients of a proxy use, which servers must understand.
  if (absl::ConsumePrefix(&target, "http://")) {
    target.remove_prefix(std::min(target.find('/'), target.size()));
  }
  const size_t question = target.find('?');
  request_.query = question == target.npos ? absl::string_view()
                                           : target.substr(question + 1);
  absl::StatusOr<std::string> path =
      PercentDecode(target.substr(0, question), /*plus_is_space=*/false);
  if (!path.ok() || path->empty() || path->front() != '/') {
    return Reject(400, "the request's target is not a path");
  }
  request_.path = *std::move(path);
  loop_->dispatcher->Dispatch(request_, &route_, HttpReply(shared_from_this()));
}

void HttpConnection::RejectParse(const error_code& error) {
  const HttpServerOptions& options = loop_->dispatcher->options();
  if (error == http::error::header_limit) {
    return Reject(431, absl::StrCat("the header has more than ",
                                    options.max_header_bytes, " bytes"));
  }
  if (error == http::error::body_limit) {
    return Reject(413, absl::StrCat("the body has more than ",
                                    options.max_body_bytes, " bytes"));
  }
  if (error == http::error::bad_version) {
    return Reject(505, "expected HTTP/1.1 or HTTP/1.0");
  }
  Reject(400, absl::StrCat("this is not HTTP/1.1: ", error.message()));
}

// What follows on the connection cannot be understood.
void HttpConnection::Reject(int status, absl::string_view message) {
  if (!received_whole_) keep_alive_ = false;
  state_ = State::kHandling;
  Answer(HttpError(status, message));
}

void HttpConnection::Send(HttpResponse response) {
  if (loop_->ended) return;
  boost::asio::dispatch(
      loop_->context.get_executor(),
      [self = shared_from_this(), answer = std::move(response)]() mutable {
        self->Answer(std::move(answer));
      });
}

void HttpConnection::Defer(std::function<void()> task) {
  if (loop_->ended) return;
  boost::asio::post(loop_->context, std::move(task));
}

void HttpConnection::Answer(HttpResponse response) {
  if (state_ != State::kHandling) return;
  for (const auto& [name, value] : response.headers) {
    if (BreaksLine(name) || BreaksLine(value)) {
      LOG(ERROR) << "an answer to " << request_.path
                 << " has a control character in its headers";
      response = HttpError(500, "the answer has a malformed header");
      break;
    }
  }
  const HttpServerOptions& options = loop_->dispatcher->options();
  if (received_whole_) {
    keep_alive_ = parser_->keep_alive() && !loop_->dispatcher->draining();
    if (options.observer) {
      options.observer(route_, response.status,
                       absl::FromChrono(HttpLoop::Clock::now() - received_));
    }
  }
  out_ = AnswerHead(response);
  if (!head_only_ && HasBody(response.status)) out_ += response.body;
  Write();
}

std::string HttpConnection::AnswerHead(const HttpResponse& response) const {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ",
                                  HttpReason(response.status),
                                  "\r\nDate: ", loop_->Date(), "\r\n");
  if (HasBody(response.status)) {
    absl::StrAppend(&head, "Content-Type: ", response.content_type,
                    "\r\nContent-Length: ", response.body.size(), "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  for (const auto& [name, value] : loop_->dispatcher->options().headers) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&head, "X-Content-Type-Options: nosniff\r\nConnection: ",
                  keep_alive_ ? "keep-alive" : "close", "\r\n\r\n");
  return head;
}

void HttpConnection::Write() {
  SetDeadline(State::kWriting, loop_->dispatcher->options().write_timeout);
  boost::asio::async_write(
      socket_, boost::asio::buffer(out_),
      [self = shared_from_this()](const error_code& error, size_t) {
        if (self->state_ == State::kClosed) return;
        if (error) return self->Close();
        self->OnWritten();
      });
}

void HttpConnection::OnWritten() {
  if (!keep_alive_) return Linger();
  if (out_.capacity() > kBodyRead) out_ = std::string();
  NextRequest();
}

void HttpConnection::Linger() {
  error_code error;
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
  if (error) return Close();
  SetDeadline(State::kLingering, kLinger);
  Read();
}

void HttpConnection::Drain() {
  if (state_ == State::kIdle) Close();
}

void HttpConnection::CheckDeadline(HttpLoop::Clock::time_point now) {
  if (state_ == State::kHandling || now < deadline_) return;
  if (state_ == State::kHeader || state_ == State::kBody) {
    return Reject(408, "the request did not come in time");
  }
  Close();
}

void HttpConnection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  error_code ignored;
  socket_.close(ignored);
  loop_->connections.erase(shared_from_this());
  loop_->dispatcher->OnClosed();
}

}  // namespace kodistil
