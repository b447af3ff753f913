#include "coordinator/labeller.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/progress.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/sweep_metrics.h"
#include "coordinator/teacher_targets.h"
#include "kodistil/v1/teacher.grpc.pb.h"

namespace kodistil {
namespace {

// How often teachers that have come are looked for, and progress is told.
constexpr absl::Duration kLook = absl::Milliseconds(100);

int64_t CountCharacters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<uint8_t>(byte) & 0xc0) != 0x80;
  });
}

int64_t PerSecond(int64_t rows, absl::Duration time) {
  const double seconds = absl::ToDoubleSeconds(time);
  return seconds > 0 ? static_cast<int64_t>(rows / seconds) : 0;
}

// One teacher: a thread that reads from it, and one that writes while there is
// a connection. Connects again when it is lost.
class TeacherLink {
 public:
  TeacherLink(const LabellerOptions& options, const Dataset& dataset,
              LabelSchedule* schedule, std::string address)
      : options_(options),
        dataset_(dataset),
        schedule_(*schedule),
        address_(std::move(address)),
        thread_([this] { Run(); }) {}

  // The labelling is to be over, or the link cancelled.
  ~TeacherLink() { thread_.join(); }

  // From another thread: ends the connection, and there is no other.
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

  // From another thread: it is (or is not) registered, or was named by the
  // user. Without that, there is no other connection once this one is lost.
  void SetKnown(bool known, bool named) {
    absl::MutexLock lock(&mutex_);
    known_ = known;
    named_ = named;
    left_out_ = left_out_ && known;
  }

 private:
  using CallStream =
      grpc::ClientReaderWriter<v1::LabelRequest, v1::LabelResponse>;

  void Run() {
    int attempt = 0;
    while (!schedule_.Over() && AwaitKnown()) {
      int64_t acknowledged = 0;
      const absl::Status status = Stream(&acknowledged);
      if (schedule_.Over() || Cancelled()) return;
      if (acknowledged > 0) attempt = 0;
      if (!MayGoOn(status)) continue;
      LOG_IF(WARNING, attempt == 0)
          << "teacher " << address_ << " is gone (" << status.message()
          << "); its rows go to the others";
      schedule_.WaitForEnd(RetryDelay(status, attempt++));
    }
  }

  bool Cancelled() {
    absl::MutexLock lock(&mutex_);
    return cancelled_;
  }

  // Waits until the teacher may be asked; false when the labelling is over.
  bool AwaitKnown() {
    while (!schedule_.Over()) {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return false;
      const auto known = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return (known_ && !left_out_) || cancelled_;
      };
      if (mutex_.AwaitWithTimeout(absl::Condition(&known), kLook)) {
        return !cancelled_;
      }
    }
    return false;
  }

  // Whether the teacher may be tried again after `status`. When not, it is left
  // out, or the labelling ends.
  bool MayGoOn(const absl::Status& status) {
    if (status.ok() || absl::IsUnavailable(status) ||
        absl::IsCancelled(status)) {
      return true;
    }
    const bool wrong_one =
        absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ||
        absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status) ||
        absl::IsUnimplemented(status);
    absl::MutexLock lock(&mutex_);
    left_out_ = wrong_one && !named_;
    if (left_out_) {
      LOG(ERROR) << "teacher " << address_
                 << " is left out: " << status.message();
    } else {
      schedule_.Stop(Annotate(status, absl::StrCat("teacher ", address_)));
    }
    return false;
  }

  absl::Status Stream(int64_t* acknowledged) {
    const auto stub =
        v1::TeacherService::NewStub(NewChannel(address_, options_.access));
    grpc::ClientContext context;
    {
      absl::MutexLock lock(&mutex_);
      context_ = &context;
      if (cancelled_) context.TryCancel();
    }
    const auto stream = stub->Label(&context);
    const int number = schedule_.Join(address_);
    std::thread writer([&] { Write(number, stream.get()); });
    v1::LabelResponse response;
    while (stream->Read(&response)) {
      SweepMetrics::Process()
          .labelled_rows.With({address_})
          .Increment(schedule_.Acknowledge(number, response.indices()));
    }
    *acknowledged = schedule_.Leave(number);
    writer.join();
    const absl::Status status = FromGrpcCall(stream->Finish(), context);
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
    return status;
  }

  // Until the connection or the labelling is over.
  void Write(int number, CallStream* stream) {
    v1::LabelRequest request;
    *request.mutable_set() = options_.set;
    bool open = stream->Write(request);
    while (open) {
      const std::vector<uint64_t> rows = schedule_.Take(number);
      if (rows.empty()) break;
      request.Clear();
      for (const uint64_t index : rows) {
        v1::DatasetRow* const row = request.add_rows();
        row->set_index(index);
        row->set_text(dataset_.rows[index].text);
        row->set_second_text(dataset_.rows[index].second_text);
      }
      open = stream->Write(request);
    }
    stream->WritesDone();
  }

  const LabellerOptions& options_;
  const Dataset& dataset_;
  LabelSchedule& schedule_;
  const std::string address_;

  absl::Mutex mutex_;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool known_ ABSL_GUARDED_BY(mutex_) = true;
  bool named_ ABSL_GUARDED_BY(mutex_) = false;
  // Until it has been unknown for a while.
  bool left_out_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // the last: it uses the others
};

