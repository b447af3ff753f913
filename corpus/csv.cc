#include "corpus/csv.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {

absl::StatusOr<bool> CsvReader::Next(CsvRecord* record) {
  if (position_ >= bytes_.size()) return false;
  record->line = line_;
  record->fields.clear();
  record->problem.clear();
  for (;;) {
    record->fields.emplace_back();
    if (position_ < bytes_.size() && bytes_[position_] == '"') {
      KODISTIL_RETURN_IF_ERROR(ReadQuoted(record));
    } else {
      ReadPlain(record);
    }
    if (EndRecord()) return true;
    ++position_;  // the comma
  }
}

absl::Status CsvReader::ReadQuoted(CsvRecord* record) {
  const int64_t opening_line = line_;
  std::string* field = &record->fields.back();
  ++position_;
  for (;;) {
    const size_t quote = bytes_.find('"', position_);
    if (quote == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(opening_line, ": the quote that opens field ",
                       record->fields.size(), " is never closed"));
    }
    const absl::string_view part = bytes_.substr(position_, quote - position_);
    line_ += std::count(part.begin(), part.end(), '\n');
    field->append(part.data(), part.size());
    position_ = quote + 1;
    if (position_ >= bytes_.size() || bytes_[position_] != '"') break;
    field->push_back('"');
    ++position_;
  }
  const size_t before = field->size();
  ReadPlain(record);
  if (field->size() != before) {
    record->problem =
        absl::StrCat("text after the closing quote of field ",
                     record->fields.size(), ", expected a comma or line end");
  }
  return absl::OkStatus();
}

void CsvReader::ReadPlain(CsvRecord* record) {
  size_t end = bytes_.find_first_of(",\n", position_);
  if (end == absl::string_view::npos) end = bytes_.size();
  absl::string_view part = bytes_.substr(position_, end - position_);
  position_ = end;
  const bool at_line_end = end == bytes_.size() || bytes_[end] == '\n';
  if (at_line_end && !part.empty() && part.back() == '\r') {
    part.remove_suffix(1);
  }
  if (part.find('"') != absl::string_view::npos && record->problem.empty()) {
    record->problem = absl::StrCat(
        "a bare quote in field ", record->fields.size(),
        ", expected the field in quotes with its quotes written twice");
  }
  record->fields.back().append(part.data(), part.size());
}

bool CsvReader::EndRecord() {
  if (position_ >= bytes_.size()) return true;
  if (bytes_[position_] != '\n') return false;
  ++position_;
  ++line_;
  return true;
}

}  // namespace kodistil
