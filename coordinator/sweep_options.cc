#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/sweep.h"
#include "coordinator/sweep_launch.h"

namespace kodistil {

namespace {

// What happens to trials whose workers fail.
absl::Status CheckLeases(const SweepOptions& options) {
  if (options.lease < absl::Milliseconds(100)) {
    return absl::InvalidArgumentError(
        "--lease: expected at least 100 milliseconds");
  }
  if (options.heartbeat < absl::Milliseconds(10)) {
    return absl::InvalidArgumentError(
        "--heartbeat: expected at least 10 milliseconds");
  }
  if (options.hang_timeout < absl::Milliseconds(10)) {
    return absl::InvalidArgumentError(
        "--hang_timeout: expected at least 10 milliseconds, or inf");
  }
  if (options.checkpoint_mb < 0 || options.checkpoint_mb > int64_t{1} << 30) {
    return absl::InvalidArgumentError(
        absl::StrCat("--checkpoint_mb: found ", options.checkpoint_mb,
                     ", expected 0 to ", int64_t{1} << 30));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::pair<std::string, int>> SweepOptions::ListenAddress()
    const {
  if (listen.empty()) return std::make_pair(std::string("127.0.0.1"), 0);
  const size_t colon = listen.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen: found '", listen, "', expected host:port"));
  }
  return std::make_pair(listen.substr(0, colon), port);
}

absl::Status SweepOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(dataset.Validate());
  KODISTIL_RETURN_IF_ERROR(metrics.Validate());
  KODISTIL_RETURN_IF_ERROR(dashboard.Validate());
  if (work_dir.empty()) {
    return absl::InvalidArgumentError("--work_dir: is empty");
  }
  if (workers < -1 || workers > 1024) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--workers: found ", workers, ", expected 0 to 1024, or -1"));
  }
  if (workers == 0 && listen.empty() && !label_only) {
    return absl::InvalidArgumentError(
        "--workers=0 needs --listen, so that workers elsewhere can come");
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads: found ", threads, ", expected 1 to 1024"));
  }
  if (pack < 0 || pack > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("--pack: found ", pack, ", expected 0 to 1024"));
  }
  if (teacher_workers < 1 || teacher_workers > 64) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--teacher_workers: found ", teacher_workers, ", expected 1 to 64"));
  }
  KODISTIL_RETURN_IF_ERROR(CheckLeases(*this));
  KODISTIL_RETURN_IF_ERROR(CheckLaunch(*this));
  if (teacher_path.empty() && teachers.empty()) {
    return absl::InvalidArgumentError(
        "--teacher_path: is empty, expected ngram or a model's folder");
  }
  if (!teachers.empty() && !teacher.empty()) {
    return absl::InvalidArgumentError(
        "--teacher needs folders (--teacher_path): the servers of --teachers "
        "serve one model");
  }
  if (!teachers.empty() && logit_store.empty()) {
    return absl::InvalidArgumentError(
        "--teachers needs --logit_store: teachers that run elsewhere write to "
        "a store that runs elsewhere");
  }
  for (const std::string& teacher : teachers) {
    if (teacher == kRegisteredTeachers && listen.empty()) {
      return absl::InvalidArgumentError(
          "--teachers=registered needs --listen, so that teachers can come");
    }
  }
  return absl::OkStatus();
}

}  // namespace kodistil
