#include "base/access_rules.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing.h"
#include "google/protobuf/descriptor.h"
#include "kodistil/v1/artifact.pb.h"
#include "kodistil/v1/coordinator.pb.h"
#include "kodistil/v1/logit_store.pb.h"
#include "kodistil/v1/serving.pb.h"
#include "kodistil/v1/teacher.pb.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

std::vector<const google::protobuf::FileDescriptor*> Files() {
  return {v1::GetArtifactRequest::descriptor()->file(),
          v1::RegisterRequest::descriptor()->file(),
          v1::PutRequest::descriptor()->file(),
          v1::ClassifyRequest::descriptor()->file(),
          v1::InferRequest::descriptor()->file()};
}

TEST(AccessRulesTest, EveryMethodOfEveryServiceHasRoles) {
  int methods = 0;
  for (const auto* file : Files()) {
    EXPECT_GT(file->service_count(), 0) << file->name();
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        const std::string method = absl::StrCat("/", service->full_name(), "/",
                                                service->method(m)->name());
        EXPECT_NE(RolesOfMethod(method) & kAdmin, 0u)
            << method << " is not in the table of base/access_rules.cc";
        ++methods;
      }
    }
  }
  EXPECT_GT(methods, 20);
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
