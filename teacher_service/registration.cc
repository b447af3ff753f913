#include "teacher_service/registration.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"

namespace kodistil {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(2);
constexpr absl::Duration kLeaveDeadline = absl::Seconds(1);
constexpr absl::Duration kLeastWait = absl::Milliseconds(10);

bool HasPort(const std::string& address) {
  // An IPv6 address without a port ends with its bracket.
  return !address.empty() && address.back() != ']' &&
         address.find(':') != std::string::npos;
}

}  // namespace

absl::Status RegistrationOptions::Validate() const {
  if (coordinator.empty()) return absl::OkStatus();
  if (!HasPort(coordinator)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator: found '", coordinator, "', expected host:port"));
  }
  if (!labels) {
    return absl::InvalidArgumentError(
        "--coordinator needs --logit_store, which rows are labelled into");
  }
  if (port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("the server's port is ", port, ", expected 1 to 65535"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Registration>> Registration::Start(
    const RegistrationOptions& options) {
  const absl::Status valid = options.Validate();
  if (!valid.ok()) return valid;
  return std::unique_ptr<Registration>(new Registration(options));
}

Registration::Registration(const RegistrationOptions& options)
    : options_(options),
      stub_(v1::TeacherRegistryService::NewStub(
          NewChannel(options.coordinator, options.access))) {
  if (!options.coordinator.empty()) thread_ = std::thread([this] { Run(); });
}

void Registration::Run() {
  absl::Duration wait;
  for (int attempt = 0; !over_.WaitForNotificationWithTimeout(wait);
       ++attempt) {
    wait = Renew(attempt);
    if (!address_.empty()) attempt = -1;  // the next is the first again
  }
}

absl::Duration Registration::Renew(int attempt) {
  v1::RegisterTeacherRequest request;
  if (HasPort(options_.advertise)) {
    request.set_address(options_.advertise);
  } else if (!options_.advertise.empty()) {
    request.set_address(absl::StrCat(options_.advertise, ":", options_.port));
  }
  request.set_port(options_.port);
  request.set_teacher_fingerprint(options_.fingerprint);
  request.set_name(options_.name);
  v1::RegisterTeacherResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  const absl::Status status = FromGrpcCall(
      stub_->RegisterTeacher(&context, request, &response), context);
  if (status.ok()) {
    LOG_IF(INFO, address_.empty())
        << "registered at the coordinator " << options_.coordinator << " as "
        << response.address();
    address_ = response.address();
    refusal_.clear();
    return std::max(kLeastWait, absl::Milliseconds(response.renew_ms()));
  }
  address_.clear();
  const std::string why(status.message());
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    LOG_IF(WARNING, attempt == 0) << "the coordinator " << options_.coordinator
                                  << " does not answer yet: " << why;
    return BackoffDelay(attempt);
  }
  LOG_IF(ERROR, why != refusal_)
      << "the coordinator " << options_.coordinator << " refuses: " << why;
  refusal_ = why;
  return options_.refused_wait;
}

void Registration::Leave() {
  if (!thread_.joinable()) return;
  over_.Notify();
  thread_.join();
  if (address_.empty()) return;
  v1::DeregisterTeacherRequest request;
  request.set_address(address_);
  v1::DeregisterTeacherResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kLeaveDeadline));
  const absl::Status status = FromGrpcCall(
      stub_->DeregisterTeacher(&context, request, &response), context);
  LOG_IF(WARNING, !status.ok())
      << "the coordinator " << options_.coordinator
      << " was not told of the end: " << status.message();
}

}  // namespace kodistil
