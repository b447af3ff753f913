#include "coordinator/tensorboard_writer.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/event_file.h"
#include "coordinator/tensorboard_events.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using v1::TensorboardEvent;
using v1::TensorboardSessionEnd;
using v1::Trial;

const absl::Time kNow = absl::FromUnixSeconds(1700000000);

void AddEpoch(uint32_t number,
              google::protobuf::RepeatedPtrField<v1::EpochReport>* history) {
  v1::EpochReport* const epoch = history->Add();
  epoch->set_epoch(number);
  epoch->set_train_loss(1.0 / number);
  epoch->set_hard_loss(0.5 / number);
  epoch->set_soft_loss(0.25 / number);
  epoch->set_valid_accuracy(0.75);
  epoch->set_learning_rate(0.001);
  epoch->set_seconds(2);
  epoch->set_rows(1000);
}

Trial RunningTrial(uint32_t epochs) {
  Trial trial;
  trial.set_trial_id("0123456789abcdef");
  trial.mutable_config()->set_loss_option("kl_div");
  trial.mutable_config()->set_lr(0.001);
  trial.mutable_config()->set_seed(42);
  trial.mutable_inputs()->set_dataset("sample");
  trial.set_created_unix_ms(1234500);
  trial.add_attempt_history()->set_begin_unix_ms(1235000);
  trial.set_state(Trial::STATE_RUNNING);
  for (uint32_t i = 1; i <= epochs; ++i) AddEpoch(i, trial.mutable_history());
  return trial;
}

Trial DoneTrial(uint32_t epochs) {
  Trial trial = RunningTrial(0);
  trial.set_state(Trial::STATE_DONE);
  trial.mutable_attempt_history(0)->set_end_unix_ms(1236000);
  v1::TrialResult* const result = trial.mutable_result();
  for (uint32_t i = 1; i <= epochs; ++i) AddEpoch(i, result->mutable_history());
  result->set_epochs(epochs);
  result->set_correct(3);
  result->set_total(4);
  result->set_test_loss(0.5);
  return trial;
}

class TensorboardWriterTest : public ::testing::Test {
 protected:
  std::vector<std::string> Files() const {
    return *EventFilesOf(JoinPath(dir_, "0123456789ab"));
  }

  // Of all files of the trial; each must be whole.
  std::vector<TensorboardEvent> Events() const {
    std::vector<TensorboardEvent> events;
    for (const std::string& path : Files()) {
      const EventFile file = ParseEvents(*ReadFile(path));
      EXPECT_TRUE(file.whole) << path;
      EXPECT_EQ(file.events.at(0).file_version(), "brain.Event:2") << path;
      events.insert(events.end(), file.events.begin() + 1, file.events.end());
    }
    return events;
  }

  // "tag@step" of every value, in the order written.
  std::vector<std::string> Values() const {
    std::vector<std::string> values;
    for (const TensorboardEvent& event : Events()) {
      for (const auto& value : event.summary().value()) {
        values.push_back(absl::StrCat(value.tag(), "@", event.step()));
      }
    }
    return values;
  }

  int Count(const std::string& value) const {
    const auto values = Values();
    return std::count(values.begin(), values.end(), value);
  }

  const std::string dir_ = NewTestDir();
};

TEST_F(TensorboardWriterTest, AnEpochHasEveryTermOnce) {
  TensorboardWriter writer(dir_);
  ASSERT_OK(writer.Update({RunningTrial(1)}, kNow));
  EXPECT_THAT(Values(),
              ElementsAre("_hparams_/session_start_info@0", "loss/train@1",
                          "loss/hard@1", "loss/soft@1", "accuracy/valid@1",
                          "learning_rate@1", "rows_per_second@1"));
  const TensorboardEvent epoch = Events()[1];
  EXPECT_EQ(epoch.wall_time(), 1700000000);
  EXPECT_EQ(epoch.summary().value(0).simple_value(), 1.0f);
  EXPECT_EQ(epoch.summary().value(5).simple_value(), 500.0f);
  for (const auto& value : epoch.summary().value()) {
    EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "scalars");
    EXPECT_EQ(value.metadata().data_class(),
              v1::TensorboardMetadata::DATA_CLASS_SCALAR);
  }
}

TEST_F(TensorboardWriterTest, GrowsInOneFileWithoutRepeating) {
  TensorboardWriter writer(dir_);
  for (const uint32_t epochs : {0, 1, 1, 2}) {
    ASSERT_OK(writer.Update({RunningTrial(epochs)}, kNow));
  }
  ASSERT_OK(writer.Update({DoneTrial(3)}, kNow));
  const std::vector<std::string> values = Values();
  ASSERT_OK(writer.Update({DoneTrial(3)}, kNow));
  EXPECT_EQ(Values(), values);
  EXPECT_THAT(Files(), SizeIs(1));
  for (const int epoch : {1, 2, 3}) {
    EXPECT_EQ(Count(absl::StrCat("loss/train@", epoch)), 1);
  }
  EXPECT_EQ(Count("accuracy/test@3"), 1);
  EXPECT_EQ(values.back(), "_hparams_/session_end_info@0");
}

