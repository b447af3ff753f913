#include "student_trainer/student.h"

#include <cmath>
#include <string>

#include "base/files.h"
#include "base/safetensors.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

StudentShape Shape(int vocab, int hidden, int embedding) {
  StudentShape shape;
  shape.vocab_size = vocab;
  shape.hidden_dim = hidden;
  shape.embedding_dim = embedding;
  return shape;
}

StudentFolder Sample() {
  StudentFolder student;
  student.shape = Shape(6, 3, 2);
  float next = 0.5f;
  for (const auto& [name, dims] : student.shape.Tensors()) {
    int64_t size = 1;
    for (int64_t dim : dims) size *= dim;
    for (int64_t i = 0; i < size; ++i) {
      student.weights[name].push_back(next += 0.25f);
    }
  }
  student.vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n가\n";
  student.tokenizer.lower_case = false;
  student.tokenizer.max_word_chars = 50;
  student.max_length = 64;
  student.provenance_json = "{\"seed\": 3}";
  student.model_card = "# A student\n";
  return student;
}

std::string Saved(const StudentFolder& student) {
  const std::string folder = NewTestDir();
  EXPECT_OK(SaveStudent(student, folder));
  return folder;
}

void Replace(const std::string& path, const std::string& from,
             const std::string& to) {
  ASSERT_OK_AND_ASSIGN(std::string text, ReadFile(path));
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, from.size(), to);
  ASSERT_OK(WriteFileAtomically(path, text));
}

TEST(StudentShapeTest, ParametersOfTheNamedSizes) {
  EXPECT_EQ(Shape(3000, 256, 128).Parameters(), 1175554);
  EXPECT_EQ(Shape(3000, 128, 64).Parameters(), 391170);
  EXPECT_EQ(Shape(3000, 64, 32).Parameters(), 146434);
  EXPECT_EQ(Shape(3000, 16, 16).Parameters(), 52418);
  EXPECT_EQ(Shape(3000, 16, 8).Parameters(), 27394);
}

TEST(StudentShapeTest, BadSizesAreNamed) {
  EXPECT_OK(Shape(3000, 1, 1).Validate());
  EXPECT_THAT(Shape(3000, 0, 8).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("hidden_dim is 0; expected 1 to 4096")));
  EXPECT_THAT(Shape(70000, 8, 8).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("vocab_size is 70000")));
}

TEST(StudentTest, LoadsWhatWasSaved) {
  const StudentFolder student = Sample();
  ASSERT_OK_AND_ASSIGN(const StudentFolder read, LoadStudent(Saved(student)));
  EXPECT_EQ(read.shape.Tensors(), student.shape.Tensors());
  EXPECT_EQ(read.weights, student.weights);
  EXPECT_EQ(read.vocab, student.vocab);
  EXPECT_FALSE(read.tokenizer.lower_case);
  EXPECT_FALSE(read.tokenizer.strip_accents);
  EXPECT_FALSE(read.tokenizer.slow);
  EXPECT_EQ(read.tokenizer.max_word_chars, 50);
  EXPECT_EQ(read.max_length, 64);
  EXPECT_THAT(read.provenance_json, HasSubstr("\"seed\": 3"));
  EXPECT_EQ(read.model_card, student.model_card);
}

TEST(StudentTest, SameStudentGivesTheSameBytes) {
  const std::string a = Saved(Sample());
  ASSERT_OK_AND_ASSIGN(const StudentFolder read, LoadStudent(a));
  const std::string b = Saved(read);
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(a));
  EXPECT_EQ(names.size(), 6u);
  for (const std::string& name : names) {
    EXPECT_EQ(*ReadFile(JoinPath(a, name)), *ReadFile(JoinPath(b, name)))
        << name;
  }
}

TEST(StudentTest, MissingPiecesAreNotFound) {
  EXPECT_THAT(LoadStudent("/nonexistent").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
  for (const char* name : {"config.json", "model.safetensors", "vocab.txt",
                           "tokenizer_config.json"}) {
    const std::string folder = Saved(Sample());
    ASSERT_OK(RemoveAll(JoinPath(folder, name)));
    EXPECT_THAT(LoadStudent(folder).status(),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(name)));
  }
}

TEST(StudentTest, NewerFormatIsRefused) {
  const std::string folder = Saved(Sample());
  Replace(JoinPath(folder, "config.json"), "\"format_version\": 1",
          "\"format_version\": 2");
  EXPECT_THAT(
      LoadStudent(folder).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("config.json: found student format version 2")));
}

TEST(StudentTest, BadConfigNamesFileAndKey) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"kodistil_bilstm", "gpt9",
       "config.json: key \"model_type\": found \"gpt9\", expected "
       "\"kodistil_bilstm\""},
      {"\"hidden_dim\": 3", "\"hidden_dim\": \"3\"",
       "config.json: key \"hidden_dim\": found \"3\", expected an integer"},
      {"\"hidden_dim\": 3", "\"hidden_dims\": 3",
       "config.json: key \"hidden_dim\": found nothing"},
      {"\"hidden_dim\": 3", "\"hidden_dim\": 0", "hidden_dim is 0"},
      {"{", "", "no JSON object"},
  };
  for (const auto& test : cases) {
    const std::string folder = Saved(Sample());
    Replace(JoinPath(folder, "config.json"), test.from, test.to);
    EXPECT_THAT(
        LoadStudent(folder).status(),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(test.message)));
  }
}

TEST(StudentTest, TensorOfAnotherShapeIsNamed) {
  const std::string folder = Saved(Sample());
  Replace(JoinPath(folder, "config.json"), "\"hidden_dim\": 3",
          "\"hidden_dim\": 4");
  EXPECT_THAT(
      LoadStudent(folder).status(),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          HasSubstr("model.safetensors: tensor rnn.weight_ih_l0: found [12, "
                    "2], expected [16, 2]")));
}

TEST(StudentTest, TruncatedWeightsAreDataLoss) {
  const std::string folder = Saved(Sample());
  const std::string path = JoinPath(folder, "model.safetensors");
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(path));
  ASSERT_OK(WriteFileAtomically(path, bytes.substr(0, bytes.size() - 5)));
  EXPECT_THAT(LoadStudent(folder).status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
}

TEST(StudentTest, WeightThatIsNotFiniteIsNamed) {
  StudentFolder student = Sample();
  student.weights["linear.bias"][1] = std::nanf("");
  EXPECT_THAT(LoadStudent(Saved(student)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tensor linear.bias: value 1 is nan")));
}

TEST(StudentTest, VocabularyLargerThanTheEmbeddingIsInvalid) {
  StudentFolder student = Sample();
  student.vocab += "나\n";
  EXPECT_THAT(LoadStudent(Saved(student)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("vocab.txt: found 7 pieces")));
}

TEST(StudentTest, SaveRefusesTensorsThatDoNotFit) {
  StudentFolder student = Sample();
  student.weights["linear.bias"].push_back(0);
  EXPECT_THAT(SaveStudent(student, NewTestDir()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("linear.bias: found 3 values, expected 2")));
}

}  // namespace
}  // namespace kodistil
