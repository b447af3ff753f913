#include "artifacts/artifact_client.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "artifacts/artifact_service.h"
#include "artifacts/checkpoint_store.h"
#include "base/grpc_bridge.h"
#include "base/hash.h"
#include "base/server.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// A served store and a client with a cache of its own.
class ArtifactClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(ArtifactStore served,
                         ArtifactStore::Open(NewTestDir()));
    served_ = std::make_unique<ArtifactStore>(served);
    ASSERT_OK_AND_ASSIGN(ArtifactStore cache,
                         ArtifactStore::Open(NewTestDir()));
    cache_ = std::make_unique<ArtifactStore>(cache);
    ArtifactServiceOptions limits;
    limits.max_artifact_bytes = 3 << 20;
    limits.max_put_bytes = 2 << 20;
    CheckpointStoreOptions small;
    small.max_bytes = 2 << 20;
    ASSERT_OK_AND_ASSIGN(checkpoints_,
                         CheckpointStore::Open(NewTestDir(), small));
    service_ = std::make_unique<ArtifactServiceImpl>(served_.get(), limits,
                                                     checkpoints_.get());
    ASSERT_OK_AND_ASSIGN(server_,
                         Server::Start(ServerOptions(), {service_.get()}));
    ArtifactClientOptions options;
    options.retry_limit = absl::Milliseconds(100);
    client_ = std::make_unique<ArtifactClient>(NewChannel(server_->address()),
                                               cache, options);
  }

  std::unique_ptr<ArtifactStore> served_, cache_;
  std::unique_ptr<CheckpointStore> checkpoints_;
  std::unique_ptr<ArtifactServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ArtifactClient> client_;
};

// Bytes that need several chunks and end in a partial one.
std::string LargeContent() {
  std::string bytes(5 * kArtifactChunkBytes / 2, '\0');
  Pcg32 random(/*seed=*/7);
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

TEST_F(ArtifactClientTest, GetFetchesOnceIntoTheCache) {
  ASSERT_OK_AND_ASSIGN(const std::string digest, served_->Put(LargeContent()));
  ASSERT_OK_AND_ASSIGN(const MappedFile fetched, client_->Get(digest));
  EXPECT_TRUE(fetched.bytes() == LargeContent());
  EXPECT_TRUE(cache_->Has(digest));
  server_->Shutdown();
  ASSERT_OK_AND_ASSIGN(const MappedFile cached, client_->Get(digest));
  EXPECT_TRUE(cached.bytes() == LargeContent());
}

TEST_F(ArtifactClientTest, DamagedCacheIsFetchedAgain) {
  ASSERT_OK_AND_ASSIGN(const std::string digest, served_->Put("text"));
  ASSERT_OK(WriteFileAtomically(cache_->PathOf(digest), "Text"));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, client_->Get(digest));
  EXPECT_EQ(file.bytes(), "text");
}

TEST_F(ArtifactClientTest, GetOfUnknownDigestIsNotFound) {
  EXPECT_THAT(
      client_->Get(Sha256Hex("none")),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr(Sha256Hex("none"))));
  EXPECT_THAT(client_->Get("none"), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("64 lower-case")));
}

TEST_F(ArtifactClientTest, GetOfDamagedContentIsDataLoss) {
  ASSERT_OK_AND_ASSIGN(const std::string digest, served_->Put("text"));
  ASSERT_OK(WriteFileAtomically(served_->PathOf(digest), "Text"));
  EXPECT_THAT(client_->Get(digest),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("damaged")));
}

