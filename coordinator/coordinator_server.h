// Everything that a sweep serves on one port: trials for workers, artefacts,
// the registry of teachers, how the sweep stands.

#ifndef KODISTIL_COORDINATOR_COORDINATOR_SERVER_H_
#define KODISTIL_COORDINATOR_COORDINATOR_SERVER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "artifacts/artifact_service.h"
#include "artifacts/artifact_store.h"
#include "artifacts/checkpoint_store.h"
#include "base/server.h"
#include "coordinator/coordinator_service.h"
#include "coordinator/ledger.h"
#include "coordinator/status_board.h"
#include "coordinator/teacher_registry.h"

namespace kodistil {

// Serves from Start to Shutdown: from before the rows are labelled, so that
// teachers find it, and workers wait. Thread-safe.
class CoordinatorServer {
 public:
  // What is borrowed must outlive the server; `checkpoints` may be null.
  // UNAVAILABLE when it cannot listen.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Start(
      const ServerOptions& server, const CoordinatorServiceOptions& service,
      Ledger* ledger, const ArtifactStore* artifacts,
      CheckpointStore* checkpoints);
  ~CoordinatorServer() { Shutdown(); }

  int port() const { return server_->port(); }
  CoordinatorServiceImpl& trials() { return trials_; }
  TeacherRegistry& teachers() { return teachers_; }
  StatusBoard& status() { return status_; }

  // See Server.
  void BeginDrain() { server_->BeginDrain(); }
  // Watches end, then as Server does. Idempotent.
  void Shutdown();

 private:
  CoordinatorServer(const CoordinatorServiceOptions& service, Ledger* ledger,
                    const ArtifactStore* artifacts,
                    CheckpointStore* checkpoints);

  CoordinatorServiceImpl trials_;
  ArtifactServiceImpl artifacts_;
  TeacherRegistry teachers_;
  StatusBoard status_;
  std::unique_ptr<Server> server_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_COORDINATOR_SERVER_H_
