#include "student_trainer/training_benchmark.h"

#include <cblas.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/wordpiece_tokenizer.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/fast_student.h"
#include "student_trainer/loss.h"
#include "student_trainer/onednn_lstm.h"
#include "student_trainer/pack_contenders.h"
#include "student_trainer/student_network.h"
#include "student_trainer/torch_contenders.h"
#include "student_trainer/training_rows.h"

namespace kodistil {
namespace {

constexpr int kVocab = 3000;
constexpr int kRows = 12800;
// NSMC's longest row with this vocabulary, which the seed pads to.
constexpr int kSeedLength = 142;
constexpr double kDropout = 0.1;
// Contenders of the fast engine on a cell of its own, the first ones.
constexpr size_t kEngines = 3;

struct Size {
  const char* name;
  int hidden, embedding;
};
constexpr Size kSizes[] = {{"large", 256, 128},
                           {"base", 128, 64},
                           {"small", 64, 32},
                           {"mini", 16, 16},
                           {"tiny", 16, 8}};

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

// Rows of tokens, and batches of them.
struct Data {
  std::vector<std::vector<uint16_t>> rows;
  std::vector<std::vector<uint32_t>> members;  // of `bucketed`
  std::vector<PackedBatch> bucketed;           // of similar length
  std::vector<PackedBatch> random;
  std::vector<int> labels;     // of any batch
  std::vector<float> teacher;  // of any batch, [B, 2]
  double tokens_per_row = 0;
  // The same with a label and a teacher for each row.
  TrainingRows training;
};

// Lengths of NSMC in this vocabulary: 29 in the mean.
std::vector<std::vector<uint16_t>> SyntheticRows() {
  Pcg32 random(1);
  std::vector<std::vector<uint16_t>> rows(kRows);
  for (auto& row : rows) {
    const double length = 4 - 26 * std::log(1 - random.Uniform());
    row.resize(std::min(kSeedLength, static_cast<int>(length)));
    for (uint16_t& token : row) token = 1 + random.Below(kVocab - 1);
  }
  return rows;
}

absl::StatusOr<std::vector<std::vector<uint16_t>>> NsmcRows(
    const std::string& folder) {
  KODISTIL_ASSIGN_OR_RETURN(
      const std::string vocab,
      ReadFile(JoinPath(folder, "seed/tokenizer/vocab_size_3000/vocab.txt")));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::string text,
      ReadFile(JoinPath(folder, "nsmc/ratings_train.txt")));
  WordPieceOptions options;
  options.strip_accents = false;
  KODISTIL_ASSIGN_OR_RETURN(
      const auto tokenizer,
      WordPieceTokenizer::Create(vocab, "vocab_size_3000", options));
  std::vector<std::vector<uint16_t>> rows;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, '\t');
    if (fields.size() != 3 || fields[0] == "id") continue;
    const std::vector<int32_t> ids = tokenizer->Encode(fields[1], 256);
    rows.emplace_back(ids.begin(), ids.end());
    if (rows.size() == kRows) break;
  }
  return rows;
}

absl::Status MakeData(const TrainingBenchmarkOptions& options, Data* made) {
  Data& data = *made;
  if (options.data_dir.empty()) {
    data.rows = SyntheticRows();
  } else {
    KODISTIL_ASSIGN_OR_RETURN(data.rows, NsmcRows(options.data_dir));
  }
  const auto tokens = [&data](uint32_t row) {
    return absl::Span<const uint16_t>(data.rows[row]);
  };
  const auto length = [&data](uint32_t row) {
    return static_cast<int>(data.rows[row].size());
  };
  std::vector<uint32_t> indices(data.rows.size());
  std::iota(indices.begin(), indices.end(), 0);
  for (const auto& members :
       TrainingBatches(indices, options.batch_size, 1, 1, length)) {
    if (static_cast<int>(members.size()) < options.batch_size) continue;
    data.members.push_back(members);
    PackBatch(members, tokens, &data.bucketed.emplace_back());
    PackedBatch& random = data.random.emplace_back();
    PackBatch(
        absl::MakeSpan(indices).subspan(
            (data.random.size() - 1) * options.batch_size, options.batch_size),
        tokens, &random);
  }
  for (const auto& row : data.rows) data.tokens_per_row += row.size();
  data.tokens_per_row /= data.rows.size();
  Pcg32 random(2);
  for (int b = 0; b < options.batch_size; ++b) {
    data.labels.push_back(random.Below(2));
    data.teacher.push_back(random.Uniform() - 0.5);
    data.teacher.push_back(-data.teacher.back());
  }
  data.training.row_count = data.rows.size();
  data.training.tokens = tokens;
  data.training.label = [&data](uint32_t row) {
    return data.labels[row % data.labels.size()];
  };
  data.training.logits = [&data](uint32_t row) {
    return absl::MakeConstSpan(data.teacher)
        .subspan(row % data.labels.size() * 2, 2);
  };
  return absl::OkStatus();
}

