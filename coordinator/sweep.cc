#include "coordinator/sweep.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/coordinator_server.h"
#include "coordinator/dashboard.h"
#include "coordinator/grid.h"
#include "coordinator/ledger.h"
#include "coordinator/ledger_metrics.h"
#include "coordinator/local_cluster.h"
#include "coordinator/supervisor.h"
#include "coordinator/sweep_launch.h"
#include "coordinator/sweep_outputs.h"
#include "coordinator/sweep_progress.h"
#include "coordinator/sweep_status.h"
#include "coordinator/sweep_teachers.h"
#include "coordinator/teacher_axis.h"
#include "coordinator/vocabularies.h"

namespace kodistil {
namespace {

using v1::StudentConfig;
using v1::Trial;
using v1::TrialInputs;

int Cores() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// One run of a sweep: the steps in order, and what they share.
class Sweep {
 public:
  Sweep(const SweepOptions& options, std::function<bool()> stopped)
      : options_(options), stopped_(std::move(stopped)) {}

  ~Sweep() {
    // Told to stop before there was a cell to train.
    if (server_ != nullptr && stopped_()) server_->BeginDrain();
    if (cluster_ != nullptr) cluster_->StopAll();
  }

  absl::StatusOr<SweepOutcome> Run() {
    for (const auto step : {&Sweep::Open, &Sweep::Serve, &Sweep::LoadDataset,
                            &Sweep::LoadVocabularies, &Sweep::PrepareTeachers,
                            &Sweep::MakeTrials, &Sweep::LabelRows}) {
      KODISTIL_RETURN_IF_ERROR((this->*step)());
      if (stopped_()) return absl::CancelledError("the sweep was stopped");
    }
    if (options_.label_only) return Outcome();
    KODISTIL_RETURN_IF_ERROR(SubmitTrials());
    if (!ledger_->Finished()) {
      status_ = TrainStudents();
      cluster_->StopAll();
    }
    KODISTIL_RETURN_IF_ERROR(outputs_->Save(Results()));
    return Outcome();
  }

  // Answers that the sweep is over until it is told to stop. Call after Run.
  void Stay();

 private:
  std::string InWork(absl::string_view path) const {
    return JoinPath(options_.work_dir, path);
  }

  absl::Status Open();
  // And what writes its results.
  absl::Status OpenLedger();
  absl::Status Serve();
  absl::Status OpenDashboard();
  absl::Status LoadDataset();
  absl::Status LoadVocabularies();
  absl::Status PrepareTeachers();
  absl::Status MakeTrials();
  absl::Status LabelRows();
  absl::Status SubmitTrials();
  absl::Status TrainStudents();
  absl::StatusOr<std::string> StoreAddress();
  TrialInputs InputsOf(const StudentConfig& config);
  // Dataset and teachers.
  SweepResults Base() const;
  void AddTrials(SweepResults* results) const;
  SweepResults Results() const;
  // Gives the dashboard what is known besides trials.
  void ShowBase();
  SweepOutcome Outcome() const;

  SweepOptions options_;
  const std::function<bool()> stopped_;
  v1::SweepSpec spec_;
  std::string host_;
  int port_ = 0;
  std::string advertised_;
  std::unique_ptr<MetricsEndpoint> metrics_;
  FileLock lock_;
  std::unique_ptr<ArtifactStore> artifacts_;
  // Null when none are kept.
  std::unique_ptr<CheckpointStore> checkpoints_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<SweepOutputs> outputs_;
  std::unique_ptr<CoordinatorServer> server_;
  // Null when none is wanted. It asks the three above.
  std::unique_ptr<Dashboard> dashboard_;
  Dataset dataset_;
  std::string dataset_fingerprint_;
  std::string dataset_digest_;
  std::map<uint32_t, std::string> vocab_digests_;  // by size
  std::unique_ptr<SweepTeachers> teachers_;        // null where all is "ce"
  std::vector<Trial> trials_;
  std::string store_address_;
  MetricRegistry::Registration trial_counts_;
  int trained_ = 0;
  absl::Status status_;
};

absl::Status Sweep::Open() {
  ResolveLaunch(&options_);
  KODISTIL_RETURN_IF_ERROR(options_.Validate());
  KODISTIL_RETURN_IF_ERROR(CheckClientAccess(options_.access));
  KODISTIL_ASSIGN_OR_RETURN(spec_, ResolveSpec(options_.spec));
  KODISTIL_ASSIGN_OR_RETURN(const auto listen, options_.ListenAddress());
  std::tie(host_, port_) = listen;
  advertised_ = options_.advertise.empty() ? host_ : options_.advertise;
  if (options_.advertise.empty() && (host_ == "0.0.0.0" || host_ == "[::]")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen=", options_.listen,
        " needs --advertise, the name by which workers elsewhere reach this "
        "machine"));
  }
  if (options_.access.local_name.empty() && !IsLoopback(advertised_)) {
    // What the certificate of this machine was issued for.
    options_.access.local_name = advertised_;
  }
  KODISTIL_ASSIGN_OR_RETURN(metrics_, MetricsEndpoint::Start(options_.metrics));
  if (options_.workers < 0) options_.workers = Cores();
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(options_.work_dir));
  options_.work_dir = std::filesystem::canonical(options_.work_dir).string();
  auto lock = FileLock::TryAcquire(InWork("coordinator.lock"));
  for (int i = 0; i < 50 && absl::IsUnavailable(lock.status()); ++i) {
    absl::SleepFor(absl::Milliseconds(100));  // a killed one is going away
    lock = FileLock::TryAcquire(InWork("coordinator.lock"));
  }
  if (absl::IsUnavailable(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another coordinator works in ", options_.work_dir,
                     "; wait for it or give another --work_dir"));
  }
  KODISTIL_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  KODISTIL_ASSIGN_OR_RETURN(ArtifactStore artifacts,
                            ArtifactStore::Open(InWork("artifacts")));
  artifacts_ = std::make_unique<ArtifactStore>(std::move(artifacts));
  if (!options_.listen.empty() && options_.checkpoint_mb > 0) {
    CheckpointStoreOptions kept;
    kept.max_total_bytes = static_cast<uint64_t>(options_.checkpoint_mb) << 20;
    kept.max_bytes = std::min(kept.max_bytes, kept.max_total_bytes);
    KODISTIL_ASSIGN_OR_RETURN(
        checkpoints_, CheckpointStore::Open(InWork("checkpoints"), kept));
  }
  return OpenLedger();
}

