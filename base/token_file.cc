#include "base/token_file.h"

#include <glog/logging.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr absl::Duration kRefresh = absl::Seconds(1);
constexpr size_t kShortest = 16;
constexpr size_t kLongest = 4096;

}  // namespace

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(
    const std::string& path) {
  auto file = std::unique_ptr<TokenFile>(new TokenFile(path));
  absl::MutexLock lock(&file->mutex_);
  KODISTIL_RETURN_IF_ERROR(file->Read());
  return file;
}

absl::Status TokenFile::Read() {
  read_at_ = absl::Now();
  const auto text = ReadFile(path_);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--token_file: ", text.status().message()));
  }
  std::string first;
  std::vector<std::string> digests;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    if (line.size() < kShortest || line.size() > kLongest ||
        !std::all_of(line.begin(), line.end(), absl::ascii_isgraph)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--token_file: ", path_, ": token ", digests.size() + 1,
                       ": expected ", kShortest, " to ", kLongest,
                       " printable ASCII characters without spaces"));
    }
    if (first.empty()) first = std::string(line);
    digests.push_back(Sha256Raw(line));
  }
  if (digests.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--token_file: ", path_, ": found no token"));
  }
  first_ = std::move(first);
  digests_ = std::move(digests);
  return absl::OkStatus();
}

void TokenFile::Refresh() {
  if (absl::Now() - read_at_ < kRefresh) return;
  const absl::Status status = Read();
  LOG_IF_EVERY_N(WARNING, !status.ok(), 60)
      << status.message() << "; the earlier tokens stay";
}

std::string TokenFile::First() {
  absl::MutexLock lock(&mutex_);
  Refresh();
  return first_;
}

bool TokenFile::Accepts(absl::string_view token) {
  const std::string digest = Sha256Raw(token);
  absl::MutexLock lock(&mutex_);
  Refresh();
  bool found = false;
  for (const std::string& known : digests_) {
    found |= CRYPTO_memcmp(known.data(), digest.data(), known.size()) == 0;
  }
  return found;
}

}  // namespace kodistil
