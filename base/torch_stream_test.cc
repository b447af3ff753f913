#include "base/torch_stream.h"

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checkpoint_testing.h"
#include "base/testing.h"
#include "base/torch_checkpoint.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kRefused = absl::StatusCode::kInvalidArgument;

std::string Storage6() { return PickledStreamStorage("ByteStorage", "k", 6); }

// A tensor "a" of 2 by 3 bytes over storage "k", which holds "012345".
TorchStreamForTest Good() {
  TorchStreamForTest stream;
  stream.state_dict =
      PickledDict({{"a", PickledTensorCall(Storage6(), 0, {2, 3}, {3, 1})}});
  stream.SetKeys({"k"});
  stream.AddStorage(6, "012345");
  return stream;
}

absl::Status Parse(const std::string& bytes) {
  std::deque<std::string> copies;
  std::map<std::string, TensorView> tensors;
  return ParseTorchCheckpoint(bytes, "m.bin", &copies, &tensors);
}

TEST(TorchStreamTest, TensorsAndStoragesAreRead) {
  const std::string bytes = Good().Bytes();
  EXPECT_TRUE(IsTorchStream(bytes));
  ASSERT_OK_AND_ASSIGN(const TorchStream stream,
                       ParseTorchStream(bytes, "m.bin"));
  EXPECT_EQ(stream.storages.at("k"), "012345");
  EXPECT_THAT(stream.tensors.at("a").shape, ElementsAre(2, 3));
  EXPECT_EQ(stream.tensors.at("a").dtype, "U8");
}

TEST(TorchStreamTest, StreamWithoutTensorsIsRead) {
  EXPECT_OK(Parse(TorchStreamForTest().Bytes()));
}

// A change of the good stream, and what is said of it.
struct Bad {
  std::function<void(TorchStreamForTest*)> change;
  absl::StatusCode code;
  std::string message;
};

void ExpectRefused(const std::vector<Bad>& table) {
  std::set<std::string> messages;
  for (const Bad& bad : table) {
    TorchStreamForTest stream = Good();
    bad.change(&stream);
    const absl::Status status = Parse(stream.Bytes());
    EXPECT_THAT(status, StatusIs(bad.code, AllOf(HasSubstr("m.bin"),
                                                 HasSubstr(bad.message))));
    EXPECT_TRUE(messages.insert(std::string(status.message())).second)
        << "two kinds of damage have one message: " << status;
  }
}

// Sets one part of the stream.
std::function<void(TorchStreamForTest*)> With(
    std::string TorchStreamForTest::*part, std::string bytes) {
  return [=](TorchStreamForTest* stream) { stream->*part = bytes; };
}

std::function<void(TorchStreamForTest*)> Protocol(std::string bytes) {
  return With(&TorchStreamForTest::protocol, "\x80\x02" + bytes);
}
std::function<void(TorchStreamForTest*)> Machine(std::string bytes) {
  return With(&TorchStreamForTest::machine, "\x80\x02" + bytes);
}
std::function<void(TorchStreamForTest*)> Dict(std::string bytes) {
  return With(&TorchStreamForTest::state_dict, "\x80\x02" + bytes);
}
std::function<void(TorchStreamForTest*)> Keys(std::string bytes) {
  return With(&TorchStreamForTest::keys, "\x80\x02" + bytes);
}

