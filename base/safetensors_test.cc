#include "base/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string FileOf(absl::string_view header, absl::string_view data) {
  std::string result;
  for (int i = 0; i < 8; ++i) {
    result += static_cast<char>(header.size() >> (8 * i));
  }
  return absl::StrCat(result, header, data);
}

absl::Status Parse(absl::string_view bytes) {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  return ParseSafetensors(bytes, "some.file", &tensors, &metadata);
}

struct Bad {
  std::string why;
  std::string header;
  size_t data_bytes;
  std::string message;  // part of the error's
};

// One tensor "a" with these fields.
std::string One(absl::string_view fields) {
  return absl::StrCat("{\"a\":{", fields, "}}");
}

// Fields of a well-formed tensor of eight bytes.
constexpr char kDtype[] = "\"dtype\":\"F32\",";
constexpr char kShape[] = "\"shape\":[2],";
constexpr char kOffsets[] = "\"data_offsets\":[0,8]";

void ExpectDataLoss(const std::vector<Bad>& table) {
  for (const Bad& bad : table) {
    const absl::Status status =
        Parse(FileOf(bad.header, std::string(bad.data_bytes, 'x')));
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss,
                                 ::testing::AllOf(HasSubstr("some.file: "),
                                                  HasSubstr(bad.message))))
        << bad.why;
  }
}

TEST(SafetensorsTest, MalformedJsonIsDataLoss) {
  ExpectDataLoss({
      {"empty header", "", 0, "not a JSON object"},
      {"array", "[]", 0, "not a JSON object"},
      {"leading space", " {}", 0, "not a JSON object"},
      {"trailing newline", "{}\n", 0, "not a JSON object"},
      {"byte order mark", "\xef\xbb\xbf{}", 0, "not a JSON object"},
      {"NUL", std::string("{}\0}", 4), 0, "byte 10: NUL"},
      {"broken", "{\"a\":}", 0, "not JSON at byte 13"},
      {"two objects", "{}{}", 0, "not JSON at byte 10"},
      {"cut short", "{\"__metadata__\":{}", 0, "not JSON at byte 26"},
      {"trailing comma", "{\"__metadata__\":{},}", 0, "not JSON at byte 27"},
      {"single quotes", "{'a':{}}", 0, "not JSON at byte 9"},
      {"no number", "{\"a\":NaN}", 0, "not JSON at byte 13"},
      {"lone surrogate", "{\"\\ud800\":{}}", 0, "not JSON at byte 16"},
      {"overlong UTF-8", "{\"\xc0\xaf\":{}}", 0, "not JSON at byte 10"},
      {"padded with NUL", std::string("{}\0", 3), 0, "not a JSON object"},
      {"padded with tabs", "{}\t", 0, "not a JSON object"},
      {"metadata null", "{\"__metadata__\":null}", 0,
       "entry \"__metadata__\" is null"},
      {"metadata a list", "{\"__metadata__\":[]}", 0,
       "entry \"__metadata__\" is an array"},
      {"metadata a string", "{\"__metadata__\":\"\"}", 0,
       "entry \"__metadata__\" is the string"},
      {"entry is a list", "{\"a\":[]}", 0, "entry \"a\" is an array"},
      {"bad UTF-8", "{\"\xff\":{}}", 0, "not JSON"},
      {"comment", "{/**/}", 0, "not JSON"},
      {"entry is a number", "{\"a\":1}", 0, "entry \"a\" is 1"},
      {"entry is null", "{\"a\":null}", 0, "entry \"a\" is null"},
      {"metadata not strings", "{\"__metadata__\":{\"k\":1}}", 0,
       "entry \"k\" is 1, expected a string"},
      {"nested metadata", "{\"__metadata__\":{\"k\":{}}}", 0,
       "entry \"k\" is an object"},
      {"duplicate metadata key", "{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}",
       0, "duplicate metadata key \"k\""},
      {"duplicate metadata", "{\"__metadata__\":{},\"__metadata__\":{}}", 0,
       "duplicate key \"__metadata__\""},
      {"duplicate tensor",
       absl::StrCat("{\"a\":{", kDtype, kShape, kOffsets, "},\"a\":{", kDtype,
                    kShape, kOffsets, "}}"),
       8, "duplicate key \"a\""},
  });
}

