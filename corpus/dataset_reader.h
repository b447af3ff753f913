// Reads datasets in the formats that people have, and splits them.

#ifndef KODISTIL_CORPUS_DATASET_READER_H_
#define KODISTIL_CORPUS_DATASET_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "corpus/text_formats.h"

namespace kodistil {

// Where a dataset comes from and how it is split. Every binary that takes a
// dataset has the same flags: --dataset, --data_dir, --split_mode,
// --split_seed, --skip_bad_rows, --sample_rows.
struct DatasetOptions {
  // "sample" (generated), or one or more parts separated by commas and merged
  // in that order: each "nsmc", "naver_shopping", "steam" (their published
  // files in data_dir), or "[format:][split=]path", where format is nsmc,
  // naver_shopping, steam, csv, lines or kds (sniffed when absent) and split is
  // train, valid or test.
  std::string dataset = "sample";
  // Folder of the named datasets' files; relative file paths are not resolved
  // against it.
  std::string data_dir;
  // Name in stores and tables; empty for one derived from `dataset`.
  std::string name;
  // "official" (files given per split; valid is valid_fraction of train when no
  // file is), "ratio", "sklearn" (split_seed is its random_state), or "auto":
  // official when every part has its splits and one is test, else ratio. One
  // canonical file with splits keeps them unchanged under auto.
  std::string split_mode = "auto";
  // Part of all rows that is test (ratio, sklearn), from 0 to below 1.
  double test_fraction = 0.1;
  // Part of the rest that is valid, from 0 to below 1.
  double valid_fraction = 0.05;
  uint64_t split_seed = 1;
  // Drops bad rows instead of failing, counts them and lists the first ten.
  bool skip_bad_rows = false;
  // Rows of "sample", 10 to 10,000,000.
  int64_t sample_rows = 24000;
  uint64_t sample_seed = 1;

  absl::Status Validate() const;
};

// The dataset with its splits assigned. INVALID_ARGUMENT for a bad row, naming
// file, line, what was found and what was expected, and for a named dataset
// without data_dir, saying which files it needs and where they are published;
// NOT_FOUND for a missing file; FAILED_PRECONDITION for a file with no rows.
// `report` may be null.
absl::StatusOr<Dataset> ReadDataset(const DatasetOptions& options,
                                    ReadReport* report);

// "2 bad rows skipped:" and a line for each of the first ten; empty when there
// are none.
std::string DescribeSkipped(const ReadReport& report);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_DATASET_READER_H_
