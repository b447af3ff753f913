#include "serving/load_lane.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/server.h"
#include "boost/asio/executor_work_guard.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/write.hpp"
#include "boost/beast/core/flat_buffer.hpp"
#include "boost/beast/http/parser.hpp"
#include "boost/beast/http/read.hpp"
#include "boost/beast/http/string_body.hpp"
#include "kodistil/v1/serving.grpc.pb.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

class HttpLane : public LoadLane {
 public:
  HttpLane(const tcp::endpoint& endpoint, boost::asio::io_context* context)
      : endpoint_(endpoint), socket_(*context) {}

  void Start(const std::string& text, Done done) override {
    done_ = std::move(done);
    const std::string body = absl::StrCat(
        "{\"texts\":[",
        nlohmann::json(text).dump(-1, ' ', false,
                                  nlohmann::json::error_handler_t::replace),
        "]}");
    request_ = absl::StrCat(
        "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: ",
        body.size(), "\r\n\r\n", body);
    if (socket_.is_open()) return Write();
    socket_.async_connect(endpoint_, [this](const error_code& error) {
      if (error) return Fail(error);
      error_code ignored;
      socket_.set_option(tcp::no_delay(true), ignored);
      Write();
    });
  }

 private:
  void Write() {
    boost::asio::async_write(socket_, boost::asio::buffer(request_),
                             [this](const error_code& error, size_t) {
                               if (error) return Fail(error);
                               Read();
                             });
  }

  void Read() {
    parser_.emplace();
    http::async_read(
        socket_, buffer_, *parser_, [this](const error_code& error, size_t) {
          if (error) return Fail(error);
          const unsigned status = parser_->get().result_int();
          if (!parser_->keep_alive()) Reset();
          End(status == 200 ? "" : absl::StrCat("status ", status));
        });
  }

  void Reset() {
    error_code ignored;
    socket_.close(ignored);
    buffer_.clear();
  }

  void Fail(const error_code& error) {
    Reset();
    End(error.message());
  }

  void End(const std::string& error) { std::exchange(done_, nullptr)(error); }

  const tcp::endpoint endpoint_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::string request_;
  Done done_;
};

class GrpcLane : public LoadLane {
 public:
  GrpcLane(const tcp::endpoint& endpoint, boost::asio::io_context* context)
      : context_(context),
        stub_(v1::SentimentService::NewStub(NewChannel(absl::StrCat(
            endpoint.address().to_string(), ":", endpoint.port())))) {}

  void Start(const std::string& text, Done done) override {
    struct Call {
      grpc::ClientContext context;
      v1::ClassifyRequest request;
      v1::ClassifyResponse response;
    };
    const auto call = std::make_shared<Call>();
    call->request.add_texts(text);
    // The context's thread must not end before the answer has come.
    auto guard = boost::asio::make_work_guard(*context_);
    stub_->async()->Classify(
        &call->context, &call->request, &call->response,
        [this, call, guard, done = std::move(done)](grpc::Status status) {
          boost::asio::post(*context_, [done, status] {
            done(status.ok() ? ""
                             : absl::StrCat("gRPC code ", status.error_code(),
                                            ": ", status.error_message()));
          });
        });
  }

 private:
  boost::asio::io_context* const context_;
  const std::unique_ptr<v1::SentimentService::Stub> stub_;
};

}  // namespace

std::unique_ptr<LoadLane> NewHttpLane(const tcp::endpoint& endpoint,
                                      boost::asio::io_context* context) {
  return std::make_unique<HttpLane>(endpoint, context);
}

std::unique_ptr<LoadLane> NewGrpcLane(const tcp::endpoint& endpoint,
                                      boost::asio::io_context* context) {
  return std::make_unique<GrpcLane>(endpoint, context);
}

}  // namespace kodistil
