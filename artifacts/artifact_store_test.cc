#include "artifacts/artifact_store.h"

#include <string>

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

TEST(ArtifactStoreTest, GetReturnsWhatPutKept) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store,
                       ArtifactStore::Open(JoinPath(NewTestDir(), "a/b")));
  const std::string bytes("\0one\n", 5);
  ASSERT_OK_AND_ASSIGN(const std::string digest, store.Put(bytes));
  EXPECT_EQ(digest, Sha256Hex(bytes));
  EXPECT_TRUE(store.Has(digest));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, store.Get(digest));
  EXPECT_EQ(file.bytes(), bytes);
  EXPECT_THAT(store.PathOf(digest),
              HasSubstr("/" + digest.substr(0, 2) + "/" + digest));
}

TEST(ArtifactStoreTest, EmptyContentIsContent) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store,
                       ArtifactStore::Open(NewTestDir()));
  ASSERT_OK_AND_ASSIGN(const std::string digest, store.Put(""));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, store.Get(digest));
  EXPECT_EQ(file.bytes(), "");
}

TEST(ArtifactStoreTest, PutFileOfMissingFileIsNotFound) {
  const std::string folder = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store, ArtifactStore::Open(folder));
  EXPECT_THAT(store.PutFile(JoinPath(folder, "none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST(ArtifactStoreTest, UnknownDigestIsNotFoundAndNoDigestIsInvalid) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store,
                       ArtifactStore::Open(NewTestDir()));
  EXPECT_THAT(store.Get(Sha256Hex("x")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no artifact")));
  for (const std::string& bad :
       {std::string(), std::string("../../etc/passwd"), std::string(64, 'G'),
        std::string(64, 'A'), std::string(63, 'a')}) {
    EXPECT_THAT(store.Get(bad), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("64 lower-case")));
    EXPECT_THAT(store.PutAs(bad, "x"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("64 lower-case")));
  }
}

TEST(ArtifactStoreTest, PutAsAnotherDigestIsDataLoss) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store,
                       ArtifactStore::Open(NewTestDir()));
  EXPECT_THAT(store.PutAs(Sha256Hex("x"), "y"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(Sha256Hex("y"))));
  EXPECT_FALSE(store.Has(Sha256Hex("x")));
}

TEST(ArtifactStoreTest, DamagedFileIsDataLossUntilPutAgain) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore store,
                       ArtifactStore::Open(NewTestDir()));
  ASSERT_OK_AND_ASSIGN(const std::string digest, store.Put("content"));
  ASSERT_OK(WriteFileAtomically(store.PathOf(digest), "Content"));
  EXPECT_FALSE(store.Has(digest));
  EXPECT_THAT(store.Get(digest), StatusIs(absl::StatusCode::kDataLoss,
                                          HasSubstr(store.PathOf(digest))));
  ASSERT_OK(store.PutAs(digest, "content"));
  EXPECT_TRUE(store.Has(digest));
}

}  // namespace
}  // namespace kodistil