absl::Status Sweep::OpenLedger() {
  LedgerOptions ledger;
  ledger.lease = options_.lease;
  KODISTIL_ASSIGN_OR_RETURN(
      ledger_, Ledger::Open(InWork("ledger"), ledger, absl::Now()));
  outputs_ =
      std::make_unique<SweepOutputs>(options_.work_dir, artifacts_.get());
  trial_counts_ = AddLedgerMetrics(ledger_.get(), &MetricRegistry::Process());
  return absl::OkStatus();
}

absl::Status Sweep::Serve() {
  CoordinatorServiceOptions service;
  service.lease = options_.lease;
  service.heartbeat = std::min(options_.lease / 3, options_.heartbeat);
  service.pack = options_.pack;
  service.expected_workers = options_.workers;
  ServerOptions server;
  server.host = host_;
  server.access = options_.access;
  server.drain = options_.drain_limit;
  server.drain_grace = options_.drain_grace;
  const std::string port_file = InWork("run/coordinator.port");
  absl::Status listens;
  for (const int port : PortsToTry(options_, port_, port_file)) {
    server.port = port;
    auto started = CoordinatorServer::Start(
        server, service, ledger_.get(), artifacts_.get(), checkpoints_.get());
    listens = started.status();
    if (!started.ok()) continue;
    server_ = *std::move(started);
    break;
  }
  KODISTIL_RETURN_IF_ERROR(listens);
  KODISTIL_RETURN_IF_ERROR(WritePortFile(port_file, server_->port()));
  KODISTIL_ASSIGN_OR_RETURN(
      cluster_, MakeCluster(options_, server_->port(), &server_->status()));
  return OpenDashboard();
}

absl::Status Sweep::OpenDashboard() {
  if (options_.dashboard.port < 0) return absl::OkStatus();
  DashboardSource source;
  source.version = [this] {
    // Every version is another one than 0.
    return ledger_->WaitForChange(/*seen=*/0, absl::ZeroDuration());
  };
  source.add_trials = [this](SweepResults* results) { AddTrials(results); };
  source.status = [this] {
    return StatusLines(server_->status().Look(absl::Now()));
  };
  KODISTIL_ASSIGN_OR_RETURN(
      dashboard_, Dashboard::Start(options_.dashboard, std::move(source)));
  SayLine(absl::StrCat("dashboard: http://", dashboard_->address(), "/"));
  return absl::OkStatus();
}

void Sweep::ShowBase() {
  if (dashboard_ != nullptr) dashboard_->Show(Base());
}

