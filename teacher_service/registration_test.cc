#include "teacher_service/registration.h"

#include <vector>

#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A coordinator that notes who calls.
class FakeRegistry final : public v1::TeacherRegistryService::Service {
 public:
  grpc::Status RegisterTeacher(grpc::ServerContext*,
                               const v1::RegisterTeacherRequest* request,
                               v1::RegisterTeacherResponse* response) override {
    absl::MutexLock lock(&mutex_);
    registered_.push_back(*request);
    if (static_cast<int>(registered_.size()) <= refusals) {
      return ToGrpcStatus(absl::FailedPreconditionError("another teacher"));
    }
    response->set_address("10.0.0.5:50051");
    response->set_renew_ms(1);
    return grpc::Status::OK;
  }

  grpc::Status DeregisterTeacher(grpc::ServerContext*,
                                 const v1::DeregisterTeacherRequest* request,
                                 v1::DeregisterTeacherResponse*) override {
    absl::MutexLock lock(&mutex_);
    left_.push_back(request->address());
    return grpc::Status::OK;
  }

  // Waits until there were so many calls; returns the first.
  v1::RegisterTeacherRequest AwaitCalls(size_t calls) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, calls]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return registered_.size() >= calls;
    };
    mutex_.Await(absl::Condition(&there));
    return registered_.front();
  }

  std::vector<std::string> left() {
    absl::MutexLock lock(&mutex_);
    return left_;
  }

  // Registrations that are refused at first.
  int refusals = 0;

 private:
  absl::Mutex mutex_;
  std::vector<v1::RegisterTeacherRequest> registered_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> left_ ABSL_GUARDED_BY(mutex_);
};

class RegistrationTest : public ::testing::Test {
 protected:
  RegistrationTest() {
    auto server = Server::Start({}, {&registry_});
    EXPECT_OK(server);
    server_ = *std::move(server);
    options_.coordinator = server_->address();
    options_.port = 50051;
    options_.fingerprint = std::string(64, 'f');
    options_.name = "koelectra";
    options_.refused_wait = absl::Milliseconds(1);
  }

  FakeRegistry registry_;
  std::unique_ptr<Server> server_;
  RegistrationOptions options_;
};

TEST_F(RegistrationTest, RegistersRenewsAndLeaves) {
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  const v1::RegisterTeacherRequest first = registry_.AwaitCalls(3);
  EXPECT_EQ(first.address(), "");
  EXPECT_EQ(first.port(), 50051u);
  EXPECT_EQ(first.teacher_fingerprint(), options_.fingerprint);
  EXPECT_EQ(first.name(), "koelectra");
  EXPECT_THAT(registry_.left(), IsEmpty());
  registration->Leave();
  registration->Leave();
  EXPECT_THAT(registry_.left(), ElementsAre("10.0.0.5:50051"));
}

TEST_F(RegistrationTest, RefusedTeacherAsksAgainAndLeavesNothing) {
  registry_.refusals = 1 << 20;
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  registry_.AwaitCalls(3);
  registration->Leave();
  EXPECT_THAT(registry_.left(), IsEmpty());
}

TEST_F(RegistrationTest, RefusalMayBeLifted) {
  registry_.refusals = 2;
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  registry_.AwaitCalls(4);
  registration->Leave();
  EXPECT_THAT(registry_.left(), ElementsAre("10.0.0.5:50051"));
}

TEST_F(RegistrationTest, AdvertisedHostGetsThePort) {
  options_.advertise = "gpu7";
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  EXPECT_EQ(registry_.AwaitCalls(1).address(), "gpu7:50051");
}

TEST_F(RegistrationTest, AdvertisedAddressIsTakenAsItIs) {
  options_.advertise = "gpu7:31000";
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  EXPECT_EQ(registry_.AwaitCalls(1).address(), "gpu7:31000");
}

TEST_F(RegistrationTest, CoordinatorThatIsGoneHoldsUpNothing) {
  server_->Shutdown();
  ASSERT_OK_AND_ASSIGN(const auto registration, Registration::Start(options_));
  registration->Leave();
  EXPECT_THAT(registry_.left(), IsEmpty());
}

TEST_F(RegistrationTest, BadOptionsAreNamed) {
  options_.labels = false;
  EXPECT_THAT(Registration::Start(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("needs --logit_store")));
  options_.labels = true;
  options_.coordinator = "somewhere";
  EXPECT_THAT(Registration::Start(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'somewhere', expected host:port")));
  options_.coordinator = "";
  EXPECT_OK(Registration::Start(options_));
}

}  // namespace
}  // namespace kodistil
