#include "serving/classify_job.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr char kFieldPayload[] = "kodistil/field";

absl::Status ValidateText(absl::string_view text, size_t index) {
  const auto bad = [index](absl::string_view what) {
    return FieldError(absl::StrCat("texts[", index, "]"), what);
  };
  if (text.empty()) {
    return bad(absl::StrCat("is empty; expected 1 to ", kMaxTextLength,
                            " characters"));
  }
  const size_t good = WellFormedUtf8Prefix(text);
  if (good != text.size()) {
    return bad(absl::StrCat("byte ", good, " is not UTF-8"));
  }
  if (text.size() <= kMaxTextLength) return absl::OkStatus();
  // Continuation bytes do not count.
  const size_t length =
      std::count_if(text.begin(), text.end(),
                    [](unsigned char byte) { return (byte & 0xC0) != 0x80; });
  if (length > kMaxTextLength) {
    return bad(absl::StrCat("has ", length, " characters; expected 1 to ",
                            kMaxTextLength));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FieldError(absl::string_view field, absl::string_view what) {
  absl::Status status = absl::InvalidArgumentError(
      field.empty() ? std::string(what) : absl::StrCat(field, ": ", what));
  if (!field.empty()) status.SetPayload(kFieldPayload, absl::Cord(field));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const absl::optional<absl::Cord> field = status.GetPayload(kFieldPayload);
  return field.has_value() ? std::string(*field) : std::string();
}

absl::Status ClassifyJob::Validate() const {
  if (model.size() > kMaxModelName) {
    return FieldError(
        "model", absl::StrCat("has ", model.size(), " bytes; expected at most ",
                              kMaxModelName));
  }
  if (texts.empty() || texts.size() > kMaxTexts) {
    return FieldError(
        "texts", absl::StrCat("has ", texts.size(), " texts; expected 1 to ",
                              kMaxTexts));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    KODISTIL_RETURN_IF_ERROR(ValidateText(texts[i], i));
  }
  return absl::OkStatus();
}

size_t ClassifyJob::Bytes() const {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

}  // namespace kodistil