TEST(SafetensorsTest, MalformedEntriesAreDataLoss) {
  ExpectDataLoss({
      {"duplicate field", One(absl::StrCat(kDtype, kDtype, kShape, kOffsets)),
       8, "tensor \"a\": duplicate key dtype"},
      {"surplus field", One(absl::StrCat(kDtype, kShape, "\"x\":1,", kOffsets)),
       8, "unknown key \"x\""},
      {"no dtype", One(absl::StrCat(kShape, kOffsets)), 8, "no dtype"},
      {"no shape", One(absl::StrCat(kDtype, kOffsets)), 8, "no shape"},
      {"no offsets", One(absl::StrCat(kDtype, "\"shape\":[2]")), 8,
       "no data_offsets"},
      {"unknown dtype",
       One(absl::StrCat("\"dtype\":\"F31\",", kShape, kOffsets)), 8,
       "unknown dtype \"F31\""},
      {"dtype a number", One(absl::StrCat("\"dtype\":1,", kShape, kOffsets)), 8,
       "expected a string"},
      {"shape a string",
       One(absl::StrCat(kDtype, "\"shape\":\"2\",", kOffsets)), 8,
       "shape holds the string \"2\""},
      {"negative", One(absl::StrCat(kDtype, "\"shape\":[-2],", kOffsets)), 8,
       "shape holds -2, expected whole numbers"},
      {"float", One(absl::StrCat(kDtype, "\"shape\":[2.0],", kOffsets)), 8,
       "shape holds 2.0, expected whole numbers"},
      {"nested shape", One(absl::StrCat(kDtype, "\"shape\":[[2]],", kOffsets)),
       8, "shape holds an array"},
      {"one offset", One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[0]")),
       8, "has 1 numbers, expected 2"},
      {"three offsets",
       One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[0,8,8]")), 8,
       "has 3 numbers, expected 2"},
      {"shape twice", One(absl::StrCat(kDtype, kShape, kShape, kOffsets)), 8,
       "duplicate key shape"},
      {"offsets twice",
       One(absl::StrCat(kDtype, kShape, kOffsets, ",", kOffsets)), 8,
       "duplicate key data_offsets"},
      {"negative offset",
       One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[-8,0]")), 8,
       "data_offsets holds -8"},
      {"offset a float",
       One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[0,8e0]")), 8,
       "data_offsets holds 8e0"},
      {"offset above int64",
       One(absl::StrCat(kDtype, kShape,
                        "\"data_offsets\":[0,18446744073709551615]")),
       8, "data_offsets holds too large a number"},
      {"65 axes",
       One(absl::StrCat(
           kDtype, "\"shape\":[1",
           absl::StrReplaceAll(std::string(64, 'x'), {{"x", ",1"}}), "],",
           kOffsets)),
       8, "shape is too long"},
      {"dtype null", One(absl::StrCat("\"dtype\":null,", kShape, kOffsets)), 8,
       "dtype holds null, expected a string"},
      {"dtype in lower case",
       One(absl::StrCat("\"dtype\":\"f32\",", kShape, kOffsets)), 8,
       "unknown dtype \"f32\""},
      {"no offsets in the list",
       One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[]")), 8,
       "has 0 numbers, expected 2"},
  });
}

