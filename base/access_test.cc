// Mutual TLS over real sockets: who gets in and who does not.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/certificate_testing.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/health_watch.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/artifact.grpc.pb.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Stub = v1::ArtifactService::Stub;

constexpr char kToken[] = "correct-horse-battery-staple";

// Counts the calls that come through.
class CountingArtifacts final : public v1::ArtifactService::Service {
 public:
  grpc::Status Get(
      grpc::ServerContext* context, const v1::GetArtifactRequest* /*request*/,
      grpc::ServerWriter<v1::GetArtifactResponse>* /*writer*/) override {
    saw_token =
        saw_token || context->client_metadata().count("authorization") > 0;
    ++calls;
    return grpc::Status::OK;
  }
  grpc::Status Put(grpc::ServerContext* /*context*/,
                   grpc::ServerReader<v1::PutArtifactRequest>* /*reader*/,
                   v1::PutArtifactResponse* /*response*/) override {
    ++calls;
    return grpc::Status::OK;
  }

  std::atomic<int> calls{0};
  std::atomic<bool> saw_token{false};
};

absl::Status GetOn(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = v1::ArtifactService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  const auto reader = stub->Get(&context, v1::GetArtifactRequest());
  v1::GetArtifactResponse response;
  while (reader->Read(&response)) {
  }
  return FromGrpcCall(reader->Finish(), context);
}

absl::Status PutOn(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = v1::ArtifactService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::PutArtifactResponse response;
  const auto writer = stub->Put(&context, &response);
  writer->WritesDone();
  return FromGrpcCall(writer->Finish(), context);
}

// Files change on disk and are seen some time later.
bool SoonTrue(const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  absl::Notification never;
  while (!condition()) {
    if (absl::Now() > end) return false;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(20));
  }
  return true;
}

class AccessTest : public ::testing::Test {
 protected:
  void Start(const AccessOptions& access) {
    ServerOptions options;
    options.access = access;
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(options, {&service_}));
  }
  void StartTls() { Start(authority_.IssueRole(NewTestDir(), "")); }

  absl::Status Get(const AccessOptions& access) {
    return GetOn(NewChannel(server_->address(), access));
  }
  // A client of this authority.
  AccessOptions Client(const std::string& role = "reader") {
    return authority_.IssueRole(NewTestDir(), role);
  }
  std::string TokenFileWith(const std::string& content) {
    const std::string path = JoinPath(NewTestDir(), "token");
    EXPECT_OK(WriteFileAtomically(path, content));
    return path;
  }

  const TestAuthority authority_{"ours"};
  const TestAuthority other_authority_{"theirs"};
  CountingArtifacts service_;
  std::unique_ptr<Server> server_;
};

TEST_F(AccessTest, RightCertificateIsServed) {
  StartTls();
  EXPECT_OK(Get(Client()));
  EXPECT_EQ(service_.calls, 1);
}

