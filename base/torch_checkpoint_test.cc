#include "base/torch_checkpoint.h"

#include <string.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kRefused = absl::StatusCode::kInvalidArgument;

std::vector<float> Floats(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::string FloatBytes(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(float));
}

// A checkpoint of one storage, key "0", whose pickle is given.
std::string WithPickle(const std::string& pickle, const std::string& content) {
  return MakeZip({{"archive/data.pkl", pickle},
                  {"archive/data/0", content},
                  {"archive/version", "3\n"}});
}

absl::Status Parse(const std::string& bytes) {
  std::deque<std::string> copies;
  std::map<std::string, TensorView> tensors;
  return ParseTorchCheckpoint(bytes, "m.pt", &copies, &tensors);
}

// The status of a pickle beside a storage of 6 floats.
absl::Status ParsePickle(const std::string& pickle) {
  return Parse(WithPickle(pickle, FloatBytes({0, 1, 2, 3, 4, 5})));
}

std::string Storage6() { return PickledStorage("FloatStorage", "0", 6); }

TEST(TorchCheckpointTest, ContiguousTensorsAreReadByName) {
  const std::string path = JoinPath(NewTestDir(), "m.pt");
  ASSERT_OK(WriteFileAtomically(
      path, MakeTorchCheckpoint({{"b.weight", {{2, 3}, {1, 2, 3, 4, 5, 6}}},
                                 {"a", {{1}, {7}}},
                                 {"empty", {{0, 4}, {}}}})));
  ASSERT_OK_AND_ASSIGN(const TorchCheckpoint checkpoint,
                       TorchCheckpoint::Open(path));
  ASSERT_EQ(checkpoint.tensors().size(), 3);
  const TensorView& b = checkpoint.tensors().at("b.weight");
  EXPECT_EQ(b.dtype, "F32");
  EXPECT_THAT(b.shape, ElementsAre(2, 3));
  EXPECT_THAT(Floats(b), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Floats(checkpoint.tensors().at("a")), ElementsAre(7));
  EXPECT_EQ(checkpoint.tensors().at("empty").bytes, "");
}

