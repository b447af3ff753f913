#include "coordinator/grid.h"

#include <set>

#include "base/files.h"
#include "base/testing.h"
#include "coordinator/sweep_flags.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using v1::StudentConfig;
using v1::SweepSpec;

SweepSpec Resolved(const SweepSpec& spec) {
  const auto resolved = ResolveSpec(spec);
  EXPECT_OK(resolved);
  return *resolved;
}

TEST(GridTest, DefaultSweepIsFourDistilledCellsAndTwoTwins) {
  const auto cells = ExpandGrid(Resolved({}), {"t"});
  ASSERT_EQ(cells.size(), 6u);
  int twins = 0;
  for (const StudentConfig& cell : cells) twins += cell.loss_option() == "ce";
  EXPECT_EQ(twins, 2);
}

TEST(GridTest, EveryAxisIsCrossedWithEveryOther) {
  SweepSpec spec;
  spec.set_no_twins(true);
  for (const uint32_t h : {16, 32}) spec.add_hidden_dim(h);
  for (const uint32_t e : {8, 16, 24}) spec.add_embedding_dim(e);
  for (const double t : {1, 2}) spec.add_temperature(t);
  for (const double a : {0.1, 0.5}) spec.add_loss_rate(a);
  EXPECT_EQ(ExpandGrid(Resolved(spec), {"t", "u"}).size(), 2u * 3 * 2 * 2 * 2);
}

TEST(GridTest, TwinsOfOneArchitectureAreOne) {
  SweepSpec spec;
  spec.add_student("tiny");
  for (const double t : {1, 2, 5}) spec.add_temperature(t);
  EXPECT_EQ(ExpandGrid(Resolved(spec), {"t"}).size(), 4u);
}

TEST(GridTest, MseIgnoresTemperature) {
  SweepSpec spec;
  spec.add_student("tiny");
  spec.add_loss_option("mse");
  spec.set_no_twins(true);
  for (const double t : {1, 2, 5}) spec.add_temperature(t);
  EXPECT_EQ(ExpandGrid(Resolved(spec), {"t"}).size(), 1u);
}

TEST(GridTest, WeightDecayIsAnAxisOfAdamWAlone) {
  SweepSpec spec;
  spec.add_student("tiny");
  spec.add_temperature(1);
  spec.set_no_twins(true);
  const StudentConfig plain = ExpandGrid(Resolved(spec), {"t"}).front();
  for (const double decay : {0.0, 0.1, 0.01}) spec.add_weight_decay(decay);
  // Who asks for weight decay gets AdamW; without it AdamW is Adam.
  auto cells = ExpandGrid(Resolved(spec), {"t"});
  ASSERT_EQ(cells.size(), 3u);
  EXPECT_EQ(cells[0].SerializeAsString(), plain.SerializeAsString());
  EXPECT_EQ(cells[1].optimizer(), "adamw");
  EXPECT_EQ(cells[1].weight_decay(), 0.1);
  // Adam has none: one cell of it, not three.
  for (const char* name : {"adam", "adamw"}) spec.add_optimizer(name);
  EXPECT_EQ(ExpandGrid(Resolved(spec), {"t"}).size(), 3u);
  spec.clear_weight_decay();
  cells = ExpandGrid(Resolved(spec), {"t"});
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0].SerializeAsString(), plain.SerializeAsString());
  EXPECT_EQ(cells[1].weight_decay(), 0.01) << "PyTorch's default";
}

TEST(GridTest, WeightDecayOfAdamIsInvalid) {
  SweepSpec spec;
  spec.add_optimizer("adam");
  spec.add_weight_decay(0.1);
  EXPECT_THAT(ResolveSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("found 0.1 with optimizer adam")));
  spec.add_optimizer("sgd");
  EXPECT_THAT(ResolveSpec(spec), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("adam, adamw")));
}

TEST(GridTest, OutOfRangeValueNamesFieldValueAndRange) {
  SweepSpec spec;
  spec.add_loss_rate(1.5);
  EXPECT_THAT(ResolveSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("loss_rate: found 1.5, expected 0 to 1")));
}

TEST(GridTest, UnknownStudentNamesTheKnownOnes) {
  SweepSpec spec;
  spec.add_student("huge");
  EXPECT_THAT(ResolveSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tiny, mini, small, base, large")));
}

TEST(GridTest, NamedSizesExcludeDimensions) {
  SweepSpec spec;
  spec.add_student("tiny");
  spec.add_hidden_dim(16);
  EXPECT_THAT(ResolveSpec(spec), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("not both")));
}

