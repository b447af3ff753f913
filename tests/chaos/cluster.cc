#include "tests/chaos/cluster.h"

#include <signal.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

// systemd's RestartSec.
constexpr absl::Duration kRestartAfter = absl::Milliseconds(100);
constexpr absl::Duration kStartLimit = absl::Minutes(1);
constexpr absl::Duration kStopLimit = absl::Seconds(20);
constexpr int kLogLines = 12;

}  // namespace

struct Cluster::Member {
  Kind kind;
  ProcessOptions options;
  std::string port_file;  // empty for workers
  std::unique_ptr<Process> process;
  int port = 0;               // 0 while it starts
  std::set<Action> suffered;  // by this process
  absl::Time restart_at = absl::InfinitePast();
  absl::Time go_on_at = absl::InfiniteFuture();  // while it is stopped
  bool over = false;                             // ended well, by itself
};

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Start(
    const ClusterOptions& options) {
  auto cluster = std::unique_ptr<Cluster>(new Cluster(options));
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(options.folder));
  KODISTIL_RETURN_IF_ERROR(cluster->MakeLinks());
  cluster->AddStore();
  cluster->AddTeachers();
  cluster->AddCoordinator();
  cluster->AddWorkers();
  for (const auto& member : cluster->members_) {
    if (member->kind == Kind::kWorker) continue;
    KODISTIL_RETURN_IF_ERROR(cluster->Launch(member.get()));
    if (member->kind == Kind::kCoordinator) continue;
    KODISTIL_RETURN_IF_ERROR(cluster->WaitForPort(member.get()));
  }
  return cluster;
}

Cluster::Cluster(const ClusterOptions& options) : options_(options) {}

Cluster::~Cluster() { EndFaults(); }

absl::Status Cluster::MakeLinks() {
  std::map<std::string, std::string> names = {{"clients-store", "store"}};
  for (int i = 0; i < options_.teachers; ++i) {
    const std::string teacher = absl::StrCat("teacher-", i);
    names[absl::StrCat(teacher, "-store")] = "store";
    names[absl::StrCat("coordinator-", teacher)] = teacher;
  }
  for (int i = 0; i < options_.workers; ++i) {
    names[absl::StrCat("worker-", i, "-coordinator")] = "coordinator";
  }
  for (const auto& [name, to] : names) {
    Link link;
    KODISTIL_ASSIGN_OR_RETURN(link.proxy, TcpProxy::Start());
    link.to = to;
    if (absl::StartsWith(name, "teacher")) link.delay = options_.store_delay;
    link.proxy->SetDelay(link.delay);
    links_[name] = std::move(link);
  }
  return absl::OkStatus();
}

std::string Cluster::LinkAddress(const std::string& name) const {
  return links_.at(name).proxy->address();
}

Cluster::Member* Cluster::AddMember(Kind kind, const std::string& name,
                                    const std::string& binary) {
  members_.push_back(std::make_unique<Member>());
  Member* const member = members_.back().get();
  member->kind = kind;
  member->options.name = name;
  member->options.binary = TestBinary(binary);
  member->options.log_path =
      JoinPath(options_.folder, absl::StrCat(name, ".log"));
  // Tells every commit of a result.
  member->options.environment["GLOG_vmodule"] = "coordinator_service=1";
  if (kind == Kind::kStore || kind == Kind::kTeacher) {
    member->port_file = JoinPath(options_.folder, absl::StrCat(name, ".port"));
    member->options.args = {"--port=0",
                            absl::StrCat("--port_file=", member->port_file)};
  }
  return member;
}

void Cluster::AddStore() {
  Member* const store =
      AddMember(Kind::kStore, "store", "logit_store/logit_store");
  store->options.args.push_back(
      absl::StrCat("--db_path=", JoinPath(options_.folder, "store")));
}

void Cluster::AddTeachers() {
  for (int i = 0; i < options_.teachers; ++i) {
    const std::string name = absl::StrCat("teacher-", i);
    Member* const teacher =
        AddMember(Kind::kTeacher, name, "teacher_service/teacher_service");
    teacher->options.args.push_back(absl::StrCat("--model=", options_.model));
    teacher->options.args.push_back(absl::StrCat(
        "--logit_store=", LinkAddress(absl::StrCat(name, "-store"))));
  }
}

