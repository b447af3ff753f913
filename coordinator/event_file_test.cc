#include "coordinator/event_file.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using v1::TensorboardEvent;

// Made with TensorBoard's own messages by protoc 3.21.
constexpr char kVersionRecord[] =
    "1800000000000000a37f4b220900000000004a93401a0d627261696e2e4576656e743a3265"
    "b8d3fb";
constexpr char kLossRecord[] =
    "290000000000000037ff5f000900000000004c934010072a1c0a1a0a046c6f737315000000"
    "3f4a0d0a090a077363616c6172732001fb1016cb";

TensorboardEvent VersionEvent() {
  TensorboardEvent event;
  event.set_wall_time(1234.5);
  event.set_file_version("brain.Event:2");
  return event;
}

TensorboardEvent LossEvent() {
  TensorboardEvent event;
  event.set_wall_time(1235);
  event.set_step(7);
  auto* const value = event.mutable_summary()->add_value();
  value->set_tag("loss");
  value->set_simple_value(0.5);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name("scalars");
  value->mutable_metadata()->set_data_class(
      v1::TensorboardMetadata::DATA_CLASS_SCALAR);
  return event;
}

TEST(EventFileTest, ChecksumsAreTheGoldenOnes) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  // TensorBoard's own test.
  EXPECT_EQ(MaskedCrc32c(absl::StrCat("\x1a\x11", "CRC test, one two")),
            0x5794d08au);
}

TEST(EventFileTest, RecordsAreThoseOfTensorBoard) {
  EXPECT_EQ(absl::BytesToHexString(FrameEvent(VersionEvent())), kVersionRecord);
  EXPECT_EQ(absl::BytesToHexString(FrameEvent(LossEvent())), kLossRecord);
}

TEST(EventFileTest, ReadsTensorBoardsRecords) {
  const EventFile file = ParseEvents(
      absl::HexStringToBytes(absl::StrCat(kVersionRecord, kLossRecord)));
  EXPECT_TRUE(file.whole);
  ASSERT_EQ(file.events.size(), 2u);
  EXPECT_EQ(file.events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(file.events[0].wall_time(), 1234.5);
  const auto& value = file.events[1].summary().value(0);
  EXPECT_EQ(file.events[1].step(), 7);
  EXPECT_EQ(value.tag(), "loss");
  EXPECT_EQ(value.simple_value(), 0.5f);
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "scalars");
}

TEST(EventFileTest, CutAtEveryByteItStillYieldsTheValidPrefix) {
  const std::string first = FrameEvent(VersionEvent());
  const std::string both = first + FrameEvent(LossEvent());
  for (size_t size = 0; size <= both.size(); ++size) {
    const EventFile file = ParseEvents(both.substr(0, size));
    const size_t events =
        size == both.size() ? 2 : (size >= first.size() ? 1 : 0);
    ASSERT_EQ(file.events.size(), events) << "cut at byte " << size;
    EXPECT_EQ(file.valid_bytes, events == 2   ? both.size()
                                : events == 1 ? first.size()
                                              : 0u);
    EXPECT_EQ(file.whole,
              size == 0 || size == first.size() || size == both.size());
  }
}

TEST(EventFileTest, AFlippedByteEndsTheFileThere) {
  const std::string first = FrameEvent(VersionEvent());
  const std::string second = FrameEvent(LossEvent());
  const std::string all = first + second + first;
  for (size_t i = 0; i < second.size(); ++i) {
    std::string damaged = all;
    damaged[first.size() + i] ^= 0x10;
    const EventFile file = ParseEvents(damaged);
    ASSERT_EQ(file.events.size(), 1u) << "byte " << i;
    EXPECT_FALSE(file.whole);
  }
}

TEST(EventFileTest, ARecordThatIsNoEventEndsTheFile) {
  const EventFile file =
      ParseEvents(FrameEvent(VersionEvent()) + FrameRecord("\xff\xff\xff\xff"));
  EXPECT_EQ(file.events.size(), 1u);
  EXPECT_FALSE(file.whole);
}

TEST(EventFileTest, AppendsBehindWhatIsThere) {
  const std::string path = JoinPath(NewTestDir(), "events");
  ASSERT_OK(AppendRecords(path, "ab"));
  ASSERT_OK(AppendRecords(path, "cd"));
  EXPECT_EQ(*ReadFile(path), "abcd");
  EXPECT_THAT(AppendRecords(JoinPath(path, "below"), "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(JoinPath(path, "below"))));
}

TEST(EventFileTest, FindsEventFilesByTheirNameOldestFirst) {
  const std::string folder = NewTestDir();
  const std::string late = EventFileName(2000000000, 1);
  const std::string early = EventFileName(999, 2);
  EXPECT_THAT(early, MatchesRegex("events\\.out\\.tfevents\\.0000000999\\..+"
                                  "\\.[0-9]+\\.2"));
  for (const std::string& name : {late, early, std::string("notes.txt")}) {
    ASSERT_OK(WriteFileAtomically(JoinPath(folder, name), ""));
  }
  EXPECT_THAT(*EventFilesOf(folder),
              ElementsAre(EndsWith(early), EndsWith(late)));
  EXPECT_THAT(*EventFilesOf(JoinPath(folder, "missing")), IsEmpty());
}

}  // namespace
}  // namespace kodistil
