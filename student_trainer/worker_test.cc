#include "student_trainer/worker.h"

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "artifacts/artifact_service.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "base/files.h"
#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "corpus/predictions.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "student_trainer/fake_coordinator.h"
#include "student_trainer/student.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

constexpr char kVocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n좋아\n나빠\n영화\n정말\n";

// 60 rows of two kinds, which a student tells apart at once.
Dataset SmallDataset() {
  Dataset dataset;
  dataset.name = "films";
  for (int i = 0; i < 60; ++i) {
    Row row;
    row.label = i % 2;
    row.text = absl::StrCat(i % 3 == 0 ? "정말 " : "", "영화 ",
                            row.label == 1 ? "좋아" : "나빠");
    row.split = i < 40 ? Split::kTrain : i < 50 ? Split::kValid : Split::kTest;
    dataset.rows.push_back(row);
  }
  return dataset;
}

// A coordinator with artifacts, both served, and a worker's options.
class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(ArtifactStore store,
                         ArtifactStore::Open(NewTestDir()));
    store_ = std::make_unique<ArtifactStore>(store);
    artifacts_ = std::make_unique<ArtifactServiceImpl>(store_.get());
    const Dataset dataset = SmallDataset();
    ASSERT_OK_AND_ASSIGN(const std::string data,
                         store_->Put(SerializeDataset(dataset)));
    ASSERT_OK_AND_ASSIGN(const std::string vocab, store_->Put(kVocab));
    trial_.set_kind(v1::LeaseTrialResponse::KIND_TRIAL);
    trial_.set_trial_id("trial1");
    trial_.set_attempt(1);
    v1::TrialInputs& inputs = *trial_.mutable_inputs();
    inputs.set_dataset(dataset.name);
    inputs.set_dataset_fingerprint(dataset.Fingerprint());
    inputs.set_dataset_digest(data);
    inputs.set_vocab_digest(vocab);
    inputs.set_lower_case(true);
    SetConfig(trial_.mutable_config());
    options_.cache_dir = NewTestDir();
    options_.name = "tester";
    options_.build = "kodistil test";
  }

  static void SetConfig(v1::StudentConfig* config) {
    config->set_vocab_size(100);
    config->set_batch_size(8);
    config->set_hidden_dim(4);
    config->set_embedding_dim(4);
    config->set_loss_rate(1);
    config->set_temperature(1);
    config->set_train_epoch(4);
    config->set_loss_option("ce");
    config->set_lr(0.05);
    config->set_scheduler_type("constant");
    config->set_step_size(2);
    config->set_gamma(0.7);
    config->set_lstm_num_layers(1);
    config->set_seed(7);
    config->set_max_length(16);
    config->set_select("last");
  }

  absl::StatusOr<WorkerEnd> Run() { return Run(stop_); }

  absl::StatusOr<WorkerEnd> Run(const absl::Notification& stop) {
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start(ServerOptions(), {&fake_, artifacts_.get()});
    if (!server.ok()) return server.status();
    options_.coordinator = (*server)->address();
    return RunWorker(options_, stop);
  }

  // From now on the coordinator keeps checkpoints.
  void KeepCheckpoints() {
    ASSERT_OK_AND_ASSIGN(checkpoints_, CheckpointStore::Open(NewTestDir()));
    artifacts_ = std::make_unique<ArtifactServiceImpl>(
        store_.get(), ArtifactServiceOptions(), checkpoints_.get());
    fake_.max_checkpoint_bytes = checkpoints_->max_bytes();
  }

  // Runs a worker that is told to stop once it has named a checkpoint of each
  // of `trials`; how it gives them back, by trial.
  std::map<std::string, v1::FailRequest> RunUntilKept(size_t trials) {
    absl::Notification stop;
    std::set<std::string> kept;
    absl::Mutex mutex;
    fake_.on_heartbeat = [&](const v1::HeartbeatRequest& request) {
      absl::MutexLock lock(&mutex);
      if (request.has_checkpoint()) kept.insert(request.trial_id());
      if (kept.size() == trials && !stop.HasBeenNotified()) stop.Notify();
      return absl::OkStatus();
    };
    EXPECT_OK(Run(stop));
    fake_.on_heartbeat = nullptr;
    std::map<std::string, v1::FailRequest> given_back;
    for (const v1::FailRequest& fail : fake_.failed()) {
      given_back[fail.trial_id()] = fail;
    }
    return given_back;
  }

  // The epochs that heartbeats from the n-th on told of.
  std::vector<uint32_t> EpochsSince(size_t n) const {
    std::vector<uint32_t> epochs;
    const auto beats = fake_.heartbeats();
    for (size_t i = n; i < beats.size(); ++i) {
      for (const auto& report : beats[i].finished()) {
        epochs.push_back(report.epoch());
      }
    }
    return epochs;
  }

  std::string CheckpointDir() const {
    return JoinPath(options_.cache_dir, "checkpoints/trial1");
  }

  FakeCoordinator fake_;
  std::unique_ptr<ArtifactStore> store_;
  std::unique_ptr<CheckpointStore> checkpoints_;
  std::unique_ptr<ArtifactServiceImpl> artifacts_;
  v1::LeaseTrialResponse trial_;
  WorkerOptions options_;
  absl::Notification stop_;
};

