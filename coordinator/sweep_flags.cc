#include "coordinator/sweep_flags.h"

#include <vector>

#include "absl/flags/reflection.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using v1::SweepSpec;

absl::Status BadValue(const FieldDescriptor* field, const std::string& found,
                      absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", field->name(), ": found '", found, "', expected ",
                   field->is_repeated() ? "a list of " : "", expected));
}

absl::Status SetField(const FieldDescriptor* field, const std::string& text,
                      SweepSpec* spec) {
  const Reflection* reflection = SweepSpec::GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) {
        return BadValue(field, text, "whole numbers");
      }
      repeated ? reflection->AddUInt32(spec, field, value)
               : reflection->SetUInt32(spec, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) {
        return BadValue(field, text, "whole numbers");
      }
      repeated ? reflection->AddUInt64(spec, field, value)
               : reflection->SetUInt64(spec, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      if (!absl::SimpleAtod(text, &value)) {
        return BadValue(field, text, "numbers");
      }
      repeated ? reflection->AddDouble(spec, field, value)
               : reflection->SetDouble(spec, field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text == "true") reflection->SetBool(spec, field, true);
      return absl::OkStatus();
    default:
      repeated ? reflection->AddString(spec, field, text)
               : reflection->SetString(spec, field, text);
      return absl::OkStatus();
  }
}

}  // namespace

absl::Status ApplySweepValues(
    const std::function<std::string(const std::string& name)>& value_of,
    SweepSpec* spec) {
  const auto* descriptor = SweepSpec::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const std::string value = value_of(field->name());
    if (value.empty() || value == "false") continue;
    SweepSpec::GetReflection()->ClearField(spec, field);
    if (!field->is_repeated()) {
      KODISTIL_RETURN_IF_ERROR(SetField(field, value, spec));
      // 0 is what an unset field holds.
      if (!SweepSpec::GetReflection()->HasField(*spec, field)) {
        return BadValue(field, value, "a number above 0");
      }
      continue;
    }
    for (const absl::string_view item : absl::StrSplit(value, ',')) {
      KODISTIL_RETURN_IF_ERROR(SetField(field, std::string(item), spec));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplySweepFlags(SweepSpec* spec) {
  return ApplySweepValues(
      [](const std::string& name) -> std::string {
        const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
        return flag != nullptr ? flag->CurrentValue() : "";
      },
      spec);
}

}  // namespace kodistil