TEST(TorchStreamTest, HostileHeadersAreRefused) {
  ExpectRefused({
      {Protocol("M\xe8\x03."), kRefused, "byte 20, opcode STOP: protocol 1000"},
      {Protocol("J\xff\xff\xff\xff."), kRefused, "protocol -1, expected 1001"},
      {Protocol("}."), kRefused, "the protocol is a dict, expected an int"},
      {Protocol("cos\nsystem\n."), kRefused,
       "byte 17, opcode GLOBAL: a symbol beside the state dict"},
      {With(&TorchStreamForTest::protocol, "\x80\x04K\x01."), kRefused,
       "byte 15, opcode PROTO: protocol 4, expected 2 at byte 0"},
      {Machine("]."), kRefused, "the description of the machine is a list"},
      {Machine("}" + PickledText("little_endian") + "\x89s."), kRefused,
       "written on a big-endian machine"},
      {Machine("}" + PickledText("little_endian") + "K\x01s."), kRefused,
       "little_endian is an int, expected a bool"},
      {Machine("}K\x01K\x01s."), kRefused, "a key is an int"},
      {Machine("(K\x01tQ."), kRefused, "a storage beside the state dict"},
      {Machine("K\x01)R."), kRefused, "the function is an int"},
      {Machine("}Nb."), kRefused, "a call beside the state dict"},
      {Keys("}."), kRefused, "the list of storages is a dict"},
      {Keys("](K\x01"
            "e."),
       kRefused, "a storage's key is an int"},
      {Keys("](cos\nsystem\ne."), kRefused,
       "opcode GLOBAL: a symbol beside the state dict"},
      {Keys("](" + PickledText("k") + PickledText("k") + "e."), kRefused,
       "storage 'k' is listed twice"},
      {Keys("]" + PickledText("x") + "a."), kDamaged,
       "storage 'x' is listed, but belongs to no tensor"},
      {Keys("]" + PickledText(std::string(999, 'x')) + "a."), kDamaged,
       "xxx' is listed, but belongs to no tensor"},
  });
}

TEST(TorchStreamTest, HostileStateDictsAreRefused) {
  const std::string tensor = PickledTensorCall(Storage6(), 0, {6}, {1});
  ExpectRefused({
      {Dict("cos\nsystem\n(" + PickledText("true") + "tR."), kRefused,
       "opcode GLOBAL: asks for os.system"},
      {Dict("cposix\nsystem\n."), kRefused, "asks for posix.system"},
      {Dict("c__builtin__\neval\n."), kRefused, "asks for __builtin__.eval"},
      {Dict("cbuiltins\nexec\n."), kRefused, "asks for builtins.exec"},
      {Dict("ctorch\nload\n."), kRefused, "asks for torch.load"},
      {Dict("(ios\nsystem\n."), kRefused, "opcode INST: an opcode that no"},
      {Dict("}Na."), kRefused, "what is appended to is a dict"},
      {Dict(tensor + PickledText("k") + "Ns."), kRefused,
       "sets items of a tensor, expected a dict"},
      {Dict(tensor + "(" + PickledText("k") + "Nu."), kRefused,
       "opcode SETITEMS: sets items of a tensor"},
      {Dict(tensor + "}b."), kRefused, "what is built is a tensor"},
      {Dict("]."), kRefused, "what the file holds is a list"},
      {Dict("}q" + std::string(1, '\0') + PickledText("me") + "h" +
            std::string(1, '\0') + "s."),
       kRefused, "'me' is a dict, expected a tensor"},
      {Dict("h\x07."), kDamaged, "opcode BINGET: memo 7 was never put"},
      {Dict("X\xff\xff\xff\xff."), kDamaged, "needs 4294967295 more bytes"},
      {Dict(std::string(65, '(') + "."), kRefused, "nested deeper than 64"},
      {Dict("N."), kRefused, "what the file holds is None"},
  });
}

TEST(TorchStreamTest, HostileTensorsAreRefused) {
  const std::string tensor = PickledTensorCall(Storage6(), 0, {6}, {1});
  const auto dict = [](const std::string& value) {
    return With(&TorchStreamForTest::state_dict, PickledDict({{"a", value}}));
  };
  const auto storage = [&](const std::string& fields) {
    return dict(PickledTensorCall(
        absl::StrCat("(", PickledText("storage"), fields, "tQ"), 0, {6}, {1}));
  };
  const std::string byte_storage = "ctorch\nByteStorage\n";
  ExpectRefused({
      {storage(byte_storage + PickledText("k") + PickledText("cpu") +
               PickledInt(6)),
       kRefused, "a persistent id of 5 fields, expected 6"},
      {storage(byte_storage + PickledText("k") + PickledText("cpu") +
               PickledInt(6) + "(" + PickledText("k") + "K\x01K\x01t"),
       kRefused, "the view is a tuple, expected None"},
      {storage(byte_storage + PickledText("k") + PickledText("cpu") +
               PickledInt(-6) + "N"),
       kRefused, "a persistent id that is no storage"},
      {storage(byte_storage + PickledText("k") + PickledText("cpu") + "NN"),
       kRefused, "the length is None"},
      {storage(byte_storage + "K\x01" + PickledText("cpu") + PickledInt(6) +
               "N"),
       kRefused, "the key is an int"},
      {dict(PickledTensorCall(PickledStreamStorage("ByteStorage", "x", 6), 0,
                              {6}, {1})),
       kDamaged, "storage 'k' is listed, but belongs to no tensor"},
      {With(&TorchStreamForTest::state_dict,
            PickledDict({{"a", tensor},
                         {"b", PickledTensorCall(
                                   PickledStreamStorage("LongStorage", "k", 6),
                                   0, {6}, {1})}})),
       kRefused, "storage 'k' has 6 elements of I64 here and 6 of U8 before"},
      {dict(PickledTensorCall(Storage6(), 0, {1 << 30, 1 << 30}, {0, 0})),
       kDamaged, "tensor 'a': reaches beyond its storage of 6 elements"},
      {dict(PickledTensorCall(Storage6(), -1, {6}, {1})), kRefused,
       "a tensor with a negative offset"},
      {dict(PickledTensorCall(Storage6(), 0, {6}, {-1})), kRefused,
       "a negative stride"},
  });
}

