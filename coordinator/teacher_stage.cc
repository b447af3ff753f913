#include "coordinator/teacher_stage.h"

#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/names.h"
#include "base/progress.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/labeller.h"
#include "coordinator/local_cluster.h"
#include "coordinator/store_access.h"
#include "coordinator/teacher_targets.h"
#include "kodistil/v1/teacher.grpc.pb.h"

namespace kodistil {
namespace {

constexpr char kEmbedded[] = "ngram";

v1::LogitSetId SetId(const TeacherRecord& record, const Dataset& dataset) {
  v1::LogitSetId id;
  id.set_teacher_fingerprint(record.fingerprint);
  id.set_dataset(dataset.name);
  return id;
}

// Whether there is something that a teacher server may load.
bool IsModel(const std::string& path) {
  if (!IsDirectory(path)) return FileExists(path);
  return FileExists(JoinPath(path, "config.json")) ||
         FileExists(JoinPath(path, "model.pt"));
}

std::string FirstOf(const std::vector<uint64_t>& indices, uint64_t count) {
  const size_t shown = std::min<size_t>(indices.size(), 5);
  return absl::StrCat(
      absl::StrJoin(indices.begin(), indices.begin() + shown, ", "),
      count > shown ? ", ..." : "");
}

}  // namespace

TeacherStage::TeacherStage(Context context, std::string teacher)
    : context_(std::move(context)), teacher_(std::move(teacher)) {
  const std::string& work_dir = context_.options->work_dir;
  if (teacher_ == kEmbedded) {
    // Rows keep their place when texts are edited: the teacher stays. Another
    // size or split is another training set: it gets a teacher of its own.
    Sha256 split;
    for (const uint32_t index : context_.dataset->IndicesOf(Split::kTrain)) {
      split.UpdateUint64(index);
    }
    folder_ =
        JoinPath(work_dir, absl::StrCat("teachers/ngram-",
                                        FileNameFor(context_.dataset->name),
                                        "-", split.FinishHex().substr(0, 8)));
  } else if (!Remote()) {
    folder_ = std::filesystem::absolute(teacher_).lexically_normal().string();
    if (folder_.back() == '/') folder_.pop_back();
  }
}

std::string TeacherStage::RecordPath() const {
  const std::string key =
      Remote() ? absl::StrJoin(context_.options->teachers, ",") : folder_;
  return JoinPath(
      context_.options->work_dir,
      absl::StrCat("teachers/",
                   Sha256Hex(absl::StrCat(key, "\n", context_.dataset->name))
                       .substr(0, 16),
                   ".json"));
}

std::string TeacherStage::PredictionsPath() const {
  return absl::StrCat(absl::StripSuffix(RecordPath(), ".json"), ".",
                      kPredictionsFile);
}

absl::StatusOr<Predictions> TeacherStage::ReadPredictions() const {
  KODISTIL_ASSIGN_OR_RETURN(const std::string bytes,
                            ReadFile(PredictionsPath()));
  return ParsePredictions(bytes, PredictionsPath());
}

std::shared_ptr<const PredictionBits> TeacherStage::SharedPredictions() const {
  const auto predictions = ReadPredictions();
  if (predictions.ok()) {
    return std::make_shared<const PredictionBits>(*predictions);
  }
  LOG_IF(WARNING, !absl::IsNotFound(predictions.status()))
      << predictions.status();
  return nullptr;
}

absl::Status TeacherStage::SaveRecord() const {
  return SaveTeacherRecord(record_, RecordPath());
}

absl::Status TeacherStage::Prepare() {
  const auto known = LoadTeacherRecord(RecordPath());
  // One of a newer program is not ours to replace.
  if (absl::IsFailedPrecondition(known.status())) return known.status();
  if (known.ok()) record_ = *known;
  if (Remote()) {
    const absl::Status described = Describe();
    // A finished sweep needs no teacher.
    return absl::IsUnavailable(described) && Labelled() ? absl::OkStatus()
                                                        : described;
  }
  if (teacher_ == kEmbedded && context_.options->replace_dataset &&
      OtherTexts()) {
    // The teacher of the dataset that is being replaced.
    KODISTIL_RETURN_IF_ERROR(RemoveAll(folder_));
  }
  if (teacher_ == kEmbedded && !FileExists(JoinPath(folder_, "config.json"))) {
    record_ = TeacherRecord();
    KODISTIL_RETURN_IF_ERROR(TrainEmbedded());
  }
  if (!IsModel(folder_)) {
    return absl::NotFoundError(absl::StrCat(
        "teacher ", teacher_, ": found no config.json in ", folder_,
        ", expected a model's folder, a TorchScript file (*.pt) or 'ngram'"));
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const std::string signature,
      FolderSignature(
          IsDirectory(folder_)
              ? folder_
              : std::filesystem::path(folder_).parent_path().string()));
  if (!record_.fingerprint.empty() && record_.signature == signature) {
    return absl::OkStatus();
  }
  KODISTIL_RETURN_IF_ERROR(Describe());
  record_.signature = signature;
  return SaveRecord();
}

absl::Status TeacherStage::TrainEmbedded() {
  SayLine(
      absl::StrCat("teacher: training the n-gram teacher on the training split",
                   " of ", context_.dataset->name, " ..."));
  const absl::Time start = absl::Now();
  KODISTIL_RETURN_IF_ERROR(context_.cluster->here().Run(
      "train_ngram", "teacher_service/train_ngram",
      {absl::StrCat("--dataset_file=",
                    context_.artifacts->PathOf(context_.dataset_digest)),
       absl::StrCat("--output=", folder_)},
      context_.stopped));
  record_.train_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  SayLine(absl::StrFormat("teacher: trained in %.1f s", record_.train_seconds));
  return SaveRecord();
}

bool TeacherStage::AnyRegistered() const {
  const std::vector<std::string>& teachers = context_.options->teachers;
  return std::count(teachers.begin(), teachers.end(), kRegisteredTeachers) > 0;
}

absl::StatusOr<std::vector<std::string>> TeacherStage::Servers() {
  if (!servers_.empty() || started_) return servers_;
  if (Remote()) {
    for (const std::string& teacher : context_.options->teachers) {
      if (teacher != kRegisteredTeachers) servers_.push_back(teacher);
    }
    return servers_;
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string store, context_.store());
  KODISTIL_ASSIGN_OR_RETURN(
      servers_, context_.cluster->StartTeachers(
                    Source(), store, context_.options->teacher_workers));
  started_ = true;
  return servers_;
}

TeacherSource TeacherStage::Source() const {
  return {folder_, context_.options->allow_torchscript,
          context_.options->mecab_dicdir};
}

bool TeacherStage::ServersRegister() const {
  return !Remote() && context_.cluster->TeachersRegister();
}

absl::StatusOr<std::vector<std::string>> TeacherStage::StartToDescribe() {
  if (servers_.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string store, context_.store());
    KODISTIL_ASSIGN_OR_RETURN(
        servers_, context_.cluster->here().StartTeachers(Source(), store, 1));
  }
  return servers_;
}

