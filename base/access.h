// Who may speak to a server, and as whom a process speaks: TLS files, tokens,
// and the rule that nothing listens beyond this machine by accident.

#ifndef KODISTIL_BASE_ACCESS_H_
#define KODISTIL_BASE_ACCESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kodistil {

// What a process shows and asks for on every connection, the same for those
// that it makes and those that it takes. The default is plain text on loopback.
struct AccessOptions {
  // PEM files, all three or none. With them both sides of each connection show
  // a certificate of the authority in tls_ca: mutual TLS. Read again when they
  // change.
  std::string tls_cert;
  std::string tls_key;
  std::string tls_ca;
  // How often the files are looked at: whole seconds, 1 or more.
  absl::Duration tls_refresh = absl::Seconds(10);
  // Of clients: the name that a server's certificate must hold; empty for the
  // host of its address.
  std::string server_name;
  // The same for servers at loopback addresses, whose certificates may have
  // been issued for the machine's name alone.
  std::string local_name;
  // File with bearer tokens, one a line: a server takes any of them, a client
  // sends the first. Read again when it changes; empty for none.
  std::string token_file;
  // Of servers: lets them listen beyond loopback without TLS.
  bool insecure = false;

  bool tls() const { return !tls_cert.empty(); }

  // INVALID_ARGUMENT for what does not go together.
  absl::Status Validate() const;
  // Reads the files: INVALID_ARGUMENT naming the one that is missing, is not
  // PEM or does not fit the others; FAILED_PRECONDITION for a certificate that
  // has expired.
  absl::Status CheckFiles() const;
  // INVALID_ARGUMENT when a server with these options must not listen on
  // `host`: beyond loopback without TLS, unless `insecure`.
  absl::Status CheckListen(absl::string_view host) const;
};

// Both of the above, for a program that only makes connections. Call before
// NewChannel, which cannot fail.
absl::Status CheckClientAccess(const AccessOptions& access);

// Whether only this machine reaches `host`: localhost, 127.0.0.0/8, ::1.
bool IsLoopback(absl::string_view host);
// "[::1]" of "[::1]:80"; the whole address when it has no port.
absl::string_view HostOf(absl::string_view address);

}  // namespace kodistil

#endif  // KODISTIL_BASE_ACCESS_H_