TEST(TorchStreamTest, HostileStoragesAreRefused) {
  const auto storages = [](int64_t count, const std::string& content) {
    return [=](TorchStreamForTest* stream) {
      stream->storages.clear();
      stream->AddStorage(count, content);
    };
  };
  const auto huge = [](TorchStreamForTest* stream) {
    stream->state_dict = PickledDict(
        {{"a", PickledTensorCall(
                   PickledStreamStorage("DoubleStorage", "k", 0x7fffffff), 0,
                   {1}, {1})}});
    stream->storages.clear();
    stream->AddStorage(0x7fffffff, "");
  };
  ExpectRefused({
      {storages(7, "0123456"), kDamaged,
       "storage 'k' has 7 elements, the state dict says 6"},
      {storages(-1, ""), kDamaged, "storage 'k' has -1 elements"},
      {storages(std::numeric_limits<int64_t>::min(), ""), kDamaged,
       "storage 'k' has -9223372036854775808 elements"},
      {storages(6, "01234"), kDamaged,
       "storage 'k' has 6 elements of 1 bytes, 5 bytes are left"},
      {huge, kDamaged, "2147483647 elements of 8 bytes, 0 bytes are left"},
      {storages(6, "0123456"), kDamaged,
       "1 bytes follow the last of 1 storages"},
      {With(&TorchStreamForTest::storages, ""), kDamaged,
       "the file ends before storage 'k'"},
      {[](TorchStreamForTest* stream) {
         stream->SetKeys({});
         stream->storages.clear();
       },
       kDamaged, "tensor 'a': no storage 'k'"},
  });
}

TEST(TorchStreamTest, TruncatedAnywhereIsAnError) {
  const std::string bytes = Good().Bytes();
  ASSERT_OK(Parse(bytes));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(Parse(bytes.substr(0, size)),
                StatusIs(size < 15 ? kRefused : kDamaged, HasSubstr("m.bin")))
        << size;
  }
}

TEST(TorchStreamTest, ManyObjectsAndMemosAreBounded) {
  const auto parse = [](const std::string& pickle) {
    TorchStreamForTest stream;
    stream.state_dict = pickle;
    return Parse(stream.Bytes());
  };
  EXPECT_THAT(parse("\x80\x02" + std::string(1000001, 'N')),
              StatusIs(kRefused, HasSubstr("more than 1000000 objects")));
  std::string puts = "\x80\x02N";
  std::string gets = "\x80\x02Nq" + std::string(1, '\0');
  for (uint32_t i = 0; i <= 1000000; ++i) {
    puts += 'r' + std::string(reinterpret_cast<const char*>(&i), 4);
    gets += std::string("h\0", 2);
  }
  EXPECT_THAT(parse(puts), StatusIs(kRefused, HasSubstr("too many memo")));
  EXPECT_THAT(parse(gets), StatusIs(kRefused, HasSubstr("a stack of more")));
  const uint32_t size = 64 << 20;
  EXPECT_THAT(
      parse("\x80\x02X" + std::string(reinterpret_cast<const char*>(&size), 4) +
            std::string(size, 'x')),
      StatusIs(kRefused, HasSubstr("a pickle of more than 67108864 bytes")));
}

}  // namespace
}  // namespace kodistil