absl::StatusOr<std::vector<std::string>> TeacherStage::ServersToAsk() {
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> servers,
                            ServersRegister() ? StartToDescribe() : Servers());
  KODISTIL_ASSIGN_OR_RETURN(std::vector<std::string> addresses,
                            ResolveTargets(servers));
  if (!Remote() || !AnyRegistered()) return addresses;
  for (const RegisteredTeacher& teacher : context_.registry->Teachers()) {
    addresses.push_back(teacher.address);
  }
  if (!addresses.empty()) return addresses;
  const std::string how = absl::StrCat(
      "`bazel run //teacher_service -- --model=FOLDER --logit_store=",
      context_.options->logit_store, " --coordinator=", context_.address, "`");
  if (!waiting_) SayLine(absl::StrCat("teacher: waiting for one; start ", how));
  waiting_ = true;
  return absl::UnavailableError(
      absl::StrCat("no teacher has registered; start one with ", how));
}

bool TeacherStage::OtherTexts() const {
  const auto file = context_.artifacts->Get(record_.dataset_digest);
  if (!file.ok()) return false;
  const auto before = ParseDataset(file->bytes(), record_.dataset_digest);
  if (!before.ok()) return false;
  const std::vector<Row>& rows = context_.dataset->rows;
  const size_t common = std::min(rows.size(), before->rows.size());
  size_t differ = 0;
  for (size_t i = 0; i < common; ++i) {
    differ += rows[i].text != before->rows[i].text;
  }
  return 2 * differ > common;
}