absl::Status Sweep::LoadDataset() {
  ReadReport report;
  KODISTIL_ASSIGN_OR_RETURN(dataset_, ReadDataset(options_.dataset, &report));
  dataset_fingerprint_ = dataset_.Fingerprint();
  KODISTIL_ASSIGN_OR_RETURN(dataset_digest_,
                            artifacts_->Put(SerializeDataset(dataset_)));
  SayLine(absl::StrCat(
      "dataset: ", dataset_.name, ", ", WithCommas(dataset_.rows.size()),
      " rows (train ", WithCommas(dataset_.IndicesOf(Split::kTrain).size()),
      ", valid ", WithCommas(dataset_.IndicesOf(Split::kValid).size()),
      ", test ", WithCommas(dataset_.IndicesOf(Split::kTest).size()),
      "), fingerprint ", dataset_fingerprint_.substr(0, 12)));
  if (report.skipped > 0) {
    SayLine(absl::StrCat("dataset: ", WithCommas(report.skipped),
                         " bad rows were skipped:"));
    for (const SkippedRow& row : report.first_skipped) {
      SayLine(absl::StrCat("  ", row.file, ":", row.line, ": ", row.reason));
    }
  }
  ShowBase();
  if (options_.label_only) return absl::OkStatus();
  for (const Split split : {Split::kTrain, Split::kTest}) {
    if (dataset_.IndicesOf(split).empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "dataset ", dataset_.name, ": found no rows in the ",
          std::string(SplitName(split)), " split, expected at least one"));
    }
  }
  return absl::OkStatus();
}

absl::Status Sweep::LoadVocabularies() {
  if (options_.label_only) return absl::OkStatus();
  VocabularyOptions vocabularies;
  vocabularies.tokenizer_dir = options_.tokenizer_dir;
  vocabularies.keep_dir = InWork("tokenizer");
  for (const uint32_t size : spec_.vocab_size()) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string vocab,
                              FindOrTrainVocab(vocabularies, dataset_, size));
    KODISTIL_ASSIGN_OR_RETURN(vocab_digests_[size], artifacts_->Put(vocab));
  }
  return absl::OkStatus();
}

absl::Status Sweep::PrepareTeachers() {
  if (!options_.label_only && !Distils(spec_)) return absl::OkStatus();
  TeacherStage::Context context;
  context.options = &options_;
  context.dataset = &dataset_;
  context.dataset_digest = dataset_digest_;
  context.artifacts = artifacts_.get();
  context.cluster = cluster_.get();
  context.stopped = stopped_;
  context.store = [this] { return StoreAddress(); };
  context.registry = &server_->teachers();
  context.board = &server_->status();
  context.address = absl::StrCat(advertised_, ":", server_->port());
  teachers_ = std::make_unique<SweepTeachers>(context);
  return teachers_->Prepare(&server_->teachers());
}

TrialInputs Sweep::InputsOf(const StudentConfig& config) {
  TrialInputs inputs;
  inputs.set_dataset(dataset_.name);
  inputs.set_dataset_fingerprint(dataset_fingerprint_);
  inputs.set_dataset_digest(dataset_digest_);
  inputs.set_vocab_digest(vocab_digests_[config.vocab_size()]);
  inputs.set_lower_case(true);
  inputs.set_strip_accents(false);
  return inputs;
}

absl::Status Sweep::MakeTrials() {
  if (options_.label_only) return absl::OkStatus();
  const std::vector<std::string> teachers =
      teachers_ == nullptr ? std::vector<std::string>{""} : teachers_->Values();
  for (const StudentConfig& config : ExpandGrid(spec_, teachers)) {
    Trial trial;
    *trial.mutable_config() = config;
    *trial.mutable_inputs() = InputsOf(config);
    trial.set_trial_id(TrialId(config, trial.inputs()));
    trial.set_created_unix_ms(absl::ToUnixMillis(absl::Now()));
    trials_.push_back(std::move(trial));
  }
  const std::string text = SpecText(spec_);
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(InWork("sweep.textproto"), text));
  SayLine(absl::StrCat("sweep: ", trials_.size(), " cells (",
                       InWork("sweep.textproto"), "):"));
  SayLine(text);
  server_->status().SetPlanned(trials_);
  return absl::OkStatus();
}

absl::Status Sweep::LabelRows() {
  if (teachers_ == nullptr) return absl::OkStatus();
  server_->status().SetPhase(v1::GetStatusResponse::PHASE_LABELLING);
  KODISTIL_RETURN_IF_ERROR(
      teachers_->Label([this](const std::string& fingerprint) {
        bool wanted = options_.label_only;
        for (const Trial& trial : trials_) {
          wanted =
              wanted || (UsesTeacher(trial.config().teacher(), fingerprint) &&
                         !ledger_->IsDone(trial.trial_id()));
        }
        return wanted;
      }));
  cluster_->StopTeachers();
  ShowBase();
  return absl::OkStatus();
}

absl::StatusOr<std::string> Sweep::StoreAddress() {
  if (!options_.logit_store.empty()) return options_.logit_store;
  if (store_address_.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(store_address_, cluster_->here().StartStore());
  }
  return store_address_;
}