TEST(SafetensorsTest, BadLayoutsAreDataLoss) {
  ExpectDataLoss({
      {"reversed",
       One(absl::StrCat(kDtype, "\"shape\":[0],",
                        "\"data_offsets\":[0,0]},\"b\":{", kDtype, kShape,
                        "\"data_offsets\":[0,8]},\"c\":{", kDtype, kShape,
                        "\"data_offsets\":[8,0]")),
       8, "ends before it begins"},
      {"size differs from shape",
       One(absl::StrCat(kDtype, "\"shape\":[3],", kOffsets)), 8,
       "has 8 bytes, expected 12"},
      {"hole at the start",
       One(absl::StrCat(kDtype, kShape, "\"data_offsets\":[4,12]")), 12,
       "begins at 4, expected 0"},
      {"hole",
       One(absl::StrCat(kDtype, kShape, kOffsets, "},\"b\":{", kDtype, kShape,
                        "\"data_offsets\":[12,20]")),
       20, "begins at 12, expected 8"},
      {"overlap",
       One(absl::StrCat(kDtype, kShape, kOffsets, "},\"b\":{", kDtype, kShape,
                        "\"data_offsets\":[4,12]")),
       12, "begins at 4, expected 8"},
      {"rest", One(absl::StrCat(kDtype, kShape, kOffsets)), 9,
       "no tensor owns the rest"},
      {"rest without tensors", "{}", 1, "no tensor owns the rest"},
      {"cut short", One(absl::StrCat(kDtype, kShape, kOffsets)), 7,
       "is cut short"},
      {"overflow",
       One(absl::StrCat(kDtype, "\"shape\":[4611686018427387904,4],",
                        "\"data_offsets\":[0,0]")),
       0, "size above 64 bits"},
      {"above int64",
       One(absl::StrCat(kDtype, "\"shape\":[18446744073709551615],", kOffsets)),
       8, "too large a number"},
      {"half a byte",
       One("\"dtype\":\"F4\",\"shape\":[3],"
           "\"data_offsets\":[0,1]"),
       1, "does not fill whole bytes"},
  });
}

TEST(SafetensorsTest, BadLengthsAreDataLoss) {
  EXPECT_THAT(Parse(""),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("0 bytes")));
  EXPECT_THAT(Parse("1234567"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("7 bytes")));
  EXPECT_THAT(Parse(std::string(8, '\xff')),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("header length 18446744073709551615")));
  EXPECT_THAT(Parse(FileOf("{}", "").substr(0, 9)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("should end at byte 10, the file at byte 9")));
}

TEST(SafetensorsTest, HeaderAboveTheReferencesLimitIsDataLoss) {
  std::string header(100000001, ' ');
  header[0] = '{';
  header[1] = '}';
  EXPECT_THAT(Parse(FileOf(header, "")),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("header length 100000001, expected at most")));
  header.pop_back();
  EXPECT_OK(Parse(FileOf(header, "")));
}

TEST(SafetensorsTest, ManyTensorsAreBounded) {
  std::string header = "{";
  for (int i = 0; i <= 200000; ++i) {
    absl::StrAppend(&header, i == 0 ? "\"" : ",\"", i,
                    "\":{\"dtype\":\"U8\",\"shape\":[0],"
                    "\"data_offsets\":[0,0]}");
  }
  EXPECT_THAT(Parse(FileOf(header + "}", "")),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("more than 200000 tensors")));
}

TEST(SafetensorsTest, DeepNestingIsRefused) {
  EXPECT_THAT(Parse(FileOf(
                  absl::StrCat("{\"a\":", std::string(1000000, '['), "}"), "")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("an array")));
}

TEST(SafetensorsTest, WritesWhatItReads) {
  const float values[] = {1.5f, -2, std::numeric_limits<float>::quiet_NaN()};
  const absl::string_view bytes(reinterpret_cast<const char*>(values), 12);
  const std::map<std::string, TensorView> written = {
      {"가중치", {"F32", {3, 1}, bytes}},
      {"byte", {"U8", {1}, "x"}},
      {"empty", {"F16", {0, 7}, ""}},
      {"scalar", {"F32", {}, bytes.substr(0, 4)}}};
  const std::string file =
      SerializeSafetensors(written, {{"format", "pt"}, {"by", "test"}});
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  ASSERT_OK(ParseSafetensors(file, "f", &tensors, &metadata));
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"by", "test"},
                                                          {"format", "pt"}}));
  ASSERT_EQ(tensors.size(), written.size());
  for (const auto& [name, tensor] : written) {
    EXPECT_EQ(tensors[name].dtype, tensor.dtype) << name;
    EXPECT_EQ(tensors[name].shape, tensor.shape) << name;
    EXPECT_EQ(tensors[name].bytes, tensor.bytes) << name;
  }
  EXPECT_EQ(tensors["scalar"].elements(), 1);
  EXPECT_EQ(tensors["empty"].elements(), 0);
  EXPECT_EQ(SerializeSafetensors(tensors, metadata), file);
  EXPECT_EQ((file.size() - 17) % 8, 0u);
}