TEST_F(TensorboardWriterTest, AResumedSweepGoesOnInANewFile) {
  ASSERT_OK(TensorboardWriter(dir_).Update({RunningTrial(2)}, kNow));
  // As a coordinator that was killed while it wrote leaves it.
  const std::string first = Files()[0];
  const std::string bytes = *ReadFile(first);
  ASSERT_OK(WriteFileAtomically(first, bytes.substr(0, bytes.size() - 3)));
  TensorboardWriter resumed(dir_);
  const absl::Time later = kNow + absl::Hours(1);
  ASSERT_OK(resumed.Update({RunningTrial(2)}, later));
  ASSERT_OK(resumed.Update({DoneTrial(3)}, later));
  ASSERT_THAT(Files(), SizeIs(2));
  EXPECT_EQ(ReadFile(first)->size(), bytes.size() - 3) << "left as it was";
  // The torn epoch and what was new; epoch 1 not again.
  const EventFile second = ParseEvents(*ReadFile(Files()[1]));
  ASSERT_EQ(second.events.size(), 5u);
  EXPECT_EQ(second.events[1].step(), 2);
  EXPECT_EQ(second.events[2].step(), 3);
}

TEST_F(TensorboardWriterTest, ADoneTrialIsWrittenOnceByAnyNumberOfRuns) {
  for (int run = 0; run < 3; ++run) {
    ASSERT_OK(TensorboardWriter(dir_).Update({DoneTrial(2)}, kNow));
  }
  EXPECT_THAT(Files(), SizeIs(1));
  EXPECT_EQ(Count("loss/train@2"), 1);
}

TEST_F(TensorboardWriterTest, AnEpochThatWasNotReportedIsWaitedFor) {
  Trial gap = RunningTrial(4);
  gap.mutable_history()->DeleteSubrange(/*start=*/1, /*num=*/1);  // epoch 2
  TensorboardWriter writer(dir_);
  ASSERT_OK(writer.Update({gap}, kNow));
  EXPECT_EQ(Count("loss/train@1"), 1);
  EXPECT_EQ(Count("loss/train@3"), 0);
  ASSERT_OK(writer.Update({DoneTrial(5)}, kNow));
  for (const int epoch : {1, 2, 3, 4, 5}) {
    EXPECT_EQ(Count(absl::StrCat("loss/train@", epoch)), 1) << epoch;
  }
}

TEST_F(TensorboardWriterTest, EpochsOfEarlierFilesAreNoGap) {
  ASSERT_OK(TensorboardWriter(dir_).Update({RunningTrial(2)}, kNow));
  Trial later = RunningTrial(3);
  later.mutable_history()->DeleteSubrange(/*start=*/0, /*num=*/2);
  ASSERT_OK(TensorboardWriter(dir_).Update({later}, kNow + absl::Seconds(1)));
  EXPECT_EQ(Count("loss/train@3"), 1);
}

TEST_F(TensorboardWriterTest, OtherValuesOfAnEpochReplaceItAndWhatFollows) {
  TensorboardWriter writer(dir_);
  ASSERT_OK(writer.Update({RunningTrial(3)}, kNow));
  Trial other = RunningTrial(3);
  other.mutable_history(1)->set_train_loss(9);
  ASSERT_OK(writer.Update({other}, kNow));
  EXPECT_EQ(Count("loss/train@1"), 1);
  EXPECT_EQ(Count("loss/train@2"), 2);
  EXPECT_EQ(Count("loss/train@3"), 2) << "readers drop it with step 2";
}

TEST_F(TensorboardWriterTest, AFailedTrialThatIsTriedAgainBeginsAnew) {
  Trial failed = RunningTrial(1);
  failed.set_state(Trial::STATE_FAILED);
  ASSERT_OK(TensorboardWriter(dir_).Update({failed}, kNow));
  EXPECT_EQ(HParamsOf(Events().back()).session_end_info().status(),
            TensorboardSessionEnd::STATUS_FAILURE);
  TensorboardWriter again(dir_);
  ASSERT_OK(again.Update({RunningTrial(1)}, kNow + absl::Seconds(9)));
  ASSERT_OK(again.Update({DoneTrial(2)}, kNow + absl::Seconds(9)));
  EXPECT_EQ(Count("loss/train@1"), 1);
  EXPECT_EQ(Count("_hparams_/session_end_info@0"), 1);
  EXPECT_EQ(HParamsOf(Events().back()).session_end_info().status(),
            TensorboardSessionEnd::STATUS_SUCCESS);
}

