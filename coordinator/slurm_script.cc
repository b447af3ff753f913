#include "coordinator/slurm_script.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "deploy/slurm_task.h"

namespace kodistil {
namespace {

constexpr char kWorkers[] = "workers";
constexpr char kTeachers[] = "teachers";

absl::Status CheckArgs(absl::string_view flag, const std::string& args) {
  if (args.empty()) return absl::OkStatus();
  if (args[0] != '-' || absl::StrContains(args, '\n')) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": found '", args,
                     "', expected options of sbatch on one line, such as "
                     "--partition=cpu --time=8:00:00"));
  }
  return absl::OkStatus();
}

// One word for the shell, whatever it holds.
std::string Quoted(absl::string_view word) {
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", R"('\'')"}}), "'");
}

// What Slurm is to know, and how a task goes about it.
std::string Head(const ClusterOptions& cluster, const SlurmScript& script,
                 const std::vector<std::string>& further) {
  std::vector<std::string> options = {
      absl::StrCat("--job-name=kodistil-", script.what),
      absl::StrCat("--array=0-", script.tasks - 1),
      absl::StrCat("--output=\"",
                   SlurmLogPath(cluster.work_dir, script.what, "%A", "%a"),
                   "\""),
      "--open-mode=append", "--requeue",
      // So that a worker has time to keep and give back what it has.
      "--signal=B:USR1@120"};
  for (const std::string& more : further) {
    if (!more.empty()) options.push_back(more);
  }
  return absl::StrCat("#!/usr/bin/env bash\n#SBATCH ",
                      absl::StrJoin(options, "\n#SBATCH "),
                      "\nset -uo pipefail\n\n", kSlurmTaskScript, "\n");
}

// `for_shell`: what the shell of the node makes words of.
std::string RunLine(const std::string& program,
                    const std::vector<std::string>& args,
                    const std::vector<std::string>& for_shell) {
  std::string line = absl::StrCat("run_task ", Quoted(program));
  for (const std::string& arg : args) {
    absl::StrAppend(&line, " \\\n  ", Quoted(arg));
  }
  for (const std::string& arg : for_shell) {
    absl::StrAppend(&line, " \\\n  ", arg);
  }
  return absl::StrCat(line, "\n");
}

void Append(std::vector<std::string> more, std::vector<std::string>* args) {
  for (std::string& arg : more) args->push_back(std::move(arg));
}

std::string CoordinatorAddress(const ClusterOptions& cluster) {
  // Nobody knows the port of a coordinator that has not been started.
  return absl::StrCat(cluster.advertised_host, ":",
                      cluster.coordinator_port == 0
                          ? "PORT"
                          : absl::StrCat(cluster.coordinator_port));
}

}  // namespace

absl::Status SlurmOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(CheckArgs("sbatch_args", sbatch_args));
  return CheckArgs("teacher_sbatch_args", teacher_sbatch_args);
}

absl::StatusOr<SlurmScript> WorkersScript(const ClusterOptions& cluster,
                                          const SlurmOptions& slurm,
                                          int count) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string program,
                            FindPart("student_trainer/student_trainer"));
  SlurmScript script = {kWorkers, count, ""};
  const std::string threads = absl::StrCat(cluster.worker.threads);
  const bool gpu = absl::StartsWith(cluster.worker.device, "cuda");
  std::vector<std::string> args =
      WorkerArgs(cluster.worker, CoordinatorAddress(cluster));
  Append(AccessArgs(cluster.access, /*server=*/false), &args);
  std::string variables;
  for (const std::string& name : ThreadVariables()) {
    absl::StrAppend(&variables, "export ", name, "=", threads, "\n");
  }
  script.text = absl::StrCat(
      Head(cluster, script,
           {absl::StrCat("--cpus-per-task=", threads),
            gpu ? "--gres=gpu:1" : "", slurm.sbatch_args}),
      variables,
      RunLine(program, args,
              {R"sh(--cache_dir="$(node_cache_dir)")sh",
               absl::StrCat("--name=\"",
                            SlurmWorkerName("${SLURM_ARRAY_JOB_ID}",
                                            "${SLURM_ARRAY_TASK_ID}"),
                            "\"")}));
  return script;
}

absl::StatusOr<SlurmScript> TeachersScript(const ClusterOptions& cluster,
                                           const SlurmOptions& slurm,
                                           const TeacherSource& teacher,
                                           const std::string& store_address,
                                           int count) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string program,
                            FindPart("teacher_service/teacher_service"));
  SlurmScript script = {kTeachers, count, ""};
  std::vector<std::string> args =
      TeacherArgs(teacher, store_address, cluster.worker.device);
  args.push_back(absl::StrCat("--coordinator=", CoordinatorAddress(cluster)));
  args.push_back("--port=0");
  Append(AccessArgs(cluster.access, /*server=*/true), &args);
  // The CPUs that the task was given, not all of the node.
  std::vector<std::string> for_shell = {
      R"sh(--threads="${SLURM_CPUS_ON_NODE:-0}")sh"};
  if (IsLoopback(cluster.advertised_host)) {
    // All nodes are this machine.
    args.push_back(absl::StrCat("--host=", cluster.advertised_host));
  } else {
    args.push_back("--host=0.0.0.0");
    for_shell.push_back(R"sh(--advertise="$(hostname -f)")sh");
  }
  script.text =
      absl::StrCat(Head(cluster, script,
                        {cluster.worker.device == "cpu" ? "" : "--gres=gpu:1",
                         slurm.sbatch_args, slurm.teacher_sbatch_args}),
                   RunLine(program, args, for_shell));
  return script;
}

std::string SlurmWorkerName(const std::string& job, const std::string& task) {
  return absl::StrCat("slurm/", job, "_", task);
}

std::string SlurmLogPath(const std::string& work_dir, const std::string& what,
                         const std::string& job, const std::string& task) {
  return JoinPath(
      work_dir, absl::StrCat("logs/slurm-", what, "-", job, "_", task, ".log"));
}

std::string SlurmScriptPath(const std::string& work_dir,
                            const std::string& what) {
  return JoinPath(work_dir, absl::StrCat("slurm/", what, ".sbatch"));
}

}  // namespace kodistil
