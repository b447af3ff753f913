#include "serving/load_generator.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/address.hpp"
#include "boost/asio/steady_timer.hpp"
#include "serving/load_lane.h"

namespace kodistil {
namespace {

using boost::asio::ip::tcp;
using Clock = std::chrono::steady_clock;

absl::StatusOr<tcp::endpoint> EndpointOf(const LoadOptions& options) {
  const size_t colon = options.address.rfind(':');
  boost::system::error_code error;
  int port = 0;
  std::string host = options.address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const auto ip = boost::asio::ip::make_address(host, error);
  if (error || colon == std::string::npos ||
      !absl::SimpleAtoi(options.address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("the address is \"", options.address,
                     "\"; expected IP:PORT, such as 127.0.0.1:8080"));
  }
  if (!ip.is_loopback() && !options.allow_remote) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.address,
                     " is another machine: load it only if it is yours, "
                     "with --allow_remote"));
  }
  return tcp::endpoint(ip, static_cast<uint16_t>(port));
}

// Of ascending values; zero for none.
absl::Duration Percentile(const std::vector<absl::Duration>& values,
                          size_t percent) {
  return values.empty() ? absl::ZeroDuration()
                        : values[(values.size() - 1) * percent / 100];
}

// The least sleep: waking for every request would take more of a machine that
// it shares with the server than sending them does.
constexpr std::chrono::microseconds kTick(100);

// One run, on one thread.
class LoadRun {
 public:
  LoadRun(const LoadOptions& options, const tcp::endpoint& endpoint)
      : options_(options),
        total_(std::max<int64_t>(
            1, options.rate * absl::ToDoubleSeconds(options.duration))),
        timer_(context_) {
    for (int i = 0; i < options.connections; ++i) {
      lanes_.push_back(options.protocol == "grpc"
                           ? NewGrpcLane(endpoint, &context_)
                           : NewHttpLane(endpoint, &context_));
      idle_.push_back(lanes_.back().get());
    }
  }

  LoadResult Run() {
    start_ = Clock::now();
    Tick();
    context_.run();
    result_.elapsed = absl::FromChrono(Clock::now() - start_);
    std::sort(times_.begin(), times_.end());
    std::sort(late_.begin(), late_.end());
    result_.good = times_.size();
    result_.p50 = Percentile(times_, 50);
    result_.p90 = Percentile(times_, 90);
    result_.p99 = Percentile(times_, 99);
    result_.most = Percentile(times_, 100);
    result_.late_p99 = Percentile(late_, 99);
    return std::move(result_);
  }

 private:
  Clock::time_point DueTime(int64_t request) const {
    return start_ + std::chrono::nanoseconds(
                        static_cast<int64_t>(1e9 * request / options_.rate));
  }

  // Begins what is due, and sleeps until the next request is, or longer.
  void Tick() {
    const Clock::time_point now = Clock::now();
    // Those that were due before wait for a connection.
    const int64_t first = due_;
    while (due_ < total_ && DueTime(due_) <= now) ++due_;
    BeginDue();
    for (int64_t request = first; request < begun_; ++request) {
      late_.push_back(absl::FromChrono(now - DueTime(request)));
    }
    if (due_ == total_) return;
    timer_.expires_at(std::max(DueTime(due_), now + kTick));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Tick();
    });
  }

  void BeginDue() {
    while (begun_ < due_ && !idle_.empty()) {
      LoadLane* const lane = idle_.back();
      idle_.pop_back();
      const int64_t request = begun_++;
      lane->Start(options_.texts[request % options_.texts.size()],
                  [this, lane, request](const std::string& error) {
                    End(lane, request, error);
                  });
    }
  }

  void End(LoadLane* lane, int64_t request, const std::string& error) {
    if (error.empty()) {
      times_.push_back(absl::FromChrono(Clock::now() - DueTime(request)));
    } else {
      ++result_.failures[error];
    }
    idle_.push_back(lane);
    BeginDue();
  }

  const LoadOptions& options_;
  const int64_t total_;
  boost::asio::io_context context_{1};
  boost::asio::steady_timer timer_;
  std::vector<std::unique_ptr<LoadLane>> lanes_;
  std::vector<LoadLane*> idle_;
  Clock::time_point start_;
  int64_t due_ = 0;                    // requests whose time has come
  int64_t begun_ = 0;                  // of them
  std::vector<absl::Duration> times_;  // of good answers
  std::vector<absl::Duration> late_;   // of requests begun when they were due
  LoadResult result_;
};

}  // namespace

absl::Status LoadOptions::Validate() const {
  if (protocol != "http" && protocol != "grpc") {
    return absl::InvalidArgumentError(absl::StrCat(
        "the protocol is \"", protocol, "\"; expected http or grpc"));
  }
  if (!(rate > 0 && rate <= 1e6)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the rate is ", rate, "; expected above 0 to 1000000"));
  }
  if (duration < absl::Milliseconds(1) || duration > absl::Minutes(10)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the duration is ", absl::FormatDuration(duration),
                     "; expected 1ms to 10m"));
  }
  if (connections < 1 || connections > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat(connections, " connections; expected 1 to 1024"));
  }
  if (texts.empty()) {
    return absl::InvalidArgumentError("no texts; expected one or more");
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, EndpointOf(options));
  return LoadRun(options, endpoint).Run();
}

}  // namespace kodistil