void TeacherStage::KeepAlive() {
  const absl::Status status =
      context_.cluster->Supervise([](const auto&...) { return false; });
  LOG_IF(WARNING, !status.ok()) << status.message();
}

absl::Status TeacherStage::AskAnyServer(v1::DescribeModelResponse* model) {
  if (context_.stopped()) return absl::CancelledError("the sweep was stopped");
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                            ServersToAsk());
  absl::Status status;
  for (const std::string& address : addresses) {
    const auto stub = v1::TeacherService::NewStub(
        NewChannel(address, context_.options->access));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    status = Annotate(
        FromGrpcCall(
            stub->DescribeModel(&context, v1::DescribeModelRequest(), model),
            context),
        absl::StrCat("teacher ", address));
    if (status.ok()) return status;
  }
  KeepAlive();
  return status;
}

absl::Status TeacherStage::Describe() {
  v1::DescribeModelResponse model;
  // A server that is to register may be started by hand.
  const absl::Duration patience = Labelled()        ? absl::Seconds(1)
                                  : AnyRegistered() ? LabellerOptions().patience
                                                    : absl::Seconds(30);
  KODISTIL_RETURN_IF_ERROR(
      RetryUnavailable(patience, [&] { return AskAnyServer(&model); }));
  if (ServersRegister()) {
    context_.cluster->here().StopTeachers();
    servers_.clear();
  }
  if (model.teacher_fingerprint() != record_.fingerprint) {
    const double train_seconds = record_.train_seconds;
    record_ = TeacherRecord();
    record_.train_seconds = train_seconds;
  }
  record_.name = teacher_ == kEmbedded ? kEmbedded : model.name();
  record_.fingerprint = model.teacher_fingerprint();
  record_.num_classes = model.num_classes();
  record_.parameters = model.parameters();
  record_.max_length = model.max_length();
  return absl::OkStatus();
}

bool TeacherStage::Labelled() const {
  return record_.dataset_fingerprint == context_.dataset->Fingerprint();
}

absl::Status TeacherStage::Label() {
  const Dataset& dataset = *context_.dataset;
  if (record_.num_classes < dataset.num_classes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "teacher ", record_.name, " has ", record_.num_classes,
        " classes, the dataset ", dataset.name, " has ", dataset.num_classes));
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string store, context_.store());
  KODISTIL_RETURN_IF_ERROR(RegisterDataset(store));
  v1::LogitSetManifest manifest;
  *manifest.mutable_id() = SetId(record_, dataset);
  manifest.set_teacher_name(record_.name);
  manifest.set_dataset_fingerprint(dataset.Fingerprint());
  manifest.set_row_count(dataset.rows.size());
  manifest.set_num_classes(record_.num_classes);
  const StoreAccess access(store, context_.options->access,
                           [this] { KeepAlive(); });
  KODISTIL_RETURN_IF_ERROR(access.CreateSet(manifest));
  KODISTIL_RETURN_IF_ERROR(LabelMissing(store));
  KODISTIL_ASSIGN_OR_RETURN(
      const StoreAccess::Count count,
      access.CountCorrect(SetId(record_, dataset), dataset));
  // First: a record that is there says that these are.
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(
      PredictionsPath(), SerializePredictions(count.predictions)));
  record_.correct = count.correct;
  record_.total = count.total;
  record_.dataset_fingerprint = dataset.Fingerprint();
  record_.dataset_digest = context_.dataset_digest;
  record_.rows_labelled = dataset.rows.size();
  KODISTIL_RETURN_IF_ERROR(SaveRecord());
  if (count.total > 0) {
    SayLine(absl::StrFormat(
        "teacher: %s has %d of %d test rows right (%.2f %%)", record_.name,
        count.correct, count.total, 100.0 * count.correct / count.total));
  }
  return absl::OkStatus();
}