// One way to train, and its best turn.
struct Contender {
  // What a step has trained on.
  struct Work {
    double tokens = 0, rows = 0;
  };

  std::string name;
  // The step number `next`, from 0.
  std::function<absl::StatusOr<Work>(size_t next)> step;
  // Padded to one length: the time does not depend on the tokens.
  bool fixed_length = false;
  bool wall = false;
  size_t next = 0;
  double rows_per_second = 0;
};

// A step for each of `batches` in turn.
std::function<absl::StatusOr<Contender::Work>(size_t)> StepsOver(
    const std::vector<PackedBatch>& batches,
    std::function<absl::Status(const PackedBatch&)> step) {
  return [&batches, step](size_t next) -> absl::StatusOr<Contender::Work> {
    const PackedBatch& batch = batches[next % batches.size()];
    KODISTIL_RETURN_IF_ERROR(step(batch));
    return Contender::Work{static_cast<double>(batch.tokens.size()),
                           static_cast<double>(batch.rows.size())};
  };
}

// A turn: rows of mean length per second.
absl::Status RunTurn(const Data& data, double seconds, Contender* contender) {
  const clockid_t clock =
      contender->wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
  Contender::Work all;
  double took = 0;
  // The first step warms up.
  for (int step = -1; took < seconds; ++step) {
    const double begin = Seconds(clock);
    KODISTIL_ASSIGN_OR_RETURN(const Contender::Work work,
                              contender->step(contender->next++));
    if (step < 0) continue;
    took += Seconds(clock) - begin;
    all.tokens += work.tokens;
    all.rows += work.rows;
  }
  const double rows =
      contender->fixed_length ? all.rows : all.tokens / data.tokens_per_row;
  contender->rows_per_second =
      std::max(contender->rows_per_second, rows / took);
  return absl::OkStatus();
}

// GFLOP/s of a product of 512 x 512 matrices on one thread.
double SgemmPeak(double best) {
  constexpr int kSide = 512;
  const std::vector<float> a(kSide * kSide, 1.0f), b = a;
  std::vector<float> c = a;
  for (int i = 0; i < 3; ++i) {
    const double begin = Seconds(CLOCK_PROCESS_CPUTIME_ID);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSide, kSide, kSide,
                1, a.data(), kSide, b.data(), kSide, 0, c.data(), kSide);
    const double took = Seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    best = std::max(best, 2e-9 * kSide * kSide * kSide / took);
  }
  return best;
}

// A step of one of our engines on the benchmark's labels.
absl::Status EngineStep(const Data& data, StudentEngine* engine,
                        const PackedBatch& batch) {
  StepOptions options;
  options.dropout = kDropout;
  options.rate = 1e-3;
  return engine
      ->TrainStep(
          batch, options,
          [&](absl::Span<const float> logits, absl::Span<float> gradient) {
            return DistillationLoss(LossOptions(), 2, logits, data.labels,
                                    data.teacher, gradient);
          })
      .status();
}

absl::Status AddEngine(const std::string& name, const Data& data,
                       std::shared_ptr<StudentEngine> engine, bool wall,
                       std::vector<Contender>* contenders) {
  KODISTIL_RETURN_IF_ERROR(engine->Initialize(1));
  Contender contender;
  contender.name = name;
  contender.step =
      StepsOver(data.bucketed, [engine, &data](const PackedBatch& batch) {
        return EngineStep(data, engine.get(), batch);
      });
  contender.wall = wall;
  contenders->push_back(std::move(contender));
  return absl::OkStatus();
}

void AddTorch(const std::string& name, const Data& data,
              const StudentShape& shape, TorchContender::Batching batching,
              int length, std::vector<Contender>* contenders) {
  auto torch = std::make_shared<TorchContender>(shape, batching);
  Contender contender;
  contender.name = name;
  contender.step =
      StepsOver(length > 0 ? data.random : data.bucketed,
                [torch, length, &data](const PackedBatch& batch) {
                  torch->Step(batch, length, data.labels, data.teacher);
                  return absl::OkStatus();
                });
  contender.fixed_length = length > 0;
  contenders->push_back(std::move(contender));
}

