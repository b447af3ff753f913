#include "corpus/token_cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr absl::string_view kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\nc\n";
constexpr int kMaxLength = 256;

Dataset SmallDataset() {
  Dataset dataset;
  dataset.name = "small";
  dataset.rows = {{"ab c", "", 1, Split::kTrain},
                  {"x", "", kNoLabel, Split::kNone},
                  {"a", "c", 0, Split::kTest}};
  return dataset;
}

absl::StatusOr<TokenizedDataset> OpenSmall(const std::string& cache_dir) {
  return TokenizedDataset::OpenOrCreate(cache_dir, SmallDataset(), kVocab, {},
                                        kMaxLength);
}

void ExpectIsSmall(const TokenizedDataset& cache) {
  ASSERT_EQ(cache.row_count(), 3);
  EXPECT_THAT(cache.Tokens(0), ElementsAre(2, 4, 5, 6, 3));
  EXPECT_THAT(cache.Tokens(1), ElementsAre(2, 1, 3));
  EXPECT_THAT(cache.Tokens(2), ElementsAre(2, 4, 3, 6, 3));
  EXPECT_EQ(cache.Label(0), 1);
  EXPECT_EQ(cache.Label(1), kNoLabel);
  EXPECT_EQ(cache.Label(2), 0);
  EXPECT_EQ(cache.SplitOf(0), Split::kTrain);
  EXPECT_EQ(cache.SplitOf(1), Split::kNone);
  EXPECT_EQ(cache.SplitOf(2), Split::kTest);
}

TEST(TokenCacheTest, IsMadeOnceAndThenReused) {
  const std::string dir = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset made, OpenSmall(dir));
  EXPECT_TRUE(made.created());
  ExpectIsSmall(made);
  ASSERT_OK_AND_ASSIGN(TokenizedDataset reused, OpenSmall(dir));
  EXPECT_FALSE(reused.created());
  EXPECT_EQ(reused.path(), made.path());
  const TokenizedDataset moved = std::move(reused);
  ExpectIsSmall(moved);
}

TEST(TokenCacheTest, WhatWasMadeOpensByTheFingerprintAlone) {
  const std::string dir = NewTestDir();
  const std::string fingerprint = SmallDataset().Fingerprint();
  const auto open = [&dir](const std::string& of) {
    return TokenizedDataset::OpenMade(dir, of, kVocab, {}, kMaxLength);
  };
  EXPECT_THAT(open(fingerprint).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir)));
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset made, OpenSmall(dir));
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset again, open(fingerprint));
  EXPECT_EQ(again.path(), made.path());
  EXPECT_FALSE(again.created());
  ExpectIsSmall(again);
  EXPECT_THAT(open(Dataset().Fingerprint()).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir)));
  ASSERT_OK(WriteFileAtomically(made.path(), "damaged"));
  EXPECT_THAT(open(fingerprint).status(), StatusIs(absl::StatusCode::kNotFound,
                                                   HasSubstr("found 7 bytes")));
}

TEST(TokenCacheTest, EverythingThatDecidesTheTokensIsInTheName) {
  const std::string dir = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset first, OpenSmall(dir));
  const auto expect_new = [&dir](const Dataset& dataset,
                                 absl::string_view vocab,
                                 const WordPieceOptions& options, int length) {
    ASSERT_OK_AND_ASSIGN(
        const TokenizedDataset other,
        TokenizedDataset::OpenOrCreate(dir, dataset, vocab, options, length));
    EXPECT_TRUE(other.created());
  };
  Dataset dataset = SmallDataset();
  dataset.rows[1].text = "y";
  expect_new(dataset, kVocab, {}, kMaxLength);
  expect_new(SmallDataset(), absl::StrCat(kVocab, "d\n"), {}, kMaxLength);
  expect_new(SmallDataset(), kVocab, {}, 255);
  std::vector<WordPieceOptions> variants(6);
  variants[0].lower_case = !variants[0].lower_case;
  variants[1].strip_accents = !variants[1].strip_accents;
  variants[2].tokenize_chinese_chars = !variants[2].tokenize_chinese_chars;
  variants[3].slow = !variants[3].slow;
  variants[4].special_literals = !variants[4].special_literals;
  variants[5].max_word_chars = 7;
  for (const WordPieceOptions& options : variants) {
    expect_new(SmallDataset(), kVocab, options, kMaxLength);
  }
}

TEST(TokenCacheTest, TruncatesToMaxLength) {
  ASSERT_OK_AND_ASSIGN(
      const TokenizedDataset cache,
      TokenizedDataset::OpenOrCreate(NewTestDir(), SmallDataset(), kVocab, {},
                                     /*max_length=*/4));
  EXPECT_THAT(cache.Tokens(0), ElementsAre(2, 4, 5, 3));
  EXPECT_THAT(cache.Tokens(2), SizeIs(4));
}

TEST(TokenCacheTest, EveryDamagedByteIsFoundAndTheFileMadeAgain) {
  const std::string dir = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset made, OpenSmall(dir));
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(made.path()));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 0x10;
    ASSERT_OK(WriteFileAtomically(made.path(), bad));
    EXPECT_THAT(TokenizedDataset::Open(made.path()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(made.path())))
        << i;
  }
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset again, OpenSmall(dir));
  EXPECT_TRUE(again.created());
  ExpectIsSmall(again);
  ASSERT_OK_AND_ASSIGN(const std::string repaired, ReadFile(made.path()));
  EXPECT_EQ(repaired, good);
}

