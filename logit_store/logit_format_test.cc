#include "logit_store/logit_format.h"

#include <limits>
#include <string>

#include "absl/strings/escaping.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::LogitSetId SetId() {
  v1::LogitSetId id;
  id.set_teacher_fingerprint(std::string(64, 'a'));
  id.set_dataset("nsmc");
  return id;
}

std::string LogitKey(uint64_t index) {
  return AppendIndex(LogitPrefix(SetId()), index);
}

v1::LogitRow SomeRow() {
  v1::LogitRow row;
  row.set_index(258);
  row.set_text_hash("0123456789abcdef");
  row.add_logits(1.5f);
  row.add_logits(-0.25f);
  return row;
}

std::string Hex(absl::string_view bytes) {
  return absl::BytesToHexString(bytes);
}

// The bytes on disk of format version 1. A change here is a new version.
TEST(LogitFormatTest, KeysAreTheGoldenBytes) {
  EXPECT_EQ(Hex(FormatKey()), "46");
  EXPECT_EQ(Hex(ManifestKey(SetId())), "4db74eb97b376f9480598896294a7bce9a");
  EXPECT_EQ(Hex(DatasetKey("nsmc")), "44d385ac7fccec79a275ff98ff870eb083");
  EXPECT_EQ(Hex(LogitKey(258)),
            "4cb74eb97b376f9480598896294a7bce9a0000000000000102");
  EXPECT_EQ(Hex(AppendIndex(RowPrefix("nsmc", 1), 258)),
            "52d385ac7fccec79a275ff98ff870eb083000000000000000100000000000001"
            "02");
  EXPECT_EQ(Hex(AppendIndex(HashBlockPrefix("nsmc", 1), 2)),
            "48d385ac7fccec79a275ff98ff870eb083000000000000000100000000000000"
            "02");
}

TEST(LogitFormatTest, RecordsAreTheGoldenBytes) {
  EXPECT_EQ(Hex(SealFormat(kLogitFormatVersion)),
            "016b6f64697374696c206c6f6769742073746f726501000000eb15ea9c");
  EXPECT_EQ(Hex(SealLogits(LogitKey(258), SomeRow())),
            "01303132333435363738396162636465660000c03f000080be6caaf32e");
  DatasetRecord dataset;
  dataset.generation = 3;
  dataset.info.set_dataset("nsmc");
  dataset.info.set_dataset_fingerprint("ff");
  dataset.info.set_row_count(300);
  EXPECT_EQ(Hex(SealDataset(DatasetKey("nsmc"), dataset)),
            "0103000000000000000a046e736d631202666618ac02f8403388");
  v1::DatasetRow row;
  row.set_index(258);
  row.set_text("좋다");
  row.set_label(1);
  row.set_split(2);
  EXPECT_EQ(Hex(SealMessage(AppendIndex(RowPrefix("nsmc", 1), 258), row)),
            "010882021206eca28beb8ba420012802ff1ea1e9");
  v1::LogitSetManifest manifest;
  *manifest.mutable_id() = SetId();
  manifest.set_teacher_name("ngram");
  manifest.set_dataset_fingerprint("ff");
  manifest.set_row_count(300);
  manifest.set_num_classes(2);
  manifest.set_created_unix_ms(1700000000000);
  manifest.set_build("kodistil 0.1.0");
  EXPECT_EQ(Hex(SealMessage(ManifestKey(SetId()), manifest)),
            "010a480a40616161616161616161616161616161616161616161616161616161"
            "6161616161616161616161616161616161616161616161616161616161616161"
            "616161616112046e736d6312056e6772616d1a02666620ac0228023080d095ff"
            "bc313a0e6b6f64697374696c20302e312e30b6c10f05");
}

TEST(LogitFormatTest, KeysSortByIndex) {
  const uint64_t indices[] = {0, 1, 255, 256, 65535, 65536, uint64_t{1} << 40};
  for (size_t i = 1; i < std::size(indices); ++i) {
    EXPECT_LT(LogitKey(indices[i - 1]), LogitKey(indices[i]));
  }
  for (const uint64_t index : indices) {
    EXPECT_EQ(IndexOfKey(LogitKey(index)), index);
    EXPECT_EQ(LogitKey(index).size(), 25u);
  }
}

TEST(LogitFormatTest, NamesThatJoinAlikeHaveOtherKeys) {
  v1::LogitSetId a, b;
  a.set_teacher_fingerprint("ab");
  a.set_dataset("c");
  b.set_teacher_fingerprint("a");
  b.set_dataset("bc");
  EXPECT_NE(LogitPrefix(a), LogitPrefix(b));
}

TEST(LogitFormatTest, LogitsComeBack) {
  const std::string key = LogitKey(258);
  v1::LogitRow row;
  ASSERT_OK(OpenLogits(key, SealLogits(key, SomeRow()), 2, &row));
  EXPECT_EQ(row.SerializeAsString(), SomeRow().SerializeAsString());
  v1::LogitRow extreme = SomeRow();
  extreme.set_logits(0, std::numeric_limits<float>::denorm_min());
  extreme.set_logits(1, -std::numeric_limits<float>::max());
  ASSERT_OK(OpenLogits(key, SealLogits(key, extreme), 2, &row));
  EXPECT_THAT(row.logits(), ElementsAre(extreme.logits(0), extreme.logits(1)));
}

TEST(LogitFormatTest, EveryFlippedBitIsDataLoss) {
  const std::string key = LogitKey(258);
  const std::string record = SealLogits(key, SomeRow());
  v1::LogitRow row;
  for (size_t bit = 0; bit < 8 * record.size(); ++bit) {
    std::string bad = record;
    bad[bit / 8] ^= 1 << (bit % 8);
    ASSERT_THAT(
        OpenLogits(key, bad, 2, &row),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("logits of row 258")));
  }
  for (size_t size = 0; size < record.size(); ++size) {
    ASSERT_THAT(
        OpenLogits(key, record.substr(0, size), 2, &row),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("logits of row 258")));
  }
}

TEST(LogitFormatTest, RecordOfAnotherKeyIsDataLoss) {
  v1::LogitRow row;
  EXPECT_THAT(
      OpenLogits(LogitKey(259), SealLogits(LogitKey(258), SomeRow()), 2, &row),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("logits of row 259")));
}

TEST(LogitFormatTest, OtherNumberOfClassesIsDataLoss) {
  const std::string key = LogitKey(258);
  v1::LogitRow row;
  EXPECT_THAT(OpenLogits(key, SealLogits(key, SomeRow()), 3, &row),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("expected 3 logits in 28 bytes, found 24")));
}

TEST(LogitFormatTest, NewerVersionIsRefusedByName) {
  EXPECT_OK(CheckFormat(SealFormat(1)));
  EXPECT_THAT(CheckFormat(SealFormat(2)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("format version 2"),
                             HasSubstr("reads version 1"))));
}

// A record of version 2, sealed by hand.
TEST(LogitFormatTest, NewerRecordIsRefusedByName) {
  const std::string record = absl::HexStringToBytes("0278d863020d");
  EXPECT_THAT(OpenRecord(DatasetKey("nsmc"), record),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("record format version 2"),
                             HasSubstr("reads version 1"))));
}

}  // namespace
}  // namespace kodistil
