#include "tests/slurm/slurm_testbed.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr int kLogLines = 20;

// Short times: a node counts as lost after SlurmdTimeout, a requeued task may
// start again after cred_expire and a bit, and what is cancelled has KillWait
// to end. A node has room for one task.
constexpr char kConfiguration[] = R"(ClusterName=kodistil
SlurmctldHost=@HOST@(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=@FOLDER@/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SlurmdTimeout=6
MinJobAge=60
PropagateResourceLimits=NONE
MailProg=/bin/true
SlurmctldPort=@PORT0@
StateSaveLocation=@FOLDER@/state
SlurmctldPidFile=@FOLDER@/ctld.pid
SlurmdSpoolDir=@FOLDER@/spool.%n
SlurmdPidFile=@FOLDER@/slurmd.%n.pid
NodeName=n1 NodeHostname=@HOST@ NodeAddr=127.0.0.1 Port=@PORT1@ CPUs=1 RealMemory=1000
NodeName=n2 NodeHostname=@HOST@ NodeAddr=127.0.0.1 Port=@PORT2@ CPUs=1 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
)";

std::string Program(const std::string& name) {
  for (const char* folder : {"/usr/sbin", "/usr/bin", "/usr/local/bin"}) {
    const std::string path = JoinPath(folder, name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

absl::Status CheckInstalled() {
  for (const char* name : {"munged", "slurmctld", "slurmd", "sbatch", "squeue",
                           "scancel", "scontrol", "sinfo"}) {
    if (!Program(name).empty()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("found no ", name,
                     ", which this test needs; install it "
                     "with `deploy/install.sh --with=slurm`"));
  }
  if (geteuid() == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("runs as the user ", geteuid(),
                   ", but slurmd needs root, "
                   "as which .ci/run runs this test"));
}

// Free at the same time, so that all differ.
std::vector<int> FreePorts(int count) {
  std::vector<int> sockets;
  std::vector<int> ports;
  for (int i = 0; i < count; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    sockets.push_back(fd);
    ports.push_back(ntohs(address.sin_port));
  }
  for (const int fd : sockets) close(fd);
  return ports;
}

std::string ShortHostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return std::string(name).substr(0, std::string(name).find('.'));
}

// Of a file in /proc, which has no size.
std::string ReadProc(int pid, const std::string& name) {
  std::FILE* const file =
      std::fopen(absl::StrCat("/proc/", pid, "/", name).c_str(), "r");
  if (file == nullptr) return "";
  std::string text;
  char buffer[4096];
  size_t size = 0;
  while ((size = std::fread(buffer, 1, sizeof(buffer), file)) > 0) {
    text.append(buffer, size);
  }
  std::fclose(file);
  return text;
}

bool HasVariable(int pid, const std::string& name, const std::string& value) {
  const std::string environment = ReadProc(pid, "environ");
  const std::string variable = absl::StrCat(name, "=", value);
  for (const absl::string_view entry : absl::StrSplit(environment, '\0')) {
    if (entry == variable) return true;
  }
  return false;
}

int ParentOf(int pid) {
  const std::string stat = ReadProc(pid, "stat");
  const size_t name_end = stat.rfind(')');
  int parent = 0;
  if (name_end != std::string::npos) {
    std::sscanf(stat.c_str() + name_end, ") %*c %d", &parent);
  }
  return parent;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SlurmTestbed>> SlurmTestbed::Start() {
  KODISTIL_RETURN_IF_ERROR(CheckInstalled());
  // Not under TEST_TMPDIR: the paths of sockets have at most 107 characters.
  std::string folder = "/tmp/kodistil-slurm-XXXXXX";
  if (mkdtemp(&folder[0]) == nullptr) {
    return absl::InternalError(absl::StrCat("cannot make a folder ", folder));
  }
  chmod(folder.c_str(), 0755);  // as munged wants it around its socket
  std::unique_ptr<SlurmTestbed> bed(new SlurmTestbed(folder));
  KODISTIL_RETURN_IF_ERROR(bed->StartDaemons());
  KODISTIL_RETURN_IF_ERROR(bed->WaitUntilIdle());
  return bed;
}

SlurmTestbed::~SlurmTestbed() {
  Stop();
  RemoveAll(folder_).IgnoreError();
}

std::string SlurmTestbed::In(const std::string& name) const {
  return JoinPath(folder_, name);
}

std::map<std::string, std::string> SlurmTestbed::Environment() const {
  return {{"SLURM_CONF", In("slurm.conf")}};
}

absl::Status SlurmTestbed::StartDaemon(const std::string& name,
                                       const std::string& binary,
                                       const std::vector<std::string>& args) {
  ProcessOptions options;
  options.name = name;
  options.binary = Program(binary);
  options.args = args;
  options.log_path = In(absl::StrCat(name, ".log"));
  options.environment = Environment();
  KODISTIL_ASSIGN_OR_RETURN(daemons_[name], Process::Start(options));
  return absl::OkStatus();
}

absl::Status SlurmTestbed::StartDaemons() {
  const std::vector<int> ports = FreePorts(3);
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(In("state")));
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(
      In("slurm.conf"),
      absl::StrReplaceAll(kConfiguration,
                          {{"@FOLDER@", folder_},
                           {"@HOST@", ShortHostName()},
                           {"@PORT0@", absl::StrCat(ports[0])},
                           {"@PORT1@", absl::StrCat(ports[1])},
                           {"@PORT2@", absl::StrCat(ports[2])}})));
  // Nobody is to be kept out of a Slurm that lives for two minutes.
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(In("munge.key"), std::string(64, 'k')));
  chmod(In("munge.key").c_str(), 0400);
  KODISTIL_RETURN_IF_ERROR(
      StartDaemon("munged", "munged",
                  {"--foreground", absl::StrCat("--key-file=", In("munge.key")),
                   absl::StrCat("--socket=", In("munge.socket")),
                   absl::StrCat("--pid-file=", In("munge.pid")),
                   absl::StrCat("--log-file=", In("munge.log")),
                   absl::StrCat("--seed-file=", In("munge.seed"))}));
  if (!PollUntil(absl::Seconds(20), [this] {
        return access(In("munge.socket").c_str(), F_OK) == 0;
      })) {
    return absl::DeadlineExceededError(
        absl::StrCat("munged does not listen:\n", Logs()));
  }
  const std::string configuration = In("slurm.conf");
  KODISTIL_RETURN_IF_ERROR(
      StartDaemon("slurmctld", "slurmctld", {"-D", "-c", "-f", configuration}));
  for (const char* node : {"n1", "n2"}) {
    KODISTIL_RETURN_IF_ERROR(
        StartDaemon(node, "slurmd", {"-D", "-N", node, "-f", configuration}));
  }
  return absl::OkStatus();
}

