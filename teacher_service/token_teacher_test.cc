#include "teacher_service/token_teacher.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"
#include "kodistil/v1/teacher.pb.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTestData[] = "corpus/testdata/tokenizers";

// Answers with the number of tokens of each row, and keeps what it was asked.
class FakeNetwork : public TokenNetwork {
 public:
  explicit FakeNetwork(TokenNetworkInfo info, TokenBatch* last = nullptr)
      : info_(std::move(info)), last_(last) {}

  const TokenNetworkInfo& info() const override { return info_; }
  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override {
    if (last_ != nullptr) *last_ = batch;
    std::vector<float> logits(batch.rows * 2);
    for (int64_t i = 0; i < batch.rows * batch.columns; ++i) {
      logits[i / batch.columns * 2] += static_cast<float>(batch.mask[i]);
    }
    return logits;
  }

 private:
  const TokenNetworkInfo info_;
  TokenBatch* const last_;
};

TokenNetworkInfo Info(int64_t types) {
  TokenNetworkInfo info;
  info.model_type = "fake";
  info.device = "cpu";
  info.weights_digest = "digest";
  info.num_classes = 2;
  info.type_vocab_size = types;
  return info;
}

// A folder with those files of the test data.
std::string FolderOf(
    const std::vector<std::pair<std::string, std::string>>& files) {
  const std::string folder = NewTestDir();
  for (const auto& [from, name] : files) {
    const auto bytes = ReadFile(JoinPath(kTestData, from));
    EXPECT_OK(bytes);
    EXPECT_OK(WriteFileAtomically(JoinPath(folder, name), *bytes));
  }
  return folder;
}

std::unique_ptr<TeacherModel> NewTeacher(const std::string& folder,
                                         TokenNetworkInfo info,
                                         TokenBatch* last = nullptr) {
  TeacherModelOptions options;
  options.model_dir = folder;
  auto teacher = NewTokenTeacher(
      std::make_unique<FakeNetwork>(std::move(info), last), folder, options);
  EXPECT_OK(teacher);
  return teacher.ok() ? *std::move(teacher) : nullptr;
}

TEST(TokenTeacherTest, XlnetHasATypeOfItsOwnForOneText) {
  const std::string folder =
      FolderOf({{"xlnet/tokenizer.json", "tokenizer.json"}});
  TokenBatch last;
  const auto teacher = NewTeacher(folder, Info(/*types=*/0), &last);
  ASSERT_OK_AND_ASSIGN(const EncodedInput text, teacher->Encode({"영화", ""}));
  ASSERT_GE(text.ids.size(), 3u);
  ASSERT_EQ(text.type_ids.size(), text.ids.size());
  EXPECT_EQ(text.type_ids.front(), 0);
  EXPECT_EQ(text.type_ids.back(), 2);
  EXPECT_EQ(text.tokens, static_cast<int>(text.ids.size()));
  ASSERT_OK_AND_ASSIGN(const EncodedInput longer,
                       teacher->Encode({"영화가 정말 재미있어요", ""}));
  ASSERT_OK(teacher->Infer({&text, &longer}));
  EXPECT_EQ(last.rows, 2);
  EXPECT_EQ(last.type_ids[text.ids.size() - 1], 2);
  EXPECT_EQ(last.type_ids[text.ids.size()], 0);  // padding
}

TEST(TokenTeacherTest, ANetworkWithOneTypeReadsPairsWithoutThem) {
  const std::string folder =
      FolderOf({{"bert_cased/tokenizer.json", "tokenizer.json"},
                {"bert_cased/tokenizer_config.json", "tokenizer_config.json"}});
  const auto pair = [&folder](int64_t types) {
    const auto encoded =
        NewTeacher(folder, Info(types))->Encode({"영화", "재미"});
    EXPECT_OK(encoded);
    return *encoded;
  };
  EXPECT_THAT(pair(/*types=*/1).type_ids, IsEmpty());
  const EncodedInput typed = pair(/*types=*/2);
  EXPECT_EQ(typed.type_ids.size(), typed.ids.size());
  EXPECT_EQ(typed.type_ids.back(), 1);
  EXPECT_EQ(pair(/*types=*/1).ids, typed.ids);
}