TEST(TorchCheckpointTest, StridesOffsetsAndSharedStoragesAreApplied) {
  const std::string bytes = WithPickle(
      PickledDict({{"t", PickledTensorCall(Storage6(), 0, {3, 2}, {1, 3})},
                   {"row", PickledTensorCall(Storage6(), 3, {1, 3}, {99, 1})},
                   {"column", PickledTensorCall(Storage6(), 1, {2}, {3})},
                   {"scalar", PickledTensorCall(Storage6(), 5, {}, {})}}),
      FloatBytes({0, 1, 2, 3, 4, 5}));
  std::deque<std::string> copies;
  std::map<std::string, TensorView> tensors;
  ASSERT_OK(ParseTorchCheckpoint(bytes, "m.pt", &copies, &tensors));
  EXPECT_THAT(Floats(tensors.at("t")), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(Floats(tensors.at("row")), ElementsAre(3, 4, 5));
  EXPECT_THAT(Floats(tensors.at("column")), ElementsAre(1, 4));
  EXPECT_THAT(Floats(tensors.at("scalar")), ElementsAre(5));
  EXPECT_TRUE(tensors.at("scalar").shape.empty());
}

TEST(TorchCheckpointTest, ParametersAndOtherDtypesAreRead) {
  const std::string half =
      PickledTensorCall(PickledStorage("HalfStorage", "0", 2), 0, {2}, {1});
  const std::string parameter =
      absl::StrCat("ctorch._utils\n_rebuild_parameter\n(", half,
                   "\x88"
                   "ccollections\nOrderedDict\n)RtR");
  const std::string bytes = WithPickle(PickledDict({{"p", parameter}}), "abcd");
  std::deque<std::string> copies;
  std::map<std::string, TensorView> tensors;
  ASSERT_OK(ParseTorchCheckpoint(bytes, "m.pt", &copies, &tensors));
  EXPECT_EQ(tensors.at("p").dtype, "F16");
  EXPECT_EQ(tensors.at("p").bytes, "abcd");
}

TEST(TorchCheckpointTest, SeedCheckpointsAreRead) {
  REQUIRE_DATA_OR_SKIP();
  const std::string folder = JoinPath(DataDir(), "seed/checkpoints");
  ASSERT_OK_AND_ASSIGN(
      const TorchCheckpoint base,
      TorchCheckpoint::Open(JoinPath(folder, "base_distilled.pt")));
  EXPECT_EQ(base.tensors().size(), 11);
  EXPECT_THAT(base.tensors().at("embedding.weight").shape,
              ElementsAre(3000, 64));
  EXPECT_THAT(base.tensors().at("rnn.weight_hh_l0_reverse").shape,
              ElementsAre(512, 128));
  // The padding row is never trained.
  EXPECT_EQ(base.tensors().at("embedding.weight").bytes.substr(0, 256),
            std::string(256, '\0'));
  ASSERT_OK_AND_ASSIGN(
      const TorchCheckpoint small,
      TorchCheckpoint::Open(JoinPath(folder, "small_plain.pt")));
  EXPECT_THAT(small.tensors().at("linear.weight").shape, ElementsAre(2, 128));
}

TEST(TorchCheckpointTest, OtherKindsOfFilesAreNamed) {
  const std::string legacy(
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  EXPECT_THAT(Parse(legacy),
              StatusIs(kRefused, HasSubstr("before PyTorch 1.6")));
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_THAT(Parse(tar), StatusIs(kRefused, HasSubstr("a tar archive")));
  EXPECT_THAT(Parse("\x80\x04K\x01."),
              StatusIs(kRefused, HasSubstr("a bare pickle")));
  EXPECT_THAT(Parse("{\"a\": 1}"),
              StatusIs(kRefused, HasSubstr("not a PyTorch checkpoint")));
  EXPECT_THAT(Parse(""), StatusIs(kRefused, HasSubstr("m.pt")));
  EXPECT_THAT(Parse(MakeZip({{"m/data.pkl", "x"}, {"m/constants.pkl", "x"}})),
              StatusIs(kRefused, HasSubstr("TorchScript")));
  EXPECT_THAT(Parse(MakeZip({{"m/x", "x"}})),
              StatusIs(kRefused, HasSubstr("no member 'm/data.pkl'")));
  EXPECT_THAT(Parse(MakeZip({{"m/data.pkl", "x"}, {"n/x", "x"}})),
              StatusIs(kRefused, HasSubstr("'n/x' does not lie")));
}

TEST(TorchCheckpointTest, ForeignSymbolIsRefusedByName) {
  EXPECT_THAT(
      ParsePickle(absl::StrCat("\x80\x02", "cos\nsystem\n(",
                               PickledText("true"), "tR.")),
      StatusIs(kRefused,
               AllOf(HasSubstr("m.pt: archive/data.pkl byte 2, opcode GLOBAL"),
                     HasSubstr("asks for os.system"))));
  EXPECT_THAT(ParsePickle("\x80\x02"
                          "ctorch\nload\n."),
              StatusIs(kRefused, HasSubstr("torch.load")));
}

TEST(TorchCheckpointTest, ForeignOpcodesAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"(ios\nsystem\n.", "INST"},
      {"\x93.", "STACK_GLOBAL"},
      {")\x81.", "NEWOBJ"},
      {"\x82\x01.", "EXT1"},
      {"Pabc\n.", "PERSID"},
      {"N2.", "DUP"},
      {"\x8c\x01"
       "a.",
       "SHORT_BINUNICODE"},
      {"\xff.", "0xff"}};
  for (const auto& [pickle, name] : cases) {
    EXPECT_THAT(ParsePickle("\x80\x02" + pickle),
                StatusIs(kRefused, HasSubstr("opcode " + name + ": an opcode")))
        << name;
  }
  EXPECT_THAT(ParsePickle("\x80\x04}."),
              StatusIs(kRefused, HasSubstr("protocol 4, expected 2")));
}