TEST_F(WorkerTest, TrialIsTrainedAndItsStudentReturned) {
  fake_.AddTrial(trial_);
  ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
  EXPECT_EQ(end, WorkerEnd::kFinished);
  EXPECT_TRUE(fake_.failed().empty());
  const auto completed = fake_.completed();
  ASSERT_EQ(completed.size(), 1);
  EXPECT_EQ(completed[0].trial_id(), "trial1");
  EXPECT_EQ(completed[0].attempt(), 1);
  const v1::TrialResult& result = completed[0].result();
  EXPECT_EQ(result.total(), 10);
  EXPECT_EQ(result.correct(), 10);
  EXPECT_EQ(result.epochs(), 4);
  EXPECT_EQ(result.history_size(), 4);
  // The folder comes back whole and can be loaded.
  EXPECT_THAT(result.files(),
              ::testing::UnorderedElementsAre(
                  Key("config.json"), Key("model.safetensors"),
                  Key("vocab.txt"), Key("tokenizer_config.json"),
                  Key("provenance.json"), Key("predictions.bin")));
  EXPECT_GT(result.latency().p50_seconds(), 0);
  EXPECT_EQ(result.latency().rows(), 10u);
  const std::string folder = NewTestDir();
  for (const auto& [name, digest] : result.files()) {
    ASSERT_OK_AND_ASSIGN(const MappedFile file, store_->Get(digest));
    ASSERT_OK(WriteFileAtomically(JoinPath(folder, name), file.bytes()));
    if (name == "model.safetensors") {
      EXPECT_EQ(result.bytes(), file.bytes().size());
    }
  }
  ASSERT_OK_AND_ASSIGN(const StudentFolder student, LoadStudent(folder));
  EXPECT_EQ(student.shape.hidden_dim, 4);
  EXPECT_EQ(student.vocab, kVocab);
  EXPECT_THAT(student.provenance_json,
              HasSubstr(trial_.inputs().dataset_fingerprint()));
  EXPECT_THAT(student.provenance_json, HasSubstr("kodistil test"));
  ASSERT_OK_AND_ASSIGN(const MappedFile predictions,
                       MappedFile::Open(JoinPath(folder, kPredictionsFile)));
  ASSERT_OK_AND_ASSIGN(const Predictions right,
                       ParsePredictions(predictions.bytes(), "predictions"));
  EXPECT_EQ(right, Predictions(10, true));
  // Nothing stays that nobody needs.
  EXPECT_FALSE(FileExists(CheckpointDir()));
  EXPECT_THAT(ListDirectory(JoinPath(options_.cache_dir, "students")).value(),
              ElementsAre());
}

