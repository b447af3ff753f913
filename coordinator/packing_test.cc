#include "coordinator/packing.h"

#include "base/testing.h"
#include "coordinator/grid.h"

namespace kodistil {
namespace {

using v1::StudentConfig;
using v1::Trial;

Trial TrialOf(const StudentConfig& config) {
  Trial trial;
  *trial.mutable_config() = config;
  trial.mutable_inputs()->set_dataset_fingerprint("d");
  trial.mutable_inputs()->set_vocab_digest("v");
  if (config.loss_option() != "ce")
    trial.mutable_inputs()->set_logit_store("s");
  return trial;
}

TEST(PackingTest, CellsThatDifferInTheirLossFitTogether) {
  v1::SweepSpec spec;
  spec.add_student("tiny");
  for (const double t : {1, 2}) spec.add_temperature(t);
  for (const double a : {0.1, 0.5}) spec.add_loss_rate(a);
  for (const char* loss : {"kl_div", "mse"}) spec.add_loss_option(loss);
  for (const double lr : {0.001, 0.002}) spec.add_lr(lr);
  for (const char* s : {"StepLR", "CyclicLR"}) spec.add_scheduler_type(s);
  for (const double d : {0.1, 0.2}) spec.add_dropout(d);
  for (const double w : {0.0, 0.1}) spec.add_weight_decay(w);
  for (const uint32_t epochs : {1, 2}) spec.add_train_epoch(epochs);
  const auto resolved = ResolveSpec(spec);
  ASSERT_OK(resolved);
  const auto cells = ExpandGrid(*resolved, {"t", "u"});
  ASSERT_GT(cells.size(), 100u);
  const std::string key = PackKey(TrialOf(cells.front()));
  EXPECT_FALSE(key.empty());
  for (const StudentConfig& cell : cells) {
    EXPECT_EQ(PackKey(TrialOf(cell)), key) << cell.DebugString();
  }
}

TEST(PackingTest, CellsOfOtherBatchesOrShapesDoNot) {
  const auto spec = ResolveSpec({});
  ASSERT_OK(spec);
  const Trial trial = TrialOf(ExpandGrid(*spec, {"t"}).front());
  const std::string key = PackKey(trial);
  const auto differs = [&](auto change) {
    Trial other = trial;
    change(&other);
    return PackKey(other) != key;
  };
  using T = Trial*;
  EXPECT_FALSE(differs([](T) {}));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_seed(2); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_batch_size(2); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_vocab_size(200); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_max_length(9); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_hidden_dim(9); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_config()->set_embedding_dim(9); }));
  EXPECT_TRUE(
      differs([](T t) { t->mutable_config()->set_lstm_num_layers(2); }));
  EXPECT_TRUE(
      differs([](T t) { t->mutable_inputs()->set_dataset_fingerprint("e"); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_inputs()->set_vocab_digest("w"); }));
  EXPECT_TRUE(differs([](T t) { t->mutable_inputs()->set_lower_case(true); }));
}

TEST(PackingTest, CellsOfTheReferenceEngineAreTrainedAlone) {
  Trial trial;
  trial.mutable_config()->set_engine("torch");
  EXPECT_EQ(PackKey(trial), "");
}

}  // namespace
}  // namespace kodistil
