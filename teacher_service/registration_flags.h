// The flags of a server that registers at a coordinator.

#ifndef KODISTIL_TEACHER_SERVICE_REGISTRATION_FLAGS_H_
#define KODISTIL_TEACHER_SERVICE_REGISTRATION_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "teacher_service/registration.h"

// Defines --coordinator and --advertise, and RegistrationFromFlags(), which
// reads them. Expand it once in a *_main.cc, outside of namespaces: flags
// belong to the file that the macro stands in, which is how --help knows them.
#define KODISTIL_DEFINE_REGISTRATION_FLAGS()                                  \
  ABSL_FLAG(std::string, coordinator, "",                                     \
            "host:port of a coordinator to register at: it gives this server" \
            " rows to label until one of them ends; needs --logit_store");    \
  ABSL_FLAG(std::string, advertise, "",                                       \
            "host or host:port by which the coordinator reaches this "        \
            "server; empty for the address that its calls come from");        \
  static kodistil::RegistrationOptions RegistrationFromFlags() {              \
    kodistil::RegistrationOptions options;                                    \
    options.coordinator = absl::GetFlag(FLAGS_coordinator);                   \
    options.advertise = absl::GetFlag(FLAGS_advertise);                       \
    return options;                                                           \
  }                                                                           \
  static_assert(true, "")

#endif  // KODISTIL_TEACHER_SERVICE_REGISTRATION_FLAGS_H_