void Cluster::AddCoordinator() {
  Member* const coordinator =
      AddMember(Kind::kCoordinator, "coordinator", "coordinator/coordinator");
  coordinator->port_file = JoinPath(work_dir(), "run/coordinator.port");
  std::string teachers;
  for (int i = 0; i < options_.teachers; ++i) {
    absl::StrAppend(&teachers, i == 0 ? "" : ",",
                    LinkAddress(absl::StrCat("coordinator-teacher-", i)));
  }
  coordinator->options.args = {
      "--sweep",
      absl::StrCat("--work_dir=", work_dir()),
      absl::StrCat("--teachers=", teachers),
      absl::StrCat("--logit_store=", LinkAddress("clients-store")),
      "--workers=0",
      "--listen=127.0.0.1:0",
  };
  for (const std::string& flag : options_.sweep_flags) {
    coordinator->options.args.push_back(flag);
  }
}

void Cluster::AddWorkers() {
  for (int i = 0; i < options_.workers; ++i) {
    const std::string name = absl::StrCat("worker-", i);
    Member* const worker =
        AddMember(Kind::kWorker, name, "student_trainer/student_trainer");
    const std::string cache =
        options_.shared_cache ? "cache" : absl::StrCat("cache-", i);
    worker->options.args = {
        absl::StrCat("--coordinator=",
                     LinkAddress(absl::StrCat(name, "-coordinator"))),
        absl::StrCat("--cache_dir=", JoinPath(options_.folder, cache)),
        absl::StrCat("--name=", name),
    };
    worker->restart_at = absl::InfiniteFuture();
  }
}

absl::Status Cluster::Launch(Member* member) {
  if (!member->port_file.empty()) {
    KODISTIL_RETURN_IF_ERROR(RemoveAll(member->port_file));
  }
  member->port = 0;
  member->suffered.clear();
  member->go_on_at = absl::InfiniteFuture();
  KODISTIL_ASSIGN_OR_RETURN(member->process, Process::Start(member->options));
  return absl::OkStatus();
}

absl::Status Cluster::WaitForPort(Member* member) {
  PollUntil(kStartLimit, [this, member] {
    FindPort(member);
    return member->port != 0 || !member->process->Running();
  });
  if (member->port != 0) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat(member->options.name, " ", member->process->ExitText(),
                   "; see ", member->options.log_path));
}

void Cluster::FindPort(Member* member) {
  if (member->port_file.empty() || member->port != 0) return;
  const auto text = ReadFile(member->port_file);
  if (!text.ok() || !absl::SimpleAtoi(*text, &member->port)) return;
  for (auto& [name, link] : links_) {
    if (link.to == member->options.name) link.proxy->SetBackend(member->port);
  }
  if (member->kind != Kind::kCoordinator || training_has_begun_) return;
  training_has_begun_ = true;
  for (const auto& worker : members_) {
    if (worker->kind == Kind::kWorker) {
      worker->restart_at = absl::InfinitePast();
    }
  }
}

Cluster::Member* Cluster::Find(const std::string& name) {
  for (const auto& member : members_) {
    if (member->options.name == name) return member.get();
  }
  return nullptr;
}

std::vector<std::string> Cluster::Names(Kind kind) const {
  std::vector<std::string> names;
  for (const auto& member : members_) {
    if (member->kind == kind) names.push_back(member->options.name);
  }
  return names;
}

ScheduleOptions Cluster::LabellingTargets() const {
  ScheduleOptions targets;
  targets.processes = {Names(Kind::kStore), Names(Kind::kTeacher),
                       Names(Kind::kTeacher), Names(Kind::kCoordinator)};
  for (const auto& [name, link] : links_) {
    if (link.to != "coordinator") targets.links.push_back(name);
  }
  return targets;
}

ScheduleOptions Cluster::TrainingTargets() const {
  ScheduleOptions targets;
  targets.stream = 1;
  // A coordinator that starts asks teachers and store again.
  targets.processes = {Names(Kind::kWorker),      Names(Kind::kWorker),
                       Names(Kind::kCoordinator), Names(Kind::kCoordinator),
                       Names(Kind::kStore),       Names(Kind::kTeacher)};
  for (const auto& [name, link] : links_) {
    if (!absl::StartsWith(name, "teacher")) targets.links.push_back(name);
  }
  return targets;
}

