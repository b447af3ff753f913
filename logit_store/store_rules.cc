#include "logit_store/store_rules.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/utf8.h"
#include "logit_store/logit_format.h"

namespace kodistil {
namespace {

constexpr uint64_t kMaxRows = UINT32_MAX;
constexpr size_t kMaxNameBytes = 255;
constexpr uint64_t kMaxListed = 100;

absl::Status CheckHex(absl::string_view what, const std::string& digits) {
  const bool good =
      digits.size() == 64 &&
      digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " '", absl::CHexEscape(digits),
                   "': expected 64 lower-case hexadecimal digits"));
}

absl::Status CheckName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a dataset's name of ", name.size(),
                   " bytes: expected 1 to ", kMaxNameBytes));
}

absl::Status CheckRow(const v1::LogitSetManifest& manifest,
                      const RegisteredDataset& dataset,
                      const v1::LogitRow& row) {
  if (row.index() >= dataset.info.row_count()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "row ", row.index(), " is outside dataset ", dataset.info.dataset(),
        " of ", dataset.info.row_count(), " rows"));
  }
  if (row.logits_size() != static_cast<int>(manifest.num_classes())) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row.index(), ": expected ", manifest.num_classes(),
                     " logits, found ", row.logits_size()));
  }
  for (const float logit : row.logits()) {
    if (std::isfinite(logit)) continue;
    return absl::InvalidArgumentError(absl::StrCat("row ", row.index(),
                                                   ": a logit is ", logit,
                                                   ", expected a finite one"));
  }
  const absl::string_view registered = dataset.HashOf(row.index());
  if (row.text_hash() == registered) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "row ", row.index(), " of ", dataset.info.dataset(),
      ": logits of the text with hash ",
      absl::BytesToHexString(row.text_hash()), ", the registered text has ",
      absl::BytesToHexString(registered)));
}

}  // namespace

absl::string_view RegisteredDataset::HashOf(uint64_t index) const {
  return absl::string_view(hashes).substr(index * kTextHashBytes,
                                          kTextHashBytes);
}

absl::Status ValidateSetId(const v1::LogitSetId& id) {
  KODISTIL_RETURN_IF_ERROR(
      CheckHex("teacher fingerprint", id.teacher_fingerprint()));
  return CheckName(id.dataset());
}

absl::Status ValidateRegistration(const DatasetRegistration& registration) {
  KODISTIL_RETURN_IF_ERROR(CheckName(registration.name));
  KODISTIL_RETURN_IF_ERROR(
      CheckHex("dataset fingerprint", registration.fingerprint));
  if (registration.row_count >= 1 && registration.row_count <= kMaxRows) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dataset ", registration.name, " has ",
                   registration.row_count, " rows: expected 1 to ", kMaxRows));
}

absl::StatusOr<bool> IsRegistered(const DatasetRegistration& registration,
                                  const v1::DescribeDatasetResponse* held) {
  const std::string found = held != nullptr ? held->dataset_fingerprint() : "";
  if (found == registration.fingerprint) return true;
  if (found == registration.expected_fingerprint) return false;
  const auto text = [](const std::string& fingerprint) {
    return fingerprint.empty() ? "none" : fingerprint;
  };
  return absl::FailedPreconditionError(absl::StrCat(
      "dataset ", registration.name, ": the store holds fingerprint ",
      text(found), ", the caller expected ",
      text(registration.expected_fingerprint)));
}

absl::StatusOr<std::string> ReadRows(
    const DatasetRegistration& registration, const RowSource& next,
    const std::function<absl::Status(const v1::DatasetRow&)>& keep) {
  const uint64_t wanted = registration.row_count;
  std::string hashes;
  v1::DatasetRow row;
  for (uint64_t count = 0;; ++count) {
    KODISTIL_ASSIGN_OR_RETURN(const bool more, next(&row));
    if (more != (count < wanted)) {
      return absl::InvalidArgumentError(
          absl::StrCat("dataset ", registration.name, ": expected ", wanted,
                       " rows, found ", more ? "more" : absl::StrCat(count)));
    }
    if (!more) return hashes;
    if (row.index() != count || row.text().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("dataset ", registration.name, ": expected row ", count,
                       " with a text, found row ", row.index(),
                       row.text().empty() ? " without one" : ""));
    }
    for (const std::string* text : {&row.text(), &row.second_text()}) {
      const std::string problem = TextLengthProblem(*text, kMaxTextCharacters);
      if (!problem.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "dataset ", registration.name, ", row ", count, ": ", problem));
      }
    }
    hashes += TextHash(row.text(), row.second_text());
    KODISTIL_RETURN_IF_ERROR(keep(row));
  }
}

