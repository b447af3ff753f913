#include "base/hash.h"

#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(Sha256Test, MatchesFips180Vectors) {
  EXPECT_EQ(Sha256Hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Raw("abc").substr(0, 2), "\xba\x78");
}

TEST(Sha256Test, IncrementalEqualsWhole) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.FinishHex(), Sha256Hex("abc"));
}

TEST(Sha256Test, FieldsAreLengthPrefixed) {
  Sha256 one, two;
  one.UpdateField("ab");
  one.UpdateField("c");
  two.UpdateField("a");
  two.UpdateField("bc");
  EXPECT_NE(one.FinishHex(), two.FinishHex());
}

TEST(Sha256Test, IntegersAreLittleEndian) {
  Sha256 hash;
  hash.UpdateUint64(0x0807060504030201ull);
  EXPECT_EQ(hash.FinishHex(), Sha256Hex("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

TEST(Sha256Test, FileIsHashedAndMissingFileIsNotFound) {
  const std::string path = JoinPath(NewTestDir(), "file");
  EXPECT_THAT(Sha256HexOfFile(path),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  ASSERT_OK(WriteFileAtomically(path, "abc"));
  ASSERT_OK_AND_ASSIGN(const std::string digest, Sha256HexOfFile(path));
  EXPECT_EQ(digest, Sha256Hex("abc"));
}

// RFC 3720, appendix B.4.
TEST(Crc32cTest, MatchesRfc3720Vectors) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending(32, '\0');
  for (int i = 0; i < 32; ++i) ascending[i] = static_cast<char>(i);
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
}

TEST(Crc32cTest, BytesOneByOneEqualTheWhole) {
  std::string bytes;
  for (int size = 0; size < 100; ++size) {
    // One byte at a time takes the portable way, the whole goes by words.
    uint32_t crc = 0;
    for (const char c : bytes) crc = Crc32c(std::string(1, c), crc);
    EXPECT_EQ(Crc32c(bytes), crc) << size << " bytes";
    bytes.push_back(static_cast<char>(size * 37 + 11));
  }
}

TEST(Crc32cTest, ContinuesFromAPrefix) {
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), Crc32c("123456789"));
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Fingerprint64Test, IsTheBigEndianHeadOfSha256) {
  EXPECT_EQ(Fingerprint64("abc"), 0xba7816bf8f01cfeaull);
}

TEST(MixSeedTest, CountersGiveDifferentSeeds) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (uint64_t a = 0; a < 16; ++a) {
      for (uint64_t b = 0; b < 16; ++b) seeds.insert(MixSeed(seed, a, b));
    }
  }
  EXPECT_EQ(seeds.size(), 4u * 16 * 16);
  EXPECT_EQ(MixSeed(1, 2), MixSeed(1, 2, 0));
}

// Output of pcg32_random_r in O'Neill's pcg-c-basic demo, seed 42, stream 54.
TEST(Pcg32Test, MatchesTheReferenceImplementation) {
  Pcg32 random(42, 54);
  const std::vector<uint32_t> expected = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                          0x83d2f293, 0xbfa4784b, 0xcbed606e};
  for (const uint32_t value : expected) EXPECT_EQ(random.Next(), value);
}

TEST(Pcg32Test, BelowStaysInRangeAndIsUniform) {
  Pcg32 random(1);
  std::vector<int> counts(5);
  for (int i = 0; i < 50000; ++i) {
    const uint32_t value = random.Below(5);
    ASSERT_LT(value, 5u);
    ++counts[value];
  }
  // 10,000 expected, standard deviation 89.
  for (const int count : counts) EXPECT_NEAR(count, 10000, 450);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(Pcg32Test, UniformIsInTheUnitInterval) {
  Pcg32 random(1);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = random.Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.015);
}

}  // namespace
}  // namespace kodistil