TEST_F(WorkerTest, SameTrialGivesTheSameFiles) {
  fake_.AddTrial(trial_);
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  const auto completed = fake_.completed();
  ASSERT_EQ(completed.size(), 2);
  for (const auto& [name, digest] : completed[0].result().files()) {
    EXPECT_EQ(completed[1].result().files().at(name), digest) << name;
  }
}

TEST_F(WorkerTest, StudentIsDistilledFromTheLogitStore) {
  InMemoryLogitStore logits;
  LogitStoreServiceImpl service(&logits);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Server> server,
                       Server::Start(ServerOptions(), {&service}));
  const Dataset dataset = SmallDataset();
  LogitStoreClient client(server->address());
  ASSERT_OK(client.RegisterDataset(dataset, dataset.Fingerprint(), ""));
  v1::LogitSetManifest manifest;
  manifest.mutable_id()->set_teacher_fingerprint(std::string(64, 'a'));
  manifest.mutable_id()->set_dataset("films");
  manifest.set_dataset_fingerprint(dataset.Fingerprint());
  manifest.set_row_count(60);
  manifest.set_num_classes(2);
  ASSERT_OK(client.CreateSet(manifest));
  std::vector<v1::LogitRow> rows(60);
  for (int i = 0; i < 60; ++i) {
    rows[i].set_index(i);
    rows[i].set_text_hash(TextHash(dataset.rows[i].text, ""));
    // A teacher that is always wrong: the student learns its answers.
    rows[i].add_logits(dataset.rows[i].label == 1 ? 3 : -3);
    rows[i].add_logits(dataset.rows[i].label == 1 ? -3 : 3);
  }
  ASSERT_OK(client.Put(manifest.id(), rows));
  trial_.mutable_inputs()->set_logit_store(server->address());
  trial_.mutable_config()->set_loss_option("kl_div");
  trial_.mutable_config()->set_loss_rate(0);
  trial_.mutable_config()->set_teacher(std::string(64, 'a'));
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 1);
  EXPECT_EQ(fake_.completed()[0].result().correct(), 0);
  EXPECT_EQ(fake_.completed()[0].result().total(), 10);
}

// A lease of the trial and of two more: "trial2" and "trial3", which differ
// from it in their learning rates.
v1::LeaseTrialResponse PackOf(const v1::LeaseTrialResponse& trial) {
  v1::LeaseTrialResponse pack = trial;
  for (const int i : {2, 3}) {
    v1::LeasedTrial& further = *pack.add_further();
    further.set_trial_id(absl::StrCat("trial", i));
    further.set_attempt(10 + i);
    *further.mutable_config() = trial.config();
    further.mutable_config()->set_lr(0.01 * i);
    *further.mutable_inputs() = trial.inputs();
  }
  return pack;
}

TEST_F(WorkerTest, PackedTrialsGiveTheFilesThatTheyGiveAlone) {
  std::atomic<uint32_t> asked{0};
  fake_.on_lease = [&](const v1::LeaseTrialRequest& request) {
    asked = request.most_trials();
    return absl::OkStatus();
  };
  options_.pack = 3;
  const v1::LeaseTrialResponse pack = PackOf(trial_);
  fake_.AddTrial(pack);
  for (const v1::LeasedTrial& further : pack.further()) {
    v1::LeaseTrialResponse alone = trial_;
    alone.set_trial_id(further.trial_id());
    *alone.mutable_config() = further.config();
    fake_.AddTrial(alone);
  }
  ASSERT_OK(Run());
  EXPECT_EQ(asked, 3u);
  EXPECT_TRUE(fake_.failed().empty());
  std::map<std::string, std::vector<v1::CompleteRequest>> completed;
  for (const v1::CompleteRequest& request : fake_.completed()) {
    completed[request.trial_id()].push_back(request);
  }
  ASSERT_EQ(completed.size(), 3u);
  EXPECT_EQ(completed["trial1"][0].attempt(), 1u);
  for (const int i : {2, 3}) {
    const auto& both = completed[absl::StrCat("trial", i)];
    ASSERT_EQ(both.size(), 2u);
    EXPECT_EQ(both[0].attempt(), 10u + i);
    EXPECT_EQ(both[1].attempt(), 1u);
    const auto& files = both[0].result().files();
    EXPECT_EQ(files.size(), 6u);
    for (const auto& [name, digest] : files) {
      EXPECT_EQ(both[1].result().files().at(name), digest) << name;
    }
    EXPECT_NE(files.at("model.safetensors"),
              completed["trial1"][0].result().files().at("model.safetensors"));
    EXPECT_FALSE(FileExists(
        JoinPath(options_.cache_dir, absl::StrCat("checkpoints/trial", i))));
  }
}

