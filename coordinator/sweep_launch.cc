#include "coordinator/sweep_launch.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "coordinator/grid.h"
#include "coordinator/local_cluster.h"
#include "coordinator/slurm_cluster.h"
#include "coordinator/teacher_axis.h"
#include "coordinator/teacher_stage.h"
#include "corpus/dataset_reader.h"

namespace kodistil {
namespace {

bool OnSlurm(const SweepOptions& options) {
  return options.launch == kLaunchSlurm || options.launch == kLaunchPrint;
}

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

SlurmOptions SlurmOptionsOf(const SweepOptions& options) {
  SlurmOptions slurm;
  slurm.sbatch_args = options.sbatch_args;
  slurm.teacher_sbatch_args = options.teacher_sbatch_args;
  return slurm;
}

ClusterOptions ClusterOptionsOf(const SweepOptions& options, int port) {
  ClusterOptions cluster;
  cluster.work_dir = options.work_dir;
  cluster.host = options.ListenAddress()->first;
  cluster.advertised_host =
      options.advertise.empty() ? cluster.host : options.advertise;
  cluster.coordinator_port = port;
  cluster.worker.threads = options.threads;
  cluster.worker.pack = options.pack;
  cluster.worker.device = options.device;
  cluster.worker.hang_timeout = options.hang_timeout;
  cluster.access = options.access;
  return cluster;
}

void Print(const std::string& work_dir, const SlurmScript& script) {
  const std::string path = SlurmScriptPath(work_dir, script.what);
  std::printf("# sbatch --parsable %s\n# %s:\n%s\n", path.c_str(), path.c_str(),
              script.text.c_str());
}

absl::Status PrintTeachers(const SweepOptions& options,
                           const ClusterOptions& cluster,
                           const Dataset& dataset,
                           const std::vector<std::string>& sources) {
  const std::string store =
      options.logit_store.empty()
          ? absl::StrCat(cluster.advertised_host, ":STORE_PORT")
          : options.logit_store;
  TeacherStage::Context context;
  context.options = &options;
  context.dataset = &dataset;
  for (const std::string& source : sources) {
    KODISTIL_ASSIGN_OR_RETURN(
        const SlurmScript script,
        TeachersScript(cluster, SlurmOptionsOf(options),
                       TeacherStage(context, source).Source(), store,
                       options.teacher_workers));
    Print(cluster.work_dir, script);
  }
  return absl::OkStatus();
}

}  // namespace

void ResolveLaunch(SweepOptions* options) {
  if (!OnSlurm(*options)) return;
  if (options->listen.empty()) options->listen = "0.0.0.0:0";
  const auto listen = options->ListenAddress();
  if (listen.ok() && options->advertise.empty() &&
      (listen->first == "0.0.0.0" || listen->first == "[::]")) {
    options->advertise = HostName();
  }
}

absl::Status CheckLaunch(const SweepOptions& options) {
  if (!OnSlurm(options)) {
    if (options.launch != kLaunchLocal) {
      return absl::InvalidArgumentError(
          absl::StrCat("--launch: found '", options.launch,
                       "', expected local, slurm or print"));
    }
    for (const auto& [flag, value] :
         {std::make_pair("sbatch_args", &options.sbatch_args),
          std::make_pair("teacher_sbatch_args",
                         &options.teacher_sbatch_args)}) {
      if (value->empty()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, "=", *value, " needs --launch=slurm"));
    }
    return absl::OkStatus();
  }
  if (options.workers < 0) {
    return absl::InvalidArgumentError(
        "--launch=slurm needs --workers=N, the tasks of the workers' job");
  }
  KODISTIL_RETURN_IF_ERROR(SlurmOptionsOf(options).Validate());
  KODISTIL_ASSIGN_OR_RETURN(const auto listen, options.ListenAddress());
  return options.access.CheckListen(listen.first);
}

std::vector<int> PortsToTry(const SweepOptions& options, int port,
                            const std::string& port_file) {
  int earlier = 0;
  const auto text = ReadFile(port_file);
  if (port != 0 || !OnSlurm(options) || !text.ok() ||
      !absl::SimpleAtoi(*text, &earlier)) {
    return {port};
  }
  return {earlier, port};
}

absl::StatusOr<std::unique_ptr<Cluster>> MakeCluster(
    const SweepOptions& options, int coordinator_port, StatusBoard* board) {
  const ClusterOptions cluster = ClusterOptionsOf(options, coordinator_port);
  if (!OnSlurm(options)) return std::make_unique<LocalCluster>(cluster);
  SlurmClusterOptions slurm;
  slurm.cluster = cluster;
  slurm.slurm = SlurmOptionsOf(options);
  slurm.changed = [board](const std::vector<v1::JobStatus>& jobs) {
    board->SetJobs(jobs);
  };
  return SlurmCluster::Create(slurm);
}

absl::Status PrintLaunch(const SweepOptions& given) {
  SweepOptions options = given;
  ResolveLaunch(&options);
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const v1::SweepSpec spec,
                            ResolveSpec(options.spec));
  KODISTIL_ASSIGN_OR_RETURN(const auto listen, options.ListenAddress());
  options.work_dir = std::filesystem::weakly_canonical(
                         std::filesystem::absolute(options.work_dir))
                         .string();
  const ClusterOptions cluster = ClusterOptionsOf(options, listen.second);
  std::vector<std::string> teachers = {""};
  if ((options.label_only || Distils(spec)) && options.teachers.empty()) {
    ReadReport report;
    KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                              ReadDataset(options.dataset, &report));
    KODISTIL_ASSIGN_OR_RETURN(
        const TeacherAxis axis,
        MakeTeacherAxis(options.teacher_path, options.teacher));
    KODISTIL_RETURN_IF_ERROR(
        PrintTeachers(options, cluster, dataset, axis.sources));
    teachers.clear();
    for (const TeacherValue& value : axis.values) {
      teachers.push_back(value.name);
    }
  }
  const int workers = std::min<int>(
      options.workers, static_cast<int>(ExpandGrid(spec, teachers).size()));
  if (options.label_only || workers == 0) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(
      const SlurmScript script,
      WorkersScript(cluster, SlurmOptionsOf(options), workers));
  Print(cluster.work_dir, script);
  return absl::OkStatus();
}

}  // namespace kodistil