TEST_F(ArtifactClientTest, PutsBeyondTheMemoryOfAllAreUnavailable) {
  const std::string held = LargeContent();
  const auto stub =
      v1::ArtifactService::NewStub(NewChannel(server_->address()));
  grpc::ClientContext context;
  v1::PutArtifactResponse response;
  const auto writer = stub->Put(&context, &response);
  v1::PutArtifactRequest request;
  request.set_digest(Sha256Hex(held));
  request.set_chunk(held);
  ASSERT_TRUE(writer->Write(request));
  // Refused as soon as the content above has arrived.
  const std::string path = JoinPath(NewTestDir(), "file");
  absl::Status status;
  for (int i = 0; status.ok() && i < 1000; ++i) {
    ASSERT_OK(WriteFileAtomically(path, absl::StrCat(LargeContent(), i)));
    status = client_->PutFile(path).status();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("too many artifacts")));
  ASSERT_TRUE(writer->WritesDone());
  EXPECT_OK(FromGrpcCall(writer->Finish(), context));
  EXPECT_OK(client_->PutFile(path));
}

TEST_F(ArtifactClientTest, PutFileSendsAndMayBeRepeated) {
  const std::string path = JoinPath(NewTestDir(), "file");
  for (const std::string& content : {LargeContent(), std::string()}) {
    ASSERT_OK(WriteFileAtomically(path, content));
    for (int i = 0; i < 2; ++i) {
      ASSERT_OK_AND_ASSIGN(const std::string digest, client_->PutFile(path));
      EXPECT_EQ(digest, Sha256Hex(content));
      EXPECT_TRUE(served_->Has(digest));
    }
  }
}

TEST_F(ArtifactClientTest, TooLargeContentIsResourceExhausted) {
  const std::string path = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(path, std::string((3 << 20) + 1, 'x')));
  EXPECT_THAT(client_->PutFile(path),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("larger than 3145728 bytes")));
}

TEST_F(ArtifactClientTest, ServiceRefusesContentOfAnotherDigest) {
  const auto stub =
      v1::ArtifactService::NewStub(NewChannel(server_->address()));
  grpc::ClientContext context;
  v1::PutArtifactResponse response;
  const auto writer = stub->Put(&context, &response);
  v1::PutArtifactRequest request;
  request.set_digest(Sha256Hex("x"));
  request.set_chunk("y");
  ASSERT_TRUE(writer->Write(request));
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_FALSE(served_->Has(Sha256Hex("x")));
}

TEST_F(ArtifactClientTest, NoServerIsUnavailable) {
  server_->Shutdown();
  EXPECT_THAT(client_->Get(Sha256Hex("x")),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot fetch artifact")));
}

TEST_F(ArtifactClientTest, NothingIsRetriedOnceToldToStop) {
  server_->Shutdown();
  const std::string path = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(path, "x"));
  absl::Notification stop;
  ArtifactClientOptions options;
  options.retry_limit = absl::InfiniteDuration();
  options.stop = &stop;
  const ArtifactClient client(NewChannel(server_->address()), *cache_, options);
  stop.Notify();
  EXPECT_THAT(client.PutFile(path), StatusIs(absl::StatusCode::kUnavailable,
                                             HasSubstr("cannot send")));
  EXPECT_THAT(client.Get(Sha256Hex("x")),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("cannot fetch artifact")));
}

TEST_F(ArtifactClientTest, CheckpointGoesToTheCheckpointsAndPastTheCache) {
  ASSERT_OK_AND_ASSIGN(const std::string digest,
                       client_->PutCheckpoint(LargeContent()));
  EXPECT_TRUE(checkpoints_->Has(digest));
  EXPECT_FALSE(served_->Has(digest));
  ASSERT_OK_AND_ASSIGN(const std::string content, client_->Download(digest));
  EXPECT_TRUE(content == LargeContent());
  EXPECT_FALSE(cache_->Has(digest));
  EXPECT_THAT(client_->PutCheckpoint(std::string((2 << 20) + 1, 'x')),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("larger than 2097152")));
}

TEST_F(ArtifactClientTest, CheckpointsAreRefusedWhereNoneAreKept) {
  ArtifactServiceImpl service(served_.get());
  ASSERT_OK_AND_ASSIGN(const auto server,
                       Server::Start(ServerOptions(), {&service}));
  const ArtifactClient client(NewChannel(server->address()), *cache_);
  EXPECT_THAT(client.PutCheckpoint("x"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("not kept here")));
}

}  // namespace
}  // namespace kodistil
