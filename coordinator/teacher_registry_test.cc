#include "coordinator/teacher_registry.h"

#include "absl/strings/str_cat.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

// The registry behind a server, on a clock that the test moves.
class TeacherRegistryTest : public ::testing::Test {
 protected:
  TeacherRegistryTest() : registry_(Options()) {
    auto server = Server::Start({}, {&registry_});
    EXPECT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::TeacherRegistryService::NewStub(NewChannel(server_->address()));
  }

  TeacherRegistryOptions Options() {
    TeacherRegistryOptions options;
    options.max_teachers = 2;
    options.now = [this] { return now_; };
    return options;
  }

  absl::Status Register(const std::string& address,
                        const std::string& fingerprint = kOne, int port = 0) {
    v1::RegisterTeacherRequest request;
    request.set_address(address);
    request.set_port(port);
    request.set_teacher_fingerprint(fingerprint);
    request.set_name("koelectra");
    grpc::ClientContext context;
    return FromGrpcCall(stub_->RegisterTeacher(&context, request, &response_),
                        context);
  }

  absl::Time now_ = absl::UnixEpoch();
  TeacherRegistry registry_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::TeacherRegistryService::Stub> stub_;
  v1::RegisterTeacherResponse response_;
};

TEST_F(TeacherRegistryTest, AddressIsWhereTheCallComesFromUnlessItIsGiven) {
  ASSERT_OK(Register("", kOne, /*port=*/50051));
  EXPECT_EQ(response_.address(), "127.0.0.1:50051");
  EXPECT_EQ(response_.renew_ms(), 5000);
  ASSERT_OK(Register("gpu7:50052", kTwo));
  EXPECT_THAT(registry_.AddressesOf(kOne), ElementsAre("127.0.0.1:50051"));
  EXPECT_THAT(registry_.AddressesOf(kTwo), ElementsAre("gpu7:50052"));
}

TEST_F(TeacherRegistryTest, SilentTeacherIsForgottenAndARenewedOneIsNot) {
  ASSERT_OK(Register("a:1"));
  ASSERT_OK(Register("b:1"));
  now_ += absl::Seconds(10);
  ASSERT_OK(Register("b:1"));
  EXPECT_THAT(registry_.AddressesOf(kOne), ElementsAre("a:1", "b:1"));
  now_ += absl::Seconds(6);
  EXPECT_THAT(registry_.AddressesOf(kOne), ElementsAre("b:1"));
}

TEST_F(TeacherRegistryTest, TeacherThatLeavesIsForgottenAtOnce) {
  ASSERT_OK(Register("a:1"));
  v1::DeregisterTeacherRequest request;
  request.set_address("a:1");
  v1::DeregisterTeacherResponse response;
  for (int i = 0; i < 2; ++i) {
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->DeregisterTeacher(&context, request, &response).ok());
  }
  EXPECT_THAT(registry_.Teachers(), IsEmpty());
}

TEST_F(TeacherRegistryTest, OtherTeacherIsRefusedNamingBoth) {
  ASSERT_OK(Register("a:1", kTwo));
  registry_.Want({{kOne, "kobert"}});
  EXPECT_THAT(registry_.Teachers(), IsEmpty());
  EXPECT_THAT(Register("a:1", kTwo),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(absl::StrCat(kTwo, " (koelectra)")),
                             HasSubstr(absl::StrCat(kOne, " (kobert)")))));
  ASSERT_OK(Register("a:1", kOne));
}

TEST_F(TeacherRegistryTest, BadRegistrationsAreNamed) {
  EXPECT_THAT(Register("gpu7"), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("'gpu7'")));
  EXPECT_THAT(
      Register("", kOne, 0),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'127.0.0.1:0'")));
  EXPECT_THAT(Register("a:1", "abc"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'abc', expected 64")));
}

TEST_F(TeacherRegistryTest, TooManyTeachersAreRefused) {
  ASSERT_OK(Register("a:1"));
  ASSERT_OK(Register("b:1"));
  EXPECT_THAT(Register("c:1"), StatusIs(absl::StatusCode::kResourceExhausted,
                                        HasSubstr("2 teachers")));
  now_ += absl::Minutes(1);
  EXPECT_OK(Register("c:1"));
}

TEST(HostOfPeerTest, TakesTheHostOfBothFamilies) {
  EXPECT_EQ(HostOfPeer("ipv4:10.0.0.5:4711"), "10.0.0.5");
  EXPECT_EQ(HostOfPeer("ipv6:%5B::1%5D:4711"), "[::1]");
  EXPECT_EQ(HostOfPeer("ipv6:[::1]:4711"), "[::1]");
  EXPECT_EQ(HostOfPeer("unix:/tmp/socket"), "");
}

}  // namespace
}  // namespace kodistil
