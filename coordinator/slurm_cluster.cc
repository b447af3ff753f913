#include "coordinator/slurm_cluster.h"

#include <glog/logging.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "coordinator/sweep_status.h"

namespace kodistil {
namespace {

constexpr char kTeachers[] = "teachers";
constexpr char kForgotten[] = "forgotten";
constexpr int kLogTailLines = 20;
// While jobs end, which takes a second or two.
constexpr absl::Duration kEndPoll = absl::Milliseconds(500);

// Of squeue's states, see "JOB STATE CODES" in squeue(1).
enum class Kind { kWaits, kRuns, kCompleted, kCancelled, kLost };

Kind KindOf(const std::string& state) {
  static const auto* const kinds =
      new std::map<std::string, Kind>{{"", Kind::kWaits},
                                      {"CONFIGURING", Kind::kWaits},
                                      {"PENDING", Kind::kWaits},
                                      {"REQUEUED", Kind::kWaits},
                                      {"REQUEUE_FED", Kind::kWaits},
                                      {"REQUEUE_HOLD", Kind::kWaits},
                                      {"RESV_DEL_HOLD", Kind::kWaits},
                                      {"SPECIAL_EXIT", Kind::kWaits},
                                      {"COMPLETING", Kind::kRuns},
                                      {"RESIZING", Kind::kRuns},
                                      {"RUNNING", Kind::kRuns},
                                      {"SIGNALING", Kind::kRuns},
                                      {"STAGE_OUT", Kind::kRuns},
                                      {"STOPPED", Kind::kRuns},
                                      {"SUSPENDED", Kind::kRuns},
                                      {"COMPLETED", Kind::kCompleted},
                                      {"CANCELLED", Kind::kCancelled}};
  const auto found = kinds->find(state);
  return found == kinds->end() ? Kind::kLost : found->second;
}

bool Ended(Kind kind) { return kind != Kind::kWaits && kind != Kind::kRuns; }

// Whether the program itself may be to blame.
bool ProgramEnded(const std::string& state) {
  return state == "FAILED" || state == "OUT_OF_MEMORY" || state == "TIMEOUT";
}

ClusterOptions HereOptions(ClusterOptions options) {
  // This machine may have no GPU; what a teacher here says of itself is the
  // same on any device.
  options.worker.device = "cpu";
  options.keep_store_port = true;
  return options;
}

}  // namespace

SlurmCluster::SlurmCluster(const SlurmClusterOptions& options,
                           std::unique_ptr<SlurmCommands> commands)
    : options_(options),
      here_(HereOptions(options.cluster)),
      commands_(std::move(commands)) {}

absl::StatusOr<std::unique_ptr<SlurmCluster>> SlurmCluster::Create(
    const SlurmClusterOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.slurm.Validate());
  KODISTIL_ASSIGN_OR_RETURN(
      auto commands,
      SlurmCommands::Find(JoinPath(options.cluster.work_dir, "slurm")));
  KODISTIL_RETURN_IF_ERROR(
      MakeDirectories(JoinPath(options.cluster.work_dir, "logs")));
  std::unique_ptr<SlurmCluster> cluster(
      new SlurmCluster(options, std::move(commands)));
  cluster->Load();
  return cluster;
}

SlurmCluster::~SlurmCluster() { StopAll(); }

std::string SlurmCluster::JobsPath() const {
  return JoinPath(options_.cluster.work_dir, "slurm/jobs");
}

absl::Status SlurmCluster::Save() const {
  std::string text;
  for (const auto* groups : {&groups_, &earlier_}) {
    for (const auto& [what, group] : *groups) {
      for (const Task& task : group.tasks) {
        absl::StrAppend(&text, what, " ", task.job, " ", task.index, "\n");
      }
    }
  }
  return WriteFileAtomically(JobsPath(), text);
}

