// A client of ArtifactService with a local cache that processes may share.

#ifndef KODISTIL_ARTIFACTS_ARTIFACT_CLIENT_H_
#define KODISTIL_ARTIFACTS_ARTIFACT_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "artifacts/artifact_store.h"
#include "grpcpp/channel.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {

struct ArtifactClientOptions {
  // Deadline of one try of one call.
  absl::Duration call_timeout = absl::Minutes(5);
  // How long UNAVAILABLE is retried.
  absl::Duration retry_limit = absl::Minutes(1);
  // Once it is notified nothing is retried; null for none; borrowed.
  const absl::Notification* stop = nullptr;
};

// Thread-safe.
class ArtifactClient {
 public:
  ArtifactClient(std::shared_ptr<grpc::Channel> channel, ArtifactStore cache,
                 const ArtifactClientOptions& options = {});

  // The content of `digest`, from the cache or fetched into it, checked either
  // way. NOT_FOUND when the service has none, DATA_LOSS when what it sent has
  // another digest, UNAVAILABLE when it cannot be reached.
  absl::StatusOr<MappedFile> Get(const std::string& digest) const;

  // As Get, past the cache: for what is wanted once.
  absl::StatusOr<std::string> Download(const std::string& digest) const;

  // Sends the file and returns its digest. NOT_FOUND when there is no such
  // file; UNAVAILABLE as Get.
  absl::StatusOr<std::string> PutFile(const std::string& path) const;
  // The same with a checkpoint's content. RESOURCE_EXHAUSTED when it is too
  // large, FAILED_PRECONDITION when the service keeps no checkpoints.
  absl::StatusOr<std::string> PutCheckpoint(absl::string_view content) const;

 private:
  absl::Status Fetch(const std::string& digest, std::string* content) const;
  absl::Status Send(const std::string& digest, absl::string_view content,
                    bool checkpoint) const;

  const std::unique_ptr<v1::ArtifactService::Stub> stub_;
  const ArtifactStore cache_;
  const ArtifactClientOptions options_;
};

}  // namespace kodistil

#endif  // KODISTIL_ARTIFACTS_ARTIFACT_CLIENT_H_