absl::Status Sweep::SubmitTrials() {
  for (Trial& trial : trials_) {
    if (trial.config().teacher().empty() || ledger_->IsDone(trial.trial_id())) {
      continue;
    }
    KODISTIL_ASSIGN_OR_RETURN(const std::string store, StoreAddress());
    trial.mutable_inputs()->set_logit_store(store);
  }
  KODISTIL_ASSIGN_OR_RETURN(const Ledger::Submitted submitted,
                            ledger_->Submit(trials_));
  // Workers of an earlier coordinator on this machine died with it.
  std::set<std::string> gone;
  for (const Trial& trial : ledger_->Trials()) {
    if (trial.state() == Trial::STATE_RUNNING &&
        absl::StartsWith(trial.worker_id(), LocalCluster::kWorkerPrefix)) {
      gone.insert(trial.worker_id());
    }
  }
  for (const std::string& worker : gone) {
    Ledger::Loss loss{"the coordinator was started again"};
    loss.count = false;
    KODISTIL_RETURN_IF_ERROR(ledger_->ReleaseWorker(worker, loss));
  }
  SayLine(absl::StrCat(
      "sweep: ", submitted.done, " of ", trials_.size(), " cells are done, ",
      trials_.size() - submitted.done, " to train",
      submitted.retried == 0
          ? ""
          : absl::StrCat(" (", submitted.retried, " of them failed before)")));
  return outputs_->Begin(ledger_->Trials());
}

absl::Status Sweep::TrainStudents() {
  server_->status().SetPhase(v1::GetStatusResponse::PHASE_TRAINING);
  ledger_->RenewLeases(absl::Now());
  server_->trials().StartLeasing();
  metrics_->SetReady(absl::OkStatus());
  if (!options_.listen.empty()) {
    SayLine(
        absl::StrCat("sweep: workers elsewhere join with `bazel run "
                     "//student_trainer -- --coordinator=",
                     advertised_, ":", server_->port(), "`"));
  }
  KODISTIL_RETURN_IF_ERROR(
      cluster_->StartWorkers(std::min<int>(options_.workers, trials_.size())));
  SweepProgress progress(ledger_->Trials());
  SupervisorOptions supervision;
  supervision.max_failed = options_.max_failed;
  supervision.stopped = stopped_;
  supervision.changed = [this](const auto& trials) { outputs_->Note(trials); };
  const absl::Status status =
      Supervisor(supervision, ledger_.get(), cluster_.get(), checkpoints_.get())
          .Run(&progress);
  trained_ = progress.Finish(ledger_->Trials());
  server_->status().SetPhase(v1::GetStatusResponse::PHASE_FINISHED);
  if (options_.stay && !stopped_()) {
    server_->trials().StopLeasing();
    return status;
  }
  metrics_->BeginDrain();
  if (stopped_()) server_->BeginDrain();
  server_->trials().StopLeasing();
  if (status.ok() && !options_.listen.empty()) {
    // Workers elsewhere hear that the sweep is over.
    absl::SleepFor(2 * CoordinatorServiceOptions().retry_after);
  }
  cluster_->StopAll();
  if (dashboard_ != nullptr && !stopped_()) {
    dashboard_->WaitForViewers(absl::Seconds(5));  // pages ask every 2 s
  }
  dashboard_ = nullptr;
  server_ = nullptr;
  return status;
}

void Sweep::Stay() {
  // It may have been over from the start.
  server_->trials().StopLeasing();
  server_->status().SetPhase(v1::GetStatusResponse::PHASE_FINISHED);
  metrics_->SetReady(absl::OkStatus());
  SayLine("sweep: over; answers until it is stopped (--stay)");
  while (!stopped_()) absl::SleepFor(absl::Milliseconds(100));
  metrics_->BeginDrain();
}

SweepResults Sweep::Base() const {
  SweepResults results;
  results.dataset = dataset_.name;
  results.dataset_fingerprint = dataset_fingerprint_;
  if (teachers_ != nullptr) results.teachers = teachers_->Results();
  return results;
}

void Sweep::AddTrials(SweepResults* results) const {
  results->trials = ledger_->Trials();
  outputs_->AddPredictions(results);
}

SweepResults Sweep::Results() const {
  SweepResults results = Base();
  AddTrials(&results);
  return results;
}

SweepOutcome Sweep::Outcome() const {
  SweepOutcome outcome;
  outcome.results = Results();
  outcome.trained = trained_;
  outcome.status = status_;
  for (const Trial& trial : outcome.results.trials) {
    outcome.failed += trial.state() != Trial::STATE_DONE;
  }
  return outcome;
}

}  // namespace

absl::StatusOr<SweepOutcome> RunSweep(
    const SweepOptions& options, const std::function<bool()>& stopped,
    const std::function<void(const SweepOutcome&)>& show) {
  Sweep sweep(options, stopped);
  KODISTIL_ASSIGN_OR_RETURN(SweepOutcome outcome, sweep.Run());
  show(outcome);
  if (options.stay && !stopped()) sweep.Stay();
  return outcome;
}

}  // namespace kodistil
