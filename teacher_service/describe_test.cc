#include "teacher_service/describe.h"

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"
#include "teacher_service/ngram_model.h"
#include "teacher_service/tiny_transformer.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

DescribeOptions Options(const std::string& dir) {
  DescribeOptions options;
  options.model.model_dir = dir;
  options.model.device = "cpu";
  options.model.threads = 1;
  options.probe = absl::Milliseconds(20);
  return options;
}

std::string TinyElectra() {
  const std::string dir = JoinPath(NewTestDir(), "tiny");
  EXPECT_OK(TinyTransformer("electra").Write(dir));
  return dir;
}

TEST(DescribeTest, TellsWhatATransformerIs) {
  const std::string dir = TinyElectra();
  ASSERT_OK_AND_ASSIGN(const TeacherDescription tiny,
                       DescribeTeacher(Options(dir)));
  EXPECT_EQ(tiny.info.name, "tiny");
  EXPECT_EQ(tiny.info.model_type, "electra");
  EXPECT_THAT(tiny.class_names, ElementsAre("a", "b", "c"));
  EXPECT_EQ(tiny.vocab_size, 12);
  EXPECT_EQ(tiny.container, "safetensors");
  ASSERT_OK_AND_ASSIGN(const std::string weights,
                       ReadFile(JoinPath(dir, "model.safetensors")));
  EXPECT_EQ(tiny.weights_digest, Sha256Hex(weights));
  EXPECT_EQ(tiny.weights_bytes, weights.size());
  EXPECT_GT(tiny.folder_bytes, weights.size());
  ASSERT_EQ(tiny.dtypes.size(), 1u);
  EXPECT_EQ(tiny.dtypes.at("F32"), static_cast<int64_t>(tiny.info.parameters));
}

TEST(DescribeTest, ProbeMeasuresRowsOfReviews) {
  ASSERT_OK_AND_ASSIGN(const TeacherDescription tiny,
                       DescribeTeacher(Options(TinyElectra())));
  EXPECT_GT(tiny.probe.rows, 0);
  EXPECT_GT(tiny.probe.rows_per_second, 0);
  EXPECT_LE(tiny.probe.rows_per_second, tiny.probe.encoded_rows_per_second);
  // Of [CLS] and [SEP] and at least one more; the model takes 24.
  EXPECT_GT(tiny.probe.tokens_per_row, 3);
  EXPECT_LE(tiny.probe.tokens_per_row, 24);
  EXPECT_GE(tiny.probe.elapsed, absl::Milliseconds(20));
}

TEST(DescribeTest, WithoutAProbeNothingIsMeasured) {
  DescribeOptions options = Options(TinyElectra());
  options.probe = absl::ZeroDuration();
  ASSERT_OK_AND_ASSIGN(const TeacherDescription tiny, DescribeTeacher(options));
  EXPECT_EQ(tiny.probe.rows, 0);
  EXPECT_THAT(FormatDescription(tiny, "table"), HasSubstr("not measured"));
  EXPECT_THAT(FormatDescription(tiny, "json"), Not(HasSubstr("probe")));
}

TEST(DescribeTest, TableHasALineForEachFact) {
  TeacherDescription description;
  description.info.name = "감성";
  description.info.model_type = "electra";
  description.info.fingerprint = std::string(64, 'f');
  description.info.parameters = 14061314;
  description.info.max_length = 512;
  description.class_names = {"부정", "긍정"};
  description.vocab_size = 35000;
  description.container = "PyTorch stream";
  description.weights_digest = std::string(64, 'd');
  description.dtypes = {{"F32", 14061314}};
  description.weights_bytes = 56300000;
  description.folder_bytes = 56600000;
  description.probe.rows = 1234;
  description.probe.rows_per_second = 617.4;
  description.probe.tokens_per_row = 29.3;
  description.probe.elapsed = absl::Seconds(2);
  EXPECT_EQ(
      FormatDescription(description, "table"),
      absl::StrCat(
          "teacher           감성\n", "----------------  ",
          std::string(64, '-'), "\n", "architecture      electra\n",
          "parameters        14,061,314\n", "vocabulary        35,000 pieces\n",
          "classes           2 (부정, 긍정)\n",
          "longest row       512 tokens\n",
          "weights           PyTorch stream, 14,061,314 F32\n",
          "size on disk      56.6 MB (weights 56.3 MB)\n", "weights' SHA-256  ",
          std::string(64, 'd'), "\n", "fingerprint       ",
          std::string(64, 'f'), "\n", "device            cpu\n",
          "speed             about 617 rows/s of 29 tokens ",
          "(1,234 rows in 2.0 s)\n"));
}

TEST(DescribeTest, JsonHasEveryFact) {
  std::ostringstream out;
  DescribeOptions options = Options(TinyElectra());
  options.output = "json";
  ASSERT_OK(PrintDescription(options, out));
  const auto json = nlohmann::json::parse(out.str(), nullptr, false);
  ASSERT_TRUE(json.is_object()) << out.str();
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  EXPECT_THAT(
      keys, ElementsAre("class_names", "device", "fingerprint", "folder_bytes",
                        "max_length", "model_type", "name", "num_classes",
                        "parameters", "probe", "vocab_size", "weights"));
  EXPECT_EQ(json["weights"]["container"], "safetensors");
  EXPECT_GT(json["probe"]["rows_per_second"], 0);
}

TEST(DescribeTest, NgramTeachersAreDescribed) {
  NgramParameters parameters;
  parameters.hashes = {1, 2, 3};
  parameters.idf = {1, 1, 1};
  parameters.folds = 2;
  parameters.weights.assign(6, 0.5f);
  parameters.bias = {0, 0};
  parameters.dataset_fingerprint = std::string(64, 'a');
  parameters.train_rows = 1;
  const std::string dir = JoinPath(NewTestDir(), "ngram");
  ASSERT_OK(SaveNgramModel(parameters, dir));
  ASSERT_OK_AND_ASSIGN(const TeacherDescription ngram,
                       DescribeTeacher(Options(dir)));
  EXPECT_EQ(ngram.vocab_size, 3);
  EXPECT_EQ(ngram.probe.tokens_per_row, 1);
  EXPECT_GT(ngram.probe.rows_per_second, 0);
  EXPECT_THAT(
      FormatDescription(ngram, "table"),
      AllOf(HasSubstr("architecture      ngram\n"),
            HasSubstr("vocabulary        3 n-grams\n"),
            HasSubstr("longest row       any\n"),
            HasSubstr("classes           2\n"), HasSubstr(" rows/s (")));
}

TEST(DescribeTest, ManyClassNamesAreCut) {
  TeacherDescription description;
  description.info.num_classes = 20;
  for (int i = 0; i < 20; ++i) {
    description.class_names.push_back(absl::StrCat("c", i));
  }
  EXPECT_THAT(FormatDescription(description, "table"),
              HasSubstr("20 (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, "
                        "...)\n"));
}

TEST(DescribeTest, BadOptionsAndFoldersAreErrors) {
  DescribeOptions options = Options("");
  EXPECT_THAT(DescribeTeacher(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no model (--model)")));
  options = Options(TinyElectra());
  options.output = "csv";
  EXPECT_THAT(DescribeTeacher(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"csv\", expected table or json")));
  options.output = "json";
  options.probe = -absl::Seconds(1);
  EXPECT_THAT(
      DescribeTeacher(options),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("probe is -1s")));
  EXPECT_THAT(DescribeTeacher(Options(NewTestDir())),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
}

}  // namespace
}  // namespace kodistil