TEST_F(WorkerTest, TrialsOfAPackFailAndAreFencedEachOnItsOwn) {
  // trial1 gets no number that is finite, trial2 is fenced, trial3 is done.
  v1::LeaseTrialResponse pack = PackOf(trial_);
  pack.mutable_config()->set_lr(1e38);
  pack.mutable_further(0)->mutable_config()->set_train_epoch(100000);
  fake_.on_heartbeat = [](const v1::HeartbeatRequest& request) {
    return request.trial_id() == "trial2"
               ? absl::AbortedError("attempt 13 is the current one")
               : absl::OkStatus();
  };
  fake_.AddTrial(pack);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.failed().size(), 1);
  EXPECT_EQ(fake_.failed()[0].trial_id(), "trial1");
  EXPECT_FALSE(fake_.failed()[0].retryable());
  EXPECT_THAT(fake_.failed()[0].reason(), HasSubstr("not finite"));
  ASSERT_EQ(fake_.completed().size(), 1);
  EXPECT_EQ(fake_.completed()[0].trial_id(), "trial3");
  EXPECT_EQ(fake_.completed()[0].result().correct(), 10);
}

TEST_F(WorkerTest, TrialsThatDoNotFitTogetherAreTrainedAfterOneAnother) {
  v1::LeaseTrialResponse pack = PackOf(trial_);
  pack.mutable_further(0)->mutable_config()->set_seed(8);
  pack.mutable_further(1)->mutable_inputs()->set_vocab_digest(
      std::string(64, '1'));
  fake_.AddTrial(pack);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 2);
  EXPECT_EQ(fake_.completed()[1].trial_id(), "trial2");
  ASSERT_EQ(fake_.failed().size(), 1);
  EXPECT_EQ(fake_.failed()[0].trial_id(), "trial3");
  EXPECT_TRUE(fake_.failed()[0].retryable());
}

TEST_F(WorkerTest, StoppedWorkerGivesItsWholePackBack) {
  std::atomic<bool> stopping{false};
  fake_.on_heartbeat = [&](const v1::HeartbeatRequest& request) {
    if (request.finished_size() > 0 && !stopping.exchange(true)) {
      stop_.Notify();
    }
    return absl::OkStatus();
  };
  trial_.mutable_config()->set_train_epoch(100000);
  fake_.AddTrial(PackOf(trial_));
  options_.threads = 2;
  ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
  EXPECT_EQ(end, WorkerEnd::kStopped);
  ASSERT_EQ(fake_.failed().size(), 3);
  for (const v1::FailRequest& fail : fake_.failed()) {
    EXPECT_TRUE(fail.stopped());
    EXPECT_TRUE(IsDirectory(JoinPath(
        options_.cache_dir, absl::StrCat("checkpoints/", fail.trial_id()))));
  }
}

TEST_F(WorkerTest, FencedAttemptStopsAndReportsNothing) {
  for (const bool aborted : {true, false}) {
    fake_.on_heartbeat = [aborted](const v1::HeartbeatRequest&) {
      return aborted ? absl::AbortedError("attempt 2 is the current one")
                     : absl::OkStatus();
    };
    fake_.go_on = [] { return false; };
    // It would train for minutes.
    trial_.mutable_config()->set_train_epoch(100000);
    fake_.AddTrial(trial_);
    ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
    EXPECT_EQ(end, WorkerEnd::kFinished);
    EXPECT_TRUE(fake_.completed().empty());
    EXPECT_TRUE(fake_.failed().empty());
  }
}

