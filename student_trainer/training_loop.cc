#include "student_trainer/training_loop.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "student_trainer/engine_factory.h"

namespace kodistil {
namespace {

constexpr int kEvaluationBatch = 256;

double Now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

RowLength LengthOf(const TrainingRows& rows) {
  return [&rows](uint32_t row) {
    return static_cast<int>(rows.tokens(row).size());
  };
}

std::vector<const RowLogits*> SourcesOf(const std::vector<PackCell>& cells) {
  std::vector<const RowLogits*> sources;
  for (const PackCell& cell : cells) {
    if (cell.logits == nullptr) continue;
    if (std::count(sources.begin(), sources.end(), cell.logits) > 0) continue;
    sources.push_back(cell.logits);
  }
  return sources;
}

// Whether every cell's steps may run beside those of others: LibTorch's
// threads are the process's.
bool RunSideBySide(const std::vector<PackCell>& cells) {
  for (const PackCell& cell : cells) {
    EngineOptions engine;
    engine.engine = cell.options.engine;
    engine.device = cell.options.device;
    if (engine.Resolved() != "fast") return false;
  }
  return true;
}

// Cells from their checks to their tests. Used once.
class PackRun {
 public:
  PackRun(const std::vector<PackCell>& cells, const TrainingRows& rows,
          int threads, const CellDone& done);

  void Run();

 private:
  using Group = std::vector<TrainingCell*>;

  // Calls body for every cell of the group, on the lanes. Whether one of them
  // can go on.
  bool ForCells(const Group& group,
                absl::FunctionRef<void(TrainingCell*)> body);
  // The cells that are the furthest behind.
  Group Hindmost() const;
  void RunEpoch(const Group& group);
  // Every cell counts the rows that it gets right.
  void Evaluate(const Group& group, const std::vector<uint32_t>& rows);
  // Tests what is trained; hands out what has ended.
  void Reap();

  const v1::StudentConfig& shared_;  // what all cells share of it
  const TrainingRows& rows_;
  const CellDone& done_;
  LanePool lanes_;
  BatchFeed training_, evaluation_;
  std::vector<std::unique_ptr<TrainingCell>> cells_;  // null once ended
};

PackRun::PackRun(const std::vector<PackCell>& cells, const TrainingRows& rows,
                 int threads, const CellDone& done)
    : shared_(cells.front().options.config),
      rows_(rows),
      done_(done),
      lanes_(RunSideBySide(cells) ? threads : 1),
      training_(rows, SourcesOf(cells), &lanes_),
      evaluation_(rows, {}, &lanes_) {
  const std::vector<const RowLogits*> sources = SourcesOf(cells);
  for (const PackCell& cell : cells) {
    TrainOptions options = cell.options;
    options.threads = lanes_.lanes() > 1 ? 1 : threads;
    const size_t source =
        std::find(sources.begin(), sources.end(), cell.logits) -
        sources.begin();
    cells_.push_back(std::make_unique<TrainingCell>(options, rows, cell.logits,
                                                    source, cell.progress));
  }
}

bool PackRun::ForCells(const Group& group,
                       absl::FunctionRef<void(TrainingCell*)> body) {
  lanes_.RunCells(group.size(), [&](size_t i, int threads) {
    group[i]->SetThreads(threads);
    body(group[i]);
  });
  return std::any_of(group.begin(), group.end(),
                     [](TrainingCell* cell) { return cell->status().ok(); });
}

PackRun::Group PackRun::Hindmost() const {
  Group group;
  for (const auto& cell : cells_) {
    if (cell == nullptr) continue;
    if (!group.empty() && cell->epochs() > group[0]->epochs()) continue;
    if (!group.empty() && cell->epochs() < group[0]->epochs()) group.clear();
    group.push_back(cell.get());
  }
  return group;
}

void PackRun::Evaluate(const Group& group, const std::vector<uint32_t>& rows) {
  for (TrainingCell* cell : group) cell->BeginEvaluation();
  evaluation_.ForChunks(
      EvaluationBatches(rows, kEvaluationBatch, LengthOf(rows_)),
      [&](absl::Span<const LabelledBatch> batches) {
        return ForCells(group, [&](TrainingCell* cell) {
          for (const LabelledBatch& batch : batches) cell->Evaluate(batch);
        });
      });
}

void PackRun::RunEpoch(const Group& group) {
  const RowSplits& splits = group[0]->splits();
  const double begin = Now(), assembled = training_.seconds();
  const auto batches =
      TrainingBatches(splits.train, shared_.batch_size(), shared_.seed(),
                      group[0]->epochs() + 1, LengthOf(rows_));
  const double sampled = Now() - begin;
  for (TrainingCell* cell : group) cell->BeginEpoch();
  bool go_on = true;
  training_.ForChunks(batches, [&](absl::Span<const LabelledBatch> chunk) {
    go_on = ForCells(group, [&](TrainingCell* cell) {
      for (const LabelledBatch& batch : chunk) cell->Step(batch);
    });
    return go_on;
  });
  if (!go_on) return;
  const double shared = sampled + training_.seconds() - assembled;
  Evaluate(group, splits.valid);
  ForCells(group,
           [&](TrainingCell* cell) { cell->EndEpoch(shared / group.size()); });
}

void PackRun::Reap() {
  Group trained;
  for (const auto& cell : cells_) {
    if (cell == nullptr || !cell->status().ok() || !cell->trained()) continue;
    cell->SelectEpoch();
    trained.push_back(cell.get());
  }
  if (!trained.empty()) Evaluate(trained, trained[0]->splits().test);
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (cells_[i] == nullptr) continue;
    if (cells_[i]->status().ok() && !cells_[i]->trained()) continue;
    absl::StatusOr<TrainOutcome> outcome = cells_[i]->Finish();
    cells_[i] = nullptr;
    done_(i, std::move(outcome));
  }
}

void PackRun::Run() {
  lanes_.Run(cells_.size(), [&](size_t i) { cells_[i]->Prepare(); });
  Reap();
  for (Group group = Hindmost(); !group.empty(); group = Hindmost()) {
    RunEpoch(group);
    Reap();
  }
}

}  // namespace