TEST_F(AccessTest, NoCertificateIsRejected) {
  StartTls();
  // Plain text.
  EXPECT_THAT(Get({}), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
  // TLS without a certificate of one's own.
  grpc::experimental::TlsChannelCredentialsOptions options;
  const AccessOptions files = Client();
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.tls_ca, 1));
  options.watch_root_certs();
  const auto credentials = grpc::experimental::TlsCredentials(options);
  EXPECT_THAT(GetOn(grpc::CreateChannel(server_->address(), credentials)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
  EXPECT_EQ(service_.calls, 0);
  // Control: the same with one.
  EXPECT_OK(Get(files));
}

TEST_F(AccessTest, CertificateOfAnotherAuthorityIsRejected) {
  StartTls();
  AccessOptions stranger = other_authority_.IssueRole(NewTestDir(), "admin");
  // Both sides would refuse; here the server alone, since the stranger trusts
  // our authority.
  stranger.tls_ca = Client().tls_ca;
  EXPECT_THAT(Get(stranger),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
  EXPECT_EQ(service_.calls, 0);
}

TEST_F(AccessTest, ServerOfAnotherAuthorityIsRefused) {
  // The server takes our clients, and shows a certificate that they must not
  // trust.
  AccessOptions impostor = other_authority_.IssueRole(NewTestDir(), "");
  impostor.tls_ca = Client().tls_ca;
  Start(impostor);
  EXPECT_THAT(Get(Client()), StatusIs(absl::StatusCode::kUnavailable,
                                      HasSubstr("certificate verify failed")));
  // Control: a client that trusts it gets in.
  AccessOptions trusting = Client();
  trusting.tls_ca = other_authority_.IssueRole(NewTestDir(), "").tls_ca;
  EXPECT_OK(Get(trusting));
}

TEST_F(AccessTest, ServerOfAnotherNameIsRefused) {
  TestAuthority::Certificate certificate;
  certificate.alternative_names = "DNS:store.example";
  Start(authority_.Issue(NewTestDir(), certificate));
  AccessOptions client = Client();
  EXPECT_THAT(Get(client),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("verif")));
  client.local_name = "teacher.example";
  EXPECT_THAT(Get(client),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("verif")));
  EXPECT_EQ(service_.calls, 0);
  client.local_name = "store.example";
  EXPECT_OK(Get(client));
  client.local_name = "";
  client.server_name = "store.example";
  EXPECT_OK(Get(client));
  // One of several machines behind a name.
  client.server_name = "";
  EXPECT_OK(GetOn(
      NewChannel(absl::StrCat("store.example@", server_->address()), client)));
  EXPECT_FALSE(
      GetOn(NewChannel(absl::StrCat("teacher.example@", server_->address()),
                       client))
          .ok());
}

TEST_F(AccessTest, ExpiredCertificateIsRejected) {
  StartTls();
  TestAuthority::Certificate certificate;
  certificate.alternative_names += ",URI:kodistil:role/admin";
  certificate.lifetime = -absl::Minutes(1);
  const AccessOptions expired = authority_.Issue(NewTestDir(), certificate);
  EXPECT_THAT(Get(expired),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
  EXPECT_EQ(service_.calls, 0);
  // A program says so before it tries.
  EXPECT_THAT(CheckClientAccess(expired),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("expired"), HasSubstr("cert.pem"))));
  ServerOptions options;
  options.access = expired;
  EXPECT_THAT(
      Server::Start(options, {}).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("expired")));
  // Control: the same names, not yet expired.
  certificate.lifetime = absl::Hours(1);
  EXPECT_OK(Get(authority_.Issue(NewTestDir(), certificate)));
}

TEST_F(AccessTest, NewFilesAreTakenWithoutARestart) {
  const std::string folder = NewTestDir();
  Start(authority_.IssueRole(folder, ""));
  const AccessOptions before = Client();
  const AccessOptions after = other_authority_.IssueRole(NewTestDir(), "admin");
  EXPECT_OK(Get(before));
  EXPECT_FALSE(Get(after).ok());
  other_authority_.IssueRole(folder, "");
  EXPECT_TRUE(SoonTrue([&] { return Get(after).ok(); }));
  EXPECT_FALSE(Get(before).ok());
}

TEST_F(AccessTest, ClientTakesNewFilesWithoutARestart) {
  StartTls();
  TestAuthority::Certificate certificate;
  certificate.lifetime = -absl::Minutes(1);
  const std::string folder = NewTestDir();
  const auto channel =
      NewChannel(server_->address(), authority_.Issue(folder, certificate));
  EXPECT_FALSE(GetOn(channel).ok());
  authority_.IssueRole(folder, "worker");
  EXPECT_TRUE(SoonTrue([&] { return GetOn(channel).ok(); }));
}

