#include "base/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/command_line.h"

namespace kodistil {
namespace {

// Numbers of fields of /proc/self/stat as in proc(5), which counts from 1.
constexpr int kThreads = 20;
constexpr int kStartTicks = 22;
constexpr int kVirtualBytes = 23;
constexpr int kResidentPages = 24;

std::string ReadProcFile(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A field of /proc/self/stat behind the second one, the program's name, which
// may hold anything; -1 where it cannot be read.
double StatField(int number) {
  const std::string stat = ReadProcFile("/proc/self/stat");
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return -1;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 2), ' ');
  double value = 0;
  const size_t at = number - 3;
  if (at >= fields.size() || !absl::SimpleAtod(fields[at], &value)) return -1;
  return value;
}

// When the machine started, in seconds since 1970; -1 where unknown.
double BootTime() {
  for (const absl::string_view line :
       absl::StrSplit(ReadProcFile("/proc/stat"), '\n')) {
    double seconds = 0;
    if (absl::StartsWith(line, "btime ") &&
        absl::SimpleAtod(absl::StripPrefix(line, "btime "), &seconds)) {
      return seconds;
    }
  }
  return -1;
}

double StartTime() {
  const double ticks = StatField(kStartTicks);
  const double boot = BootTime();
  return ticks < 0 || boot < 0 ? -1 : boot + ticks / sysconf(_SC_CLK_TCK);
}

// Finer than the ticks of /proc.
double CpuSeconds() {
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return -1;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double OpenFiles() {
  std::error_code error;
  double files = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end;
       !error && it != end; it.increment(error)) {
    ++files;
  }
  // The folder's own descriptor is not counted.
  return error ? -1 : files - 1;
}

double MaxFiles() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

std::vector<MetricRegistry::Registration> AddProcessMetrics(
    MetricRegistry* registry) {
  std::vector<MetricRegistry::Registration> registrations;
  const auto add = [&](absl::string_view name, absl::string_view help,
                       std::function<double()> read) {
    registrations.push_back(registry->AddCallback(
        {std::string(name), std::string(help)},
        [read = std::move(read)]() -> std::vector<MetricSample> {
          const double value = read();
          if (value < 0) return {};
          return {{{}, value}};
        }));
  };
  add("process_cpu_seconds_total", "User and system CPU time", CpuSeconds);
  add("process_start_time_seconds", "Start of the process since 1970",
      StartTime);
  add("process_resident_memory_bytes", "Resident memory",
      [] { return StatField(kResidentPages) * sysconf(_SC_PAGESIZE); });
  add("process_virtual_memory_bytes", "Virtual memory",
      [] { return StatField(kVirtualBytes); });
  add("process_open_fds", "Open file descriptors", OpenFiles);
  add("process_max_fds", "Most file descriptors that may be open", MaxFiles);
  add("process_threads", "Threads", [] { return StatField(kThreads); });
  registrations.push_back(registry->AddCallback(
      {"kodistil_build_info",
       "Always 1; its label says what runs",
       {"version"}},
      []() -> std::vector<MetricSample> {
        return {{{std::string(absl::StripPrefix(VersionString(), "kodistil "))},
                 1}};
      }));
  return registrations;
}

}  // namespace kodistil