bool Cluster::Apply(const Fault& fault) {
  const absl::Time until = absl::Now() + fault.length;
  if (!IsSignal(fault.action)) {
    Link& link = links_.at(fault.target);
    const int connections = link.proxy->connections();
    if (fault.action == Action::kDrop) {
      return link.proxy->DropConnections() > 0;
    }
    if (fault.action == Action::kCut) link.proxy->DropAfter(fault.bytes);
    if (fault.action == Action::kHang) link.proxy->SetHung(true);
    if (fault.action == Action::kDelay) link.proxy->SetDelay(fault.delay);
    link.until = until;
    return connections > 0;
  }
  Member* const member = Find(fault.target);
  if (member->process == nullptr || !member->process->Running()) return false;
  member->suffered.insert(fault.action);
  switch (fault.action) {
    case Action::kKill:
      member->process->Signal(SIGKILL);
      break;
    case Action::kTerminate:
      member->process->Signal(SIGTERM);
      break;
    default:
      member->process->Signal(SIGSTOP);
      member->go_on_at = until;
  }
  return true;
}

void Cluster::EndFaults() {
  for (auto& [name, link] : links_) {
    link.proxy->SetHung(false);
    link.proxy->SetDelay(link.delay);
    link.until = absl::InfiniteFuture();
  }
  for (const auto& member : members_) {
    if (member->process != nullptr) member->process->Signal(SIGCONT);
    member->go_on_at = absl::InfiniteFuture();
  }
}

absl::Status Cluster::NoteEnd(Member* member) {
  const int code = member->process->exit_code();
  const auto suffered = [member](Action action) {
    return member->suffered.count(action) > 0;
  };
  const bool killed = suffered(Action::kKill) && code == 128 + SIGKILL;
  // The second of two ends it at once, and so does the first before main.
  const bool terminated =
      suffered(Action::kTerminate) &&
      (code == kExitOk || code == kExitRetry || code == 128 + SIGTERM);
  const bool has_an_end =
      member->kind == Kind::kCoordinator || member->kind == Kind::kWorker;
  if (has_an_end && code == kExitOk) {
    member->over = true;
  } else if (!killed && !terminated) {
    return absl::InternalError(absl::StrCat(
        member->options.name, " ", member->process->ExitText(),
        ", which nobody asked for; the end of ", member->options.log_path,
        ":\n", LogTail(member->options.log_path, kLogLines)));
  }
  member->process = nullptr;
  member->restart_at = absl::Now() + kRestartAfter;
  return absl::OkStatus();
}

absl::Status Cluster::Step() {
  const absl::Time now = absl::Now();
  for (auto& [name, link] : links_) {
    if (link.until > now) continue;
    link.proxy->SetHung(false);
    link.proxy->SetDelay(link.delay);
    link.until = absl::InfiniteFuture();
  }
  for (const auto& member : members_) {
    if (member->over) continue;
    if (member->process != nullptr && !member->process->Running()) {
      KODISTIL_RETURN_IF_ERROR(NoteEnd(member.get()));
      if (member->over) continue;
    }
    if (member->process == nullptr && member->restart_at <= now) {
      restarts_ += member->restart_at > absl::InfinitePast();
      KODISTIL_RETURN_IF_ERROR(Launch(member.get()));
    }
    if (member->process != nullptr && member->go_on_at <= now) {
      member->process->Signal(SIGCONT);
      member->go_on_at = absl::InfiniteFuture();
    }
    FindPort(member.get());
  }
  return absl::OkStatus();
}

bool Cluster::TrainingHasBegun() const { return training_has_begun_; }

bool Cluster::SweepIsOver() const {
  for (const auto& member : members_) {
    if (member->kind == Kind::kCoordinator) return member->over;
  }
  return false;
}

std::string Cluster::StoreAddress() const {
  for (const auto& member : members_) {
    if (member->kind == Kind::kStore && member->port != 0) {
      return absl::StrCat("127.0.0.1:", member->port);
    }
  }
  return "";
}

std::string Cluster::work_dir() const {
  return JoinPath(options_.folder, "work");
}

std::string Cluster::coordinator_log() const {
  return JoinPath(options_.folder, "coordinator.log");
}

absl::Status Cluster::Stop() {
  EndFaults();
  for (const auto& member : members_) {
    if (member->process == nullptr) continue;
    member->suffered.insert(Action::kTerminate);
    member->process->Signal(SIGTERM);
  }
  absl::Status status;
  for (const auto& member : members_) {
    if (member->process == nullptr) continue;
    const bool ended = PollUntil(
        kStopLimit, [&member] { return !member->process->Running(); });
    if (!ended) {
      status.Update(absl::InternalError(
          absl::StrCat(member->options.name, " did not end within ",
                       absl::FormatDuration(kStopLimit), " of SIGTERM; see ",
                       member->options.log_path)));
      member->process = nullptr;
    } else {
      status.Update(NoteEnd(member.get()));
    }
  }
  return status;
}

}  // namespace kodistil
