// The flags of every binary that takes a dataset, the same everywhere.

#ifndef KODISTIL_CORPUS_DATASET_FLAGS_H_
#define KODISTIL_CORPUS_DATASET_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "corpus/dataset_reader.h"

// Defines --dataset, --data_dir, --dataset_name, --split_mode, --split_seed,
// --skip_bad_rows and --sample_rows, and DatasetOptionsFromFlags(), which reads
// them. Expand it once in a *_main.cc, outside of namespaces: flags belong to
// the file that the macro stands in, which is how --help knows them.
#define KODISTIL_DEFINE_DATASET_FLAGS()                                       \
  ABSL_FLAG(std::string, dataset, kodistil::DatasetOptions().dataset,         \
            "The dataset: sample (generated), nsmc, naver_shopping, steam "   \
            "(from --data_dir), or files separated by commas, each "          \
            "[format:][split=]path with format nsmc, naver_shopping, steam, " \
            "csv, lines or kds and split train, valid or test.");             \
  ABSL_FLAG(std::string, data_dir, kodistil::DatasetOptions().data_dir,       \
            "Folder of the published files of nsmc (ratings_train.txt, "      \
            "ratings_test.txt), naver_shopping (naver_shopping.txt) and "     \
            "steam (steam.txt).");                                            \
  ABSL_FLAG(std::string, dataset_name, kodistil::DatasetOptions().name,       \
            "The dataset's name in stores and tables; empty for one from "    \
            "--dataset.");                                                    \
  ABSL_FLAG(std::string, split_mode, kodistil::DatasetOptions().split_mode,   \
            "auto, official (split files), ratio, or sklearn (the rows of "   \
            "scikit-learn's train_test_split).");                             \
  ABSL_FLAG(uint64_t, split_seed, kodistil::DatasetOptions().split_seed,      \
            "Seed of the split.");                                            \
  ABSL_FLAG(bool, skip_bad_rows, kodistil::DatasetOptions().skip_bad_rows,    \
            "Drop rows that cannot be read instead of failing; they are "     \
            "counted and the first ten listed.");                             \
  ABSL_FLAG(int64_t, sample_rows, kodistil::DatasetOptions().sample_rows,     \
            "Rows of --dataset=sample, 10 to 10,000,000.");                   \
  static kodistil::DatasetOptions DatasetOptionsFromFlags() {                 \
    kodistil::DatasetOptions options;                                         \
    options.dataset = absl::GetFlag(FLAGS_dataset);                           \
    options.data_dir = absl::GetFlag(FLAGS_data_dir);                         \
    options.name = absl::GetFlag(FLAGS_dataset_name);                         \
    options.split_mode = absl::GetFlag(FLAGS_split_mode);                     \
    options.split_seed = absl::GetFlag(FLAGS_split_seed);                     \
    options.skip_bad_rows = absl::GetFlag(FLAGS_skip_bad_rows);               \
    options.sample_rows = absl::GetFlag(FLAGS_sample_rows);                   \
    return options;                                                           \
  }                                                                           \
  static_assert(true, "")

#endif  // KODISTIL_CORPUS_DATASET_FLAGS_H_