TEST_F(AccessTest, NothingListensBeyondLoopbackByAccident) {
  ServerOptions options;
  for (const char* host : {"0.0.0.0", "[::]", "192.0.2.1", "store.example"}) {
    options.host = host;
    EXPECT_THAT(Server::Start(options, {}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(host), HasSubstr("--tls_cert"),
                               HasSubstr("--insecure"))));
  }
  options.host = "0.0.0.0";
  options.access.insecure = true;
  EXPECT_OK(Server::Start(options, {}).status());
  options.access.token_file = TokenFileWith(kToken);
  EXPECT_THAT(Server::Start(options, {}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("would read the token")));
  options.access = authority_.IssueRole(NewTestDir(), "");
  EXPECT_OK(Server::Start(options, {}).status());
}

TEST_F(AccessTest, CallsNeedARole) {
  StartTls();
  const auto put = [&](const std::string& role) {
    return PutOn(NewChannel(server_->address(), Client(role)));
  };
  EXPECT_OK(put("worker"));
  EXPECT_OK(put("admin"));
  EXPECT_EQ(service_.calls, 2);
  EXPECT_THAT(put("reader"), StatusIs(absl::StatusCode::kPermissionDenied,
                                      AllOf(HasSubstr("ArtifactService/Put"),
                                            HasSubstr("worker or admin"),
                                            HasSubstr("has reader"))));
  EXPECT_THAT(put(""), StatusIs(absl::StatusCode::kPermissionDenied,
                                HasSubstr("has none")));
  EXPECT_THAT(put("emperor"), StatusIs(absl::StatusCode::kPermissionDenied,
                                       HasSubstr("has none")));
  EXPECT_THAT(Get(Client("")),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("none")));
  EXPECT_OK(Get(Client("reader")));
  EXPECT_EQ(service_.calls, 3);
}

TEST_F(AccessTest, HealthIsOpenToWhoeverMayConnect) {
  AccessOptions access = authority_.IssueRole(NewTestDir(), "");
  access.token_file = TokenFileWith(kToken);
  Start(access);
  EXPECT_EQ(HealthWatch(NewChannel(server_->address(), Client(""))).Next(),
            "SERVING");
  // Control: a peer that may not connect hears nothing.
  EXPECT_EQ(
      HealthWatch(NewChannel(server_->address()), absl::Seconds(1)).Next(),
      "ended");
}

TEST_F(AccessTest, TokenIsAskedFor) {
  AccessOptions access;
  access.token_file = TokenFileWith(absl::StrCat(kToken, "\n"));
  Start(access);
  EXPECT_OK(Get(access));
  EXPECT_EQ(service_.calls, 1);
  EXPECT_FALSE(service_.saw_token);
  EXPECT_THAT(Get({}), StatusIs(absl::StatusCode::kUnauthenticated,
                                HasSubstr("found no token")));
  AccessOptions wrong;
  wrong.token_file = TokenFileWith("correct-horse-battery-stapler");
  EXPECT_THAT(Get(wrong), StatusIs(absl::StatusCode::kUnauthenticated,
                                   AllOf(HasSubstr("found a wrong token"),
                                         Not(HasSubstr("horse")))));
  EXPECT_EQ(service_.calls, 1);
}

TEST_F(AccessTest, TokenStandsBesideTls) {
  AccessOptions access = authority_.IssueRole(NewTestDir(), "");
  access.token_file = TokenFileWith(kToken);
  Start(access);
  AccessOptions client = Client("reader");
  EXPECT_THAT(Get(client),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("token")));
  client.token_file = access.token_file;
  EXPECT_OK(Get(client));
  // The token gives no role.
  EXPECT_THAT(PutOn(NewChannel(server_->address(), client)),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("Put")));
  EXPECT_FALSE(service_.saw_token);
}

TEST_F(AccessTest, TokenIsNotSentInTheClear) {
  AccessOptions access;
  access.token_file = TokenFileWith(kToken);
  Start(access);
  // Leads to this machine, but its text does not say so.
  const std::string elsewhere =
      absl::StrCat("ipv4:127.0.0.1:", server_->port());
  ASSERT_FALSE(IsLoopback(HostOf(elsewhere)));
  EXPECT_THAT(GetOn(NewChannel(elsewhere, access)),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       HasSubstr("found no token")));
}

