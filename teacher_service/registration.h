// Keeps a teacher server registered at a coordinator.

#ifndef KODISTIL_TEACHER_SERVICE_REGISTRATION_H_
#define KODISTIL_TEACHER_SERVICE_REGISTRATION_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {

struct RegistrationOptions {
  // host:port of the coordinator; empty for none, and nothing is done.
  std::string coordinator;
  // Of the connection to the coordinator.
  AccessOptions access;
  // host or host:port by which the coordinator reaches this server; empty for
  // the address that its calls come from.
  std::string advertise;
  // Where this server listens.
  int port = 0;
  // Of the model that is served.
  std::string fingerprint;
  std::string name;
  // Whether the server has a store to label into; only such a one registers.
  bool labels = true;
  // How long to wait after a refusal, which another sweep may lift.
  absl::Duration refused_wait = absl::Seconds(5);

  absl::Status Validate() const;
};

// A thread that registers and renews, whatever the coordinator does: one that
// is not there yet, or is started again, is tried until the end. A refusal is
// logged once. Not thread-safe.
class Registration {
 public:
  // INVALID_ARGUMENT for bad options.
  static absl::StatusOr<std::unique_ptr<Registration>> Start(
      const RegistrationOptions& options);
  ~Registration() { Leave(); }

  // Takes the server off the coordinator's list; within three seconds, also
  // when the coordinator does not answer. Idempotent.
  void Leave();

 private:
  explicit Registration(const RegistrationOptions& options);
  void Run();
  // One call; how long to wait until the next.
  absl::Duration Renew(int attempt);

  const RegistrationOptions options_;
  const std::unique_ptr<v1::TeacherRegistryService::Stub> stub_;
  absl::Notification over_;
  // Of the thread, until it has ended.
  std::string address_;  // empty until registered
  std::string refusal_;  // the last that was logged
  std::thread thread_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_REGISTRATION_H_
