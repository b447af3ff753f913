#include "logit_store/store_testing.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {

Dataset Texts(const std::vector<std::string>& texts) {
  Dataset dataset;
  dataset.name = "films";
  for (const std::string& text : texts) {
    dataset.rows.push_back(
        {text, "", static_cast<int>(text.size() % 2), Split::kTrain});
  }
  return dataset;
}

Dataset ManyTexts(int rows) {
  std::vector<std::string> texts;
  for (int i = 0; i < rows; ++i) texts.push_back(absl::StrCat("영화 ", i));
  return Texts(texts);
}

v1::DatasetRow ProtoRow(const Dataset& dataset, uint64_t index) {
  v1::DatasetRow row;
  row.set_index(index);
  row.set_text(dataset.rows[index].text);
  row.set_second_text(dataset.rows[index].second_text);
  row.set_label(dataset.rows[index].label);
  row.set_split(static_cast<uint32_t>(dataset.rows[index].split));
  return row;
}

RowSource RowsOf(const Dataset& dataset, uint64_t count) {
  return [&dataset, count, next = uint64_t{0}](
             v1::DatasetRow* row) mutable -> absl::StatusOr<bool> {
    if (next == count) return false;
    *row = ProtoRow(dataset, next++);
    return true;
  };
}

v1::LogitSetId SetId(const std::string& teacher) {
  v1::LogitSetId id;
  id.set_teacher_fingerprint(teacher);
  id.set_dataset("films");
  return id;
}

v1::LogitSetManifest ManifestOf(const Dataset& dataset, int classes,
                                const std::string& teacher) {
  v1::LogitSetManifest manifest;
  *manifest.mutable_id() = SetId(teacher);
  manifest.set_teacher_name("ngram");
  manifest.set_dataset_fingerprint(dataset.Fingerprint());
  manifest.set_row_count(dataset.rows.size());
  manifest.set_num_classes(classes);
  return manifest;
}

v1::LogitRow LogitsOf(const Dataset& dataset, uint64_t index,
                      const std::vector<float>& logits) {
  v1::LogitRow row;
  row.set_index(index);
  if (index < dataset.rows.size()) {
    row.set_text_hash(
        TextHash(dataset.rows[index].text, dataset.rows[index].second_text));
  }
  row.mutable_logits()->Add(logits.begin(), logits.end());
  return row;
}

absl::StatusOr<v1::RegisterDatasetResponse> RegisterRows(
    const Dataset& dataset, const std::string& expected, LogitStore* store) {
  return store->RegisterDataset(
      {dataset.name, dataset.Fingerprint(), dataset.rows.size(), expected},
      RowsOf(dataset, dataset.rows.size()));
}

absl::Status PutRows(const Dataset& dataset,
                     const std::vector<uint64_t>& indices, LogitStore* store,
                     const std::string& teacher) {
  std::vector<v1::LogitRow> rows;
  for (const uint64_t i : indices) {
    rows.push_back(LogitsOf(dataset, i, {float(i), -float(i)}));
  }
  return store->Put(SetId(teacher), rows);
}

absl::Status Fill(const Dataset& dataset, const std::vector<uint64_t>& indices,
                  LogitStore* store) {
  KODISTIL_RETURN_IF_ERROR(RegisterRows(dataset, "", store).status());
  KODISTIL_RETURN_IF_ERROR(store->CreateSet(ManifestOf(dataset)).status());
  return PutRows(dataset, indices, store);
}

absl::StatusOr<std::vector<std::pair<uint64_t, uint64_t>>> MissingRanges(
    const LogitStore& store) {
  KODISTIL_ASSIGN_OR_RETURN(const v1::MissingResponse missing,
                            store.Missing(SetId()));
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const v1::IndexRange& range : missing.ranges()) {
    ranges.emplace_back(range.begin(), range.end());
  }
  return ranges;
}

absl::StatusOr<std::vector<std::pair<uint64_t, float>>> ScanRows(
    const LogitStore& store, const ScanOptions& options) {
  std::vector<std::pair<uint64_t, float>> found;
  KODISTIL_RETURN_IF_ERROR(store.Scan(
      SetId(), options, [&](const v1::LogitRow& row, const v1::DatasetRow*) {
        found.emplace_back(row.index(), row.logits(0));
        return absl::OkStatus();
      }));
  return found;
}

}  // namespace kodistil
