#include "coordinator/part_args.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

TEST(PartArgsTest, PlainAccessOnLoopbackNeedsNoFlags) {
  EXPECT_THAT(AccessArgs({}, /*server=*/true), IsEmpty());
}

TEST(PartArgsTest, ServersAloneAreInsecure) {
  AccessOptions access;
  access.insecure = true;
  access.token_file = "tokens";
  EXPECT_THAT(AccessArgs(access, /*server=*/true),
              ElementsAre("--token_file=tokens", "--insecure"));
  EXPECT_THAT(AccessArgs(access, /*server=*/false),
              ElementsAre("--token_file=tokens"));
}

TEST(PartArgsTest, TlsFilesAndTheLocalNameGoTogether) {
  AccessOptions access;
  access.local_name = "head";
  EXPECT_THAT(AccessArgs(access, /*server=*/false), IsEmpty());
  access.tls_cert = "c";
  access.tls_key = "k";
  access.tls_ca = "a";
  EXPECT_THAT(AccessArgs(access, /*server=*/false),
              ElementsAre("--tls_cert=c", "--tls_key=k", "--tls_ca=a",
                          "--tls_local_name=head"));
}

TEST(PartArgsTest, TeachersAndWorkersGetTheirSettings) {
  EXPECT_THAT(TeacherArgs({"models/a", true, ""}, "head:50061", "cuda:0"),
              IsSupersetOf({"--model=models/a", "--allow_torchscript=true",
                            "--logit_store=head:50061", "--device=cuda:0"}));
  WorkerSettings settings;
  settings.threads = 4;
  settings.hang_timeout = absl::Minutes(5);
  EXPECT_THAT(WorkerArgs(settings, "head:50071"),
              IsSupersetOf({"--coordinator=head:50071", "--threads=4",
                            "--pack=0", "--device=cpu", "--hang_timeout=5m"}));
}

TEST(PartArgsTest, AProgramThatIsNotBuiltIsNamed) {
  EXPECT_THAT(FindPart("no/such_program"),
              StatusIs(absl::StatusCode::kNotFound,
                       ::testing::HasSubstr("the program no/such_program")));
}

}  // namespace
}  // namespace kodistil
