#include "student_trainer/latency.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "student_trainer/inference_kernel.h"

namespace kodistil {
namespace {

constexpr size_t kWarmUpRows = 20;

// The value below which `share` of the sorted values lie.
double Quantile(const std::vector<double>& sorted, double share) {
  const size_t rank = static_cast<size_t>(share * sorted.size());
  return sorted[std::min(rank, sorted.size() - 1)];
}

std::string ReadCpuInfo() {
  // Its size is not known before it is read.
  std::ifstream file("/proc/cpuinfo");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::string ProcessorName(absl::string_view cpuinfo) {
  for (const absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    if (!absl::StartsWith(line, "model name")) continue;
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(field.second);
    if (!name.empty()) return std::string(name);
  }
  return "unknown";
}

absl::StatusOr<v1::RowLatency> MeasureLatency(
    const StudentShape& shape, const StudentWeights& weights,
    const std::vector<std::vector<int32_t>>& rows) {
  if (rows.empty()) {
    return absl::InvalidArgumentError(
        "latency: found no rows to measure, expected one or more");
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<InferenceKernel> kernel,
      InferenceKernel::Create(shape, weights, InferencePrecision::kFp32));
  InferenceScratch scratch;
  std::vector<float> logits(shape.num_classes);
  const auto run = [&](const std::vector<int32_t>& row) {
    const auto start = std::chrono::steady_clock::now();
    kernel->Run(row, &scratch, absl::MakeSpan(logits));
    const std::chrono::duration<double> taken =
        std::chrono::steady_clock::now() - start;
    return taken.count();
  };
  for (size_t i = 0; i < std::min(rows.size(), kWarmUpRows); ++i) run(rows[i]);
  std::vector<double> times;
  double tokens = 0;
  for (const std::vector<int32_t>& row : rows) {
    times.push_back(run(row));
    tokens += row.size();
  }
  std::sort(times.begin(), times.end());
  v1::RowLatency latency;
  latency.set_p50_seconds(Quantile(times, 0.5));
  latency.set_p99_seconds(Quantile(times, 0.99));
  latency.set_rows(rows.size());
  latency.set_mean_tokens(tokens / rows.size());
  latency.set_processor(ProcessorName(ReadCpuInfo()));
  return latency;
}

}  // namespace kodistil