TEST_F(WorkerTest, LateResultIsDroppedAndItsCheckpointKept) {
  fake_.on_complete = [](const v1::CompleteRequest&) {
    return absl::AbortedError("attempt 2 is the current one");
  };
  fake_.AddTrial(trial_);
  ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
  EXPECT_EQ(end, WorkerEnd::kFinished);
  EXPECT_TRUE(fake_.failed().empty());
  EXPECT_TRUE(IsDirectory(CheckpointDir()));
}

TEST_F(WorkerTest, WhatCannotWorkFailsForGood) {
  v1::LeaseTrialResponse bad_config = trial_;
  bad_config.mutable_config()->set_scheduler_type("Sometimes");
  v1::LeaseTrialResponse infinite = trial_;
  infinite.set_trial_id("infinite");
  infinite.mutable_config()->set_lr(1e38);
  v1::LeaseTrialResponse other_data = trial_;
  other_data.mutable_inputs()->set_dataset_fingerprint(std::string(64, '0'));
  v1::LeaseTrialResponse bad_id = trial_;
  bad_id.set_trial_id("../x");
  const std::string bystander = JoinPath(options_.cache_dir, "x");
  ASSERT_OK(WriteFileAtomically(bystander, "mine"));
  fake_.AddTrial(bad_config);
  fake_.AddTrial(infinite);
  fake_.AddTrial(other_data);
  fake_.AddTrial(bad_id);
  ASSERT_OK(Run());
  EXPECT_TRUE(fake_.completed().empty());
  const auto failed = fake_.failed();
  ASSERT_EQ(failed.size(), 4);
  for (const v1::FailRequest& fail : failed) EXPECT_FALSE(fail.retryable());
  EXPECT_THAT(failed[0].reason(), HasSubstr("Sometimes"));
  EXPECT_THAT(failed[1].reason(), HasSubstr("epoch"));
  EXPECT_THAT(failed[2].reason(), HasSubstr("has fingerprint"));
  EXPECT_THAT(failed[3].reason(), HasSubstr("trial id '../"));
  EXPECT_TRUE(FileExists(bystander));
  EXPECT_FALSE(
      FileExists(JoinPath(options_.cache_dir, "checkpoints/infinite")));
}

TEST_F(WorkerTest, WhatMayWorkLaterIsRetryable) {
  trial_.mutable_inputs()->set_vocab_digest(std::string(64, '1'));
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.failed().size(), 1);
  EXPECT_TRUE(fake_.failed()[0].retryable());
  EXPECT_THAT(fake_.failed()[0].reason(), HasSubstr("no artifact 1111"));
  EXPECT_THAT(fake_.failed()[0].log_tail(),
              ::testing::ContainsRegex("trial trial1 attempt 1 begins\n"));
}

TEST_F(WorkerTest, StoppedWorkerGivesItsTrialBackWithACheckpoint) {
  std::atomic<bool> stopping{false};
  fake_.on_heartbeat = [&](const v1::HeartbeatRequest& request) {
    if (request.finished_size() > 0 && !stopping.exchange(true)) {
      stop_.Notify();
    }
    return absl::OkStatus();
  };
  trial_.mutable_config()->set_train_epoch(100000);
  fake_.AddTrial(trial_);
  ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
  EXPECT_EQ(end, WorkerEnd::kStopped);
  ASSERT_EQ(fake_.failed().size(), 1);
  EXPECT_TRUE(fake_.failed()[0].retryable());
  EXPECT_TRUE(fake_.failed()[0].stopped());
  EXPECT_EQ(fake_.failed()[0].reason(), "worker stopped");
  EXPECT_TRUE(IsDirectory(CheckpointDir()));
}

