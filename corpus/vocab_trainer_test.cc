#include "corpus/vocab_trainer.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/hash.h"
#include "base/testing.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<std::string> PiecesOf(const std::string& vocab) {
  return absl::StrSplit(absl::StripSuffix(vocab, "\n"), '\n');
}

std::vector<std::string> Train(const std::vector<std::string>& texts,
                               const VocabTrainerOptions& options) {
  const auto vocab = TrainVocab(texts, options);
  EXPECT_OK(vocab);
  return PiecesOf(*vocab);
}

std::vector<std::string> Repeated(const std::string& text, int times) {
  return std::vector<std::string>(times, text);
}

// The rules, recomputed from nothing for each merge.
std::vector<std::string> TrainNaively(const std::map<std::string, int>& words,
                                      std::vector<std::string> pieces,
                                      const VocabTrainerOptions& options) {
  std::vector<std::pair<std::vector<std::string>, int>> cut;
  for (const auto& [word, count] : words) {
    std::vector<std::string> characters;
    for (const char c : word) {
      characters.push_back(
          absl::StrCat(characters.empty() ? "" : "##", std::string(1, c)));
    }
    cut.emplace_back(characters, count);
  }
  const auto id_of = [&pieces](const std::string& piece) {
    return std::find(pieces.begin(), pieces.end(), piece) - pieces.begin();
  };
  while (static_cast<int>(pieces.size()) < options.vocab_size) {
    std::map<std::pair<std::string, std::string>, int> counts;
    for (const auto& [word, count] : cut) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        counts[{word[i], word[i + 1]}] += count;
      }
    }
    // Greatest count first, then the smallest ids.
    std::vector<std::tuple<int, int, int>> ranked;
    for (const auto& [pair, count] : counts) {
      ranked.emplace_back(-count, id_of(pair.first), id_of(pair.second));
    }
    if (ranked.empty()) break;
    const auto [count, first, second] =
        *std::min_element(ranked.begin(), ranked.end());
    if (-count < options.min_frequency) break;
    const std::string a = pieces[first], b = pieces[second];
    const std::string merged = absl::StrCat(a, absl::StripPrefix(b, "##"));
    if (id_of(merged) == static_cast<long>(pieces.size())) {
      pieces.push_back(merged);
    }
    for (auto& [word, unused] : cut) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != a || word[i + 1] != b) continue;
        word[i] = merged;
        word.erase(word.begin() + i + 1);
      }
    }
  }
  return pieces;
}

TEST(VocabTrainerTest, HoldsSpecialsThenAlphabetThenMergesByFrequency) {
  VocabTrainerOptions options;
  options.vocab_size = 100;
  std::vector<std::string> texts = Repeated("abc", 5);
  texts.push_back("ab ab bd");
  const std::vector<std::string> pieces = Train(texts, options);
  EXPECT_EQ(absl::StrJoin(pieces, " "),
            "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d ##b ##c ##d ab abc");
}

TEST(VocabTrainerTest, MergesAsTheRulesRecomputedEachTime) {
  const uint64_t seed = 20240601;
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  Pcg32 random(seed);
  for (int round = 0; round < 30; ++round) {
    std::map<std::string, int> words;
    std::vector<std::string> texts;
    std::set<char> first, inside;
    const int alphabet = 1 + random.Below(4);
    for (int i = 0; i < 60; ++i) {
      std::string word;
      for (uint32_t n = 1 + random.Below(9); n > 0; --n) {
        word.push_back(static_cast<char>('a' + random.Below(alphabet)));
        first.insert(word.back());
        if (word.size() > 1) inside.insert(word.back());
      }
      ++words[word];
      texts.push_back(word);
    }
    std::vector<std::string> start = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                      "[MASK]"};
    for (const char c : first) start.push_back(std::string(1, c));
    for (const char c : inside)
      start.push_back(absl::StrCat("##", std::string(1, c)));
    VocabTrainerOptions options;
    options.vocab_size = 100 + random.Below(50);
    options.min_frequency = 1 + random.Below(3);
    EXPECT_EQ(absl::StrJoin(Train(texts, options), " "),
              absl::StrJoin(TrainNaively(words, start, options), " "))
        << "round " << round;
  }
}

TEST(VocabTrainerTest, MinFrequencyStopsTheMerges) {
  VocabTrainerOptions options;
  options.vocab_size = 100;
  options.min_frequency = 4;
  const std::vector<std::string> texts = {"ab ab ab cd cd cd cd"};
  EXPECT_EQ(absl::StrJoin(Train(texts, options), " "),
            "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d ##b ##d cd");
}

TEST(VocabTrainerTest, RareCharactersAreLeftOutByLimitAlphabet) {
  VocabTrainerOptions options;
  options.vocab_size = 100;
  options.limit_alphabet = 2;
  std::vector<std::string> texts = Repeated("ab", 5);
  texts.push_back("abz z");
  EXPECT_EQ(absl::StrJoin(Train(texts, options), " "),
            "[PAD] [UNK] [CLS] [SEP] [MASK] a b ##b ab");
}

TEST(VocabTrainerTest, ALargeAlphabetNeverExceedsTheVocabulary) {
  VocabTrainerOptions options;
  options.vocab_size = 100;
  std::string text;
  for (char32_t c = 0xAC00; c < 0xAC00 + 500; ++c) {
    AppendUtf8(c, &text);
    AppendUtf8(c, &text);
    text.push_back(' ');
  }
  EXPECT_THAT(Train({text, text}, options), SizeIs(100));
}

TEST(VocabTrainerTest, OrderOfTheTextsDoesNotMatter) {
  VocabTrainerOptions options;
  options.vocab_size = 120;
  std::vector<std::string> texts = {"재미있는 영화", "재미있고 좋은 영화",
                                    "별로", "정말 재미있는 게임",
                                    "별로인 게임이다"};
  ASSERT_OK_AND_ASSIGN(const std::string vocab, TrainVocab(texts, options));
  std::reverse(texts.begin(), texts.end());
  ASSERT_OK_AND_ASSIGN(const std::string again, TrainVocab(texts, options));
  EXPECT_EQ(vocab, again);
  EXPECT_THAT(vocab, HasSubstr("\n재미있\n"));
}

TEST(VocabTrainerTest, NormalisesAsTheTokenizerDoes) {
  VocabTrainerOptions options;
  options.vocab_size = 100;
  const std::vector<std::string> texts = {"CAFÉ CAFÉ!"};
  EXPECT_THAT(absl::StrJoin(Train(texts, options), " "), HasSubstr(" café"));
  options.tokenizer.lower_case = false;
  EXPECT_THAT(absl::StrJoin(Train(texts, options), " "), HasSubstr(" CAFÉ"));
}

TEST(VocabTrainerTest, BadOptionsAndEmptyTextAreErrors) {
  const auto expect_invalid = [](VocabTrainerOptions options,
                                 const std::string& message) {
    EXPECT_THAT(
        TrainVocab({"a"}, options),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  VocabTrainerOptions options;
  options.vocab_size = 99;
  expect_invalid(options, "vocab_size is 99");
  options.vocab_size = 65536;
  expect_invalid(options, "vocab_size is 65536");
  options = {};
  options.limit_alphabet = 0;
  expect_invalid(options, "limit_alphabet is 0");
  options = {};
  options.min_frequency = 0;
  expect_invalid(options, "min_frequency is 0");
  EXPECT_THAT(
      TrainVocab({" ", "\t"}, {}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("2 texts")));
}

}  // namespace
}  // namespace kodistil
