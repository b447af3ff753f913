#include "coordinator/local_cluster.h"

#include <glog/logging.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr absl::Duration kQuick = absl::Seconds(10);
constexpr int kLogTailLines = 20;

absl::Status DeathStatus(const std::string& name, const Process& process) {
  return absl::InternalError(
      absl::StrCat(name, " ", process.ExitText(), "; the end of ",
                   process.options().log_path, ":\n",
                   LogTail(process.options().log_path, kLogTailLines)));
}

}  // namespace

const char LocalCluster::kWorkerPrefix[] = "local/";

LocalCluster::LocalCluster(ClusterOptions options)
    : options_(std::move(options)) {}

LocalCluster::~LocalCluster() { StopAll(); }

absl::StatusOr<ProcessOptions> LocalCluster::Options(
    const std::string& name, const std::string& binary) const {
  ProcessOptions process;
  process.name = name;
  KODISTIL_ASSIGN_OR_RETURN(process.binary, FindPart(binary));
  const std::string logs = JoinPath(options_.work_dir, "logs");
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(logs));
  process.log_path = JoinPath(
      logs, absl::StrCat(absl::StrReplaceAll(name, {{"/", "-"}}), ".log"));
  return process;
}

std::string LocalCluster::PortFile(const Member& member) const {
  return JoinPath(options_.work_dir,
                  absl::StrCat("run/",
                               absl::StrReplaceAll(member.process_options.name,
                                                   {{"/", "-"}}),
                               ".port"));
}

absl::Status LocalCluster::Launch(Member* member) {
  ProcessOptions process = member->process_options;
  for (std::string& arg : AccessArgs(options_.access, member->server)) {
    process.args.push_back(std::move(arg));
  }
  if (member->server) {
    const std::string port_file = PortFile(*member);
    KODISTIL_RETURN_IF_ERROR(
        MakeDirectories(JoinPath(options_.work_dir, "run")));
    KODISTIL_RETURN_IF_ERROR(RemoveAll(port_file));
    process.args.push_back(absl::StrCat("--port=", member->port));
    process.args.push_back(absl::StrCat("--port_file=", port_file));
  }
  KODISTIL_ASSIGN_OR_RETURN(member->process, Process::Start(process));
  return absl::OkStatus();
}

