#include "coordinator/fake_slurm.h"

#include <sys/stat.h>

#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

const std::map<std::string, std::string>& Scripts() {
  static const auto* const scripts = new std::map<std::string, std::string>{
      {"sbatch",
       "echo \"sbatch $*\" >> calls\n"
       "echo x >> ids; wc -l < ids\n"},
      {"scancel", "echo \"scancel $*\" >> calls\n"},
      {"squeue",
       "[ -s tasks ] || { echo 'slurm_load_jobs error: Invalid job id "
       "specified' >&2; exit 1; }\n"
       "cat tasks\n"}};
  return *scripts;
}

}  // namespace

FakeSlurm::FakeSlurm() : folder_(NewTestDir()) {
  const char* const path = std::getenv("PATH");
  path_ = path == nullptr ? "" : path;
  for (const auto& [command, script] : Scripts()) Write(command, script);
  Show("");
  setenv("PATH", absl::StrCat(folder_, ":", path_).c_str(), 1);
}

FakeSlurm::~FakeSlurm() { setenv("PATH", path_.c_str(), 1); }

void FakeSlurm::Write(const std::string& command, const std::string& script) {
  const std::string path = JoinPath(folder_, command);
  ASSERT_OK(WriteFileAtomically(
      path, absl::StrCat("#!/bin/sh\ncd '", folder_, "'\n", script)));
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
}

void FakeSlurm::Show(const std::string& tasks) {
  ASSERT_OK(WriteFileAtomically(JoinPath(folder_, "tasks"), tasks));
}

void FakeSlurm::Break(const std::string& command, const std::string& error) {
  Write(command, absl::StrCat("echo '", error, "' >&2; exit 1\n"));
}

void FakeSlurm::Repair(const std::string& command) {
  Write(command, Scripts().at(command));
}

std::vector<std::string> FakeSlurm::Calls() const {
  const auto text = ReadFile(JoinPath(folder_, "calls"));
  if (!text.ok()) return {};
  return absl::StrSplit(*text, '\n', absl::SkipEmpty());
}

}  // namespace kodistil
