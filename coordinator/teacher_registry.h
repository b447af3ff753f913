// Teacher servers that come and go: which are there now.

#ifndef KODISTIL_COORDINATOR_TEACHER_REGISTRY_H_
#define KODISTIL_COORDINATOR_TEACHER_REGISTRY_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/call_limit.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

namespace kodistil {

struct TeacherRegistryOptions {
  // How often teachers register anew; one that is silent for three times as
  // long is forgotten.
  absl::Duration renew = absl::Seconds(5);
  // Servers at once.
  int max_teachers = 4096;
  // Calls at once; further ones are UNAVAILABLE.
  int max_calls = 64;
  // What time it is; tests have a clock of their own.
  std::function<absl::Time()> now = [] { return absl::Now(); };
};

struct RegisteredTeacher {
  std::string address;  // host:port
  std::string fingerprint;
  std::string name;
};

// What the servers call and the labelling asks. Thread-safe.
class TeacherRegistry final : public v1::TeacherRegistryService::Service {
 public:
  struct Wanted {
    std::string fingerprint;
    std::string name;
  };

  explicit TeacherRegistry(
      const TeacherRegistryOptions& options = TeacherRegistryOptions())
      : options_(options), calls_(options.max_calls, "the teacher registry") {}

  // From now on other teachers than these are refused, and those that are
  // registered already are forgotten. Before, any is welcome.
  void Want(std::vector<Wanted> teachers);

  // Those that are there, by address.
  std::vector<RegisteredTeacher> Teachers() const;
  // The addresses of those with this fingerprint.
  std::vector<std::string> AddressesOf(const std::string& fingerprint) const;

  grpc::Status RegisterTeacher(grpc::ServerContext* context,
                               const v1::RegisterTeacherRequest* request,
                               v1::RegisterTeacherResponse* response) override;
  grpc::Status DeregisterTeacher(
      grpc::ServerContext* context, const v1::DeregisterTeacherRequest* request,
      v1::DeregisterTeacherResponse* response) override;

 private:
  struct Entry {
    RegisteredTeacher teacher;
    absl::Time heard;
  };

  absl::Status Register(const std::string& peer,
                        const v1::RegisterTeacherRequest& request,
                        v1::RegisterTeacherResponse* response);
  absl::Status CheckWanted(const RegisteredTeacher& teacher) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Silent(const Entry& entry) const;

  const TeacherRegistryOptions options_;
  CallLimit calls_;
  mutable absl::Mutex mutex_;
  std::vector<Wanted> wanted_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Entry> teachers_ ABSL_GUARDED_BY(mutex_);  // by address
};

// The host of a gRPC peer ("ipv4:10.0.0.5:4711", "ipv6:%5B::1%5D:4711"), IPv6
// in brackets; empty for what is no network address.
std::string HostOfPeer(const std::string& peer);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TEACHER_REGISTRY_H_
