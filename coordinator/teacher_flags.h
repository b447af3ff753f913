// The coordinator's flags about teachers.

#ifndef KODISTIL_COORDINATOR_TEACHER_FLAGS_H_
#define KODISTIL_COORDINATOR_TEACHER_FLAGS_H_

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "coordinator/sweep.h"

// Defines --teacher_path, --teacher, --allow_torchscript and --mecab_dicdir,
// and TeachersFromFlags(), which reads them. Expand it once in a *_main.cc,
// outside of namespaces: flags belong to the file that the macro stands in,
// which is how --help knows them.
#define KODISTIL_DEFINE_TEACHER_FLAGS()                                       \
  ABSL_FLAG(std::vector<std::string>, teacher_path,                           \
            kodistil::SweepOptions().teacher_path,                            \
            "Axis: teachers; 'ngram' (trained here) or folders of models");   \
  ABSL_FLAG(std::vector<std::string>, teacher,                                \
            kodistil::SweepOptions().teacher,                                 \
            "Axis in place of each of --teacher_path: folders by name, and "  \
            "weighted means of them: A,A+B,0.7*A+0.3*B");                     \
  ABSL_FLAG(bool, allow_torchscript,                                          \
            kodistil::SweepOptions().allow_torchscript,                       \
            "Load TorchScript teachers (they are code)");                     \
  ABSL_FLAG(std::string, mecab_dicdir, kodistil::SweepOptions().mecab_dicdir, \
            "MeCab dictionary of teachers with a vocabulary of morphemes");   \
  static void TeachersFromFlags(kodistil::SweepOptions* options) {            \
    options->teacher_path = absl::GetFlag(FLAGS_teacher_path);                \
    options->teacher = absl::GetFlag(FLAGS_teacher);                          \
    options->allow_torchscript = absl::GetFlag(FLAGS_allow_torchscript);      \
    options->mecab_dicdir = absl::GetFlag(FLAGS_mecab_dicdir);                \
  }                                                                           \
  static_assert(true, "")

#endif  // KODISTIL_COORDINATOR_TEACHER_FLAGS_H_