absl::Status TeacherStage::RegisterDataset(const std::string& store_address) {
  const Dataset& dataset = *context_.dataset;
  KODISTIL_ASSIGN_OR_RETURN(const StoreAccess::Registration registration,
                            StoreAccess(store_address, context_.options->access)
                                .Register(dataset, SetId(record_, dataset),
                                          context_.options->replace_dataset));
  if (registration.known) {
    SayLine(absl::StrCat(
        "dataset: ", dataset.name,
        " is not what the store holds under this name; ",
        WithCommas(registration.changed_count), " of ",
        WithCommas(dataset.rows.size()), " texts changed",
        registration.changed_count == 0
            ? ""
            : absl::StrCat(
                  " (rows ",
                  FirstOf(registration.changed, registration.changed_count),
                  "); those alone are labelled again"),
        ". Trials of the earlier dataset are not used."));
  }
  return absl::OkStatus();
}

absl::Status TeacherStage::LabelMissing(const std::string& store_address) {
  const Dataset& dataset = *context_.dataset;
  const v1::LogitSetId id = SetId(record_, dataset);
  const StoreAccess access(store_address, context_.options->access,
                           [this] { KeepAlive(); });
  KODISTIL_ASSIGN_OR_RETURN(v1::MissingResponse missing, access.Missing(id));
  const int64_t total = missing.count();
  if (total == 0) {
    SayLine(absl::StrCat("labels: all ", WithCommas(dataset.rows.size()),
                         " rows are in the store"));
    return absl::OkStatus();
  }
  KODISTIL_RETURN_IF_ERROR(
      Hand({missing.ranges().begin(), missing.ranges().end()}, total));
  KODISTIL_ASSIGN_OR_RETURN(missing, access.Missing(id));
  if (missing.count() == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      missing.count(), " rows are still missing after labelling; the first is ",
      missing.ranges(0).begin()));
}

absl::Status TeacherStage::Hand(const std::vector<v1::IndexRange>& missing,
                                int64_t total) {
  LabellerOptions options;
  KODISTIL_ASSIGN_OR_RETURN(options.teachers, Servers());
  options.registered = [this] {
    return context_.registry->AddressesOf(record_.fingerprint);
  };
  // The cluster says when nobody will come any more.
  if (ServersRegister()) options.patience = absl::InfiniteDuration();
  options.set = SetId(record_, *context_.dataset);
  options.access = context_.options->access;
  options.max_length = static_cast<int32_t>(record_.max_length);
  StatusBoard* const board = context_.board;
  options.status = [board](const v1::LabellingStatus& status) {
    board->SetLabelling(status);
  };
  ProgressLine line;
  const absl::Time start = absl::Now();
  absl::Status supervised;
  const auto report = LabelRows(
      options, *context_.dataset, missing, [&](int64_t done, int teachers) {
        line.Update(absl::StrCat(
            "labels: ", ProgressText(done, total, absl::Now() - start), "  ",
            teachers, teachers == 1 ? " teacher" : " teachers"));
        supervised =
            context_.cluster->Supervise([](const auto&...) { return false; });
        return supervised.ok() && !context_.stopped();
      });
  board->SetLabelling(absl::nullopt);
  KODISTIL_RETURN_IF_ERROR(supervised);
  // Nothing stays allotted to those that have no work.
  if (ServersRegister()) context_.cluster->StopTeachers();
  if (!report.ok()) return report.status();
  record_.label_seconds += absl::ToDoubleSeconds(report->elapsed);
  line.Finish(absl::StrCat("labels: ", LabelSummary(*report)));
  for (const std::string& share : ShareLines(*report)) SayLine(share);
  return absl::OkStatus();
}

}  // namespace kodistil
