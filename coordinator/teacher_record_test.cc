#include "coordinator/teacher_record.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TeacherRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = JoinPath(NewTestDir(), "teacher.json");
    TeacherRecord record;
    record.name = "선생님";
    record.fingerprint = std::string(64, 'a');
    record.num_classes = 2;
    record.correct = 7;
    ASSERT_OK(SaveTeacherRecord(record, path_));
    ASSERT_OK_AND_ASSIGN(saved_, ReadFile(path_));
  }

  // Reads the record with `from` replaced.
  absl::StatusOr<TeacherRecord> LoadWith(const std::string& from,
                                         const std::string& to) {
    const std::string changed = absl::StrReplaceAll(saved_, {{from, to}});
    EXPECT_NE(changed, saved_);
    EXPECT_OK(WriteFileAtomically(path_, changed));
    return LoadTeacherRecord(path_);
  }

  std::string path_;
  std::string saved_;
};

TEST_F(TeacherRecordTest, ReadsWhatWasSaved) {
  ASSERT_OK_AND_ASSIGN(const TeacherRecord record, LoadTeacherRecord(path_));
  EXPECT_EQ(record.name, "선생님");
  EXPECT_EQ(record.fingerprint, std::string(64, 'a'));
  EXPECT_EQ(record.num_classes, 2);
  EXPECT_EQ(record.correct, 7);
}

TEST_F(TeacherRecordTest, FirstOnesHadNoVersion) {
  ASSERT_OK_AND_ASSIGN(const TeacherRecord record,
                       LoadWith("\"format_version\": 1,", ""));
  EXPECT_EQ(record.correct, 7);
}

TEST_F(TeacherRecordTest, NewerVersionIsRefusedByName) {
  EXPECT_THAT(
      LoadWith("\"format_version\": 1", "\"format_version\": 2").status(),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr(path_),
                     HasSubstr("found teacher's record format version 2, this "
                               "program reads version 1"))));
}

TEST_F(TeacherRecordTest, DamageIsDataLoss) {
  EXPECT_THAT(LoadWith("{", "[").status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

}  // namespace
}  // namespace kodistil