TEST(TorchCheckpointTest, WrongCallsAreRefused) {
  const std::string tensor = PickledTensorCall(Storage6(), 0, {6}, {1});
  const std::string proto = "\x80\x02";
  const std::vector<std::pair<std::string, std::string>> cases = {
      // SETITEM and BUILD on a tensor, APPEND to a dict.
      {proto + tensor + PickledText("k") + "Ns.", "sets items of a tensor"},
      {proto + tensor + "Nb.", "what is built is a tensor"},
      {proto + "}Na.", "what is appended to is a dict"},
      {proto + "}NNs.", "a key is None, expected a string"},
      {proto + "NNR.", "the argument is None, expected a tuple"},
      {proto + "N)R.", "the function is None, expected a symbol"},
      {proto + "ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage"},
      {proto + "ccollections\nOrderedDict\n(NtR.", "with 1 arguments"},
      {proto + "ctorch._utils\n_rebuild_tensor_v2\n)R.", "with 0 arguments"},
      {proto + "NQ.", "a persistent id is None"},
      {proto + "(NNtQ.", "a persistent id of 2 fields"},
      {proto + PickledStorage("FloatStorage", std::string(300, 'k'), 6) + ".",
       "a storage key of 300 bytes"},
      {proto + tensor + ".", "what the file holds is a tensor"},
      {PickledDict({{"a", PickledInt(1)}}), "'a' is an int, expected a tensor"},
      {PickledDict({{"a", tensor}, {"a", tensor}}), "'a' is there twice"},
      {PickledDict({{"a", PickledTensorCall(Storage6(), -1, {2}, {1})}}),
       "negative offset"},
      {PickledDict({{"a", PickledTensorCall(Storage6(), 0, {-2}, {1})}}),
       "a negative shape"},
      {PickledDict(
           {{"a", PickledTensorCall(Storage6(), 0, std::vector<int32_t>(9, 1),
                                    std::vector<int32_t>(9, 1))}}),
       "9 axes"},
      {proto + std::string(65, '(') + ".", "nested deeper than 64"},
      {proto + "\x8a\x09" + std::string(9, 'a') + ".", "64 bits"},
  };
  for (const auto& [pickle, message] : cases) {
    EXPECT_THAT(ParsePickle(pickle), StatusIs(kRefused, HasSubstr(message)));
  }
}

TEST(TorchCheckpointTest, DamagedPicklesAreDataLoss) {
  const std::string proto = "\x80\x02";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {proto + "X\xff\xff\xff\xff"
               "abc.",
       "needs 4294967295 more bytes"},
      {proto + "h\x07.", "byte 2, opcode BINGET: memo 7 was never put"},
      {proto + "t.", "no mark"},
      {proto + "R.", "the stack is empty"},
      {proto + "s.", "the stack is empty"},
      {proto + "N(s.", "the stack is empty"},
      {proto + "NN.", "the stack holds 2 objects"},
      {proto + ".", "the stack holds 0 objects"},
      {proto + "}.x", "1 bytes follow the end"},
      {proto + "}(" + PickledText("k") + "u.", "a key without a value"},
      {proto + "cos", "a symbol's name without an end"},
  };
  for (const auto& [pickle, message] : cases) {
    EXPECT_THAT(ParsePickle(pickle), StatusIs(kDamaged, HasSubstr(message)));
  }
}

