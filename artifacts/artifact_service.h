// ArtifactService over an ArtifactStore: what the coordinator hosts, so that
// workers need no shared file system.

#ifndef KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_
#define KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {

struct ArtifactServiceOptions {
  // Larger content is refused with RESOURCE_EXHAUSTED; a Put in flight is held
  // in memory.
  uint64_t max_artifact_bytes = uint64_t{1} << 30;
};

// Thread-safe. Borrows the stores, which must outlive it; without `checkpoints`
// it takes none.
class ArtifactServiceImpl final : public v1::ArtifactService::Service {
 public:
  explicit ArtifactServiceImpl(const ArtifactStore* store,
                               const ArtifactServiceOptions& options = {},
                               CheckpointStore* checkpoints = nullptr)
      : store_(*store), options_(options), checkpoints_(checkpoints) {}

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
};

// Bytes of content in a message, below gRPC's default limits everywhere.
inline constexpr size_t kArtifactChunkBytes = 512 << 10;

}  // namespace kodistil

#endif  // KODISTIL_ARTIFACTS_ARTIFACT_SERVICE_H_