TEST(GridTest, ParameterCountsAreThoseOfTheSeed) {
  SweepSpec spec;
  spec.set_no_twins(true);
  spec.add_temperature(1);
  for (const char* name : {"tiny", "mini", "small", "base", "large"}) {
    spec.add_student(name);
  }
  std::vector<uint64_t> counts;
  for (const StudentConfig& cell : ExpandGrid(Resolved(spec), {"t"})) {
    counts.push_back(StudentParameters(cell, /*num_classes=*/2));
  }
  EXPECT_THAT(counts,
              ::testing::ElementsAre(27394, 52418, 146434, 391170, 1175554));
}

TEST(TrialIdTest, DependsOnWhatMattersAlone) {
  StudentConfig config = ExpandGrid(Resolved({}), {"t"}).front();
  v1::TrialInputs inputs;
  inputs.set_dataset_fingerprint("d");
  inputs.set_vocab_digest("v");
  const std::string id = TrialId(config, inputs);
  inputs.set_logit_store("host:1");
  inputs.set_dataset_digest("x");
  EXPECT_EQ(TrialId(config, inputs), id);
  inputs.set_dataset_fingerprint("e");
  EXPECT_NE(TrialId(config, inputs), id);
  inputs.set_dataset_fingerprint("d");
  config.set_seed(2);
  EXPECT_NE(TrialId(config, inputs), id);
}

// What is in people's ledgers: a cell whose id changes is trained again.
TEST(TrialIdTest, StaysWhatItIs) {
  v1::TrialInputs inputs;
  inputs.set_dataset_fingerprint(std::string(64, 'd'));
  inputs.set_vocab_digest(std::string(64, 'v'));
  inputs.set_lower_case(true);
  const std::vector<StudentConfig> cells =
      ExpandGrid(Resolved({}), {std::string(64, 'a')});
  EXPECT_EQ(TrialId(cells.front(), inputs),
            "00481721f6b0037666c96e5e14751d08ee437eedba75070051400b4a2d47b9b6");
  EXPECT_EQ(TrialId(TwinOf(cells.front()), inputs),
            "d86e6d99c99ab75fb09cf417213b79e912f5e4bb98ba4f4f7bf44a2a6adc1a66");
}

TEST(TrialIdTest, CoversTheMeanOfTeachers) {
  StudentConfig config = ExpandGrid(Resolved({}), {"0.5*a+0.5*b"}).front();
  const std::string id = TrialId(config, {});
  config.set_teacher("0.4*a+0.6*b");
  EXPECT_NE(TrialId(config, {}), id);
  config.set_teacher("0.5*a+0.5*c");
  EXPECT_NE(TrialId(config, {}), id);
}

TEST(SpecFileTest, UnknownFieldNamesFileLineAndColumn) {
  const std::string path = JoinPath(NewTestDir(), "s.textproto");
  ASSERT_OK(WriteFileAtomically(path, "seed: 1\nlearning_rate: 2\n"));
  EXPECT_THAT(ReadSpecFile(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("s.textproto:2:")));
}

TEST(SpecFileTest, PrintedSpecReadsBack) {
  const std::string path = JoinPath(NewTestDir(), "s.textproto");
  const SweepSpec spec = Resolved({});
  ASSERT_OK(WriteFileAtomically(path, SpecText(spec)));
  ASSERT_OK_AND_ASSIGN(const SweepSpec back, ReadSpecFile(path));
  EXPECT_EQ(back.SerializeAsString(), spec.SerializeAsString());
}

TEST(SweepFlagsTest, ListsReplaceTheSpecsValues) {
  SweepSpec spec;
  spec.add_hidden_dim(7);
  ASSERT_OK(ApplySweepValues(
      [](const std::string& name) -> std::string {
        if (name == "hidden_dim") return "64,128";
        if (name == "gamma") return "0.5";
        return "";
      },
      &spec));
  EXPECT_THAT(spec.hidden_dim(), ::testing::ElementsAre(64, 128));
  EXPECT_EQ(spec.gamma(), 0.5);
}

TEST(SweepFlagsTest, BadNumberNamesTheFlag) {
  SweepSpec spec;
  EXPECT_THAT(ApplySweepValues(
                  [](const std::string& name) -> std::string {
                    return name == "hidden_dim" ? "64,big" : "";
                  },
                  &spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--hidden_dim: found 'big'")));
}

}  // namespace
}  // namespace kodistil
