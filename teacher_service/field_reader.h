// Reads the fields of a JSON object such as config.json strictly.

#ifndef KODISTIL_TEACHER_SERVICE_FIELD_READER_H_
#define KODISTIL_TEACHER_SERVICE_FIELD_READER_H_

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace kodistil {

// No size in a configuration is larger.
inline constexpr int64_t kLargestConfigSize = 1 << 24;

// Text of a value for messages, cut when long.
std::string ShownJson(const nlohmann::json& value);

// DATA_LOSS when `json` is not JSON, INVALID_ARGUMENT when it is no object;
// both name `source`.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view json,
                                               const std::string& source);

// Collects what is wrong with an object's fields. A field that is absent or
// null leaves the result as it is. Borrows the object and the source's name.
// Not thread-safe.
class FieldReader {
 public:
  FieldReader(const nlohmann::json& object, const std::string& source)
      : object_(object), source_(source) {}

  // INVALID_ARGUMENT naming the source and each fault, or OK.
  absl::Status status() const;

  // Null when absent or null. The field counts as known.
  const nlohmann::json* Find(const std::string& name);
  bool Has(const std::string& name) { return Find(name) != nullptr; }

  // A whole number from 1 to `most`.
  void Size(const std::string& name, int64_t* result,
            int64_t most = kLargestConfigSize);
  // A whole number from `least` to kLargestConfigSize.
  void Integer(const std::string& name, int64_t least, int64_t* result);
  void Bool(const std::string& name, bool* result);
  // A number above 0 and up to `most`.
  void Real(const std::string& name, double most, double* result);
  // A number from 0 to below 1.
  void Rate(const std::string& name, double* result);
  // One of `allowed`.
  void OneOf(const std::string& name,
             const std::vector<nlohmann::json>& allowed);
  // Names fields that change nothing that a network computes.
  void Ignore(std::initializer_list<const char*> names);

  void Fail(absl::string_view name, absl::string_view found,
            absl::string_view expected);
  // A fault for each field that none of the calls above named and that is not
  // null; names that begin with '_' are comments.
  void RejectUnknown();

 private:
  const nlohmann::json& object_;
  const std::string& source_;
  std::set<std::string> known_;
  std::vector<std::string> faults_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FIELD_READER_H_
