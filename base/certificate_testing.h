// Certificates for tests, made on the spot.

#ifndef KODISTIL_BASE_CERTIFICATE_TESTING_H_
#define KODISTIL_BASE_CERTIFICATE_TESTING_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/access.h"

namespace kodistil {

// A certificate authority with a key of its own. Not thread-safe.
class TestAuthority {
 public:
  // `name` tells authorities apart in messages.
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();

  struct Certificate {
    // OpenSSL's notation of alternative names.
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
    // From now; negative for one that has expired.
    absl::Duration lifetime = absl::Hours(1);
  };
  // Writes FOLDER/cert.pem, key.pem and ca.pem, replacing what is there.
  // Returns options that name them.
  AccessOptions Issue(const std::string& folder,
                      const Certificate& certificate) const;
  // One for localhost that has `role` ("worker"); empty for none.
  AccessOptions IssueRole(const std::string& folder,
                          const std::string& role) const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_CERTIFICATE_TESTING_H_