// The links to all teachers, named and registered. Not thread-safe.
class Links {
 public:
  Links(const LabellerOptions& options, const Dataset& dataset,
        LabelSchedule* schedule, const TargetWatch* named)
      : options_(options),
        dataset_(dataset),
        schedule_(schedule),
        named_(*named) {}
  ~Links() {
    // Rows may still be at teachers that are slow or hang: others did them.
    for (const auto& entry : links_) entry.second->Cancel();
  }

  // Connects with teachers that have come.
  void Update() {
    const std::vector<std::string> named = named_.addresses();
    std::set<std::string> known(named.begin(), named.end());
    if (options_.registered) {
      for (const std::string& address : options_.registered()) {
        // Not by two names: a resolved name is name@address.
        const bool twice =
            std::any_of(named.begin(), named.end(), [&](const auto& target) {
              return absl::EndsWith(target, absl::StrCat("@", address));
            });
        if (!twice) known.insert(address);
      }
    }
    for (const std::string& address : known) {
      std::unique_ptr<TeacherLink>& link = links_[address];
      if (link != nullptr) continue;
      LOG_IF(INFO, started_) << "teacher " << address << " has come";
      link =
          std::make_unique<TeacherLink>(options_, dataset_, schedule_, address);
    }
    for (const auto& [address, link] : links_) {
      link->SetKnown(known.count(address) > 0,
                     std::count(named.begin(), named.end(), address) > 0);
    }
    started_ = true;
  }

 private:
  const LabellerOptions& options_;
  const Dataset& dataset_;
  LabelSchedule* const schedule_;
  const TargetWatch& named_;
  bool started_ = false;
  std::map<std::string, std::unique_ptr<TeacherLink>> links_;
};

// Until the labelling is over.
void Watch(const LabellerOptions& options, const LabelProgress& progress,
           LabelSchedule* schedule, Links* links) {
  do {
    links->Update();
    if (options.status) options.status(schedule->Status());
    if (progress && !progress(schedule->done(), schedule->connected())) {
      schedule->Stop(absl::CancelledError("labelling was stopped"));
    }
    if (absl::Now() - schedule->last_progress() > options.patience) {
      schedule->Stop(absl::UnavailableError(
          absl::StrCat("no teacher has answered for ",
                       absl::FormatDuration(options.patience))));
    }
  } while (!schedule->WaitForEnd(kLook));
}

std::vector<RowWork> WorkOf(const Dataset& dataset,
                            const std::vector<v1::IndexRange>& missing,
                            int32_t max_length) {
  std::vector<RowWork> work;
  for (const v1::IndexRange& range : missing) {
    for (uint64_t index = range.begin(); index < range.end(); ++index) {
      work.push_back({index, EstimateTokens(dataset.rows[index], max_length)});
    }
  }
  return work;
}

}  // namespace

absl::Status LabellerOptions::Validate() const {
  if (teachers.empty() && !registered) {
    return absl::InvalidArgumentError("labelling needs a teacher's address");
  }
  return schedule.Validate();
}

int32_t EstimateTokens(const Row& row, int32_t max_length) {
  const int64_t characters =
      CountCharacters(row.text) + CountCharacters(row.second_text) + 2;
  constexpr int64_t kMost = 1 << 20;
  return static_cast<int32_t>(
      std::min(characters, max_length > 0 ? int64_t{max_length} : kMost));
}

std::string LabelSummary(const LabelReport& report) {
  return absl::StrFormat("%s rows in %.1f s (%s rows/s)",
                         WithCommas(report.rows),
                         absl::ToDoubleSeconds(report.elapsed),
                         WithCommas(PerSecond(report.rows, report.elapsed)));
}

std::vector<std::string> ShareLines(const LabelReport& report) {
  std::vector<std::string> lines;
  for (const auto& [address, share] : report.shares) {
    lines.push_back(
        absl::StrFormat("teacher %s: %s rows (%.0f %%), %s rows/s", address,
                        WithCommas(share.rows),
                        100.0 * share.rows / std::max<int64_t>(1, report.rows),
                        WithCommas(PerSecond(share.rows, share.connected))));
  }
  return lines;
}

absl::StatusOr<LabelReport> LabelRows(
    const LabellerOptions& options, const Dataset& dataset,
    const std::vector<v1::IndexRange>& missing, const LabelProgress& progress) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                            ResolveTargets(options.teachers));
  const TargetWatch named(options.teachers, addresses,
                          options.resolve_interval);
  const absl::Time start = absl::Now();
  LabelSchedule schedule(options.schedule,
                         WorkOf(dataset, missing, options.max_length));
  LabelReport report;
  {
    Links links(options, dataset, &schedule, &named);
    if (!schedule.Over()) Watch(options, progress, &schedule, &links);
    report.elapsed = absl::Now() - start;
    report.shares = schedule.Shares();
  }
  KODISTIL_RETURN_IF_ERROR(schedule.status());
  report.rows = schedule.done();
  return report;
}

}  // namespace kodistil
