// Which role may call which method: the one table of all services.

#ifndef KODISTIL_BASE_ACCESS_RULES_H_
#define KODISTIL_BASE_ACCESS_RULES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// A set of roles, one bit each.
using Roles = unsigned;
// People and dashboards: look, ask a model, change nothing.
inline constexpr Roles kReader = 1;
// Teachers and student trainers: read, and write logits and results.
inline constexpr Roles kWorker = 2;
// The coordinator and operators: everything.
inline constexpr Roles kAdmin = 4;

// The role that a certificate's URI names: "kodistil:role/worker" and so on. 0
// for any other URI; the roles of a certificate are those of all its URIs.
Roles RoleOfUri(absl::string_view uri);

// The roles that may call `method` ("/kodistil.v1.LogitStoreService/Put"); 0
// for a method that is not in the table.
Roles RolesOfMethod(absl::string_view method);

// Whether `method` is open to every peer that could connect, with or without a
// role and a token: health checks.
bool IsOpenToAll(absl::string_view method);

// PERMISSION_DENIED that names the method and both sides' roles, unless `peer`
// has one of the method's.
absl::Status CheckRoles(absl::string_view method, Roles peer);

// "reader or admin"; "none".
std::string RolesText(Roles roles);

}  // namespace kodistil

#endif  // KODISTIL_BASE_ACCESS_RULES_H_
