// One connection of a load test, over HTTP or gRPC.

#ifndef KODISTIL_SERVING_LOAD_LANE_H_
#define KODISTIL_SERVING_LOAD_LANE_H_

#include <functional>
#include <memory>
#include <string>

#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"

namespace kodistil {

// Does one call at a time. For the thread that runs `context`.
class LoadLane {
 public:
  // Empty for a good answer, otherwise what was wrong with it: "status 503".
  using Done = std::function<void(const std::string& error)>;

  virtual ~LoadLane() = default;
  // Classifies one text; `done` is called on the context's thread, later.
  virtual void Start(const std::string& text, Done done) = 0;
};

// Keeps one connection and makes a new one after an error. `context` must
// outlive it and its calls.
std::unique_ptr<LoadLane> NewHttpLane(
    const boost::asio::ip::tcp::endpoint& endpoint,
    boost::asio::io_context* context);

// A channel of its own. As above.
std::unique_ptr<LoadLane> NewGrpcLane(
    const boost::asio::ip::tcp::endpoint& endpoint,
    boost::asio::io_context* context);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_LOAD_LANE_H_
