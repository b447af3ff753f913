// Names that come from outside and become paths, which never leave their
// folder.

#ifndef KODISTIL_BASE_NAMES_H_
#define KODISTIL_BASE_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// INVALID_ARGUMENT, naming `what` ("trial id") and what was found, unless
// `name` is a letter or digit followed by at most 127 letters, digits, dots,
// underscores and hyphens, all ASCII. Such a name is one part of a path, is
// neither hidden nor "..", and needs no quoting anywhere.
absl::Status CheckName(absl::string_view what, absl::string_view name);

// The path of `name` in the folder `root`, either of which may be missing.
// Errors as CheckName, and INVALID_ARGUMENT when `name` is there already and
// leads out of the folder: a symbolic link. For folders that nobody else writes
// to while this runs.
absl::StatusOr<std::string> PathUnder(const std::string& root,
                                      absl::string_view what,
                                      absl::string_view name);

// What stands for a free text (a dataset's name, in any language) as a part of
// a file's name: the text where that is safe, else a digest of it.
std::string FileNameFor(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_BASE_NAMES_H_
