#include "teacher_service/finetune_state.h"

#include <ATen/ATen.h>

#include <cstring>
#include <deque>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/files.h"
#include "base/format_version.h"
#include "base/safetensors.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr int kVersion = 1;
constexpr char kFormat[] = "kodistil finetune state";

// Views of `tensors` by prefixed name; `held` keeps what they point to.
void AddViews(const NamedTensors& tensors, const std::string& prefix,
              std::deque<at::Tensor>* held,
              std::map<std::string, TensorView>* views) {
  for (const auto& [name, tensor] : tensors) {
    held->push_back(tensor.detach().to(at::kCPU, at::kFloat).contiguous());
    const at::Tensor& plain = held->back();
    TensorView view;
    view.dtype = "F32";
    view.shape = plain.sizes().vec();
    view.bytes = {static_cast<const char*>(plain.data_ptr()), plain.nbytes()};
    (*views)[prefix + name] = view;
  }
}

at::Tensor ToTensor(const TensorView& view) {
  at::Tensor result = at::empty(view.shape, at::kFloat);
  std::memcpy(result.data_ptr(), view.bytes.data(), view.bytes.size());
  return result;
}

// Reads numbers of the metadata and keeps the first fault.
class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& values,
           const std::string& path)
      : values_(values), path_(path) {}

  std::string Text(const std::string& name) {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    Fail(name, "nothing");
    return "";
  }
  void Whole(const std::string& name, int64_t* result) {
    const std::string text = Text(name);
    if (!absl::SimpleAtoi(text, result)) Fail(name, text);
  }
  void Real(const std::string& name, double* result) {
    const std::string text = Text(name);
    if (!absl::SimpleAtod(text, result)) Fail(name, text);
  }
  const absl::Status& status() const { return status_; }

 private:
  void Fail(const std::string& name, const std::string& found) {
    if (!status_.ok()) return;
    status_ = absl::DataLossError(
        absl::StrCat(path_, ": metadata ", name, ": found '", found,
                     "', expected a number of a training state"));
  }

  const std::map<std::string, std::string>& values_;
  const std::string& path_;
  absl::Status status_;
};

absl::Status CheckKind(const std::map<std::string, std::string>& metadata,
                       const std::string& path, const std::string& run) {
  Metadata fields(metadata, path);
  const std::string format = fields.Text("format");
  if (format != kFormat) {
    return absl::DataLossError(absl::StrCat(path, ": format is '", format,
                                            "', expected '", kFormat, "'"));
  }
  int64_t version = 0;
  fields.Whole("version", &version);
  KODISTIL_RETURN_IF_ERROR(fields.status());
  KODISTIL_RETURN_IF_ERROR(
      CheckFormatVersion({"training state", 1, kVersion, ""}, path, version));
  const std::string found = fields.Text("run");
  if (found == run) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": it is of another run (", found.substr(0, 12), ", this one is ",
      run.substr(0, 12),
      "): other options, data or starting weights. Continue with those, or "
      "give another --output"));
}

}  // namespace

std::string FinetuneStatePath(const std::string& output) {
  return JoinPath(output, "training_state.safetensors");
}

absl::Status WriteFinetuneState(const FinetuneProgress& progress,
                                const StateTensors& tensors,
                                const std::string& path) {
  std::deque<at::Tensor> held;
  std::map<std::string, TensorView> views;
  for (const auto& [kind, named] : tensors) {
    AddViews(*named, kind + "/", &held, &views);
  }
  // 17 digits bring a double back exactly.
  const auto real = [](double value) {
    return absl::StrFormat("%.17g", value);
  };
  const std::map<std::string, std::string> metadata = {
      {"format", kFormat},
      {"version", absl::StrCat(kVersion)},
      {"run", progress.run},
      {"step", absl::StrCat(progress.step)},
      {"optimizer_steps", absl::StrCat(progress.optimizer_steps)},
      {"best_metric", real(progress.best_metric)},
      {"best_step", absl::StrCat(progress.best_step)},
      {"seconds", real(progress.seconds)}};
  return WriteFileAtomically(path, SerializeSafetensors(views, metadata));
}

absl::StatusOr<FinetuneProgress> ReadFinetuneState(
    const std::string& path, const std::string& run,
    const StateTensors& tensors) {
  KODISTIL_ASSIGN_OR_RETURN(const SafetensorsFile file,
                            SafetensorsFile::Open(path));
  KODISTIL_RETURN_IF_ERROR(CheckKind(file.metadata(), path, run));
  FinetuneProgress progress;
  Metadata fields(file.metadata(), path);
  progress.run = run;
  fields.Whole("step", &progress.step);
  fields.Whole("optimizer_steps", &progress.optimizer_steps);
  fields.Real("best_metric", &progress.best_metric);
  fields.Whole("best_step", &progress.best_step);
  fields.Real("seconds", &progress.seconds);
  KODISTIL_RETURN_IF_ERROR(fields.status());
  for (const auto& [name, view] : file.tensors()) {
    const size_t slash = name.find('/');
    const auto kind = tensors.find(name.substr(0, slash));
    if (slash == std::string::npos || kind == tensors.end() ||
        view.dtype != "F32") {
      return absl::DataLossError(
          absl::StrCat(path, ": tensor ", name, " (", view.dtype,
                       ") is not one of a training state's"));
    }
    (*kind->second)[name.substr(slash + 1)] = ToTensor(view);
  }
  return progress;
}

absl::Status WriteModelWeights(const NamedTensors& tensors,
                               const std::string& path) {
  std::deque<at::Tensor> held;
  std::map<std::string, TensorView> views;
  AddViews(tensors, "", &held, &views);
  return WriteFileAtomically(path,
                             SerializeSafetensors(views, {{"format", "pt"}}));
}

}  // namespace kodistil
