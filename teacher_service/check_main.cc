// Compares a teacher with logits computed elsewhere.

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "teacher_service/check.h"
#include "teacher_service/gradient_check.h"
#include "teacher_service/network_loader.h"
#include "teacher_service/transformer_network.h"

ABSL_FLAG(std::string, model, kodistil::TeacherModelOptions().model_dir,
          "Folder with config.json and model.safetensors, or a TorchScript "
          "file.");
ABSL_FLAG(std::string, cases, "",
          "JSON array of cases: name, input_ids, attention_mask, "
          "token_type_ids, logits; ids and logits as lists of rows. With "
          "grad_l2 also labels and loss. Default: cases.json beside the "
          "model.");
ABSL_FLAG(
    double, tolerance, 1e-4,
    "Largest absolute difference of a logit, and of a loss, that passes.");
ABSL_FLAG(double, gradient_tolerance, kodistil::GradientTolerance().relative,
          "Largest relative difference of a gradient's norm that passes, "
          "beside 1e-5 absolute.");
ABSL_FLAG(std::string, device, kodistil::TeacherModelOptions().device,
          "auto, cpu or cuda:N.");
ABSL_FLAG(int, threads, kodistil::TeacherModelOptions().threads,
          "Threads of a forward pass; 0 for one per core.");
ABSL_FLAG(bool, allow_torchscript,
          kodistil::TeacherModelOptions().allow_torchscript,
          "Run a TorchScript file, which is code.");

namespace kodistil {
namespace {

// Of the cases that have them. TorchScript has no parameters by name.
absl::StatusOr<bool> RunGradients(const std::vector<CheckCase>& cases,
                                  const TeacherModelOptions& options) {
  bool any = false;
  for (const CheckCase& one : cases) any = any || !one.gradient_norms.empty();
  if (!any || !TorchScriptPath(options.model_dir).empty()) return true;
  TrainingOptions training;
  training.device = options.device;
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<TransformerNetwork> network,
      LoadTransformerForTraining(options.model_dir, training));
  GradientTolerance tolerance;
  tolerance.relative = absl::GetFlag(FLAGS_gradient_tolerance);
  tolerance.loss = absl::GetFlag(FLAGS_tolerance);
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<GradientReport> reports,
                            CheckGradients(cases, tolerance, network.get()));
  std::cout << FormatGradients(reports);
  return GradientsPass(reports);
}

absl::Status Run() {
  TeacherModelOptions options;
  options.model_dir = absl::GetFlag(FLAGS_model);
  options.device = absl::GetFlag(FLAGS_device);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.allow_torchscript = absl::GetFlag(FLAGS_allow_torchscript);
  std::string path = absl::GetFlag(FLAGS_cases);
  const double tolerance = absl::GetFlag(FLAGS_tolerance);
  if (options.model_dir.empty()) {
    return absl::InvalidArgumentError("expected --model=DIR");
  }
  if (path.empty()) path = JoinPath(options.model_dir, "cases.json");
  if (!(tolerance >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tolerance is ", tolerance, ", expected 0 or more"));
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<CheckCase> cases,
                            ParseCheckCases(json, path));
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<TokenNetwork> network,
                            LoadTokenNetwork(options));
  KODISTIL_ASSIGN_OR_RETURN(const CheckReport report,
                            CheckNetwork(cases, network.get()));
  std::cout << FormatReport(report, tolerance);
  KODISTIL_ASSIGN_OR_RETURN(const bool gradients_pass,
                            RunGradients(cases, options));
  if (!gradients_pass) {
    return absl::DataLossError(
        absl::StrCat(options.model_dir, ": gradients or the loss differ"));
  }
  if (report.largest <= tolerance) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      options.model_dir, ": logits differ by more than ", tolerance));
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ProgramInfo info;
  info.command = "bazel run //teacher_service:check --";
  info.description =
      "Runs every row of a file of cases through a teacher (in its batch, "
      "alone, and beside a longer row) and prints the largest difference from "
      "the file's logits, and from its gradients where it has some. Ends with "
      "1 above the tolerance.";
  info.examples = {
      "bazel run //teacher_service:check -- --model=models/koelectra",
      "bazel run //teacher_service:check -- --model=models/model.pt "
      "--allow_torchscript --cases=cases.json --tolerance=1e-3"};
  kodistil::ParseCommandLine(argc, argv, info);
  return kodistil::ExitCodeOf(kodistil::Run());
}
