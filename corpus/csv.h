// Records of comma-separated values as RFC 4180 defines them.

#ifndef KODISTIL_CORPUS_CSV_H_
#define KODISTIL_CORPUS_CSV_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

struct CsvRecord {
  int64_t line = 0;  // of its first character, from 1
  std::vector<std::string> fields;
  // What is wrong with the quoting; empty for a good record. Reading can go on
  // after it.
  std::string problem;
};

// Reads records one after the other. Borrows the bytes. Not thread-safe.
//
// Fields hold any bytes; quoted ones may hold commas, line breaks, and quotes
// written twice. Lines end with LF or CRLF; the last one may lack it.
class CsvReader {
 public:
  explicit CsvReader(absl::string_view bytes) : bytes_(bytes) {}

  // False at the end. INVALID_ARGUMENT, beginning with the line's number, for a
  // quote that is never closed: what follows cannot be told apart.
  absl::StatusOr<bool> Next(CsvRecord* record);

 private:
  absl::Status ReadQuoted(CsvRecord* record);
  void ReadPlain(CsvRecord* record);
  // Whether a record ends here; steps over its line break.
  bool EndRecord();

  const absl::string_view bytes_;
  size_t position_ = 0;
  int64_t line_ = 1;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_CSV_H_
