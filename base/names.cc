#include "base/names.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameBytes = 128;
constexpr size_t kShownBytes = 100;

}  // namespace

absl::Status CheckName(absl::string_view what, absl::string_view name) {
  bool valid = !name.empty() && name.size() <= kMaxNameBytes &&
               absl::ascii_isalnum(name[0]);
  for (const char c : name) {
    valid =
        valid && (absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-');
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      what, " '", absl::CHexEscape(name.substr(0, kShownBytes)),
      name.size() > kShownBytes ? "...'" : "'", " of ", name.size(),
      " bytes: expected a letter or digit, then up to ", kMaxNameBytes - 1,
      " letters, digits, '.', '_' and '-'"));
}

absl::StatusOr<std::string> PathUnder(const std::string& root,
                                      absl::string_view what,
                                      absl::string_view name) {
  KODISTIL_RETURN_IF_ERROR(CheckName(what, name));
  std::string path = JoinPath(root, name);
  std::error_code error;
  fs::path folder = fs::absolute(root, error);
  if (!error) folder = fs::weakly_canonical(folder, error);
  fs::path found;
  if (!error) found = fs::weakly_canonical(folder / std::string(name), error);
  // What a dangling link leads to is not looked for above.
  std::error_code missing;
  if (!error && fs::is_symlink(folder / std::string(name), missing) &&
      !fs::exists(found, missing)) {
    error = std::make_error_code(std::errc::no_such_file_or_directory);
  }
  // With the slash: "models_old" is not in "models".
  std::string prefix = folder.string();
  if (!absl::EndsWith(prefix, "/")) prefix += '/';
  if (!error && absl::StartsWith(found.string(), prefix)) return path;
  return absl::InvalidArgumentError(absl::StrCat(
      what, " '", name, "': ",
      error ? error.message() : absl::StrCat("leads to ", found.string()),
      ", expected something in ", folder.string()));
}

std::string FileNameFor(absl::string_view text) {
  bool safe = !text.empty() && text.size() <= kMaxNameBytes && text[0] != '.';
  for (const char c : text) {
    safe = safe && c != '/' && !absl::ascii_iscntrl(c);
  }
  return safe ? std::string(text) : Sha256Hex(text).substr(0, 32);
}

}  // namespace kodistil
