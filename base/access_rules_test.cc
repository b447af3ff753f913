#include "base/access_rules.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// "/kodistil.v1.TeacherService/Infer" and so on: all that the .proto files
// hold, so that a new one is not forgotten.
std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  const std::string folder = "proto/kodistil/v1";
  const auto names = ListDirectory(folder);
  EXPECT_OK(names);
  for (const std::string& name : *names) {
    const auto text = ReadFile(JoinPath(folder, name));
    EXPECT_OK(text);
    std::string service;
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, absl::ByAnyChar(" (){"), absl::SkipEmpty());
      if (words.size() < 2) continue;
      if (words[0] == "service") service = std::string(words[1]);
      if (words[0] != "rpc") continue;
      methods.push_back(absl::StrCat("/kodistil.v1.", service, "/", words[1]));
    }
  }
  return methods;
}

TEST(AccessRulesTest, EveryMethodOfEveryServiceHasRoles) {
  const std::vector<std::string> methods = AllMethods();
  EXPECT_GT(methods.size(), 25u);
  EXPECT_THAT(methods, Contains("/kodistil.v1.StatusService/GetStatus"));
  for (const std::string& method : methods) {
    EXPECT_NE(RolesOfMethod(method) & kAdmin, 0u)
        << method << " is not in the table of base/access_rules.cc";
  }
}

TEST(AccessRulesTest, RolesDoWhatTheyAreFor) {
  struct Case {
    const char* method;
    Roles roles;
  };
  for (const Case& c : std::vector<Case>{
           {"LogitStoreService/RegisterDataset", kAdmin},
           {"LogitStoreService/Put", kWorker | kAdmin},
           {"LogitStoreService/Scan", kReader | kWorker | kAdmin},
           {"TeacherService/Infer", kReader | kWorker | kAdmin},
           {"TeacherService/Label", kAdmin},
           {"CoordinatorService/LeaseTrial", kWorker | kAdmin},
           {"CoordinatorService/Complete", kWorker | kAdmin},
           {"CoordinatorService/Cancel", kAdmin},
           {"CoordinatorService/ListTrials", kReader | kWorker | kAdmin},
           {"ArtifactService/Put", kWorker | kAdmin}}) {
    const std::string method = absl::StrCat("/kodistil.v1.", c.method);
    for (const Roles role : {kReader, kWorker, kAdmin}) {
      EXPECT_EQ(CheckRoles(method, role).ok(), (c.roles & role) != 0)
          << method << " " << RolesText(role);
    }
    EXPECT_THAT(CheckRoles(method, 0),
                StatusIs(absl::StatusCode::kPermissionDenied,
                         HasSubstr(RolesText(c.roles))));
  }
}

TEST(AccessRulesTest, UnknownMethodIsForNobody) {
  for (const char* method :
       {"", "/", "/kodistil.v1.LogitStoreService/", "/kodistil.v1.Other/Put",
        "/kodistil.v1.LogitStoreService/put",
        "kodistil.v1.LogitStoreService/Put",
        "/kodistil.v1.LogitStoreService/Put/", "/grpc.channelz.v1.Channelz/X",
        "/grpc.health.v1.Health/Other"}) {
    EXPECT_THAT(
        CheckRoles(method, kReader | kWorker | kAdmin),
        StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("none")))
        << method;
    EXPECT_FALSE(IsOpenToAll(method)) << method;
  }
  EXPECT_TRUE(IsOpenToAll("/grpc.health.v1.Health/Check"));
  EXPECT_TRUE(IsOpenToAll("/grpc.health.v1.Health/Watch"));
}

TEST(AccessRulesTest, UrisOfRoles) {
  EXPECT_EQ(RoleOfUri("kodistil:role/reader"), kReader);
  EXPECT_EQ(RoleOfUri("kodistil:role/worker"), kWorker);
  EXPECT_EQ(RoleOfUri("kodistil:role/admin"), kAdmin);
  for (const char* uri :
       {"", "admin", "kodistil:role/", "kodistil:role/Admin",
        "kodistil:role/admin/", "spiffe://kodistil/role/admin",
        "KODISTIL:role/admin", "kodistil:role/admin2"}) {
    EXPECT_EQ(RoleOfUri(uri), 0u) << uri;
  }
}

}  // namespace
}  // namespace kodistil
