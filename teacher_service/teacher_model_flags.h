// The flags that name a teacher's model.

#ifndef KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_FLAGS_H_
#define KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "teacher_service/teacher_model.h"

// Defines --model, --device, --max_length, --threads, --allow_torchscript and
// --mecab_dicdir, and TeacherModelOptionsFromFlags(), which reads them. Expand
// it once in a *_main.cc, outside of namespaces: flags belong to the file that
// the macro stands in, which is how --help knows them.
#define KODISTIL_DEFINE_TEACHER_MODEL_FLAGS()                                \
  ABSL_FLAG(std::string, model, "", "folder of the teacher model");          \
  ABSL_FLAG(std::string, device, kodistil::TeacherModelOptions().device,     \
            "auto (a GPU when there is one), cpu, or cuda:N");               \
  ABSL_FLAG(int, max_length, kodistil::TeacherModelOptions().max_length,     \
            "tokens a row; 0 takes the model's own limit");                  \
  ABSL_FLAG(int, threads, kodistil::TeacherModelOptions().threads,           \
            "threads of a forward pass; 0 for one per core");                \
  ABSL_FLAG(bool, allow_torchscript,                                         \
            kodistil::TeacherModelOptions().allow_torchscript,               \
            "loads TorchScript files, which are code: only what you trust"); \
  ABSL_FLAG(std::string, mecab_dicdir,                                       \
            kodistil::TeacherModelOptions().mecab_dicdir,                    \
            "MeCab dictionary, for a WordPiece vocabulary of morphemes");    \
  static kodistil::TeacherModelOptions TeacherModelOptionsFromFlags() {      \
    kodistil::TeacherModelOptions options;                                   \
    options.model_dir = absl::GetFlag(FLAGS_model);                          \
    options.device = absl::GetFlag(FLAGS_device);                            \
    options.max_length = absl::GetFlag(FLAGS_max_length);                    \
    options.threads = absl::GetFlag(FLAGS_threads);                          \
    options.allow_torchscript = absl::GetFlag(FLAGS_allow_torchscript);      \
    options.mecab_dicdir = absl::GetFlag(FLAGS_mecab_dicdir);                \
    return options;                                                          \
  }                                                                          \
  static_assert(true, "")

#endif  // KODISTIL_TEACHER_SERVICE_TEACHER_MODEL_FLAGS_H_