void SlurmCluster::Load() {
  const auto text = ReadFile(JobsPath());
  if (!text.ok()) return;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    Task task;
    if (words.size() != 3 || !absl::SimpleAtoi(words[2], &task.index)) continue;
    task.job = words[1];
    Group& group = earlier_[words[0]];
    group.what = words[0];
    group.tasks.push_back(std::move(task));
  }
}

absl::StatusOr<bool> SlurmCluster::Adopt(const SlurmScript& script,
                                         Group* group) {
  const auto earlier = earlier_.find(script.what);
  if (earlier == earlier_.end()) return false;
  const auto text =
      ReadFile(SlurmScriptPath(options_.cluster.work_dir, script.what));
  std::set<std::string> jobs;
  for (const Task& task : earlier->second.tasks) jobs.insert(task.job);
  const std::string names = absl::StrJoin(jobs, ", ");
  if (text.ok() && *text == script.text) {
    *group = std::move(earlier->second);
    earlier_.erase(earlier);
    SayLine(absl::StrCat("slurm: ", script.what, " of an earlier coordinator",
                         " go on: job ", names));
    return true;
  }
  SayLine(absl::StrCat("slurm: ", script.what, " of an earlier coordinator",
                       " are cancelled, they were told other things: job ",
                       names));
  KODISTIL_RETURN_IF_ERROR(commands_->Cancel({jobs.begin(), jobs.end()}));
  earlier_.erase(earlier);
  return false;
}

absl::Status SlurmCluster::Start(const SlurmScript& script) {
  // What it will say knows nothing of these tasks.
  commands_->Forget();
  Group group;
  KODISTIL_ASSIGN_OR_RETURN(const bool adopted, Adopt(script, &group));
  if (!adopted) {
    const std::string path =
        SlurmScriptPath(options_.cluster.work_dir, script.what);
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, script.text));
    KODISTIL_ASSIGN_OR_RETURN(const std::string job,
                              commands_->Submit(path, {}));
    group.what = script.what;
    for (int i = 0; i < script.tasks; ++i) {
      Task task;
      task.index = i;
      task.job = job;
      group.tasks.push_back(std::move(task));
    }
    SayLine(absl::StrCat("slurm: job ", job, ": ", script.tasks, " ",
                         script.what, " (", path, ")"));
  }
  groups_[script.what] = std::move(group);
  Tell();
  return Save();
}

absl::StatusOr<std::vector<std::string>> SlurmCluster::StartTeachers(
    const TeacherSource& teacher, const std::string& store_address, int count) {
  KODISTIL_ASSIGN_OR_RETURN(const SlurmScript script,
                            TeachersScript(options_.cluster, options_.slurm,
                                           teacher, store_address, count));
  KODISTIL_RETURN_IF_ERROR(Start(script));
  return std::vector<std::string>();
}

absl::Status SlurmCluster::StartWorkers(int count) {
  KODISTIL_ASSIGN_OR_RETURN(
      const SlurmScript script,
      WorkersScript(options_.cluster, options_.slurm, count));
  return Start(script);
}

absl::Status SlurmCluster::Supervise(const Died& died) {
  KODISTIL_RETURN_IF_ERROR(here_.Supervise(died));
  const std::vector<std::string> jobs = Jobs("", /*earlier=*/false);
  if (jobs.empty()) return absl::OkStatus();
  if (!commands_->asking()) {
    if (absl::Now() < next_look_) return absl::OkStatus();
    return commands_->Ask(jobs);
  }
  const auto answer = commands_->Answer();
  if (!answer.has_value()) return absl::OkStatus();
  next_look_ = absl::Now() + options_.poll;
  if (!answer->ok()) {
    // Its controller may be away for a while, and the jobs go on without it.
    LOG(WARNING) << answer->status().message();
    return absl::OkStatus();
  }
  const absl::Status looked = Look(**answer, died);
  Tell();
  KODISTIL_RETURN_IF_ERROR(Save());
  return looked;
}

