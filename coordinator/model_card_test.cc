#include "coordinator/model_card.h"

#include "absl/strings/str_cat.h"
#include "base/testing.h"
#include "coordinator/grid.h"
#include "coordinator/paired_test.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using v1::Trial;

Trial DoneTrial(const v1::StudentConfig& config, uint64_t correct) {
  Trial trial;
  trial.set_trial_id(absl::StrCat("id", correct));
  *trial.mutable_config() = config;
  trial.mutable_inputs()->set_dataset("nsmc");
  trial.mutable_inputs()->set_dataset_fingerprint("dddd");
  trial.mutable_inputs()->set_lower_case(true);
  trial.set_state(Trial::STATE_DONE);
  v1::TrialResult* const result = trial.mutable_result();
  result->set_correct(correct);
  result->set_total(50000);
  result->set_parameters(146434);
  result->set_bytes(587000);
  result->set_epochs(3);
  result->set_selected_epoch(2);
  return trial;
}

// The distilled trial first.
SweepResults Example() {
  v1::SweepSpec spec;
  spec.add_student("small");
  spec.add_temperature(2);
  SweepResults results;
  TeacherResult teacher;
  teacher.name = "ngram";
  teacher.fingerprint = "tttt";
  teacher.parameters = 3627610;
  teacher.correct = 43900;
  teacher.total = 50000;
  results.teachers.push_back(teacher);
  for (const auto& config : ExpandGrid(*ResolveSpec(spec), {"tttt"})) {
    results.trials.push_back(
        DoneTrial(config, config.loss_option() == "ce" ? 41865 : 42060));
  }
  return results;
}

const Trial& DistilledOf(const SweepResults& results) {
  return results.trials[results.trials[0].config().loss_option() == "ce"];
}

const Trial& PlainOf(const SweepResults& results) {
  return results.trials[results.trials[0].config().loss_option() != "ce"];
}

std::string CardOf(const Trial& trial, const SweepResults& results) {
  return ModelCard(trial, results, Twins(results.trials));
}

TEST(ModelCardTest, FrontMatterIsThatOfTheHub) {
  const SweepResults results = Example();
  EXPECT_THAT(CardOf(DistilledOf(results), results), StartsWith(R"(---
language:
- ko
license: unknown
library_name: kodistil
pipeline_tag: text-classification
tags:
- text-classification
- bilstm
- knowledge-distillation
datasets:
- "nsmc"
metrics:
- accuracy
model-index:
- name: "KoDistil Small"
  results:
  - task:
      type: text-classification
      name: Text Classification
    dataset:
      type: "nsmc"
      name: "nsmc"
      split: test
      revision: "dddd"
    metrics:
    - type: accuracy
      value: 0.841200
      name: Accuracy
---
)"));
}

TEST(ModelCardTest, ResultsStandBesideTeacherAndTwin) {
  SweepResults results = Example();
  const std::string card = CardOf(DistilledOf(results), results);
  EXPECT_THAT(card, HasSubstr("84.12 % (42,060 of 50,000 test rows)"));
  EXPECT_THAT(card, HasSubstr("ngram, 87.80 %"));
  EXPECT_THAT(card, HasSubstr("83.73 % (41,865 of 50,000 test rows)"));
  EXPECT_THAT(card, HasSubstr("| gain | +0.39 points |"));
  EXPECT_THAT(card, HasSubstr("kl_div, loss_rate 0.1, T 2"));
  EXPECT_THAT(card, HasSubstr("3,627,610 parameters, fingerprint tttt"));
}

TEST(ModelCardTest, GainHasItsIntervalWherePredictionsAreKnown) {
  SweepResults results = Example();
  Predictions first(20), second(20);
  for (int i = 0; i < 18; ++i) first[i] = true;
  for (int i = 8; i < 20; ++i) second[i] = true;
  results.predictions[DistilledOf(results).trial_id()] =
      std::make_shared<const PredictionBits>(first);
  results.predictions[PlainOf(results).trial_id()] =
      std::make_shared<const PredictionBits>(second);
  // 2 (1 + 10 + 45) / 2^10.
  EXPECT_THAT(CardOf(DistilledOf(results), results), HasSubstr("p = 0.1094)"));
}

TEST(ModelCardTest, PlainStudentHasNoTeacher) {
  const SweepResults results = Example();
  const std::string card = CardOf(PlainOf(results), results);
  EXPECT_THAT(card, HasSubstr("trained on labels alone"));
  EXPECT_THAT(card, Not(HasSubstr("knowledge-distillation")));
  EXPECT_THAT(card, Not(HasSubstr("tttt")));
  EXPECT_THAT(card, Not(HasSubstr("| gain |")));
}

TEST(ModelCardTest, LatencyIsThereWhereItWasMeasured) {
  SweepResults results = Example();
  EXPECT_THAT(CardOf(results.trials[0], results),
              Not(HasSubstr("latency of one text")));
  v1::RowLatency* const latency =
      results.trials[0].mutable_result()->mutable_latency();
  latency->set_p50_seconds(0.000123);
  latency->set_p99_seconds(0.0004);
  latency->set_rows(256);
  latency->set_mean_tokens(28.94);
  latency->set_processor("A | CPU");
  EXPECT_THAT(
      CardOf(results.trials[0], results),
      HasSubstr("123 microseconds (median; p99 400) without tokenising, "
                "fp32, one thread, over 256 test rows of 28.9 tokens, "
                "on A \\| CPU"));
}

TEST(ModelCardTest, NamesOfOthersStayInTheirPlace) {
  SweepResults results = Example();
  results.teachers[0].name = "a\n# b | <img>";
  for (Trial& trial : results.trials) {
    trial.mutable_inputs()->set_dataset("x\"\nlicense: mit");
  }
  const std::string card = CardOf(DistilledOf(results), results);
  EXPECT_THAT(card, HasSubstr("- \"x\\\"\\nlicense: mit\"\n"));
  EXPECT_THAT(card, Not(HasSubstr("\n# b")));
  EXPECT_THAT(card, HasSubstr("a # b \\| \\<img>"));
}

TEST(ModelCardTest, WithoutTestRowsThereIsNoIndex) {
  SweepResults results = Example();
  results.trials[0].mutable_result()->set_total(0);
  results.trials[0].mutable_result()->set_correct(0);
  const std::string card = CardOf(results.trials[0], results);
  EXPECT_THAT(card, Not(HasSubstr("model-index")));
  EXPECT_THAT(card, HasSubstr("not measured"));
}

}  // namespace
}  // namespace kodistil