TEST_F(WorkerTest, TrialGoesOnElsewhereFromTheKeptCheckpoint) {
  KeepCheckpoints();
  trial_.mutable_config()->set_train_epoch(200);
  fake_.AddTrial(trial_);
  const auto given_back = RunUntilKept(1);
  ASSERT_EQ(given_back.count("trial1"), 1u) << "it was done too soon";
  const v1::TrialCheckpoint kept = given_back.at("trial1").checkpoint();
  ASSERT_GE(kept.epoch(), 1u);
  ASSERT_LT(kept.epoch(), 200u);
  EXPECT_TRUE(checkpoints_->Has(kept.digest()));
  // Another machine.
  options_.cache_dir = NewTestDir();
  const size_t beats = fake_.heartbeats().size();
  *trial_.mutable_checkpoint() = kept;
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 1);
  const std::vector<uint32_t> epochs = EpochsSince(beats);
  ASSERT_FALSE(epochs.empty());
  EXPECT_EQ(epochs.front(), kept.epoch() + 1);
  // The control: a third machine, on which it begins anew.
  options_.cache_dir = NewTestDir();
  const size_t before = fake_.heartbeats().size();
  trial_.clear_checkpoint();
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 2);
  EXPECT_EQ(EpochsSince(before).front(), 1u);
  const auto completed = fake_.completed();
  for (const auto& [name, digest] : completed[1].result().files()) {
    EXPECT_EQ(completed[0].result().files().at(name), digest) << name;
  }
}

TEST_F(WorkerTest, PackGoesOnElsewhereFromItsKeptCheckpoints) {
  KeepCheckpoints();
  trial_.mutable_config()->set_train_epoch(200);
  v1::LeaseTrialResponse pack = PackOf(trial_);
  options_.pack = 3;
  fake_.AddTrial(pack);
  const auto given_back = RunUntilKept(3);
  ASSERT_EQ(given_back.size(), 3u) << "it was done too soon";
  options_.cache_dir = NewTestDir();
  *pack.mutable_checkpoint() = given_back.at("trial1").checkpoint();
  for (v1::LeasedTrial& further : *pack.mutable_further()) {
    *further.mutable_checkpoint() =
        given_back.at(further.trial_id()).checkpoint();
  }
  const size_t beats = fake_.heartbeats().size();
  fake_.AddTrial(pack);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 3);
  std::map<std::string, uint32_t> first;
  const auto heartbeats = fake_.heartbeats();
  for (size_t i = beats; i < heartbeats.size(); ++i) {
    if (heartbeats[i].finished_size() == 0) continue;
    first.emplace(heartbeats[i].trial_id(), heartbeats[i].finished(0).epoch());
  }
  for (const auto& [trial, fail] : given_back) {
    EXPECT_EQ(first[trial], fail.checkpoint().epoch() + 1) << trial;
  }
}

TEST_F(WorkerTest, KeptCheckpointThatIsGoneMeansTheStart) {
  trial_.mutable_checkpoint()->set_epoch(3);
  trial_.mutable_checkpoint()->set_digest(std::string(64, '1'));
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 1);
  EXPECT_EQ(fake_.completed()[0].result().epochs(), 4);
}

TEST_F(WorkerTest, CheckpointHereIsTakenUnlessTheKeptOneIsFurther) {
  KeepCheckpoints();
  trial_.mutable_config()->set_train_epoch(200);
  fake_.AddTrial(trial_);
  const auto given_back = RunUntilKept(1);
  ASSERT_EQ(given_back.count("trial1"), 1u) << "it was done too soon";
  const uint32_t here = given_back.at("trial1").checkpoint().epoch();
  trial_.mutable_checkpoint()->set_epoch(here);
  trial_.mutable_checkpoint()->set_digest(std::string(64, '1'));
  const size_t beats = fake_.heartbeats().size();
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  EXPECT_GT(EpochsSince(beats).front(), here);
}

TEST_F(WorkerTest, FailedUploadsOfCheckpointsHarmNothing) {
  fake_.max_checkpoint_bytes = 1 << 20;  // and yet takes none
  trial_.mutable_config()->set_train_epoch(30);
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 1);
  for (const v1::HeartbeatRequest& beat : fake_.heartbeats()) {
    EXPECT_FALSE(beat.has_checkpoint());
  }
}

