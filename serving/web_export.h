// The web page with a student inside it: a folder of files that needs no
// server and opens from disk.

#ifndef KODISTIL_SERVING_WEB_EXPORT_H_
#define KODISTIL_SERVING_WEB_EXPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kodistil {

struct WebExportOptions {
  // The student's folder.
  std::string model;
  // The folder to make. Files of the same names in it are replaced.
  std::string output;

  absl::Status Validate() const;
};

struct ExportedFile {
  std::string name;
  int64_t bytes = 0;
  int64_t gzipped = 0;  // as a web server sends it: gzip, level 9
};

// Writes index.html, app.js, student.js, model.js, style.css and favicon.svg.
// The page's policy lets it load those and nothing else, nor send anything.
// Errors of LoadStudent, or of writing, name the file. The same student gives
// the same bytes.
absl::StatusOr<std::vector<ExportedFile>> ExportWeb(
    const WebExportOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_WEB_EXPORT_H_
