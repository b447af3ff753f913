#include "corpus/sample_generator.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_split.h"
#include "base/testing.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

TEST(SampleGeneratorTest, SampleIsTheSameForEver) {
  EXPECT_EQ(GenerateSample(1000, 1).Fingerprint(),
            "704e85dd89ab3675e64e0a5923d13d1e14cbc49b539fa8a09efe06627b1536f4");
}

TEST(SampleGeneratorTest, LongerSampleBeginsWithTheShorter) {
  const Dataset small = GenerateSample(50, 7);
  const Dataset large = GenerateSample(500, 7);
  for (size_t i = 0; i < small.rows.size(); ++i) {
    EXPECT_EQ(small.rows[i].text, large.rows[i].text);
    EXPECT_EQ(small.rows[i].label, large.rows[i].label);
  }
  EXPECT_NE(GenerateSample(50, 8).rows[0].text, small.rows[0].text);
}

TEST(SampleGeneratorTest, RowsAreTextOfMixedLengthAndBalanced) {
  const Dataset dataset = GenerateSample(6000, 1);
  size_t good = 0;
  size_t words = 0;
  size_t longest = 0;
  std::set<std::string> distinct;
  for (const Row& row : dataset.rows) {
    ASSERT_EQ(WellFormedUtf8Prefix(row.text), row.text.size());
    ASSERT_FALSE(IsBlank(row.text));
    ASSERT_EQ(row.text.find_first_of(std::string("\t\n\0", 3)),
              std::string::npos);
    ASSERT_TRUE(row.label == 0 || row.label == 1);
    good += row.label;
    const size_t count = std::vector<absl::string_view>(
                             absl::StrSplit(row.text, ' ', absl::SkipEmpty()))
                             .size();
    words += count;
    longest = std::max(longest, count);
    distinct.insert(row.text);
  }
  EXPECT_NEAR(good / 6000.0, 0.5, 0.02);
  EXPECT_NEAR(words / 6000.0, 7.0, 1.5) << "with many spaces left out";
  EXPECT_GE(longest, 24u);
  EXPECT_LE(longest, 60u);
  EXPECT_GT(distinct.size(), 5900u);
}

}  // namespace
}  // namespace kodistil
