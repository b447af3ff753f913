#include "coordinator/teacher_registry.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr size_t kFingerprintDigits = 64;
constexpr size_t kMostNameBytes = 1024;

bool IsFingerprint(const std::string& text) {
  return text.size() == kFingerprintDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("address: found '", address, "', expected host:port"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string HostOfPeer(const std::string& peer) {
  if (!absl::StartsWith(peer, "ipv4:") && !absl::StartsWith(peer, "ipv6:")) {
    return "";
  }
  const std::string address =
      absl::StrReplaceAll(peer.substr(5), {{"%5B", "["}, {"%5D", "]"}});
  return address.substr(0, address.rfind(':'));
}

void TeacherRegistry::Want(std::vector<Wanted> teachers) {
  absl::MutexLock lock(&mutex_);
  wanted_ = std::move(teachers);
  for (auto it = teachers_.begin(); it != teachers_.end();) {
    const absl::Status status = CheckWanted(it->second.teacher);
    LOG_IF(WARNING, !status.ok()) << status.message();
    it = status.ok() ? std::next(it) : teachers_.erase(it);
  }
}

bool TeacherRegistry::Silent(const Entry& entry) const {
  return options_.now() - entry.heard > 3 * options_.renew;
}

std::vector<RegisteredTeacher> TeacherRegistry::Teachers() const {
  absl::MutexLock lock(&mutex_);
  std::vector<RegisteredTeacher> teachers;
  for (const auto& entry : teachers_) {
    if (!Silent(entry.second)) teachers.push_back(entry.second.teacher);
  }
  return teachers;
}

std::vector<std::string> TeacherRegistry::AddressesOf(
    const std::string& fingerprint) const {
  std::vector<std::string> addresses;
  for (const RegisteredTeacher& teacher : Teachers()) {
    if (teacher.fingerprint == fingerprint) {
      addresses.push_back(teacher.address);
    }
  }
  return addresses;
}

absl::Status TeacherRegistry::CheckWanted(
    const RegisteredTeacher& teacher) const {
  std::vector<std::string> names;
  for (const Wanted& wanted : wanted_) {
    if (wanted.fingerprint == teacher.fingerprint) return absl::OkStatus();
    names.push_back(absl::StrCat(wanted.fingerprint, " (", wanted.name, ")"));
  }
  if (wanted_.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("teacher ", teacher.address, " serves ", teacher.fingerprint,
                   " (", teacher.name, "), this sweep wants ",
                   absl::StrJoin(names, " or "), ": it is not taken"));
}

absl::Status TeacherRegistry::Register(
    const std::string& peer, const v1::RegisterTeacherRequest& request,
    v1::RegisterTeacherResponse* response) {
  RegisteredTeacher teacher;
  teacher.address = request.address();
  if (teacher.address.empty()) {
    teacher.address = absl::StrCat(HostOfPeer(peer), ":", request.port());
  }
  KODISTIL_RETURN_IF_ERROR(CheckAddress(teacher.address));
  teacher.fingerprint = request.teacher_fingerprint();
  if (!IsFingerprint(teacher.fingerprint)) {
    return absl::InvalidArgumentError(
        absl::StrCat("teacher_fingerprint: found '", teacher.fingerprint,
                     "', expected 64 hexadecimal digits"));
  }
  teacher.name = request.name().substr(0, kMostNameBytes);
  response->set_address(teacher.address);
  response->set_renew_ms(absl::ToInt64Milliseconds(options_.renew));
  absl::MutexLock lock(&mutex_);
  KODISTIL_RETURN_IF_ERROR(CheckWanted(teacher));
  for (auto it = teachers_.begin(); it != teachers_.end();) {
    it = Silent(it->second) ? teachers_.erase(it) : std::next(it);
  }
  const auto known = teachers_.find(teacher.address);
  if (known == teachers_.end()) {
    if (static_cast<int>(teachers_.size()) >= options_.max_teachers) {
      return absl::ResourceExhaustedError(absl::StrCat(
          teachers_.size(), " teachers are registered, no more are taken"));
    }
    LOG(INFO) << "teacher " << teacher.address << " has registered ("
              << teacher.name << ")";
  }
  teachers_[teacher.address] = {teacher, options_.now()};
  return absl::OkStatus();
}

grpc::Status TeacherRegistry::RegisterTeacher(
    grpc::ServerContext* context, const v1::RegisterTeacherRequest* request,
    v1::RegisterTeacherResponse* response) {
  return calls_.Run(
      context, [&] { return Register(context->peer(), *request, response); });
}

grpc::Status TeacherRegistry::DeregisterTeacher(
    grpc::ServerContext* context, const v1::DeregisterTeacherRequest* request,
    v1::DeregisterTeacherResponse*) {
  return calls_.Run(context, [&] {
    absl::MutexLock lock(&mutex_);
    if (teachers_.erase(request->address()) > 0) {
      LOG(INFO) << "teacher " << request->address() << " has left";
    }
    return absl::OkStatus();
  });
}

}  // namespace kodistil
