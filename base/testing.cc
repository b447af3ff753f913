#include "base/testing.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"

namespace kodistil {

std::string NewTestDir() {
  const char* root = getenv("TEST_TMPDIR");
  std::string path =
      absl::StrCat(root != nullptr ? root : "/tmp", "/kodistil_XXXXXX");
  if (mkdtemp(&path[0]) == nullptr) ADD_FAILURE() << "cannot make " << path;
  return path;
}

std::string DataDir() {
  const char* path = getenv("KODISTIL_DATA");
  return path != nullptr ? path : "";
}

std::string GoldenDir() {
  const char* path = getenv("KODISTIL_GOLDEN");
  if (path != nullptr && *path != '\0') return path;
  return DataDir().empty() ? "" : JoinPath(DataDir(), "../golden");
}

}  // namespace kodistil
