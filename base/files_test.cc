#include "base/files.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MappedFileTest, GivesTheBytesAndSurvivesAMove) {
  const std::string path = JoinPath(NewTestDir(), "file");
  const std::string bytes("a\0b", 3);
  ASSERT_OK(WriteFileAtomically(path, bytes));
  ASSERT_OK_AND_ASSIGN(MappedFile first, MappedFile::Open(path));
  const MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes(), bytes);
}

TEST(MappedFileTest, EmptyFileHasNoBytes) {
  const std::string path = JoinPath(NewTestDir(), "empty");
  ASSERT_OK(WriteFileAtomically(path, ""));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::Open(path));
  EXPECT_TRUE(file.bytes().empty());
}

TEST(MappedFileTest, ErrorsNameThePath) {
  const std::string dir = NewTestDir();
  const std::string path = JoinPath(dir, "none");
  EXPECT_THAT(MappedFile::Open(path),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  EXPECT_THAT(MappedFile::Open(dir),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(dir)));
}

// It would wait for a writer for ever.
TEST(MappedFileTest, PipeIsRefusedAtOnce) {
  const std::string path = JoinPath(NewTestDir(), "pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::Open(path),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("expected a regular file")));
}

TEST(WriteFileTest, ReplacesAndLeavesNoTemporary) {
  const std::string dir = NewTestDir();
  const std::string path = JoinPath(dir, "a/b/file");
  ASSERT_OK(WriteFileAtomically(path, "old"));
  ASSERT_OK(WriteFileAtomically(path, "new"));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(path));
  EXPECT_EQ(bytes, "new");
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(JoinPath(dir, "a/b")));
  EXPECT_THAT(names, ElementsAre("file"));
}

TEST(WriteFileTest, OpenReaderKeepsTheOldContent) {
  const std::string path = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(path, "old"));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::Open(path));
  ASSERT_OK(WriteFileAtomically(path, "new"));
  EXPECT_EQ(file.bytes(), "old");
}

TEST(WriteFileTest, ConcurrentWritersLeaveOneWholeFile) {
  const std::string dir = NewTestDir();
  const std::string path = JoinPath(dir, "file");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&path, i] {
      EXPECT_OK(WriteFileAtomically(path, std::string(10000, 'a' + i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(path));
  EXPECT_EQ(bytes, std::string(10000, bytes[0]));
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(dir));
  EXPECT_THAT(names, ElementsAre("file"));
}

TEST(WriteFileTest, FolderThatIsAFileIsAnErrorWithThePath) {
  const std::string path = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(path, ""));
  const absl::Status status = WriteFileAtomically(path + "/below", "x");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

TEST(WriteFileTest, ReadOnlyFolderIsPermissionDenied) {
  if (geteuid() == 0) {
    // Root may write anywhere but into the kernel's own folders.
    EXPECT_THAT(WriteFileAtomically("/proc/kodistil", "x"),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr("/proc/")));
    return;
  }
  const std::string dir = NewTestDir();
  ASSERT_EQ(chmod(dir.c_str(), 0500), 0);
  EXPECT_THAT(WriteFileAtomically(JoinPath(dir, "x"), ""),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(dir)));
}

TEST(FoldersTest, AreMadeListedAndRemoved) {
  const std::string dir = NewTestDir();
  const std::string inner = JoinPath(dir, "x/y");
  ASSERT_OK(MakeDirectories(inner));
  ASSERT_OK(MakeDirectories(inner)) << "a second time";
  EXPECT_TRUE(IsDirectory(inner));
  ASSERT_OK(WriteFileAtomically(JoinPath(inner, "b"), ""));
  ASSERT_OK(WriteFileAtomically(JoinPath(inner, "a"), ""));
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(inner));
  EXPECT_THAT(names, ElementsAre("a", "b"));
  EXPECT_FALSE(IsDirectory(JoinPath(inner, "a")));
  ASSERT_OK(RemoveAll(JoinPath(dir, "x")));
  EXPECT_FALSE(FileExists(JoinPath(dir, "x")));
  ASSERT_OK(RemoveAll(JoinPath(dir, "x"))) << "a second time";
  EXPECT_THAT(ListDirectory(inner),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(inner)));
}

TEST(JoinPathTest, PutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST(FileLockTest, SecondHolderIsRefusedUntilTheFirstDies) {
  const std::string path = JoinPath(NewTestDir(), "lock");
  {
    ASSERT_OK_AND_ASSIGN(const FileLock lock, FileLock::Acquire(path));
    EXPECT_THAT(FileLock::TryAcquire(path),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path)));
  }
  EXPECT_OK(FileLock::TryAcquire(path));
}

TEST(FileLockTest, LockOfAKilledProcessIsFree) {
  const std::string path = JoinPath(NewTestDir(), "lock");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::Acquire(path);
    const char answer = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char answer = '?';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_THAT(FileLock::TryAcquire(path),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("locked")));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_OK(FileLock::TryAcquire(path));
}

TEST(FileLockTest, MissingFolderIsNotFound) {
  EXPECT_THAT(FileLock::Acquire(JoinPath(NewTestDir(), "none/lock")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/lock")));
}

}  // namespace
}  // namespace kodistil
