// ArtifactService over an ArtifactStore: what the coordinator hosts, so that
// workers need no shared file system.

#ifndef KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_
#define KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "base/call_limit.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {

struct ArtifactServiceOptions {
  // Larger content is refused with RESOURCE_EXHAUSTED.
  uint64_t max_artifact_bytes = uint64_t{256} << 20;
  // Of all Put calls at once, which hold their content in memory, beyond the
  // first: what would exceed it is UNAVAILABLE.
  uint64_t max_put_bytes = uint64_t{256} << 20;
  // Calls at once; further ones are UNAVAILABLE.
  int max_gets = 128;
  int max_puts = 64;
};

// Thread-safe. Borrows the stores, which must outlive it; without `checkpoints`
// it takes none.
class ArtifactServiceImpl final : public v1::ArtifactService::Service {
 public:
  explicit ArtifactServiceImpl(const ArtifactStore* store,
                               const ArtifactServiceOptions& options = {},
                               CheckpointStore* checkpoints = nullptr)
      : store_(*store),
        options_(options),
        checkpoints_(checkpoints),
        gets_(options.max_gets, "Get of artifacts"),
        puts_(options.max_puts, "Put of artifacts") {}

  grpc::Status Get(
      grpc::ServerContext* context, const v1::GetArtifactRequest* request,
      grpc::ServerWriter<v1::GetArtifactResponse>* writer) override;
  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutArtifactRequest>* reader,
                   v1::PutArtifactResponse* response) override;

 private:
  // An artifact or a checkpoint.
  absl::StatusOr<MappedFile> Find(const std::string& digest) const;

  const ArtifactStore& store_;
  const ArtifactServiceOptions options_;
  CheckpointStore* const checkpoints_;
  CallLimit gets_;
  CallLimit puts_;
  std::atomic<uint64_t> put_bytes_{0};
};

// Bytes of content in a message, below gRPC's default limits everywhere.
inline constexpr size_t kArtifactChunkBytes = 512 << 10;

}  // namespace kodistil

#endif  // KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_