TEST(SafetensorsTest, EveryTruncationIsDataLoss) {
  const std::string file = SerializeSafetensors(
      {{"a", {"F32", {1}, "abcd"}}, {"b", {"I64", {1}, "01234567"}}}, {});
  ASSERT_OK(Parse(file));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(Parse(file.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("some.file")))
        << size;
  }
}

// A changed byte gives an error, or a file that still obeys every rule; under a
// sanitizer this also shows that no byte outside is read.
TEST(SafetensorsTest, EveryChangedHeaderByteIsHandled) {
  const std::string file = SerializeSafetensors(
      {{"a", {"F32", {1, 2}, "abcdefgh"}}, {"b", {"U8", {2}, "xy"}}},
      {{"k", "v"}});
  int refused = 0;
  for (size_t at = 0; at + 10 < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      std::map<std::string, TensorView> tensors;
      std::map<std::string, std::string> metadata;
      const absl::Status status =
          ParseSafetensors(changed, "f", &tensors, &metadata);
      if (!status.ok()) {
        EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
        ++refused;
        continue;
      }
      size_t bytes = 0;
      for (const auto& [name, tensor] : tensors) bytes += tensor.bytes.size();
      EXPECT_EQ(bytes, 10u);
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(SafetensorsTest, OpensFiles) {
  const std::string path = JoinPath(NewTestDir(), "model.safetensors");
  EXPECT_THAT(SafetensorsFile::Open(path),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  ASSERT_OK(WriteFileAtomically(
      path, SerializeSafetensors({{"a", {"U8", {2}, "xy"}}}, {})));
  ASSERT_OK_AND_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(path));
  EXPECT_EQ(file.tensors().at("a").bytes, "xy");
  EXPECT_THAT(file.metadata(), IsEmpty());
}

template <typename T>
TensorView ViewOf(const char* dtype, const std::vector<T>& values) {
  return {dtype,
          {static_cast<int64_t>(values.size())},
          {reinterpret_cast<const char*>(values.data()),
           values.size() * sizeof(T)}};
}

TEST(SafetensorsTest, ConvertsFloats) {
  const float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<double> doubles = {0.5, -3};
  EXPECT_THAT(*ToFloats(ViewOf("F64", doubles)), ElementsAre(0.5f, -3));
  const std::vector<float> floats = {1, 0.1f};
  EXPECT_THAT(*ToFloats(ViewOf("F32", floats)), ElementsAre(1, 0.1f));
  // 1, -2, largest, smallest normal, smallest subnormal, -0, infinities.
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x7bff, 0x0400,
                                        0x0001, 0x8000, 0x7c00, 0xfc00};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> from_half,
                       ToFloats(ViewOf("F16", halves)));
  EXPECT_THAT(from_half, ElementsAre(1, -2, 65504, 0x1p-14f, 0x1p-24f, 0,
                                     kInfinity, -kInfinity));
  EXPECT_TRUE(std::signbit(from_half[5]));
  const std::vector<uint16_t> nan = {0x7e00};
  EXPECT_TRUE(std::isnan((*ToFloats(ViewOf("F16", nan)))[0]));
  const std::vector<uint16_t> brains = {0x3f80, 0xc040, 0xff80};
  EXPECT_THAT(*ToFloats(ViewOf("BF16", brains)),
              ElementsAre(1, -3, -kInfinity));
  const std::vector<int64_t> integers = {1};
  EXPECT_THAT(ToFloats(ViewOf("I64", integers)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("I64")));
}

TEST(SafetensorsTest, ReadsWhatHuggingFaceWrote) {
  REQUIRE_DATA_OR_SKIP();
  ASSERT_OK_AND_ASSIGN(const SafetensorsFile file,
                       SafetensorsFile::Open(
                           JoinPath(GoldenDir(), "electra/model.safetensors")));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  const TensorView& tensor =
      file.tensors().at("electra.embeddings_project.weight");
  EXPECT_EQ(tensor.dtype, "F32");
  EXPECT_THAT(tensor.shape, ElementsAre(32, 16));
  EXPECT_EQ(ToFloats(tensor)->size(), 512u);
}

}  // namespace
}  // namespace kodistil