v1::RegisterDatasetResponse ChangedRows(absl::string_view old_hashes,
                                        absl::string_view new_hashes) {
  v1::RegisterDatasetResponse response;
  const size_t both = std::min(old_hashes.size(), new_hashes.size());
  uint64_t count = 0;
  for (size_t at = 0; at < both; at += kTextHashBytes) {
    if (old_hashes.substr(at, kTextHashBytes) ==
        new_hashes.substr(at, kTextHashBytes)) {
      continue;
    }
    if (count++ < kMaxListed) response.add_changed(at / kTextHashBytes);
  }
  response.set_changed_count(count);
  return response;
}

absl::StatusOr<v1::LogitSetManifest> MergeManifest(
    const v1::LogitSetManifest& wanted,
    const v1::DescribeDatasetResponse& dataset,
    const v1::LogitSetManifest* held) {
  KODISTIL_RETURN_IF_ERROR(
      CheckFingerprint(dataset, wanted.dataset_fingerprint()));
  if (wanted.row_count() != dataset.row_count()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "dataset ", dataset.dataset(), ": the store holds ",
        dataset.row_count(), " rows, the caller has ", wanted.row_count()));
  }
  if (wanted.num_classes() < 2 || wanted.num_classes() > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat(wanted.num_classes(), " classes: expected 2 to 1000"));
  }
  if (held != nullptr && held->num_classes() != wanted.num_classes()) {
    return absl::FailedPreconditionError(
        absl::StrCat(SetText(wanted.id()), ": the store holds logits of ",
                     held->num_classes(), " classes, the caller has ",
                     wanted.num_classes()));
  }
  v1::LogitSetManifest manifest = held != nullptr ? *held : wanted;
  manifest.set_dataset_fingerprint(dataset.dataset_fingerprint());
  manifest.set_row_count(dataset.row_count());
  if (held == nullptr) {
    manifest.set_created_unix_ms(absl::ToUnixMillis(absl::Now()));
    manifest.set_build(VersionString());
  }
  return manifest;
}

absl::Status CheckRows(const v1::LogitSetManifest& manifest,
                       const RegisteredDataset& dataset,
                       absl::Span<const v1::LogitRow> rows) {
  for (const v1::LogitRow& row : rows) {
    KODISTIL_RETURN_IF_ERROR(CheckRow(manifest, dataset, row));
  }
  return absl::OkStatus();
}

absl::Status CheckFingerprint(const v1::DescribeDatasetResponse& dataset,
                              const std::string& fingerprint) {
  if (fingerprint.empty() || fingerprint == dataset.dataset_fingerprint()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "dataset ", dataset.dataset(), ": the store holds fingerprint ",
      dataset.dataset_fingerprint(), ", the caller has ", fingerprint));
}

void AddMissing(uint64_t begin, uint64_t end, v1::MissingResponse* missing) {
  if (begin >= end) return;
  missing->set_count(missing->count() + end - begin);
  const int last = missing->ranges_size() - 1;
  if (last >= 0 && missing->ranges(last).end() == begin) {
    missing->mutable_ranges(last)->set_end(end);
    return;
  }
  v1::IndexRange* range = missing->add_ranges();
  range->set_begin(begin);
  range->set_end(end);
}

absl::Status NoSuchSet(const v1::LogitSetId& id) {
  return absl::NotFoundError(absl::StrCat("the store has no ", SetText(id)));
}

absl::Status NoSuchDataset(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("the store has no dataset ", name));
}

std::string SetText(const v1::LogitSetId& id) {
  return absl::StrCat("set ", id.dataset(), " of teacher ",
                      id.teacher_fingerprint());
}

}  // namespace kodistil