absl::Status SlurmCluster::Look(const std::vector<SlurmTask>& found,
                                const Died& died) {
  std::map<std::pair<std::string, int>, const SlurmTask*> by_id;
  for (const SlurmTask& task : found) by_id[{task.job, task.index}] = &task;
  for (auto& [what, group] : groups_) {
    std::vector<Task*> lost;
    for (Task& task : group.tasks) {
      if (task.lost) lost.push_back(&task);
      if (task.lost || task.over) continue;
      const auto known = by_id.find({task.job, task.index});
      SlurmTask seen;
      seen.state = kForgotten;
      if (known != by_id.end()) seen = *known->second;
      KODISTIL_RETURN_IF_ERROR(LookAt(group, seen, died, &task));
      if (task.lost) lost.push_back(&task);
    }
    if (!lost.empty()) Resubmit(&group, lost);
    KODISTIL_RETURN_IF_ERROR(CheckSomeLeft(group));
  }
  return absl::OkStatus();
}

absl::Status SlurmCluster::LookAt(const Group& group, const SlurmTask& found,
                                  const Died& died, Task* task) {
  const Kind before = KindOf(task->state);
  const Kind now = KindOf(found.state);
  task->state = found.state;
  task->reason = found.reason;
  const bool queued_again = before == Kind::kRuns && now == Kind::kWaits;
  if (!queued_again && !Ended(now)) return absl::OkStatus();
  const std::string name =
      SlurmWorkerName(task->job, absl::StrCat(task->index));
  Death death;
  death.reason = absl::StrCat(
      "task ", task->job, "_", task->index, " of the ", group.what,
      queued_again ? " was queued again" : " has ended", ": Slurm says ",
      found.state, found.reason.empty() ? "" : " ", found.reason);
  death.log_tail = TailOf(group, *task);
  death.counts = ProgramEnded(found.state);
  const bool blameless = died(name, death);
  if (!Ended(now)) return absl::OkStatus();
  // Those that are over were cancelled on purpose, or told by the coordinator
  // that all is done.
  task->lost = now == Kind::kLost;
  task->over = !task->lost;
  if (task->over) return absl::OkStatus();
  LOG(WARNING) << death.reason;
  task->ends = blameless ? 0 : task->ends + 1;
  if (task->ends >= options_.cluster.max_quick_deaths) {
    return absl::InternalError(absl::StrCat(
        death.reason, ", for the ", task->ends, "th time; the end of ",
        SlurmLogPath(options_.cluster.work_dir, group.what, task->job,
                     absl::StrCat(task->index)),
        ":\n", death.log_tail));
  }
  return absl::OkStatus();
}

absl::Status SlurmCluster::CheckSomeLeft(const Group& group) const {
  for (const Task& task : group.tasks) {
    if (!task.over) return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat(
      "slurm: all ", group.what, " have ended before the sweep has, the last ",
      group.tasks.back().state,
      ". What is done is kept; give the same command again to go on."));
}

void SlurmCluster::Resubmit(Group* group, const std::vector<Task*>& lost) {
  std::vector<int> indices;
  for (const Task* task : lost) indices.push_back(task->index);
  const auto job = commands_->Submit(
      SlurmScriptPath(options_.cluster.work_dir, group->what), indices);
  if (!job.ok()) {
    // Again after the next look.
    LOG(WARNING) << job.status().message();
    return;
  }
  for (Task* task : lost) {
    task->job = *job;
    task->state = "";
    task->reason = "";
    task->lost = false;
  }
  group->resubmitted += static_cast<int>(lost.size());
  SayLine(absl::StrCat("slurm: job ", *job, ": ", lost.size(), " of the ",
                       group->what, " again (", absl::StrJoin(indices, ","),
                       ")"));
}

