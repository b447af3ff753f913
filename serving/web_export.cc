#include "serving/web_export.h"

#include <zlib.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "serving/classify_json.h"
#include "serving/student_model.h"
#include "serving/web_assets.h"
#include "serving/web_model.h"
#include "student_trainer/inference_kernel.h"
#include "student_trainer/student.h"

namespace kodistil {
namespace {

constexpr absl::string_view kHead = "<meta charset=\"utf-8\">\n";
// The page's own script comes after it.
constexpr absl::string_view kStyle =
    "<link rel=\"stylesheet\" href=\"style.css\">\n";

// No connection is allowed at all: what is written cannot leave the page.
// 'self' means nothing to a page that is opened from disk in some browsers.
constexpr absl::string_view kPolicy =
    "<meta http-equiv=\"Content-Security-Policy\" content=\""
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file:; base-uri 'none'; form-action 'none'\">\n";
constexpr absl::string_view kStudentScripts =
    "<script src=\"model.js\" defer></script>\n"
    "<script src=\"student.js\" defer></script>\n";

// Puts `text` behind the only place where `mark` stands.
absl::Status InsertBehind(absl::string_view mark, absl::string_view text,
                          std::string* page) {
  const std::vector<absl::string_view> parts = absl::StrSplit(*page, mark);
  if (parts.size() != 2) {
    return absl::InternalError(
        absl::StrCat("index.html: found ", parts.size() - 1,
                     " times, expected once: ", absl::StripSuffix(mark, "\n")));
  }
  *page = absl::StrCat(parts[0], mark, text, parts[1]);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExportedIndex(absl::string_view index) {
  std::string page(index);
  KODISTIL_RETURN_IF_ERROR(InsertBehind(kHead, kPolicy, &page));
  KODISTIL_RETURN_IF_ERROR(InsertBehind(kStyle, kStudentScripts, &page));
  return page;
}

absl::StatusOr<int64_t> GzippedSize(absl::string_view bytes) {
  z_stream stream = {};
  // 16 more bits of window mean gzip's header and trailer.
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16,
                   MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::ResourceExhaustedError("zlib has no memory");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(&out[0]);
  stream.avail_out = out.size();
  const int result = deflate(&stream, Z_FINISH);
  const int64_t size = stream.total_out;
  deflateEnd(&stream);
  if (result == Z_STREAM_END) return size;
  return absl::InternalError(absl::StrCat("zlib ended with ", result));
}

// The name of a folder: the last part of its path.
std::string NameOf(absl::string_view folder) {
  while (absl::ConsumeSuffix(&folder, "/")) continue;
  return std::string(folder.substr(folder.rfind('/') + 1));
}

}  // namespace

absl::Status WebExportOptions::Validate() const {
  if (model.empty()) {
    return absl::InvalidArgumentError(
        "model is empty, expected a student's folder");
  }
  if (output.empty()) {
    return absl::InvalidArgumentError(
        "output is empty, expected the folder to make");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ExportedFile>> ExportWeb(
    const WebExportOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const StudentFolder student,
                            LoadStudent(options.model));
  WebModel model;
  model.student = &student;
  model.name = NameOf(options.model);
  KODISTIL_ASSIGN_OR_RETURN(
      const auto served,
      StudentModel::Load(model.name, options.model, InferencePrecision::kInt8));
  model.card = nlohmann::ordered_json::parse(ModelJson(*served), nullptr,
                                             /*allow_exceptions=*/false);
  std::vector<std::pair<std::string, std::string>> files = {
      {"model.js", WebModelScript(model)}};
  for (const WebAsset& asset : ExportedAssets()) {
    if (asset.path == "/") {
      KODISTIL_ASSIGN_OR_RETURN(std::string page, ExportedIndex(asset.bytes));
      files.push_back({"index.html", std::move(page)});
    } else {
      files.push_back(
          {std::string(asset.path.substr(1)), std::string(asset.bytes)});
    }
  }
  std::vector<ExportedFile> written;
  for (const auto& [name, bytes] : files) {
    KODISTIL_RETURN_IF_ERROR(
        WriteFileAtomically(JoinPath(options.output, name), bytes));
    ExportedFile file{name, static_cast<int64_t>(bytes.size())};
    KODISTIL_ASSIGN_OR_RETURN(file.gzipped, GzippedSize(bytes));
    written.push_back(std::move(file));
  }
  return written;
}

}  // namespace kodistil