// oneDNN's primitive for the layer alone: no embedding, dropout, head, loss or
// optimiser.
void AddOneDnn(const Data& data, const StudentShape& shape,
               std::vector<Contender>* contenders) {
  const size_t rows = data.labels.size();
  auto lstm =
      std::make_shared<OneDnnLstm>(shape.embedding_dim, shape.hidden_dim, rows);
  int64_t longest = 0;
  for (const PackedBatch& batch : data.bucketed) {
    lstm->Prepare(batch.lengths[0]);
    longest = std::max(longest, batch.lengths[0]);
  }
  Pcg32 random(3);
  const auto uniform = [&random](size_t size) {
    std::vector<float> values(size);
    for (float& value : values) value = random.Uniform() - 0.5;
    return values;
  };
  const int64_t h = shape.hidden_dim, e = shape.embedding_dim;
  lstm->SetWeights(uniform(2 * 4 * h * (e + h + 2)));
  Contender contender;
  contender.name = "oneDNN's LSTM alone, padded";
  contender.step = StepsOver(
      data.bucketed,
      [lstm, x = uniform(longest * rows * e), dends = uniform(rows * 2 * h),
       ends = std::vector<float>()](const PackedBatch& batch) mutable {
        lstm->Step(batch.lengths[0], x, batch.lengths, dends, &ends);
        return absl::OkStatus();
      });
  contenders->push_back(std::move(contender));
}

// Cells one after another, then together.
absl::Status AddPacks(const Data& data, const StudentShape& shape, int cells,
                      int threads, std::vector<Contender>* contenders) {
  for (const bool together : {false, true}) {
    KODISTIL_ASSIGN_OR_RETURN(
        std::shared_ptr<PackContender> pack,
        PackContender::Create({shape, cells, threads, together},
                              data.training));
    Contender contender;
    contender.name = absl::StrCat(
        cells, " cells ", together ? "packed" : "in turn",
        threads > 1 ? absl::StrCat(", ", threads, " threads, wall") : "");
    contender.wall = threads > 1;
    // Fewer batches at a time of a larger student, whose steps take longer.
    const size_t chunk = std::max(1, 512 / shape.hidden_dim);
    contender.step = [pack, chunk, cells,
                      &data](size_t next) -> absl::StatusOr<Contender::Work> {
      std::vector<std::vector<uint32_t>> batches;
      Contender::Work work;
      for (size_t i = 0; i < chunk; ++i) {
        const size_t at = (next * chunk + i) % data.members.size();
        batches.push_back(data.members[at]);
        work.tokens += cells * data.bucketed[at].tokens.size();
        work.rows += cells * data.members[at].size();
      }
      KODISTIL_RETURN_IF_ERROR(pack->Step(batches));
      return work;
    };
    contenders->push_back(std::move(contender));
  }
  return absl::OkStatus();
}

// The fast engine's come first, then the packs.
absl::StatusOr<std::vector<Contender>> MakeContenders(
    const TrainingBenchmarkOptions& options, const Data& data,
    const StudentShape& shape) {
  std::vector<Contender> contenders;
  for (size_t run = 0; run < kEngines; ++run) {
    KODISTIL_ASSIGN_OR_RETURN(std::shared_ptr<StudentEngine> engine,
                              FastStudent::Create(shape, run == 2 ? 2 : 1));
    constexpr const char* kNames[] = {"fast", "fast, wall",
                                      "fast, 2 threads, wall"};
    KODISTIL_RETURN_IF_ERROR(
        AddEngine(kNames[run], data, engine, run > 0, &contenders));
  }
  KODISTIL_RETURN_IF_ERROR(AddPacks(data, shape, 3, 1, &contenders));
  KODISTIL_RETURN_IF_ERROR(AddPacks(data, shape, 2, 2, &contenders));
  AddOneDnn(data, shape, &contenders);
  if (!options.libtorch) return contenders;
  KODISTIL_ASSIGN_OR_RETURN(std::shared_ptr<StudentEngine> reference,
                            StudentNetwork::Create(shape, "cpu"));
  KODISTIL_RETURN_IF_ERROR(
      AddEngine("--engine=torch", data, reference, false, &contenders));
  AddTorch("LibTorch bucketed, padded", data, shape,
           TorchContender::Batching::kPadded, 0, &contenders);
  AddTorch("LibTorch packed", data, shape, TorchContender::Batching::kPacked, 0,
           &contenders);
  AddTorch("the seed's way, padded to 142", data, shape,
           TorchContender::Batching::kPadded, kSeedLength, &contenders);
  return contenders;
}

// Turns of those of `contenders` that `takes_part` until `end`.
absl::Status RunTurnsUntil(double end, double turn, const Data& data,
                           absl::FunctionRef<bool(size_t)> takes_part,
                           std::vector<Contender>* contenders) {
  do {
    for (size_t i = 0; i < contenders->size(); ++i) {
      if (!takes_part(i)) continue;
      KODISTIL_RETURN_IF_ERROR(RunTurn(data, turn, &(*contenders)[i]));
    }
  } while (Seconds(CLOCK_MONOTONIC) < end);
  return absl::OkStatus();
}

