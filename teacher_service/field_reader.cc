#include "teacher_service/field_reader.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kodistil {

using Json = nlohmann::json;

std::string ShownJson(const Json& value) {
  constexpr size_t kLongest = 80;
  const std::string text =
      value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

absl::StatusOr<Json> ParseJsonObject(absl::string_view json,
                                     const std::string& source) {
  Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::DataLossError(absl::StrCat(source, ": not JSON"));
  }
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": found ", ShownJson(value), ", expected a JSON object"));
  }
  return value;
}

absl::Status FieldReader::status() const {
  if (faults_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(source_, ": ", absl::StrJoin(faults_, "; ")));
}

const Json* FieldReader::Find(const std::string& name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void FieldReader::Size(const std::string& name, int64_t* result, int64_t most) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_number_integer() || value->get<int64_t>() < 1 ||
      value->get<int64_t>() > most) {
    return Fail(name, ShownJson(*value),
                absl::StrCat("a whole number from 1 to ", most));
  }
  *result = value->get<int64_t>();
}

void FieldReader::Integer(const std::string& name, int64_t least,
                          int64_t* result) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  // Unsigned numbers above int64 would come out negative.
  if (!value->is_number_integer() || value->get<int64_t>() < least ||
      value->get<int64_t>() > kLargestConfigSize ||
      (value->is_number_unsigned() && value->get<int64_t>() < 0)) {
    return Fail(name, ShownJson(*value),
                absl::StrCat("a whole number from ", least, " to ",
                             kLargestConfigSize));
  }
  *result = value->get<int64_t>();
}

void FieldReader::Bool(const std::string& name, bool* result) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) {
    return Fail(name, ShownJson(*value), "true or false");
  }
  *result = value->get<bool>();
}

void FieldReader::Real(const std::string& name, double most, double* result) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_number() || !(value->get<double>() > 0) ||
      !(value->get<double>() <= most)) {
    return Fail(name, ShownJson(*value),
                absl::StrCat("a number above 0 and up to ", most));
  }
  *result = value->get<double>();
}

void FieldReader::Rate(const std::string& name, double* result) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_number() || !(value->get<double>() >= 0) ||
      !(value->get<double>() < 1)) {
    return Fail(name, ShownJson(*value), "a number from 0 to below 1");
  }
  *result = value->get<double>();
}

void FieldReader::OneOf(const std::string& name,
                        const std::vector<Json>& allowed) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (std::count(allowed.begin(), allowed.end(), *value) > 0) return;
  Fail(name, ShownJson(*value),
       absl::StrJoin(allowed, " or ",
                     [](std::string* out, const Json& candidate) {
                       out->append(ShownJson(candidate));
                     }));
}

void FieldReader::Ignore(std::initializer_list<const char*> names) {
  known_.insert(names.begin(), names.end());
}

void FieldReader::Fail(absl::string_view name, absl::string_view found,
                       absl::string_view expected) {
  faults_.push_back(absl::StrCat(name, " is ", found, ", expected ", expected));
}

void FieldReader::RejectUnknown() {
  for (const auto& [name, value] : object_.items()) {
    if (value.is_null() || known_.count(name) > 0 ||
        absl::StartsWith(name, "_")) {
      continue;
    }
    faults_.push_back(absl::StrCat(
        name, " is ", ShownJson(value),
        ", expected no such field (remove it if it changes no result)"));
  }
}

}  // namespace kodistil
