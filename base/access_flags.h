// The flags of every program that makes or takes connections, for its access.

#ifndef KODISTIL_BASE_ACCESS_FLAGS_H_
#define KODISTIL_BASE_ACCESS_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "base/access.h"

// Defines --tls_cert, --tls_key, --tls_ca, --tls_local_name, --token_file, and
// ClientAccessFromFlags(), which reads them. Expand it once in a *_main.cc,
// outside of namespaces, as base/drain_flags.h.
#define KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS()                                \
  ABSL_FLAG(std::string, tls_cert, "",                                       \
            "PEM file with this program's certificate and what leads to "    \
            "the authority; with it every connection is mutual TLS");        \
  ABSL_FLAG(std::string, tls_key, "",                                        \
            "PEM file with the certificate's key; read again when changed"); \
  ABSL_FLAG(std::string, tls_ca, "",                                         \
            "PEM file with the authorities that the other side's "           \
            "certificate must come from");                                   \
  ABSL_FLAG(std::string, tls_local_name, "",                                 \
            "Name in the certificates of servers on 127.0.0.1 and the "      \
            "like; empty expects that address");                             \
  ABSL_FLAG(std::string, token_file, "",                                     \
            "File with the bearer token that servers ask for, one a line");  \
  static kodistil::AccessOptions ClientAccessFromFlags() {                   \
    kodistil::AccessOptions access;                                          \
    access.tls_cert = absl::GetFlag(FLAGS_tls_cert);                         \
    access.tls_key = absl::GetFlag(FLAGS_tls_key);                           \
    access.tls_ca = absl::GetFlag(FLAGS_tls_ca);                             \
    access.local_name = absl::GetFlag(FLAGS_tls_local_name);                 \
    access.token_file = absl::GetFlag(FLAGS_token_file);                     \
    return access;                                                           \
  }                                                                          \
  static_assert(true, "")

// The same for a server, with --insecure and AccessFromFlags().
#define KODISTIL_DEFINE_ACCESS_FLAGS()                                      \
  KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS();                                    \
  ABSL_FLAG(bool, insecure, false,                                          \
            "Listen beyond loopback without TLS: whoever reaches the port " \
            "is served");                                                   \
  static kodistil::AccessOptions AccessFromFlags() {                        \
    kodistil::AccessOptions access = ClientAccessFromFlags();               \
    access.insecure = absl::GetFlag(FLAGS_insecure);                        \
    return access;                                                          \
  }                                                                         \
  static_assert(true, "")

#endif  // KODISTIL_BASE_ACCESS_FLAGS_H_