TEST_F(TensorboardWriterTest, PendingTrialsAndMissingTermsAreLeftOut) {
  TensorboardWriter writer(dir_);
  Trial pending = RunningTrial(0);
  pending.set_state(Trial::STATE_PENDING);
  ASSERT_OK(writer.Update({pending}, kNow));
  EXPECT_THAT(Files(), IsEmpty());
  Trial plain = RunningTrial(1);
  plain.mutable_config()->set_loss_option("ce");
  plain.mutable_history(0)->clear_rows();  // a record of an earlier version
  ASSERT_OK(writer.Update({plain}, kNow));
  EXPECT_EQ(Count("loss/hard@1"), 1);
  EXPECT_EQ(Count("loss/soft@1"), 0);
  EXPECT_EQ(Count("rows_per_second@1"), 0);
}

TEST_F(TensorboardWriterTest, AnErrorNamesThePathAndTheNextTryCatchesUp) {
  const std::string folder = JoinPath(dir_, "0123456789ab");
  ASSERT_OK(WriteFileAtomically(folder, "a file where the folder should be"));
  TensorboardWriter writer(dir_);
  const absl::Status status = writer.Update({DoneTrial(1)}, kNow);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder));
  ASSERT_OK(RemoveAll(folder));
  ASSERT_OK(writer.Update({DoneTrial(1)}, kNow));
  EXPECT_EQ(Count("accuracy/test@1"), 1);
}

// The bytes that TensorBoard's own messages give.
TEST(TensorboardEventsTest, SessionRecordsAreThoseOfTensorBoard) {
  v1::TensorboardHParams start;
  (*start.mutable_session_start_info()->mutable_hparams())["lr"]
      .set_number_value(0.001);
  start.mutable_session_start_info()->set_group_name("g");
  start.mutable_session_start_info()->set_start_time_secs(1235);
  EXPECT_EQ(absl::BytesToHexString(start.SerializeAsString()),
            "1a1d0a0f0a026c72120911fca9f1d24d62503f2201672900000000004c9340");
  const TensorboardEvent end = EndEvent(DoneTrial(1), kNow);
  EXPECT_EQ(absl::BytesToHexString(
                end.summary().value(0).metadata().plugin_data().content()),
            "220b0801110000000000509340");
}

TEST(TensorboardEventsTest, HParamsTagsAndNullTensorAreExact) {
  const Trial trial = DoneTrial(1);
  const std::vector<std::pair<std::string, TensorboardEvent>> events = {
      {"_hparams_/experiment", ExperimentEvent({trial}, kNow)},
      {"_hparams_/session_start_info", StartEvent(trial, kNow)},
      {"_hparams_/session_end_info", EndEvent(trial, kNow)}};
  for (const auto& [tag, event] : events) {
    ASSERT_EQ(event.summary().value_size(), 1) << tag;
    const auto& value = event.summary().value(0);
    EXPECT_EQ(value.tag(), tag);
    EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "hparams");
    EXPECT_EQ(absl::BytesToHexString(value.tensor().SerializeAsString()),
              "080112021200");
  }
}

TEST(TensorboardEventsTest, TrialsOfOtherSeedsAreOneGroup) {
  const auto group = [](uint64_t seed, double lr) {
    Trial trial = RunningTrial(0);
    trial.mutable_config()->set_seed(seed);
    trial.mutable_config()->set_lr(lr);
    return HParamsOf(StartEvent(trial, kNow)).session_start_info();
  };
  EXPECT_EQ(group(1, 0.1).group_name(), group(2, 0.1).group_name());
  EXPECT_NE(group(1, 0.1).group_name(), group(1, 0.2).group_name());
  EXPECT_EQ(group(1, 0.1).start_time_secs(), 1235);
  EXPECT_EQ(group(1, 0.1).hparams().at("lr").number_value(), 0.1);
  EXPECT_EQ(group(1, 0.1).hparams().at("optimizer").string_value(), "adam");
}

TEST_F(TensorboardWriterTest, TheExperimentIsOneFileThatFollowsTheSweep) {
  std::vector<Trial> trials(2, RunningTrial(0));
  trials[1].mutable_config()->set_lr(0.01);
  ASSERT_OK(TensorboardWriter(dir_).WriteExperiment(trials, kNow));
  const auto files = *EventFilesOf(dir_);
  ASSERT_THAT(files, SizeIs(1));
  const auto content = HParamsOf(ParseEvents(*ReadFile(files[0])).events.at(1));
  EXPECT_EQ(content.experiment().name(), "sample");
  EXPECT_EQ(content.experiment().time_created_secs(), 1234.5);
  for (const auto& hparam : content.experiment().hparam_infos()) {
    EXPECT_EQ(hparam.differs(), hparam.name() == "lr") << hparam.name();
  }
  // Another run says the same: nothing is written. Another sweep replaces it.
  const absl::Time later = kNow + absl::Seconds(1);
  ASSERT_OK(TensorboardWriter(dir_).WriteExperiment(trials, later));
  EXPECT_EQ(*EventFilesOf(dir_), files);
  trials.pop_back();
  ASSERT_OK(TensorboardWriter(dir_).WriteExperiment(trials, later));
  ASSERT_THAT(*EventFilesOf(dir_), SizeIs(1));
  EXPECT_NE(*EventFilesOf(dir_), files);
}

}  // namespace
}  // namespace kodistil
