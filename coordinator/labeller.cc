#include "coordinator/labeller.h"

#include <glog/logging.h>
#include <netdb.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "kodistil/v1/teacher.grpc.pb.h"

namespace kodistil {
namespace {

using Chunk = std::vector<uint64_t>;

// Rows that wait, shared by the threads that speak with the teachers.
// Thread-safe.
class WorkQueue {
 public:
  WorkQueue(const std::vector<v1::IndexRange>& missing, int chunk_rows) {
    Chunk chunk;
    for (const v1::IndexRange& range : missing) {
      for (uint64_t index = range.begin(); index < range.end(); ++index) {
        chunk.push_back(index);
        ++total_;
        if (static_cast<int>(chunk.size()) == chunk_rows) {
          waiting_.push_back(std::move(chunk));
          chunk.clear();
        }
      }
    }
    if (!chunk.empty()) waiting_.push_back(std::move(chunk));
  }

  // Takes a chunk; with `wait` until there is one or nothing is left to do.
  // False when there is none.
  bool Take(bool wait, Chunk* chunk) {
    absl::MutexLock lock(&mutex_);
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !waiting_.empty() || done_ == total_ || stopped_;
    };
    if (wait) mutex_.Await(absl::Condition(&ready));
    if (waiting_.empty() || stopped_) return false;
    *chunk = std::move(waiting_.front());
    waiting_.pop_front();
    return true;
  }

  void GiveBack(std::set<uint64_t> rows) {
    if (rows.empty()) return;
    absl::MutexLock lock(&mutex_);
    waiting_.emplace_front(rows.begin(), rows.end());
  }

  void Acknowledge(const std::string& teacher, int64_t rows) {
    absl::MutexLock lock(&mutex_);
    done_ += rows;
    by_teacher_[teacher] += rows;
    last_progress_ = absl::Now();
  }

  // Ends the labelling; the first status counts.
  void Stop(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    if (!stopped_) status_ = status;
    stopped_ = true;
  }

  // Waits for up to `limit`; true when all is over.
  bool WaitForEnd(absl::Duration limit) {
    absl::MutexLock lock(&mutex_);
    const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return done_ == total_ || stopped_;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&over), limit);
  }

  bool Over() { return WaitForEnd(absl::ZeroDuration()); }
  int64_t done() {
    absl::MutexLock lock(&mutex_);
    return done_;
  }
  absl::Time last_progress() {
    absl::MutexLock lock(&mutex_);
    return last_progress_;
  }
  absl::Status status() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }
  std::map<std::string, int64_t> by_teacher() {
    absl::MutexLock lock(&mutex_);
    return by_teacher_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Chunk> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t total_ = 0;  // constant after construction
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  std::map<std::string, int64_t> by_teacher_ ABSL_GUARDED_BY(mutex_);
};

// One teacher's thread: streams while it lives, reconnects when it dies.
class TeacherLink {
 public:
  TeacherLink(const LabellerOptions& options, const std::string& address,
              const Dataset& dataset, WorkQueue* queue)
      : options_(options),
        address_(address),
        dataset_(dataset),
        queue_(queue) {}

  void Run() {
    for (int attempt = 0; !queue_->Over(); ++attempt) {
      const int64_t before = acknowledged_;
      const absl::Status status = Stream();
      queue_->GiveBack(std::exchange(outstanding_, {}));
      if (queue_->Over()) return;
      if (status.code() != absl::StatusCode::kUnavailable &&
          status.code() != absl::StatusCode::kCancelled && !status.ok()) {
        queue_->Stop(Annotate(status, absl::StrCat("teacher ", address_)));
        return;
      }
      if (acknowledged_ > before) attempt = 0;
      LOG_IF(WARNING, attempt == 0)
          << "teacher " << address_ << " is gone (" << status.message()
          << "); its rows go to the others";
      queue_->WaitForEnd(RetryDelay(status, attempt));
    }
  }

  // From another thread: ends a stream that hangs.
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  using CallStream =
      grpc::ClientReaderWriter<v1::LabelRequest, v1::LabelResponse>;

  absl::Status Stream() {
    const auto stub =
        v1::TeacherService::NewStub(NewChannel(address_, options_.access));
    grpc::ClientContext context;
    {
      absl::MutexLock lock(&mutex_);
      context_ = &context;
    }
    const auto stream = stub->Label(&context);
    v1::LabelRequest first;
    *first.mutable_set() = options_.set;
    if (stream->Write(first)) Exchange(stream.get());
    stream->WritesDone();
    v1::LabelResponse response;
    while (stream->Read(&response)) Acknowledge(response);
    const absl::Status status = FromGrpcCall(stream->Finish(), context);
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
    if (status.ok() && !outstanding_.empty()) {
      return absl::UnavailableError(absl::StrCat("the stream ended with ",
                                                 outstanding_.size(),
                                                 " rows not acknowledged"));
    }
    return status;
  }

