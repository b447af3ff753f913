#include "base/progress.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Runs `body` with stderr sent to `descriptor`.
void WithStderrAt(int descriptor, const std::function<void()>& body) {
  fflush(stderr);
  const int saved = dup(STDERR_FILENO);
  ASSERT_EQ(dup2(descriptor, STDERR_FILENO), STDERR_FILENO);
  body();
  fflush(stderr);
  ASSERT_EQ(dup2(saved, STDERR_FILENO), STDERR_FILENO);
  close(saved);
}

// To the end: until the other side is closed and all of it has come.
std::string ReadAll(int descriptor) {
  std::string text;
  char part[4096];
  for (ssize_t size; (size = read(descriptor, part, sizeof(part))) > 0;) {
    text.append(part, size);
  }
  return text;
}

// What `body` writes to a stderr that is a pipe.
std::string PipedOutput(const std::function<void()>& body) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  WithStderrAt(ends[1], body);
  close(ends[1]);
  const std::string text = ReadAll(ends[0]);
  close(ends[0]);
  return text;
}

// What `body` writes to a stderr that is a terminal of `columns` columns.
std::string TerminalOutput(int columns, const std::function<void()>& body) {
  const int primary = posix_openpt(O_RDWR | O_NOCTTY);
  if (primary < 0 || grantpt(primary) != 0 || unlockpt(primary) != 0) {
    return "no terminal";
  }
  const int secondary = open(ptsname(primary), O_RDWR | O_NOCTTY);
  termios modes;
  tcgetattr(secondary, &modes);
  cfmakeraw(&modes);
  tcsetattr(secondary, TCSANOW, &modes);
  winsize size = {};
  size.ws_col = columns;
  ioctl(secondary, TIOCSWINSZ, &size);
  WithStderrAt(secondary, body);
  close(secondary);
  const std::string text = ReadAll(primary);
  close(primary);
  return text;
}

TEST(ProgressLineTest, PipeGetsPlainLinesAtTheInterval) {
  const std::string text = PipedOutput([] {
    ProgressLine progress(absl::Hours(1));
    progress.Update("first");
    progress.Update("too soon");
    progress.Print("message");
    progress.Update("still too soon");
    progress.Finish("last");
  });
  EXPECT_EQ(text, "first\nmessage\nlast\n");
}

TEST(ProgressLineTest, ZeroIntervalWritesEveryLine) {
  const std::string text = PipedOutput([] {
    ProgressLine progress(absl::ZeroDuration());
    progress.Update("one");
    progress.Update("two");
  });
  EXPECT_EQ(text, "one\ntwo\n");
}

TEST(ProgressLineTest, TerminalIsRedrawnAndCutToItsWidth) {
  setenv("TERM", "xterm", /*overwrite=*/1);
  const std::string text = TerminalOutput(/*columns=*/8, [] {
    ProgressLine progress;
    progress.Update("한국어 진행");
    progress.Print("message");
    progress.Update("again");
    progress.Finish("the end");
  });
  EXPECT_EQ(text,
            "\r\x1b[K한국어 "
            "\r\x1b[Kmessage\n"
            "\r\x1b[Kagain"
            "\r\x1b[Kthe end\n");
}

TEST(ProgressLineTest, LeavingEarlyEndsTheLine) {
  setenv("TERM", "xterm", /*overwrite=*/1);
  const std::string text = TerminalOutput(/*columns=*/80, [] {
    ProgressLine progress;
    progress.Update("half");
  });
  EXPECT_EQ(text, "\r\x1b[Khalf\n");
}

TEST(ProgressLineTest, DumbTerminalGetsNoEscapes) {
  setenv("TERM", "dumb", /*overwrite=*/1);
  const std::string text = TerminalOutput(/*columns=*/80, [] {
    ProgressLine progress;
    progress.Update("half");
    progress.Finish("end");
  });
  EXPECT_EQ(text, "half\nend\n");
}

TEST(ProgressTextTest, ShowsRateAndRemainingTimeOnceKnown) {
  EXPECT_EQ(ProgressText(0, 24000, absl::ZeroDuration()), "0 of 24,000 (0 %)");
  EXPECT_EQ(ProgressText(12345, 24000, absl::Seconds(1.5)),
            "12,345 of 24,000 (51 %)  8,230/s  ETA 0:01");
  EXPECT_EQ(ProgressText(3, 6, absl::Seconds(10)),
            "3 of 6 (50 %)  0.3/s  ETA 0:10");
}

TEST(ProgressTextTest, IsHundredPercentOnlyAtTheEnd) {
  EXPECT_THAT(ProgressText(199999, 200000, absl::Seconds(1)),
              HasSubstr("(99 %)"));
  const std::string end = ProgressText(200000, 200000, absl::Seconds(2));
  EXPECT_THAT(end, HasSubstr("(100 %)"));
  EXPECT_THAT(end, Not(HasSubstr("ETA")));
  EXPECT_EQ(ProgressText(0, 0, absl::Seconds(1)), "0 of 0 (100 %)");
}

TEST(NumberTextTest, WithCommas) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1234567), "1,234,567");
  EXPECT_EQ(WithCommas(-100), "-100");
  EXPECT_EQ(WithCommas(-1000), "-1,000");
}

TEST(NumberTextTest, ClockText) {
  EXPECT_EQ(ClockText(absl::Seconds(14)), "0:14");
  EXPECT_EQ(ClockText(absl::Seconds(59.7)), "1:00");
  EXPECT_EQ(ClockText(absl::Seconds(723)), "12:03");
  EXPECT_EQ(ClockText(absl::Seconds(3723)), "1:02:03");
  EXPECT_EQ(ClockText(absl::Seconds(-1)), "0:00");
  EXPECT_EQ(ClockText(absl::InfiniteDuration()), "?");
}

TEST(NumberTextTest, BytesText) {
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "1.0 KB");
  EXPECT_EQ(BytesText(548123), "548 KB");
  EXPECT_EQ(BytesText(999600), "1.0 MB");
  EXPECT_EQ(BytesText(1234567), "1.2 MB");
  EXPECT_EQ(BytesText(5000000000), "5.0 GB");
}

}  // namespace
}  // namespace kodistil
