// Runs the corpus of each fuzz target, and mutations of it, without libFuzzer.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "tests/fuzz_targets.h"

namespace kodistil {
namespace {

constexpr char kCorpus[] = "tests/fuzz_corpus";

void AppendFolder(const std::string& folder, std::vector<std::string>* inputs) {
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names,
                       ListDirectory(folder));
  for (const std::string& name : names) {
    ASSERT_OK_AND_ASSIGN(inputs->emplace_back(),
                         ReadFile(JoinPath(folder, name)));
  }
}

// Files of the golden models that a target reads.
void AppendGolden(const std::string& target, std::vector<std::string>* inputs) {
  const std::string file = target == "safetensors" ? "model.safetensors"
                           : target == "torch_zip" ? "pytorch_model.bin"
                           : target == "torch_stream"
                               ? "pytorch_model_legacy.bin"
                               : "";
  if (file.empty()) return;
  for (const char* model : {"bert", "gpt2", "t5"}) {
    const std::string path = JoinPath(JoinPath(GoldenDir(), model), file);
    if (!FileExists(path)) continue;
    ASSERT_OK_AND_ASSIGN(inputs->emplace_back(), ReadFile(path));
  }
}

// One of the changes that libFuzzer makes, at random.
void Mutate(const std::vector<std::string>& corpus, Pcg32* random,
            std::string* bytes) {
  static const std::vector<std::string> kWords = {
      std::string("\0\0\0\0", 4),
      "\xff\xff\xff\xff",
      "\xff\xff\xff\x7f",
      std::string("\0\0\0\0\0\0\0\x80", 8),
      "\xff\xff\xff\xff\xff\xff\xff\x7f",
      "18446744073709551615",
      "-1",
      "\"data_offsets\"",
      "ctorch\nFloatStorage\n",
      "cos\nsystem\n",
      "PK\x01\x02"};
  const size_t size = bytes->size();
  const size_t at = random->Below(static_cast<uint32_t>(size) + 1);
  const size_t count = std::min<size_t>(size - at, 1 + random->Below(16));
  switch (random->Below(6)) {
    case 0:
      if (at < size) (*bytes)[at] ^= static_cast<char>(1 << random->Below(8));
      break;
    case 1:
      if (at < size) (*bytes)[at] = static_cast<char>(random->Below(256));
      break;
    case 2:
      bytes->erase(at, count);
      break;
    case 3:
      bytes->insert(at, bytes->substr(at, count));
      break;
    case 4: {
      const std::string& word = kWords[random->Below(kWords.size())];
      bytes->replace(at, std::min(word.size(), size - at), word);
      break;
    }
    default: {
      const std::string& other = corpus[random->Below(corpus.size())];
      bytes->resize(at);
      bytes->append(other, std::min(at, other.size()), std::string::npos);
    }
  }
}

class FuzzReplayTest : public ::testing::TestWithParam<FuzzTarget> {};

TEST_P(FuzzReplayTest, CorpusKeepsEveryPromise) {
  std::vector<std::string> inputs;
  AppendFolder(JoinPath(kCorpus, GetParam().name), &inputs);
  AppendGolden(GetParam().name, &inputs);
  size_t accepted = 0;
  for (const std::string& input : inputs) {
    ASSERT_OK_AND_ASSIGN(const bool good, GetParam().run(input));
    accepted += good;
  }
  // The control: there is something to read, and something to refuse.
  EXPECT_GE(accepted, 2u);
  EXPECT_LE(accepted, inputs.size() - 2);
}

TEST_P(FuzzReplayTest, MutationsKeepEveryPromise) {
  // About half a second each, without a sanitizer.
  constexpr int kRounds = 20000;
  constexpr uint64_t kSeed = 20;
  std::vector<std::string> corpus;
  AppendFolder(JoinPath(kCorpus, GetParam().name), &corpus);
  ASSERT_FALSE(corpus.empty());
  Pcg32 random(kSeed);
  int accepted = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes = corpus[random.Below(corpus.size())];
    const int changes = 1 + random.Below(3);
    for (int i = 0; i < changes; ++i) Mutate(corpus, &random, &bytes);
    const absl::StatusOr<bool> good = GetParam().run(bytes);
    ASSERT_OK(good) << "seed " << kSeed << ", round " << round;
    accepted += *good;
  }
  EXPECT_GE(accepted, kRounds / 1000);
  EXPECT_LE(accepted, kRounds - kRounds / 1000);
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzReplayTest,
                         ::testing::ValuesIn(FuzzTargets()),
                         [](const ::testing::TestParamInfo<FuzzTarget>& info) {
                           return info.param.name;
                         });

TEST(FuzzCorpusTest, EveryFolderHasATarget) {
  std::set<std::string> names;
  for (const FuzzTarget& target : FuzzTargets()) names.insert(target.name);
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> folders,
                       ListDirectory(kCorpus));
  EXPECT_EQ(std::set<std::string>(folders.begin(), folders.end()), names);
}

}  // namespace
}  // namespace kodistil