absl::Status TrainPack(const std::vector<PackCell>& cells,
                       const TrainingRows& rows, int threads,
                       const CellDone& done) {
  EngineOptions limits;
  limits.threads = threads;
  KODISTIL_RETURN_IF_ERROR(limits.Validate());
  if (cells.empty()) return absl::OkStatus();
  const v1::StudentConfig& first = cells.front().options.config;
  for (const PackCell& cell : cells) {
    const v1::StudentConfig& config = cell.options.config;
    if (config.batch_size() == first.batch_size() &&
        config.seed() == first.seed()) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("cells of one pack share their batches: found batch_size ",
                     config.batch_size(), " and seed ", config.seed(),
                     ", expected ", first.batch_size(), " and ", first.seed()));
  }
  PackRun(cells, rows, threads, done).Run();
  return absl::OkStatus();
}

absl::StatusOr<TrainOutcome> TrainOnRows(const TrainOptions& options,
                                         const TrainingRows& rows,
                                         const ProgressCallback& progress) {
  PackCell cell;
  cell.options = options;
  cell.logits = rows.logits ? &rows.logits : nullptr;
  cell.progress = progress;
  absl::StatusOr<TrainOutcome> outcome = absl::UnknownError("not trained");
  KODISTIL_RETURN_IF_ERROR(
      TrainPack({cell}, rows, options.threads,
                [&](size_t, absl::StatusOr<TrainOutcome> ended) {
                  outcome = std::move(ended);
                }));
  return outcome;
}

absl::StatusOr<Evaluation> EvaluateOnRows(const StudentShape& shape,
                                          const StudentWeights& weights,
                                          const TrainingRows& rows,
                                          const std::vector<uint32_t>& indices,
                                          int threads) {
  EngineOptions options;
  options.threads = threads;
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<StudentEngine> engine,
                            CreateStudentEngine(shape, options));
  KODISTIL_RETURN_IF_ERROR(engine->SetWeights(weights));
  for (uint32_t row : indices) {
    KODISTIL_RETURN_IF_ERROR(CheckRow(rows, row, shape));
    if (rows.label(row) != kNoLabel) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("row ", row, " has no label; expected one"));
  }
  const double start = Now();
  Evaluation evaluation;
  absl::Status status;
  LanePool lanes(1);
  BatchFeed(rows, {}, &lanes)
      .ForChunks(EvaluationBatches(indices, kEvaluationBatch, LengthOf(rows)),
                 [&](absl::Span<const LabelledBatch> batches) {
                   for (const LabelledBatch& batch : batches) {
                     status = AddToEvaluation(*engine, batch, &evaluation);
                     if (!status.ok()) return false;
                   }
                   return true;
                 });
  KODISTIL_RETURN_IF_ERROR(status);
  if (evaluation.total > 0) {
    evaluation.loss /= evaluation.total;
    evaluation.rows_per_second = evaluation.total / (Now() - start);
  }
  return evaluation;
}

}  // namespace kodistil