absl::Status SlurmTestbed::WaitUntilIdle() {
  if (PollUntil(absl::Seconds(30), [this] {
        const auto states = Run("sinfo", {"-h", "-N", "-o", "%N %T"});
        return states.ok() && *states == "n1 idle\nn2 idle\n";
      })) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the nodes do not become idle:\n", Logs()));
}

absl::StatusOr<std::string> SlurmTestbed::Run(
    const std::string& command, const std::vector<std::string>& args) {
  ProcessOptions options;
  options.name = command;
  options.binary = Program(command);
  options.args = args;
  options.log_path = In("commands.log");
  options.output_path = In("command.out");
  options.environment = Environment();
  KODISTIL_ASSIGN_OR_RETURN(const auto process, Process::Start(options));
  process->Wait();
  if (process->exit_code() != 0) {
    return absl::InternalError(absl::StrCat(
        command, " ", process->ExitText(), ": ", LogTail(options.log_path, 1)));
  }
  return ReadFile(options.output_path);
}

std::vector<SlurmTask> SlurmTestbed::Tasks() {
  const auto output =
      Run("squeue", {"-h", "-r", "-t", "all", "-o", "%i|%T|%N|%r"});
  return output.ok() ? ParseSqueue(*output) : std::vector<SlurmTask>();
}

std::vector<int> SlurmTestbed::Processes() const {
  std::vector<int> found;
  const auto names = ListDirectory("/proc");
  for (const std::string& name : *names) {
    int pid = 0;
    if (absl::SimpleAtoi(name, &pid) && pid != getpid() &&
        HasVariable(pid, "SLURM_CONF", In("slurm.conf"))) {
      found.push_back(pid);
    }
  }
  return found;
}

int SlurmTestbed::KillNode(const std::string& node) {
  daemons_.at(node)->Signal(SIGKILL);
  std::vector<int> gone;
  for (const int pid : Processes()) {
    if (!HasVariable(pid, "SLURMD_NODENAME", node)) continue;
    // The job's keeper does not know its node; what it keeps does. It goes
    // first, so that it tells nobody.
    const int parent = ParentOf(pid);
    if (absl::StartsWith(ReadProc(parent, "cmdline"), "slurmstepd")) {
      kill(parent, SIGKILL);
    }
    gone.push_back(pid);
  }
  for (const int pid : gone) kill(pid, SIGKILL);
  daemons_.at(node)->Wait();
  return static_cast<int>(gone.size());
}

void SlurmTestbed::Stop() {
  // Those that would start others first.
  daemons_.clear();
  PollUntil(absl::Seconds(10), [this] {
    const std::vector<int> left = Processes();
    for (const int pid : left) kill(pid, SIGKILL);
    return left.empty();
  });
}

std::string SlurmTestbed::Logs() const {
  std::string text;
  for (const auto& [name, process] : daemons_) {
    absl::StrAppend(&text, name, ":\n",
                    LogTail(process->options().log_path, kLogLines), "\n");
  }
  return text;
}

}  // namespace kodistil
