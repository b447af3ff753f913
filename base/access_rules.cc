#include "base/access_rules.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace kodistil {
namespace {

constexpr Roles kAll = kReader | kWorker | kAdmin;
constexpr Roles kWriters = kWorker | kAdmin;
constexpr absl::string_view kPackage = "/kodistil.v1.";

struct Rule {
  absl::string_view method;  // without the package
  Roles roles;
};

constexpr Rule kRules[] = {
    {"LogitStoreService/RegisterDataset", kAdmin},
    {"LogitStoreService/DescribeDataset", kAll},
    {"LogitStoreService/ScanDataset", kAll},
    {"LogitStoreService/CreateSet", kWriters},
    {"LogitStoreService/Put", kWriters},
    {"LogitStoreService/Get", kAll},
    {"LogitStoreService/Scan", kAll},
    {"LogitStoreService/Missing", kAll},
    {"LogitStoreService/Describe", kAll},
    {"LogitStoreService/Verify", kAll},
    {"TeacherService/Infer", kAll},
    {"TeacherService/Label", kAdmin},
    {"TeacherService/DescribeModel", kAll},
    {"ArtifactService/Get", kAll},
    {"ArtifactService/Put", kWriters},
    {"CoordinatorService/Register", kWriters},
    {"CoordinatorService/LeaseTrial", kWriters},
    {"CoordinatorService/Heartbeat", kWriters},
    {"CoordinatorService/Complete", kWriters},
    {"CoordinatorService/Fail", kWriters},
    {"CoordinatorService/SubmitSweep", kAdmin},
    {"CoordinatorService/WatchSweep", kAll},
    {"CoordinatorService/ListTrials", kAll},
    {"CoordinatorService/Explain", kAll},
    {"CoordinatorService/Cancel", kAdmin},
    {"TeacherRegistryService/RegisterTeacher", kWriters},
    {"TeacherRegistryService/DeregisterTeacher", kWriters},
    {"StatusService/GetStatus", kAll},
    {"SentimentService/Classify", kAll},
};

}  // namespace

Roles RoleOfUri(absl::string_view uri) {
  if (!absl::ConsumePrefix(&uri, "kodistil:role/")) return 0;
  if (uri == "reader") return kReader;
  if (uri == "worker") return kWorker;
  if (uri == "admin") return kAdmin;
  return 0;
}

Roles RolesOfMethod(absl::string_view method) {
  if (absl::StartsWith(method, "/grpc.reflection.")) return kAll;
  if (!absl::ConsumePrefix(&method, kPackage)) return 0;
  for (const Rule& rule : kRules) {
    if (rule.method == method) return rule.roles;
  }
  return 0;
}

bool IsOpenToAll(absl::string_view method) {
  return method == "/grpc.health.v1.Health/Check" ||
         method == "/grpc.health.v1.Health/Watch";
}

absl::Status CheckRoles(absl::string_view method, Roles peer) {
  const Roles allowed = RolesOfMethod(method);
  if ((allowed & peer) != 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(method, " is for the role ", RolesText(allowed),
                   "; the certificate shown has ", RolesText(peer),
                   " (URIs kodistil:role/NAME among its alternative names)"));
}

std::string RolesText(Roles roles) {
  std::vector<absl::string_view> names;
  if ((roles & kReader) != 0) names.push_back("reader");
  if ((roles & kWorker) != 0) names.push_back("worker");
  if ((roles & kAdmin) != 0) names.push_back("admin");
  return names.empty() ? "none" : absl::StrJoin(names, " or ");
}

}  // namespace kodistil
