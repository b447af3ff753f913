#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "teacher_service/ngram_model.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/tiny_transformer.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TeacherModelOptions In(const std::string& dir) {
  TeacherModelOptions options;
  options.model_dir = dir;
  options.device = "cpu";
  return options;
}

// A folder "tiny" with that model.
std::string NewModel(const TinyTransformer& model) {
  const std::string dir = JoinPath(NewTestDir(), "tiny");
  EXPECT_OK(model.Write(dir));
  return dir;
}

std::vector<float> Infer(TeacherModel* model,
                         const std::vector<EncodedInput>& inputs) {
  std::vector<const EncodedInput*> batch;
  for (const EncodedInput& input : inputs) batch.push_back(&input);
  absl::StatusOr<std::vector<float>> logits = model->Infer(batch);
  EXPECT_OK(logits);
  return logits.ok() ? *std::move(logits) : std::vector<float>();
}

TEST(TeacherModelFactoryTest, LoadsATransformer) {
  const std::string dir = NewModel(TinyTransformer("electra"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(In(dir + "/")));
  EXPECT_EQ(model->info().name, "tiny");
  EXPECT_EQ(model->info().model_type, "electra");
  EXPECT_EQ(model->info().num_classes, 3);
  EXPECT_EQ(model->info().max_length, 24);
  EXPECT_EQ(model->info().device, "cpu");
  EXPECT_EQ(model->info().fingerprint.size(), 64u);
  ASSERT_OK_AND_ASSIGN(const EncodedInput text,
                       model->Encode({"영화 재미있다 A", ""}));
  EXPECT_THAT(text.ids, ElementsAre(2, 4, 5, 6, 1, 3));
  EXPECT_EQ(text.tokens, 6);
  ASSERT_OK_AND_ASSIGN(const EncodedInput pair, model->Encode({"a", "b c"}));
  EXPECT_THAT(pair.ids, ElementsAre(2, 9, 3, 10, 11, 3));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(TeacherModelFactoryTest, LogitsDoNotDependOnNeighbours) {
  const std::string dir = NewModel(TinyTransformer("bert"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(In(dir)));
  std::vector<EncodedInput> inputs;
  for (const TeacherInput& input : std::vector<TeacherInput>{
           {"a", ""}, {"영화 재미없다. 영화 a b c a b c", ""}, {"b", "c a"}}) {
    ASSERT_OK_AND_ASSIGN(EncodedInput encoded, model->Encode(input));
    inputs.push_back(std::move(encoded));
  }
  const std::vector<float> together = Infer(model.get(), inputs);
  ASSERT_EQ(together.size(), 9u);
  for (size_t row = 0; row < inputs.size(); ++row) {
    const std::vector<float> alone = Infer(model.get(), {inputs[row]});
    ASSERT_EQ(alone.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(alone[i], together[row * 3 + i], 1e-5) << row;
    }
  }
  EXPECT_GT(std::abs(together[0] - together[3]), 1e-3);
}

TEST(TeacherModelFactoryTest, MaxLengthCutsAndIsBounded) {
  const std::string dir = NewModel(TinyTransformer("bert"));
  TeacherModelOptions options = In(dir);
  options.max_length = 4;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(options));
  ASSERT_OK_AND_ASSIGN(const EncodedInput text, model->Encode({"a b c", ""}));
  EXPECT_THAT(text.ids, ElementsAre(2, 9, 10, 3));
  options.max_length = 25;
  EXPECT_THAT(LoadTeacherModel(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_length is 25, expected 3 to 24")));
  options.max_length = -1;
  EXPECT_THAT(LoadTeacherModel(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_length is -1")));
}

TEST(TeacherModelFactoryTest, FingerprintFollowsWhatDecidesLogits) {
  const TinyTransformer original("bert");
  const auto fingerprint = [](const TinyTransformer& model, int max_length) {
    TeacherModelOptions options = In(NewModel(model));
    options.max_length = max_length;
    const auto loaded = LoadTeacherModel(options);
    EXPECT_OK(loaded);
    return loaded.ok() ? (*loaded)->info().fingerprint : "";
  };
  const std::string first = fingerprint(original, 0);
  EXPECT_EQ(fingerprint(original, 0), first);  // another folder
  EXPECT_EQ(fingerprint(original, 24), first);
  EXPECT_NE(fingerprint(original, 23), first);
  TinyTransformer changed = original;
  changed.vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n";
  EXPECT_NE(fingerprint(changed, 0), first);
  changed = original;
  changed.tokenizer_config = R"({"do_lower_case": true})";
  EXPECT_NE(fingerprint(changed, 0), first);
  changed = original;
  changed.config.insert(1, R"("hidden_act": "relu", )");
  EXPECT_NE(fingerprint(changed, 0), first);
  changed = original;
  changed.shapes["bert.embeddings.position_ids"] = {1};  // another weights file
  EXPECT_NE(fingerprint(changed, 0), first);
}

TEST(TeacherModelFactoryTest, WithoutTokenizerConfigItLowerCases) {
  TinyTransformer tiny("bert");
  tiny.tokenizer_config.clear();
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(In(NewModel(tiny))));
  ASSERT_OK_AND_ASSIGN(const EncodedInput text, model->Encode({"A", ""}));
  EXPECT_THAT(text.ids, ElementsAre(2, 9, 3));
}

TEST(TeacherModelFactoryTest, UnfitVocabularyIsInvalid) {
  TinyTransformer tiny("bert");
  tiny.vocab += "one too many\n";
  EXPECT_THAT(LoadTeacherModel(In(NewModel(tiny))),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("vocab.txt: 13 pieces"),
                             HasSubstr("at most 12"))));
}

TEST(TeacherModelFactoryTest, MissingPartsAreNotFound) {
  const std::string dir = NewModel(TinyTransformer("bert"));
  ASSERT_OK(RemoveAll(JoinPath(dir, "vocab.txt")));
  EXPECT_THAT(LoadTeacherModel(In(dir)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("vocab.txt")));
  EXPECT_THAT(
      LoadTeacherModel(In(JoinPath(dir, "none"))),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/config.json")));
  EXPECT_THAT(
      LoadTeacherModel(In("")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no model")));
}

TEST(TeacherModelFactoryTest, UnknownModelTypeIsInvalid) {
  TinyTransformer tiny("bert");
  tiny.config = R"({"model_type": "llama"})";
  EXPECT_THAT(LoadTeacherModel(In(NewModel(tiny))),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("config.json"), HasSubstr("\"llama\""),
                             HasSubstr("kodistil_ngram"))));
}

TEST(TeacherModelFactoryTest, LoadsAnNgramModel) {
  NgramParameters parameters;
  parameters.folds = 2;
  parameters.train_rows = 2;
  parameters.dataset_fingerprint = std::string(64, 'a');
  parameters.hashes = {1, 2};
  parameters.idf = {1, 1};
  parameters.weights = {1, 2, 3, 4};
  parameters.bias = {0.5f, 0.25f};
  const std::string dir = JoinPath(NewTestDir(), "ngram");
  ASSERT_OK(SaveNgramModel(parameters, dir));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(In(dir)));
  EXPECT_EQ(model->info().model_type, "ngram");
}

// Logits [rows, 2]: how many tokens a row has, and the sum of its ids.
constexpr char kForward[] = R"(
def forward(self, input_ids, attention_mask, token_type_ids):
    ids = (input_ids * attention_mask).sum(1)
    return torch.stack([attention_mask.sum(1), ids], 1).float()
)";

std::string NewScript(const char* code) {
  const std::string dir = JoinPath(NewTestDir(), "script");
  EXPECT_OK(MakeDirectories(dir));
  torch::jit::Module module("m");
  module.define(code);
  module.save(JoinPath(dir, "model.pt"));
  EXPECT_OK(WriteFileAtomically(JoinPath(dir, "vocab.txt"),
                                TinyTransformer("bert").vocab));
  return dir;
}

TEST(TeacherModelFactoryTest, TorchScriptNeedsTheFlag) {
  const std::string dir = NewScript(kForward);
  for (const std::string& path : {dir, JoinPath(dir, "model.pt")}) {
    TeacherModelOptions options = In(path);
    EXPECT_THAT(LoadTeacherModel(options),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("model.pt"),
                               HasSubstr("--allow_torchscript"))));
    options.allow_torchscript = true;
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                         LoadTeacherModel(options));
    EXPECT_EQ(model->info().model_type, "torchscript");
    EXPECT_EQ(model->info().num_classes, 2);
    std::vector<EncodedInput> inputs;
    for (const char* text : {"a", "a b c"}) {
      ASSERT_OK_AND_ASSIGN(EncodedInput input, model->Encode({text, ""}));
      inputs.push_back(std::move(input));
    }
    EXPECT_THAT(Infer(model.get(), inputs), ElementsAre(3, 14, 5, 35));
  }
}

TEST(TeacherModelFactoryTest, BadTorchScriptIsNamed) {
  const std::string dir = NewScript(kForward);
  const std::string path = JoinPath(dir, "model.pt");
  TeacherModelOptions options = In(dir);
  options.allow_torchscript = true;
  ASSERT_OK(WriteFileAtomically(path, "not a module"));
  EXPECT_THAT(LoadTeacherModel(options),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  options.model_dir = JoinPath(NewTestDir(), "none.pt");
  EXPECT_THAT(LoadTeacherModel(options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.pt")));
  options.model_dir = NewScript(R"(
def forward(self, input_ids, attention_mask, token_type_ids):
    return input_ids.sum().float()
)");
  EXPECT_THAT(
      LoadTeacherModel(options),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[1, classes]")));
}

TEST(TeacherModelFactoryTest, TorchScriptMayReturnATuple) {
  TeacherModelOptions options = In(NewScript(R"(
def forward(self, input_ids, attention_mask, token_type_ids):
    return (torch.ones([input_ids.size(0), 4]), input_ids)
)"));
  options.allow_torchscript = true;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TeacherModel> model,
                       LoadTeacherModel(options));
  EXPECT_EQ(model->info().num_classes, 4);
}

}  // namespace
}  // namespace kodistil
