#include "student_trainer/student_card.h"

#include <string>

#include "base/testing.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StudentOrigin SomeOrigin() {
  StudentOrigin origin;
  origin.trial_id = "abc";
  origin.build = "kodistil 0.1.0";
  origin.engine = "fast";
  origin.rows = 200000;
  origin.config.set_vocab_size(3000);
  origin.config.set_seed(42);
  origin.config.set_loss_option("kl_div");
  origin.config.set_temperature(2.5);
  origin.config.set_loss_rate(0.1);
  origin.config.set_teacher(std::string(64, 't'));
  origin.inputs.set_dataset("nsmc");
  origin.inputs.set_dataset_fingerprint(std::string(64, 'd'));
  origin.result.set_correct(43931);
  origin.result.set_total(50000);
  origin.result.set_parameters(391170);
  return origin;
}

TEST(StudentCardTest, ProvenanceHoldsWhatIsNeededToTrainAgain) {
  const auto json =
      nlohmann::json::parse(ProvenanceJson(SomeOrigin()), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["trial_id"], "abc");
  EXPECT_EQ(json["build"], "kodistil 0.1.0");
  EXPECT_EQ(json["engine"], "fast");
  EXPECT_EQ(json["config"]["seed"], 42);
  EXPECT_EQ(json["config"]["temperature"], 2.5);
  EXPECT_EQ(json["dataset"]["fingerprint"], std::string(64, 'd'));
  EXPECT_EQ(json["logits"]["teacher_fingerprint"], std::string(64, 't'));
  EXPECT_EQ(json["result"]["correct"], 43931);
}

TEST(StudentCardTest, MeanOfTeachersListsThemAll) {
  StudentOrigin origin = SomeOrigin();
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  origin.config.set_teacher("0.3*" + a + "+0.7*" + b);
  const auto json = nlohmann::json::parse(ProvenanceJson(origin));
  const auto& members = json["logits"]["mean_of"];
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0]["teacher_fingerprint"], a);
  EXPECT_EQ(members[0]["weight"], 0.3);
  EXPECT_EQ(members[1]["teacher_fingerprint"], b);
  EXPECT_EQ(members[1]["weight"], 0.7);
  const auto alone = nlohmann::json::parse(ProvenanceJson(SomeOrigin()));
  EXPECT_FALSE(alone["logits"].contains("mean_of"));
}

TEST(StudentCardTest, TimesAreNotWritten) {
  StudentOrigin slow = SomeOrigin();
  slow.result.set_train_seconds(99);
  slow.result.set_train_rows_per_second(7);
  EXPECT_EQ(ProvenanceJson(slow), ProvenanceJson(SomeOrigin()));
  slow.result.mutable_latency()->set_p50_seconds(1);
  EXPECT_EQ(ProvenanceJson(slow), ProvenanceJson(SomeOrigin()));
}

TEST(StudentCardTest, PlainStudentHasNoTeacher) {
  StudentOrigin plain = SomeOrigin();
  plain.config.set_loss_option("ce");
  EXPECT_THAT(ProvenanceJson(plain), Not(HasSubstr("teacher")));
}

}  // namespace
}  // namespace kodistil
