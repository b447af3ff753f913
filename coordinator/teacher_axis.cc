#include "coordinator/teacher_axis.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr char kEmbedded[] = "ngram";

std::string FolderName(absl::string_view path) {
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  return std::string(path.substr(path.rfind('/') + 1));
}

// The entry of `paths` that a user's `name` stands for.
absl::StatusOr<std::string> PathOf(const std::string& name,
                                   const std::vector<std::string>& paths) {
  if (std::count(paths.begin(), paths.end(), name) > 0) return name;
  std::vector<std::string> found;
  for (const std::string& path : paths) {
    if (FolderName(path) == name) found.push_back(path);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is ", absl::StrJoin(found, " and "),
                     ", expected one folder: give its path"));
  }
  if (name == kEmbedded || absl::StrContains(name, "/")) return name;
  return absl::InvalidArgumentError(absl::StrCat(
      "found '", name, "', expected the name of a folder of --teacher_path (",
      absl::StrJoin(paths, ", "), "), ngram, or a path with a slash"));
}

size_t Add(const std::string& path, std::vector<std::string>* sources) {
  const auto it = std::find(sources->begin(), sources->end(), path);
  if (it != sources->end()) return it - sources->begin();
  sources->push_back(path);
  return sources->size() - 1;
}

absl::StatusOr<TeacherValue> ParseValue(const std::string& text,
                                        const std::vector<std::string>& paths,
                                        std::vector<std::string>* sources) {
  KODISTIL_ASSIGN_OR_RETURN(const TeacherMix mix, ParseTeacherMix(text));
  TeacherValue value;
  value.name = text;
  std::map<size_t, std::string> names;
  for (const WeightedTeacher& member : mix) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string path,
                              PathOf(member.teacher, paths));
    const size_t source = Add(path, sources);
    const auto inserted = names.emplace(source, member.teacher);
    if (!inserted.second) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", inserted.first->second, "' and '", member.teacher,
                       "' are one folder, expected it once"));
    }
    value.members.push_back({source, member.weight});
  }
  return value;
}

}  // namespace

absl::StatusOr<TeacherAxis> MakeTeacherAxis(
    const std::vector<std::string>& paths,
    const std::vector<std::string>& teachers) {
  TeacherAxis axis;
  if (teachers.empty()) {
    for (const std::string& path : paths) {
      axis.values.push_back({path, {{Add(path, &axis.sources), 1}}});
    }
    return axis;
  }
  for (const std::string& text : teachers) {
    absl::StatusOr<TeacherValue> value = ParseValue(text, paths, &axis.sources);
    if (!value.ok()) {
      return Annotate(value.status(), absl::StrCat("--teacher=", text));
    }
    axis.values.push_back(*std::move(value));
  }
  return axis;
}

std::string TeacherOf(const TeacherValue& value,
                      const std::vector<std::string>& fingerprints) {
  TeacherMix mix;
  for (const TeacherValue::Member& member : value.members) {
    mix.push_back({fingerprints[member.source], member.weight});
  }
  return CanonicalTeacherMix(std::move(mix));
}

bool UsesTeacher(const std::string& teacher, const std::string& fingerprint) {
  for (const absl::string_view term : absl::StrSplit(teacher, '+')) {
    if (term.substr(term.find('*') + 1) == fingerprint) return true;
  }
  return false;
}

}  // namespace kodistil
