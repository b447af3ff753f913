#include "base/torch_checkpoint.h"

#include <math.h>
#include <string.h>

#include <map>
#include <string>
#include <utility>
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

// What tools/make_checkpoint_testdata.py put into both files.
class PyTorchFileTest : public ::testing::TestWithParam<std::string> {};

// `count` numbers from `first` with a step, as float32.
std::vector<float> Sequence(float first, float step, int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(first + step * i);
  return values;
}

TEST_P(PyTorchFileTest, EveryDtypeIsRead) {
  ASSERT_OK_AND_ASSIGN(const TorchCheckpoint checkpoint,
                       TorchCheckpoint::Open("base/testdata/" + GetParam()));
  EXPECT_EQ(checkpoint.tensors().size(), 21u);
  const std::map<std::string, std::string> floating = {{"float32", "F32"},
                                                       {"float16", "F16"},
                                                       {"bfloat16", "BF16"},
                                                       {"float64", "F64"}};
  for (const auto& [name, dtype] : floating) {
    const TensorView& tensor = checkpoint.tensors().at(name);
    EXPECT_EQ(tensor.dtype, dtype);
    EXPECT_THAT(tensor.shape, ElementsAre(2, 2));
    EXPECT_THAT(*ToFloats(tensor), ElementsAre(0, 1, 2, 3)) << name;
  }
  const std::string zero(7, '\0');
  const auto integers = [&](size_t size) {
    std::string bytes;
    for (char i = 0; i < 4; ++i) bytes += i + zero.substr(0, size - 1);
    return bytes;
  };
  const std::map<std::string, std::pair<std::string, size_t>> whole = {
      {"int64", {"I64", 8}},
      {"int32", {"I32", 4}},
      {"int16", {"I16", 2}},
      {"int8", {"I8", 1}},
      {"uint8", {"U8", 1}}};
  for (const auto& [name, expected] : whole) {
    const TensorView& tensor = checkpoint.tensors().at(name);
    EXPECT_EQ(tensor.dtype, expected.first);
    EXPECT_EQ(tensor.bytes, integers(expected.second)) << name;
  }
  EXPECT_EQ(checkpoint.tensors().at("bool").dtype, "BOOL");
  EXPECT_EQ(checkpoint.tensors().at("bool").bytes, std::string("\0\1\1\1", 4));
}