TEST_F(AccessTest, TokensChangeWithoutARestartOrAGap) {
  AccessOptions access;
  access.token_file = TokenFileWith(kToken);
  Start(access);
  AccessOptions next;
  next.token_file = TokenFileWith("another-token-of-28-letters!");
  EXPECT_FALSE(Get(next).ok());
  const std::string both =
      absl::StrCat(kToken, "\nanother-token-of-28-letters!\n");
  AccessOptions old;
  old.token_file = TokenFileWith(kToken);
  EXPECT_OK(WriteFileAtomically(access.token_file, both));
  EXPECT_TRUE(SoonTrue([&] { return Get(next).ok(); }));
  EXPECT_OK(Get(old));
  EXPECT_OK(WriteFileAtomically(access.token_file,
                                "another-token-of-28-"
                                "letters!"));
  EXPECT_TRUE(SoonTrue([&] { return !Get(old).ok(); }));
  EXPECT_OK(Get(next));
}

TEST_F(AccessTest, BadFilesAreNamedAtTheStart) {
  const AccessOptions good = Client();
  EXPECT_OK(CheckClientAccess(good));
  const AccessOptions other = Client();
  const std::string text = TokenFileWith("neither PEM nor a token");
  struct Case {
    std::function<void(AccessOptions*)> damage;
    std::string message;
  };
  const std::vector<Case> cases = {
      {[](AccessOptions* a) { a->tls_key = ""; }, "all three or none"},
      {[](AccessOptions* a) { a->tls_ca = ""; }, "all three or none"},
      {[](AccessOptions* a) { a->insecure = true; }, "--insecure beside"},
      {[](AccessOptions* a) { a->tls_cert += ".gone"; }, "cert.pem.gone"},
      {[](AccessOptions* a) { a->tls_key += ".gone"; }, "key.pem.gone"},
      {[](AccessOptions* a) { a->tls_ca += ".gone"; }, "ca.pem.gone"},
      {[&](AccessOptions* a) { a->tls_cert = text; }, "found no certificate"},
      {[&](AccessOptions* a) { a->tls_key = text; }, "found no private key"},
      {[&](AccessOptions* a) { a->tls_ca = text; }, "found no certificate"},
      {[&](AccessOptions* a) { a->tls_key = other.tls_key; },
       "is not that of the certificate"},
      {[&](AccessOptions* a) { a->token_file = "nowhere/token"; },
       "nowhere/token"},
      {[&](AccessOptions* a) { a->token_file = TokenFileWith("\n\n"); },
       "found no token"},
      {[&](AccessOptions* a) { a->token_file = TokenFileWith("short"); },
       "expected 16 to"},
      {[&](AccessOptions* a) { a->token_file = text; }, "without spaces"},
      {[](AccessOptions* a) { a->tls_refresh = absl::Milliseconds(1); },
       "expected 1s"},
  };
  for (const Case& bad : cases) {
    AccessOptions access = good;
    bad.damage(&access);
    EXPECT_THAT(CheckClientAccess(access),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(bad.message), Not(HasSubstr("short")),
                               Not(HasSubstr("neither PEM")))));
  }
}

TEST(IsLoopbackTest, KnowsThisMachine) {
  for (const char* host :
       {"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1", "[::1]"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "[::]", "::", "128.0.0.1", "localhost.example", "",
        "127.0.0.1.example", "[::ffff:1.2.3.4]"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(HostOfTest, TakesThePortAway) {
  EXPECT_EQ(HostOf("store:50061"), "store");
  EXPECT_EQ(HostOf("[::1]:50061"), "[::1]");
  EXPECT_EQ(HostOf("[::1]"), "[::1]");
  EXPECT_EQ(HostOf("store"), "store");
}

}  // namespace
}  // namespace kodistil