TEST(TorchCheckpointTest, TensorsBeyondTheirStorageAreDataLoss) {
  const auto dict = [](int32_t offset, const std::vector<int32_t>& shape,
                       const std::vector<int32_t>& strides) {
    return PickledDict(
        {{"a", PickledTensorCall(Storage6(), offset, shape, strides)}});
  };
  const int32_t huge = 0x7fffffff;
  // A stride of 0 makes much of little; the products overflow 64 bits.
  for (const std::string& pickle :
       {dict(0, {1000, 1000}, {0, 0}), dict(0, {7}, {1}), dict(1, {6}, {1}),
        dict(0, {2, 2}, {3, 3}), dict(huge, {1}, {1}),
        dict(0, {huge, huge, huge}, {0, 0, 0}),
        dict(0, {huge, huge, huge, 0}, {0, 0, 0, 0}),
        dict(0, {huge, 2}, {huge, huge})}) {
    EXPECT_THAT(ParsePickle(pickle),
                StatusIs(kDamaged, HasSubstr("m.pt: tensor 'a': reaches "
                                             "beyond its storage")));
  }
  EXPECT_OK(ParsePickle(dict(0, {6}, {1})));
}

TEST(TorchCheckpointTest, StorageOfAnotherLengthIsDataLoss) {
  const auto dict = [](const std::string& storage) {
    return PickledDict({{"a", PickledTensorCall(storage, 0, {1}, {1})}});
  };
  EXPECT_THAT(ParsePickle(dict(PickledStorage("FloatStorage", "0", 7))),
              StatusIs(kDamaged, HasSubstr("a storage of 7 elements of 4 "
                                           "bytes, but member "
                                           "'archive/data/0' has 24 bytes")));
  EXPECT_THAT(ParsePickle(dict(PickledStorage("LongStorage", "0", 6))),
              StatusIs(kDamaged, HasSubstr("6 elements of 8 bytes")));
  EXPECT_THAT(ParsePickle(dict(PickledStorage("FloatStorage", "9", 6))),
              StatusIs(kDamaged, HasSubstr("no member 'archive/data/9'")));
}

TEST(TorchCheckpointTest, ManyWindowsOnOneStorageAreBounded) {
  std::vector<std::pair<std::string, std::string>> items;
  std::string content(4 * 40000, '\0');
  for (int i = 0; i < 40; ++i) {
    items.emplace_back(
        absl::StrCat(i),
        PickledTensorCall(PickledStorage("FloatStorage", "0", 40000), 0,
                          {200, 200}, {1, 200}));
  }
  EXPECT_THAT(Parse(WithPickle(PickledDict(items), content)),
              StatusIs(kDamaged, HasSubstr("add up to more than the file")));
}

TEST(TorchCheckpointTest, DictThatHoldsItselfIsHarmless) {
  EXPECT_THAT(ParsePickle(absl::StrCat("\x80\x02}q", std::string(1, '\0'),
                                       PickledText("k"), "h",
                                       std::string(1, '\0'), "s.")),
              StatusIs(kRefused, HasSubstr("'k' is a dict")));
}

TEST(TorchCheckpointTest, PickleTruncatedAnywhereIsAnError) {
  const std::string pickle =
      PickledDict({{"a", PickledTensorCall(Storage6(), 0, {2, 3}, {3, 1})}});
  ASSERT_OK(ParsePickle(pickle));
  for (size_t size = 0; size < pickle.size(); ++size) {
    EXPECT_THAT(ParsePickle(pickle.substr(0, size)),
                StatusIs(kDamaged, HasSubstr("data.pkl")))
        << size;
  }
}

TEST(TorchCheckpointTest, FileTruncatedAnywhereIsAnError) {
  const std::string bytes =
      MakeTorchCheckpoint({{"a", {{2, 3}, {1, 2, 3, 4, 5, 6}}}});
  ASSERT_OK(Parse(bytes));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Parse(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(TorchCheckpointTest, MissingFileIsNotFound) {
  EXPECT_THAT(TorchCheckpoint::Open(JoinPath(NewTestDir(), "none.pt")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.pt")));
}

}  // namespace
}  // namespace kodistil
