#include "tests/sweep_harness.h"

#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/coordinator.grpc.pb.h"
#include "nlohmann/json.hpp"

namespace kodistil {

std::string TestBinary(const std::string& path) {
  const char* runfiles = getenv("TEST_SRCDIR");
  if (runfiles == nullptr) return FindSiblingBinary(path);
  return absl::StrCat(runfiles, "/kodistil/", path);
}

bool PollUntil(absl::Duration limit, const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + limit;
  absl::Notification never;
  while (!condition()) {
    if (absl::Now() > end) return false;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
  return true;
}

std::vector<int> ChildrenOf(int parent, const std::string& text) {
  std::vector<int> children;
  const auto names = ListDirectory("/proc");
  for (const std::string& name : *names) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    // Files in /proc have no size, so they cannot be mapped.
    std::FILE* file =
        std::fopen(absl::StrCat("/proc/", pid, "/stat").c_str(), "r");
    if (file == nullptr) continue;
    int ppid = 0;
    const int read = std::fscanf(file, "%*d (%*[^)]) %*c %d", &ppid);
    std::fclose(file);
    if (read != 1 || ppid != parent) continue;
    file = std::fopen(absl::StrCat("/proc/", pid, "/cmdline").c_str(), "r");
    if (file == nullptr) continue;
    char line[4096];
    const size_t size = std::fread(line, 1, sizeof(line), file);
    std::fclose(file);
    if (absl::StrContains(absl::string_view(line, size), text)) {
      children.push_back(pid);
    }
  }
  return children;
}

SweepHarness::SweepHarness(std::vector<std::string> flags)
    : flags_(std::move(flags)), work_dir_(JoinPath(NewTestDir(), "work")) {
  UseWorker("", {});
}

void SweepHarness::UseWorker(
    const std::string& binary,
    const std::map<std::string, std::string>& environment) {
  coordinator_ = TestBinary("coordinator/coordinator");
  environment_ = environment;
  if (binary.empty()) return;
  // A coordinator looks for its programs beside itself first.
  const std::filesystem::path tree = JoinPath(NewTestDir(), "bin");
  std::filesystem::create_directories(tree / "coordinator");
  std::filesystem::create_directories(tree / "student_trainer");
  std::filesystem::copy_file(coordinator_, tree / "coordinator/coordinator");
  std::filesystem::copy_file(TestBinary(binary),
                             tree / "student_trainer/student_trainer");
  coordinator_ = tree / "coordinator/coordinator";
}

std::string SweepHarness::InWork(const std::string& name) const {
  return JoinPath(work_dir_, name);
}

std::unique_ptr<Process> SweepHarness::Start(
    const std::vector<std::string>& more) {
  ProcessOptions options;
  options.name = "coordinator";
  options.binary = coordinator_;
  options.environment = environment_;
  options.args = flags_;
  options.args.push_back("--sweep");
  options.args.push_back(absl::StrCat("--work_dir=", work_dir_));
  options.args.insert(options.args.end(), more.begin(), more.end());
  log_path_ = absl::StrCat(work_dir_, "-run", runs_++, ".log");
  options.log_path = log_path_;
  // The children are found through the runfiles of the test.
  options.environment["RUNFILES_DIR"] = getenv("TEST_SRCDIR");
  auto process = Process::Start(options);
  EXPECT_OK(process);
  return *std::move(process);
}

int SweepHarness::Run(const std::vector<std::string>& more) {
  const auto process = Start(more);
  process->Wait();
  LOG_IF(INFO, process->exit_code() != 0) << Output();
  return process->exit_code();
}

std::string SweepHarness::Output() const {
  const auto text = ReadFile(log_path_);
  return text.ok() ? *text : "";
}

std::string SweepHarness::ComparableResults() const {
  const auto text = ReadFile(InWork("results.json"));
  return text.ok() ? kodistil::ComparableResults(*text) : "";
}

std::string ComparableResults(const std::string& results_json) {
  nlohmann::json json = nlohmann::json::parse(results_json);
  for (auto& teacher : json["teachers"]) teacher.erase("seconds");
  for (auto& trial : json["trials"]) {
    for (const char* key :
         {"train_seconds", "train_rows_per_second", "attempts"}) {
      trial.erase(key);
    }
    for (auto& epoch : trial["history"]) epoch.erase("seconds");
  }
  return json.dump(1);
}

std::vector<std::string> SweepHarness::TrialIds() const {
  std::vector<std::string> ids;
  const auto text = ReadFile(InWork("results.json"));
  if (!text.ok()) return ids;
  const nlohmann::json json = nlohmann::json::parse(*text);
  for (const auto& trial : json["trials"]) ids.push_back(trial["trial_id"]);
  return ids;
}

int SweepHarness::Attempts() const {
  const auto text = ReadFile(InWork("results.json"));
  if (!text.ok()) return 0;
  int attempts = 0;
  const nlohmann::json json = nlohmann::json::parse(*text);
  for (const auto& trial : json["trials"]) {
    attempts += trial["attempts"].get<int>();
  }
  return attempts;
}

bool SweepHarness::WatchUntil(
    Process* coordinator,
    const std::function<bool(const std::vector<v1::Trial>&)>& done) const {
  int port = 0;
  if (!PollUntil(absl::Minutes(2),
                 [&] {
                   if (!coordinator->Running()) return true;
                   const auto text = ReadFile(InWork("run/coordinator.port"));
                   return text.ok() && absl::SimpleAtoi(*text, &port);
                 }) ||
      port == 0) {
    return false;
  }
  const auto stub = v1::CoordinatorService::NewStub(
      NewChannel(absl::StrCat("127.0.0.1:", port)));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(2)));
  const auto reader = stub->WatchSweep(&context, v1::WatchSweepRequest());
  v1::WatchSweepResponse response;
  while (reader->Read(&response)) {
    if (done({response.trials().begin(), response.trials().end()})) {
      context.TryCancel();
      return true;
    }
  }
  return false;
}

}  // namespace kodistil
