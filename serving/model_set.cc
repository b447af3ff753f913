#include "serving/model_set.h"

#include <glog/logging.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr size_t kMaxName = 128;

bool IsGoodName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxName &&
         absl::ascii_isalnum(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

// Says which file config.json is; empty when there is none.
std::string IdentityOf(const std::string& folder) {
  struct stat info = {};
  if (stat(JoinPath(folder, "config.json").c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ",
                      info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec);
}

std::string LastPart(absl::string_view folder) {
  while (absl::ConsumeSuffix(&folder, "/")) {
  }
  return std::string(folder.substr(folder.rfind('/') + 1));
}

}  // namespace

absl::StatusOr<std::vector<ModelSpec>> ParseModelSpecs(absl::string_view text) {
  std::vector<ModelSpec> specs;
  std::set<std::string> names;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const size_t equals = item.find('=');
    ModelSpec spec;
    spec.folder =
        std::string(equals == item.npos ? item : item.substr(equals + 1));
    if (spec.folder.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", item, "\": expected a student's folder, or NAME=FOLDER"));
    }
    spec.name = equals == item.npos ? LastPart(spec.folder)
                                    : std::string(item.substr(0, equals));
    if (!IsGoodName(spec.name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the model name \"", spec.name, "\": expected 1 to ", kMaxName,
          " of A-Z a-z 0-9 . _ -, the first one a letter or digit; give one "
          "with NAME=",
          spec.folder));
    }
    if (!names.insert(spec.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two models are called ", spec.name,
                       "; give one another name with NAME=", spec.folder));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

absl::Status ModelSetOptions::Validate() const {
  if (models.empty()) {
    return absl::InvalidArgumentError("no model; expected one or more");
  }
  if (reload_interval != absl::ZeroDuration() &&
      (reload_interval < absl::Milliseconds(1) ||
       reload_interval > absl::Hours(1))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the reload interval is ", absl::FormatDuration(reload_interval),
        "; expected 1ms to 1h, or 0 for never"));
  }
  return absl::OkStatus();
}

ModelSet::ModelSet(const ModelSetOptions& options) : options_(options) {}

absl::StatusOr<std::unique_ptr<ModelSet>> ModelSet::Create(
    const ModelSetOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto set = std::unique_ptr<ModelSet>(new ModelSet(options));
  for (const ModelSpec& spec : options.models) {
    Entry entry;
    entry.spec = spec;
    // Before it is read: a change meanwhile is found later.
    entry.identity = IdentityOf(spec.folder);
    KODISTIL_ASSIGN_OR_RETURN(
        entry.model,
        StudentModel::Load(spec.name, spec.folder, options.precision));
    absl::MutexLock lock(&set->mutex_);
    set->entries_.push_back(std::move(entry));
  }
  if (options.reload_interval > absl::ZeroDuration()) {
    set->poller_ = std::thread([set = set.get()] { set->PollLoop(); });
  }
  return set;
}

ModelSet::~ModelSet() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (poller_.joinable()) poller_.join();
}

std::shared_ptr<const StudentModel> ModelSet::Find(
    absl::string_view name) const {
  absl::MutexLock lock(&mutex_);
  for (const Entry& entry : entries_) {
    if (name.empty() || entry.spec.name == name) return entry.model;
  }
  return nullptr;
}

std::vector<std::shared_ptr<const StudentModel>> ModelSet::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<const StudentModel>> all;
  for (const Entry& entry : entries_) all.push_back(entry.model);
  return all;
}

void ModelSet::PollLoop() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stop_),
                                  options_.reload_interval)) {
        return;
      }
    }
    CheckNow();
  }
}

void ModelSet::CheckNow() {
  absl::MutexLock lock(&check_mutex_);
  for (size_t i = 0; i < options_.models.size(); ++i) CheckEntry(i);
}

void ModelSet::CheckEntry(size_t index) {
  const ModelSpec& spec = options_.models[index];
  const std::string identity = IdentityOf(spec.folder);
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = entries_[index];
    // A folder that is being replaced is without config.json for a while.
    if (identity.empty() || identity == entry.identity) return;
    // A bad folder is reported once, not at each look.
    entry.identity = identity;
  }
  absl::StatusOr<std::shared_ptr<const StudentModel>> loaded =
      StudentModel::Load(spec.name, spec.folder, options_.precision);
  if (!loaded.ok()) {
    ++failed_reloads_;
    LOG(ERROR) << "model " << spec.name
               << " stays as it was: " << loaded.status().message();
    return;
  }
  LOG(INFO) << "model " << spec.name << " is loaded anew from " << spec.folder
            << ": " << (*loaded)->digest();
  ++reloads_;
  absl::MutexLock lock(&mutex_);
  entries_[index].model = *std::move(loaded);
}

}  // namespace kodistil