  // Keeps up to `window` chunks under way until nothing is left or the stream
  // breaks.
  void Exchange(CallStream* stream) {
    const size_t limit =
        static_cast<size_t>(options_.window) * options_.chunk_rows;
    for (;;) {
      while (outstanding_.size() < limit) {
        Chunk chunk;
        if (!queue_->Take(/*wait=*/outstanding_.empty(), &chunk)) break;
        outstanding_.insert(chunk.begin(), chunk.end());
        if (!stream->Write(Request(chunk))) return;
      }
      if (outstanding_.empty()) return;
      v1::LabelResponse response;
      if (!stream->Read(&response)) return;
      Acknowledge(response);
    }
  }

  v1::LabelRequest Request(const Chunk& chunk) const {
    v1::LabelRequest request;
    for (const uint64_t index : chunk) {
      v1::DatasetRow* const row = request.add_rows();
      row->set_index(index);
      row->set_text(dataset_.rows[index].text);
      row->set_second_text(dataset_.rows[index].second_text);
    }
    return request;
  }

  void Acknowledge(const v1::LabelResponse& response) {
    int64_t rows = 0;
    for (const uint64_t index : response.indices()) {
      rows += outstanding_.erase(index);
    }
    acknowledged_ += rows;
    queue_->Acknowledge(address_, rows);
  }

  const LabellerOptions& options_;
  const std::string address_;
  const Dataset& dataset_;
  WorkQueue* const queue_;
  std::set<uint64_t> outstanding_;
  int64_t acknowledged_ = 0;

  absl::Mutex mutex_;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

void WatchUntilEnd(const LabellerOptions& options,
                   const LabelProgress& progress, WorkQueue* queue) {
  while (!queue->WaitForEnd(absl::Milliseconds(100))) {
    if (progress && !progress(queue->done())) {
      queue->Stop(absl::CancelledError("labelling was stopped"));
    }
    if (absl::Now() - queue->last_progress() > options.patience) {
      queue->Stop(absl::UnavailableError(
          absl::StrCat("no teacher has answered for ",
                       absl::FormatDuration(options.patience))));
    }
  }
}

}  // namespace

absl::Status LabellerOptions::Validate() const {
  if (teachers.empty()) {
    return absl::InvalidArgumentError("labelling needs a teacher's address");
  }
  if (chunk_rows < 1 || chunk_rows > 4096 || window < 1) {
    return absl::InvalidArgumentError(
        "chunk_rows must be 1 to 4096 and window at least 1");
  }
  return absl::OkStatus();
}

absl::StatusOr<LabelReport> LabelRows(
    const LabellerOptions& options, const Dataset& dataset,
    const std::vector<v1::IndexRange>& missing, const LabelProgress& progress) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                            ResolveTargets(options.teachers));
  const absl::Time start = absl::Now();
  WorkQueue queue(missing, options.chunk_rows);
  std::vector<std::unique_ptr<TeacherLink>> links;
  std::vector<std::thread> threads;
  for (const std::string& address : addresses) {
    links.push_back(
        std::make_unique<TeacherLink>(options, address, dataset, &queue));
    threads.emplace_back([link = links.back().get()] { link->Run(); });
  }
  WatchUntilEnd(options, progress, &queue);
  if (!queue.status().ok()) {
    for (const auto& link : links) link->Cancel();
  }
  for (std::thread& thread : threads) thread.join();
  KODISTIL_RETURN_IF_ERROR(queue.status());
  LabelReport report;
  report.rows = queue.done();
  report.elapsed = absl::Now() - start;
  report.rows_by_teacher = queue.by_teacher();
  return report;
}

absl::StatusOr<std::vector<std::string>> ResolveTargets(
    const std::vector<std::string>& targets) {
  std::vector<std::string> addresses;
  for (const std::string& target : targets) {
    const size_t colon = target.rfind(':');
    if (colon == std::string::npos || colon == 0 ||
        colon + 1 == target.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("teacher '", target, "': expected host:port"));
    }
    addrinfo hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string host = target.substr(0, colon);
    const std::string port = target.substr(colon + 1);
    const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
      return absl::UnavailableError(absl::StrCat(
          "teacher '", target, "' does not resolve: ", gai_strerror(error)));
    }
    // A server listens on one family; where a name has both, take IPv4.
    bool has_ipv4 = false;
    for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
      has_ipv4 = has_ipv4 || it->ai_family == AF_INET;
    }
    for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
      if (has_ipv4 && it->ai_family != AF_INET) continue;
      char numeric[NI_MAXHOST];
      getnameinfo(it->ai_addr, it->ai_addrlen, numeric, sizeof(numeric),
                  nullptr, 0, NI_NUMERICHOST);
      const std::string machine = it->ai_family == AF_INET6
                                      ? absl::StrCat("[", numeric, "]")
                                      : std::string(numeric);
      const std::string address = absl::StrCat(
          machine == host ? "" : absl::StrCat(host, "@"), machine, ":", port);
      if (std::find(addresses.begin(), addresses.end(), address) ==
          addresses.end()) {
        addresses.push_back(address);
      }
    }
    freeaddrinfo(found);
  }
  return addresses;
}

}  // namespace kodistil