// What computes with two threads needs moments in which nobody else does:
// first one thread against two alone, in turns of a few steps, then the packs,
// then all that counts the processor's time.
absl::Status RunTurns(const TrainingBenchmarkOptions& options, const Data& data,
                      std::vector<Contender>* contenders, double* peak) {
  const double turn = absl::ToDoubleSeconds(options.turn);
  const double time = absl::ToDoubleSeconds(options.time);
  const double begin = Seconds(CLOCK_MONOTONIC);
  const auto wall = [&](size_t i) { return (*contenders)[i].wall; };
  KODISTIL_RETURN_IF_ERROR(RunTurnsUntil(
      begin + 0.2 * time, turn / 8, data,
      [&](size_t i) { return wall(i) && i < kEngines; }, contenders));
  KODISTIL_RETURN_IF_ERROR(RunTurnsUntil(
      begin + 0.4 * time, turn / 8, data,
      [&](size_t i) { return wall(i) && i >= kEngines; }, contenders));
  do {
    KODISTIL_RETURN_IF_ERROR(RunTurnsUntil(
        0, turn, data, [&](size_t i) { return !wall(i); }, contenders));
    *peak = SgemmPeak(*peak);
  } while (Seconds(CLOCK_MONOTONIC) < begin + time);
  return absl::OkStatus();
}

void PrintStudent(const Size& size, const Data& data, double peak,
                  const std::vector<Contender>& contenders) {
  const double mflop = 2e-6 * 2 * 4 * size.hidden *
                       (size.hidden + size.embedding) * 3 * data.tokens_per_row;
  std::printf("\n%s: hidden %d, embedding %d, %.2f MFLOP a row\n", size.name,
              size.hidden, size.embedding, mflop);
  std::printf("  %-30s %10s %9s %8s %9s\n", "", "rows/s", "GFLOP/s", "of peak",
              "fast is");
  const double fast = contenders[0].rows_per_second;
  for (const Contender& c : contenders) {
    const double gflops = c.rows_per_second * mflop * 1e-3;
    std::printf("  %-30s %10.0f %9.2f %7.0f%% %8.2fx\n", c.name.c_str(),
                c.rows_per_second, gflops, 100 * gflops / peak,
                fast / c.rows_per_second);
  }
  const auto ratio = [&](size_t a, size_t b) {
    return contenders[a].rows_per_second / contenders[b].rows_per_second;
  };
  std::printf(
      "  two threads are %.2fx one; packed cells are %.2fx cells in turn, with "
      "two threads %.2fx\n",
      ratio(2, 1), ratio(4, 3), ratio(6, 5));
  std::fflush(stdout);
}

}  // namespace

absl::Status TrainingBenchmarkOptions::Validate() const {
  for (const std::string& name : students) {
    if (std::none_of(std::begin(kSizes), std::end(kSizes),
                     [&](const Size& size) { return size.name == name; })) {
      return absl::InvalidArgumentError(absl::StrCat(
          "student \"", name, "\"; expected large, base, small, mini or tiny"));
    }
  }
  if (turn <= absl::ZeroDuration() || time <= absl::ZeroDuration() ||
      batch_size < 1 || batch_size > kRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("turn ", absl::FormatDuration(turn), ", time ",
                     absl::FormatDuration(time), ", batch_size ", batch_size,
                     "; expected each above 0, and at most ", kRows, " rows"));
  }
  return absl::OkStatus();
}

absl::Status RunTrainingBenchmark(const TrainingBenchmarkOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(SetComputeThreads(1));
  Data data;
  KODISTIL_RETURN_IF_ERROR(MakeData(options, &data));
  std::printf("%zu rows %s, %.1f tokens in the mean, batches of %d\n",
              data.rows.size(),
              options.data_dir.empty() ? "made up" : "of NSMC",
              data.tokens_per_row, options.batch_size);
  double peak = SgemmPeak(0);
  for (const Size& size : kSizes) {
    if (std::find(options.students.begin(), options.students.end(),
                  size.name) == options.students.end()) {
      continue;
    }
    StudentShape shape;
    shape.vocab_size = kVocab;
    shape.hidden_dim = size.hidden;
    shape.embedding_dim = size.embedding;
    KODISTIL_ASSIGN_OR_RETURN(std::vector<Contender> contenders,
                              MakeContenders(options, data, shape));
    KODISTIL_RETURN_IF_ERROR(RunTurns(options, data, &contenders, &peak));
    PrintStudent(size, data, peak, contenders);
  }
  std::printf("\nsgemm of 512 x 512, one thread: %.1f GFLOP/s\n", peak);
  return absl::OkStatus();
}

}  // namespace kodistil