// The library has a protobuf of its own; both work in one program.
TEST(TokenTeacherTest, SentencePieceAndProtobufGetAlong) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers refuse RTLD_DEEPBIND, which keeps the two "
                  "apart (corpus/sentencepiece_bridge.cc)";
#endif
  const std::string folder =
      FolderOf({{"models/kobert.model", "tokenizer_78b3253a26.model"}});
  v1::InferRequest request;
  request.add_inputs()->set_text("영화");
  const std::string before = request.SerializeAsString();
  const auto teacher = NewTeacher(folder, Info(/*types=*/2));
  ASSERT_OK_AND_ASSIGN(const EncodedInput input, teacher->Encode({".", ""}));
  EXPECT_GE(input.ids.size(), 3u);
  v1::InferRequest again;
  ASSERT_TRUE(again.ParseFromString(before));
  again.add_inputs()->set_second_text("재미");
  EXPECT_EQ(again.inputs(0).text(), "영화");
  EXPECT_GT(again.SerializeAsString().size(), before.size());
  EXPECT_THAT(again.ShortDebugString(), HasSubstr("second_text"));
}

TEST(TokenTeacherTest, AVocabularyThatDoesNotFitIsInvalid) {
  const std::string folder =
      FolderOf({{"t5/tokenizer.json", "tokenizer.json"}});
  TokenNetworkInfo info = Info(/*types=*/0);
  info.vocab_size = 100;
  TeacherModelOptions options;
  options.model_dir = folder;
  EXPECT_THAT(
      NewTokenTeacher(std::make_unique<FakeNetwork>(info), folder, options),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("tokenizer.json: "),
                     HasSubstr("expected at most 100"))));
}

TEST(TokenTeacherTest, ALimitLeavesRoomForSpecialTokens) {
  const std::string folder =
      FolderOf({{"kobart/tokenizer.json", "tokenizer.json"}});
  TeacherModelOptions options;
  options.model_dir = folder;
  options.max_length = 3;  // a pair has four
  const auto load = [&](TokenNetworkInfo info) {
    return NewTokenTeacher(std::make_unique<FakeNetwork>(info), folder, options)
        .status();
  };
  EXPECT_THAT(load(Info(/*types=*/0)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_length is 3, expected 4 to 512")));
  options.max_length = 4;
  EXPECT_OK(load(Info(/*types=*/0)));
  options.max_length = 0;
  TokenNetworkInfo small = Info(/*types=*/0);
  small.max_positions = 3;
  EXPECT_THAT(load(small),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a row may have 3 tokens, expected 4")));
}

TEST(TokenTeacherTest, TheFingerprintFollowsTheTokenizer) {
  const auto fingerprint = [](const char* kind) {
    return NewTeacher(FolderOf({{absl::StrCat(kind, "/tokenizer.json"),
                                 "tokenizer.json"}}),
                      Info(/*types=*/0))
        ->info()
        .fingerprint;
  };
  EXPECT_EQ(fingerprint("t5"), fingerprint("t5"));
  EXPECT_NE(fingerprint("t5"), fingerprint("mt5"));
}

TEST(TokenTeacherTest, AMissingDictionaryIsNotFound) {
  const std::string folder =
      FolderOf({{"bert_cased/tokenizer.json", "tokenizer.json"}});
  TeacherModelOptions options;
  options.model_dir = folder;
  options.mecab_dicdir = "/nonexistent";
  EXPECT_THAT(
      NewTokenTeacher(std::make_unique<FakeNetwork>(Info(/*types=*/2)), folder,
                      options),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/dicrc")));
}

TEST(TokenTeacherTest, ATextWithoutTokensIsInvalid) {
  const auto teacher =
      NewTeacher(FolderOf({{"splits_words/tokenizer.json", "tokenizer.json"}}),
                 Info(/*types=*/0));
  EXPECT_THAT(teacher->Encode({" ", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("makes no token of the text")));
  EXPECT_OK(teacher->Encode({"b", ""}));
}

}  // namespace
}  // namespace kodistil