absl::Status LocalCluster::WaitForPort(Member* member) {
  const absl::Time end = absl::Now() + options_.start_limit;
  const std::string path = PortFile(*member);
  while (absl::Now() < end) {
    const bool running = member->process->Running();
    const auto text = ReadFile(path);
    if (text.ok() && absl::SimpleAtoi(*text, &member->port)) {
      return absl::OkStatus();
    }
    if (!running) {
      return DeathStatus(member->process_options.name, *member->process);
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError(
      absl::StrCat(member->process_options.name, " did not listen within ",
                   absl::FormatDuration(options_.start_limit), "; see ",
                   member->process_options.log_path));
}

absl::StatusOr<int> LocalCluster::StartServer(Member member) {
  member.server = true;
  members_.push_back(std::make_unique<Member>(std::move(member)));
  KODISTIL_RETURN_IF_ERROR(Launch(members_.back().get()));
  KODISTIL_RETURN_IF_ERROR(WaitForPort(members_.back().get()));
  return members_.back()->port;
}

absl::StatusOr<std::string> LocalCluster::StartStore() {
  const auto start = [this](int at) -> absl::StatusOr<int> {
    Member member;
    member.kind = Kind::kStore;
    member.port = at;
    KODISTIL_ASSIGN_OR_RETURN(
        member.process_options,
        Options("logit_store", "logit_store/logit_store"));
    member.process_options.args = {
        absl::StrCat("--db_path=", JoinPath(options_.work_dir, "logit_store")),
        absl::StrCat("--host=", options_.host)};
    return StartServer(std::move(member));
  };
  const int kept = KeptStorePort();
  absl::StatusOr<int> port = start(kept);
  if (!port.ok() && kept != 0) {
    LOG(WARNING) << "the store does not listen at its earlier port: "
                 << port.status();
    members_.pop_back();
    port = start(0);
  }
  KODISTIL_RETURN_IF_ERROR(port.status());
  return absl::StrCat(options_.advertised_host, ":", *port);
}

int LocalCluster::KeptStorePort() const {
  int port = 0;
  const auto text =
      ReadFile(JoinPath(options_.work_dir, "run/logit_store.port"));
  if (!options_.keep_store_port || !text.ok() ||
      !absl::SimpleAtoi(*text, &port)) {
    return 0;
  }
  return port;
}

absl::StatusOr<std::vector<std::string>> LocalCluster::StartTeachers(
    const TeacherSource& teacher, const std::string& store_address, int count) {
  std::vector<std::string> addresses;
  for (int i = 0; i < count; ++i) {
    Member member;
    member.kind = Kind::kTeacher;
    KODISTIL_ASSIGN_OR_RETURN(member.process_options,
                              Options(absl::StrCat("teacher/", i),
                                      "teacher_service/teacher_service"));
    member.process_options.args =
        TeacherArgs(teacher, store_address, options_.worker.device);
    KODISTIL_ASSIGN_OR_RETURN(const int port, StartServer(std::move(member)));
    addresses.push_back(absl::StrCat("127.0.0.1:", port));
  }
  return addresses;
}

absl::Status LocalCluster::StartWorkers(int count) {
  const std::string coordinator =
      absl::StrCat(options_.host == "0.0.0.0" ? "127.0.0.1" : options_.host,
                   ":", options_.coordinator_port);
  const std::string threads = absl::StrCat(options_.worker.threads);
  for (int i = 0; i < count; ++i) {
    auto member = std::make_unique<Member>();
    member->kind = Kind::kWorker;
    const std::string name = absl::StrCat(kWorkerPrefix, i);
    KODISTIL_ASSIGN_OR_RETURN(member->process_options,
                              Options(name, "student_trainer/student_trainer"));
    member->process_options.args = WorkerArgs(options_.worker, coordinator);
    member->process_options.args.push_back(
        absl::StrCat("--cache_dir=", JoinPath(options_.work_dir, "cache")));
    member->process_options.args.push_back(absl::StrCat("--name=", name));
    for (const std::string& variable : ThreadVariables()) {
      member->process_options.environment[variable] = threads;
    }
    KODISTIL_RETURN_IF_ERROR(Launch(member.get()));
    members_.push_back(std::move(member));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::Run(const std::string& name,
                               const std::string& binary,
                               const std::vector<std::string>& args,
                               const std::function<bool()>& stopped) {
  KODISTIL_ASSIGN_OR_RETURN(ProcessOptions options, Options(name, binary));
  options.args = args;
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<Process> process,
                            Process::Start(options));
  while (process->Running()) {
    if (stopped()) {
      process->Stop(absl::Seconds(5));
      return absl::CancelledError(absl::StrCat(name, " was stopped"));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  if (process->exit_code() != 0) return DeathStatus(name, *process);
  return absl::OkStatus();
}

absl::Status LocalCluster::Supervise(const Died& died) {
  for (const auto& member : members_) {
    const absl::Time now = absl::Now();
    const std::string& name = member->process_options.name;
    if (member->process != nullptr && !member->process->Running()) {
      const std::string reason =
          absl::StrCat(name, " ", member->process->ExitText());
      LOG(WARNING) << reason << "; it is started again";
      const bool blameless = died(
          name,
          {reason, LogTail(member->process_options.log_path, kLogTailLines)});
      const bool quick =
          !blameless && now - member->process->started() < kQuick;
      member->quick_deaths = quick ? member->quick_deaths + 1 : 0;
      if (member->quick_deaths >= options_.max_quick_deaths) {
        return DeathStatus(name, *member->process);
      }
      member->restart_at =
          now + absl::Milliseconds(100) * (1 << member->quick_deaths);
      member->process = nullptr;
    }
    if (member->process == nullptr && member->restart_at <= now) {
      // A server keeps its port, so that its clients find it again.
      KODISTIL_RETURN_IF_ERROR(Launch(member.get()));
    }
  }
  return absl::OkStatus();
}

std::string LocalCluster::LogTailOf(const std::string& name) const {
  for (const auto& member : members_) {
    if (member->process_options.name == name) {
      return LogTail(member->process_options.log_path, kLogTailLines);
    }
  }
  return "";
}

void LocalCluster::Kill(const std::string& name) {
  for (const auto& member : members_) {
    if (member->process_options.name == name && member->process != nullptr) {
      member->process->Signal(SIGKILL);
    }
  }
}

void LocalCluster::Stop(Kind kind) {
  for (const auto& member : members_) {
    if (member->kind == kind && member->process != nullptr) {
      member->process->Signal(SIGTERM);
    }
  }
  for (const auto& member : members_) {
    if (member->kind == kind && member->process != nullptr) {
      member->process->Stop(absl::Seconds(15));
    }
  }
  members_.erase(std::remove_if(members_.begin(), members_.end(),
                                [kind](const std::unique_ptr<Member>& member) {
                                  return member->kind == kind;
                                }),
                 members_.end());
}

void LocalCluster::StopTeachers() { Stop(Kind::kTeacher); }

void LocalCluster::StopAll() {
  Stop(Kind::kWorker);
  Stop(Kind::kTeacher);
  Stop(Kind::kStore);
}

}  // namespace kodistil