void SlurmCluster::Tell() {
  std::vector<v1::JobStatus> statuses;
  for (const auto& [what, group] : groups_) {
    v1::JobStatus status;
    status.set_what(what);
    status.set_jobs(absl::StrJoin(Jobs(what, /*earlier=*/false), ","));
    status.set_resubmitted(group.resubmitted);
    for (const Task& task : group.tasks) {
      const Kind kind = KindOf(task.state);
      if (kind == Kind::kWaits) {
        status.set_waiting(status.waiting() + 1);
        if (task.reason != "None") status.set_reason(task.reason);
      } else if (kind == Kind::kRuns) {
        status.set_running(status.running() + 1);
      } else {
        status.set_ended(status.ended() + 1);
      }
    }
    statuses.push_back(std::move(status));
  }
  const std::string text = absl::StrJoin(JobLines(statuses), "\n");
  if (text == told_) return;
  told_ = text;
  SayLine(text);
  options_.changed(statuses);
}

std::vector<std::string> SlurmCluster::Jobs(absl::string_view what,
                                            bool earlier) const {
  std::set<std::string> jobs;
  for (const auto* groups : {&groups_, earlier ? &earlier_ : &groups_}) {
    for (const auto& [name, group] : *groups) {
      if (!what.empty() && what != name) continue;
      for (const Task& task : group.tasks) jobs.insert(task.job);
    }
  }
  return {jobs.begin(), jobs.end()};
}

std::string SlurmCluster::TailOf(const Group& group, const Task& task) const {
  return LogTail(SlurmLogPath(options_.cluster.work_dir, group.what, task.job,
                              absl::StrCat(task.index)),
                 kLogTailLines);
}

std::string SlurmCluster::LogTailOf(const std::string& name) const {
  for (const auto& [what, group] : groups_) {
    for (const Task& task : group.tasks) {
      if (name == SlurmWorkerName(task.job, absl::StrCat(task.index))) {
        return TailOf(group, task);
      }
    }
  }
  return here_.LogTailOf(name);
}

void SlurmCluster::Cancel(const std::vector<std::string>& jobs) {
  const absl::Status status = commands_->Cancel(jobs);
  if (status.ok()) return;
  SayLine(absl::StrCat("error: ", status.message(), "; cancel them with ",
                       "`scancel ", absl::StrJoin(jobs, " "), "`"),
          Severity::kError);
}

void SlurmCluster::Drop(const std::string& what) {
  groups_.erase(what);
  earlier_.erase(what);
  commands_->Forget();
  Tell();
  const absl::Status saved = Save();
  LOG_IF(ERROR, !saved.ok()) << saved;
}

void SlurmCluster::StopTeachers() {
  here_.StopTeachers();
  const std::vector<std::string> jobs = Jobs(kTeachers, /*earlier=*/true);
  if (jobs.empty()) return;
  Cancel(jobs);
  Drop(kTeachers);
}

void SlurmCluster::WaitUntilOver(const std::vector<std::string>& jobs) {
  const absl::Time end = absl::Now() + options_.stop_limit;
  while (absl::Now() < end && commands_->Ask(jobs).ok()) {
    absl::optional<absl::StatusOr<std::vector<SlurmTask>>> answer;
    while (absl::Now() < end && !(answer = commands_->Answer()).has_value()) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    if (!answer.has_value() || !answer->ok()) break;
    const auto& tasks = **answer;
    if (std::all_of(tasks.begin(), tasks.end(), [](const SlurmTask& task) {
          return Ended(KindOf(task.state));
        })) {
      return;
    }
    absl::SleepFor(kEndPoll);
  }
  LOG(WARNING) << "jobs " << absl::StrJoin(jobs, ", ")
               << " are cancelled but have not ended yet";
}

void SlurmCluster::StopAll() {
  const std::vector<std::string> jobs = Jobs("", /*earlier=*/true);
  if (!jobs.empty()) {
    Cancel(jobs);
    // They give back what they have, for which the coordinator is still there.
    WaitUntilOver(jobs);
    groups_.clear();
    earlier_.clear();
    const absl::Status saved = Save();
    LOG_IF(ERROR, !saved.ok()) << saved;
    options_.changed({});
  }
  here_.StopAll();
}

}  // namespace kodistil