TEST(TokenCacheTest, NewerVersionIsRefusedAndStays) {
  const std::string dir = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset made, OpenSmall(dir));
  ASSERT_OK_AND_ASSIGN(std::string newer, ReadFile(made.path()));
  newer[8] = 2;
  const size_t end = newer.size() - sizeof(uint64_t);
  const uint64_t checksum = Crc32c(newer.substr(0, end));
  std::memcpy(&newer[end], &checksum, sizeof(checksum));
  ASSERT_OK(WriteFileAtomically(made.path(), newer));
  EXPECT_THAT(OpenSmall(dir),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(made.path()),
                             HasSubstr("found token cache format version 2, "
                                       "this program reads version 1"),
                             HasSubstr("delete it"))));
  EXPECT_EQ(*ReadFile(made.path()), newer);
}

TEST(TokenCacheTest, EveryTruncationIsDataLoss) {
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset made, OpenSmall(NewTestDir()));
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(made.path()));
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_OK(WriteFileAtomically(made.path(), good.substr(0, size)));
    EXPECT_THAT(TokenizedDataset::Open(made.path()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("expected")))
        << size;
  }
}

// Eight processes let go at the same time; exactly one makes the file.
TEST(TokenCacheTest, ProcessesThatStartTogetherMakeTheFileOnce) {
  constexpr int kProcesses = 8;
  constexpr int kCreated = 10, kReused = 11, kError = 12;
  const std::string dir = NewTestDir();
  int gate[2];
  ASSERT_EQ(pipe(gate), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(gate[1]);
      char unused;
      while (read(gate[0], &unused, 1) > 0) {
      }
      const auto cache = OpenSmall(dir);
      const bool good = cache.ok() && cache->Tokens(0).size() == 5;
      _exit(!good ? kError : cache->created() ? kCreated : kReused);
    }
    children.push_back(child);
  }
  close(gate[0]);
  close(gate[1]);
  int created = 0, reused = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    created += WEXITSTATUS(status) == kCreated ? 1 : 0;
    reused += WEXITSTATUS(status) == kReused ? 1 : 0;
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(reused, kProcesses - 1);
}

// So many rows that several threads share them, where there are several.
TEST(TokenCacheTest, ManyRowsAreInOrder) {
  ASSERT_OK_AND_ASSIGN(const auto tokenizer,
                       WordPieceTokenizer::Create(kVocab, "vocab", {}));
  Dataset dataset;
  for (int i = 0; i < 20001; ++i) {
    std::string text(1 + i % 7, 'a');
    for (int c = i; c > 0; c /= 3)
      text += c % 3 == 0 ? " a" : c % 3 == 1 ? "b" : " c";
    dataset.rows.push_back(
        {text, i % 5 == 0 ? "c ab" : "", i % 2, Split::kTrain});
  }
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset cache,
                       TokenizedDataset::OpenOrCreate(NewTestDir(), dataset,
                                                      kVocab, {}, kMaxLength));
  ASSERT_EQ(cache.row_count(), dataset.rows.size());
  for (size_t i = 0; i < dataset.rows.size(); ++i) {
    const Row& row = dataset.rows[i];
    const std::vector<int32_t> ids =
        row.second_text.empty()
            ? tokenizer->Encode(row.text, kMaxLength)
            : tokenizer->EncodePair(row.text, row.second_text, kMaxLength,
                                    /*type_ids=*/nullptr);
    ASSERT_THAT(cache.Tokens(i), ::testing::ElementsAreArray(ids)) << i;
    ASSERT_EQ(cache.Label(i), row.label) << i;
  }
}

TEST(TokenCacheTest, AnEmptyDatasetIsFine) {
  ASSERT_OK_AND_ASSIGN(const TokenizedDataset cache,
                       TokenizedDataset::OpenOrCreate(NewTestDir(), Dataset(),
                                                      kVocab, {}, kMaxLength));
  EXPECT_EQ(cache.row_count(), 0);
}

TEST(TokenCacheTest, RequestsThatDoNotFitAreInvalidArgument) {
  const std::string dir = NewTestDir();
  std::string large(kVocab);
  for (int i = 0; i < 65535; ++i) absl::StrAppend(&large, "p", i, "\n");
  EXPECT_THAT(
      TokenizedDataset::OpenOrCreate(dir, SmallDataset(), large, {},
                                     kMaxLength),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65542 pieces")));
  EXPECT_THAT(
      TokenizedDataset::OpenOrCreate(dir, SmallDataset(), kVocab, {}, 2),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_length")));
  EXPECT_THAT(TokenizedDataset::OpenOrCreate(dir, SmallDataset(), "a\n", {},
                                             kMaxLength),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[PAD]")));
  Dataset dataset = SmallDataset();
  dataset.rows[2].label = 40000;
  EXPECT_THAT(
      TokenizedDataset::OpenOrCreate(dir, dataset, kVocab, {}, kMaxLength),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("row 2")));
}

TEST(TokenCacheTest, OpenOfAMissingFileIsNotFound) {
  EXPECT_THAT(TokenizedDataset::Open(JoinPath(NewTestDir(), "none.ktok")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.ktok")));
}

}  // namespace
}  // namespace kodistil
