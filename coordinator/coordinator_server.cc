#include "coordinator/coordinator_server.h"

#include "base/status_macros.h"

namespace kodistil {

CoordinatorServer::CoordinatorServer(const CoordinatorServiceOptions& service,
                                     Ledger* ledger,
                                     const ArtifactStore* artifacts,
                                     CheckpointStore* checkpoints)
    : trials_(service, ledger, artifacts, checkpoints),
      artifacts_(artifacts, {}, checkpoints),
      status_(ledger) {}

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Start(
    const ServerOptions& server, const CoordinatorServiceOptions& service,
    Ledger* ledger, const ArtifactStore* artifacts,
    CheckpointStore* checkpoints) {
  std::unique_ptr<CoordinatorServer> started(
      new CoordinatorServer(service, ledger, artifacts, checkpoints));
  KODISTIL_ASSIGN_OR_RETURN(
      started->server_,
      Server::Start(server, {&started->trials_, &started->artifacts_,
                             &started->teachers_, &started->status_}));
  return started;
}

void CoordinatorServer::Shutdown() {
  trials_.CloseWatches();
  if (server_ != nullptr) server_->Shutdown();
}

}  // namespace kodistil