TEST_F(WorkerTest, CoordinatorThatForgetsGetsTheSameTrialOn) {
  std::atomic<bool> forgotten{false};
  absl::Notification known_again;
  fake_.heartbeat_ms = 10;
  fake_.on_heartbeat = [&](const v1::HeartbeatRequest& request) {
    if (!forgotten.exchange(true)) {
      fake_.ForgetWorkers();
    } else if (!known_again.HasBeenNotified()) {
      known_again.Notify();
    }
    return absl::OkStatus();
  };
  fake_.on_complete = [&](const v1::CompleteRequest&) {
    known_again.WaitForNotification();
    return absl::OkStatus();
  };
  fake_.AddTrial(trial_);
  ASSERT_OK(Run());
  ASSERT_EQ(fake_.completed().size(), 1);
  EXPECT_EQ(fake_.completed()[0].attempt(), 1);
  EXPECT_GE(fake_.registered().size(), 2);
}

TEST_F(WorkerTest, IdleWorkerExits) {
  fake_.wait_when_empty = true;
  options_.idle_exit = absl::Milliseconds(30);
  ASSERT_OK_AND_ASSIGN(const WorkerEnd end, Run());
  EXPECT_EQ(end, WorkerEnd::kFinished);
}

TEST_F(WorkerTest, CoordinatorThatIsNotThereIsUnavailable) {
  options_.coordinator = "127.0.0.1:1";
  options_.coordinator_timeout = absl::Milliseconds(100);
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot reach the coordinator")));
}

// A minute, the artifacts' own patience, would make a student that is trained a
// failed attempt.
TEST_F(WorkerTest, TrainedStudentWaitsForTheCoordinatorAsLongAsToldTo) {
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Server> server,
      Server::Start(ServerOptions(), {&fake_, artifacts_.get()}));
  options_.coordinator = server->address();
  options_.coordinator_timeout = absl::Milliseconds(300);
  options_.on_progress = [&](const auto&, const TrainProgress& progress) {
    const bool last =
        progress.finished != nullptr &&
        progress.finished->epoch() == trial_.config().train_epoch();
    if (last) server->Shutdown();
  };
  fake_.AddTrial(trial_);
  const absl::Time start = absl::Now();
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot reach the coordinator")));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_F(WorkerTest, OnlyWhatNoRestartMendsIsTheConfiguration) {
  EXPECT_EQ(WorkerExitCode(WorkerEnd::kFinished), 0);
  EXPECT_EQ(WorkerExitCode(WorkerEnd::kStopped), 75);
  EXPECT_EQ(WorkerExitCode(absl::InvalidArgumentError("a flag")), 2);
  EXPECT_EQ(WorkerExitCode(absl::UnavailableError("nobody there")), 1);
  EXPECT_EQ(WorkerExitCode(absl::InternalError("a disk")), 1);
  EXPECT_EQ(WorkerExitCode(absl::FailedPreconditionError("a key")), 42);
  EXPECT_EQ(WorkerExitCode(absl::PermissionDeniedError("a role")), 42);
  EXPECT_EQ(WorkerExitCode(absl::UnauthenticatedError("a token")), 42);
  EXPECT_EQ(WorkerExitCode(absl::UnimplementedError("an rpc")), 42);
}

TEST_F(WorkerTest, BadOptionsAreInvalid) {
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--coordinator is missing")));
  options_.coordinator = "127.0.0.1:1";
  options_.device = "gpu";
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'gpu': expected cpu, cuda:N or auto")));
  options_.hang_timeout = absl::ZeroDuration();
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--hang_timeout is 0")));
  options_.pack = -1;
  EXPECT_THAT(
      RunWorker(options_, stop_),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--pack is -1")));
  options_.threads = 0;
  EXPECT_THAT(RunWorker(options_, stop_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--threads is 0")));
}

}  // namespace
}  // namespace kodistil