TEST_P(PyTorchFileTest, ViewsOfOneStorageAreRead) {
  ASSERT_OK_AND_ASSIGN(const TorchCheckpoint checkpoint,
                       TorchCheckpoint::Open("base/testdata/" + GetParam()));
  const auto& tensors = checkpoint.tensors();
  EXPECT_EQ(Floats(tensors.at("storage")), Sequence(0, 1, 24));
  EXPECT_EQ(tensors.at("tied").bytes.data(),
            tensors.at("storage").bytes.data());
  EXPECT_EQ(Floats(tensors.at("offset")), Sequence(5, 1, 4));
  EXPECT_THAT(tensors.at("transposed").shape, ElementsAre(6, 4));
  const std::vector<float> transposed = Floats(tensors.at("transposed"));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(transposed[i], i / 4 + i % 4 * 6);
  EXPECT_THAT(tensors.at("strided").shape, ElementsAre(2, 2, 2));
  EXPECT_THAT(Floats(tensors.at("strided")),
              ElementsAre(4, 6, 8, 10, 16, 18, 20, 22));
  EXPECT_THAT(Floats(tensors.at("scalar")), ElementsAre(-1e4));
  EXPECT_TRUE(tensors.at("scalar").shape.empty());
  EXPECT_THAT(tensors.at("empty").shape, ElementsAre(0, 4));
  EXPECT_THAT(Floats(tensors.at("parameter")), ElementsAre(0, 1));
  EXPECT_EQ(Floats(tensors.at("weight")), Sequence(0, 0.25, 6));
  EXPECT_THAT(Floats(tensors.at("bias")), ElementsAre(-1.5, HUGE_VALF));
  EXPECT_EQ(tensors.count("가중치"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Containers, PyTorchFileTest,
                         ::testing::Values("zip.pt", "stream.pt"));

TEST(TorchCheckpointTest, ContainersAreTold) {
  EXPECT_STREQ(TorchCheckpoint::Open("base/testdata/zip.pt")->container(),
               "PyTorch zip");
  EXPECT_STREQ(TorchCheckpoint::Open("base/testdata/stream.pt")->container(),
               "PyTorch stream");
}

TEST(TorchCheckpointTest, WholeModelIsRefused) {
  EXPECT_THAT(
      TorchCheckpoint::Open("base/testdata/module.pt"),
      StatusIs(kRefused,
               AllOf(HasSubstr("asks for torch.nn.modules.linear.Linear"),
                     HasSubstr("save its state_dict() instead"))));
}

TEST(TorchCheckpointTest, EmptyStateDictIsRead) {
  ASSERT_OK_AND_ASSIGN(const TorchCheckpoint checkpoint,
                       TorchCheckpoint::Open("base/testdata/no_tensors.pt"));
  EXPECT_TRUE(checkpoint.tensors().empty());
}

TEST(TorchCheckpointTest, OtherKindsOfFilesAreNamed) {
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
  for (const auto& [line, name] :
       std::vector<std::pair<std::string, std::string>>{
           {"ctorch\nload\n", "torch.load"},
           {"cposix\nsystem\n", "posix.system"},
           {"cnt\nsystem\n", "nt.system"},
           {"c__builtin__\neval\n", "__builtin__.eval"},
           {"cbuiltins\nexec\n", "builtins.exec"},
           {"csubprocess\nPopen\n", "subprocess.Popen"},
           {"ccollections\nOrderedDict.fromkeys\n",
            "collections.OrderedDict.fromkeys"},
           {"ctorch._utils\n_rebuild_tensor\n", "torch._utils._rebuild_tensor"},
           {"ctorch\nfloatstorage\n", "torch.floatstorage"},
           {"c\n\n", "asks for ., which"},
           {std::string("ctorch\0\nFloatStorage\n", 21), "torch\\x00.Float"},
           {"c\xff\nx\n", "\\xff.x"}}) {
    EXPECT_THAT(ParsePickle("\x80\x02" + line + "."),
                StatusIs(kRefused, HasSubstr(name)));
  }
}

TEST(TorchCheckpointTest, ForeignOpcodesAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"(ios\nsystem\n.", "INST"},
      {"\x93.", "STACK_GLOBAL"},
      {")\x81.", "NEWOBJ"},
      {"\x82\x01.", "EXT1"},
      {"NN\x92.", "NEWOBJ_EX"},
      {"(o.", "OBJ"},
      {"\x83\x01\x01.", "EXT2"},
      {"\x84\x01\x01\x01\x01.", "EXT4"},
      {"\x8b\x01\x01\x01\x01.", "LONG4"},
      {"\x95\x01\x01\x01\x01\x01\x01\x01\x01.", "FRAME"},
      {"\x94.", "MEMOIZE"},
      {"I1\n.", "INT"},
      {"F1\n.", "FLOAT"},
      {"S'a'\n.", "STRING"},
      {"Va\n.", "UNICODE"},
      {"N0.", "POP"},
      {"(1.", "POP_MARK"},
      {"(d.", "DICT"},
      {"(l.", "LIST"},
      {"g0\n.", "GET"},
      {"p0\n.", "PUT"},
      {"B\x01\x01\x01\x01.", "BINBYTES"},
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

// The stride of an axis of one element means nothing, however large.
TEST(TorchCheckpointTest, StrideOfAnAxisOfOneIsFree) {
  const std::string huge = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
  std::string call = PickledTensorCall(Storage6(), 5, {1, 1}, {7, 7});
  call.replace(call.rfind(PickledInt(7)), 5, huge);
  call.replace(call.rfind(PickledInt(7)), 5, huge);
  EXPECT_OK(ParsePickle(PickledDict({{"a", call}})));
  call = PickledTensorCall(Storage6(), 1, {1, 2, 2}, {7, 1, 2});
  call.replace(call.rfind(PickledInt(7)), 5, huge);
  EXPECT_OK(ParsePickle(PickledDict({{"a", call}})));
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

// A list and a tuple that hold themselves, by way of the memo.
TEST(TorchCheckpointTest, LoopsAreHarmless) {
  const std::string zero(1, '\0');
  EXPECT_THAT(ParsePickle("\x80\x02]q" + zero + "h" + zero + "a."),
              StatusIs(kRefused, HasSubstr("what the file holds is a list")));
  EXPECT_THAT(ParsePickle("\x80\x02]q" + zero + "h" + zero +
                          "\x85"
                          "a."),
              StatusIs(kRefused, HasSubstr("what the file holds is a list")));
  // A storage's key that is a list that holds itself.
  EXPECT_THAT(ParsePickle("\x80\x02(" + PickledText("storage") +
                          "ctorch\nFloatStorage\n]q" + zero + "h" + zero + "a" +
                          PickledText("cpu") + PickledInt(6) + "tQ."),
              StatusIs(kRefused, HasSubstr("the key is a list")));
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
