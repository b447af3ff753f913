#include "teacher_service/batcher.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Rows share a batch when padding the shortest to the longest is cheap.
bool SimilarLength(int shortest, int longest) {
  return longest <= shortest + std::max(16, shortest / 4);
}

absl::Status ShuttingDown() {
  return absl::UnavailableError("the server is shutting down");
}

absl::Status WhyDead(const BatchItem& item, absl::Time now) {
  if (item.deadline < now) {
    return absl::DeadlineExceededError(
        "the deadline passed before the row was computed");
  }
  if (item.cancelled && item.cancelled()) {
    return absl::CancelledError("cancelled before the row was computed");
  }
  return absl::OkStatus();
}

}  // namespace

int DefaultBatchTokens(absl::string_view device) {
  constexpr int kGpuBatchTokens = 32768;
  return device == "cpu" ? BatcherOptions().max_batch_tokens : kGpuBatchTokens;
}

absl::Status BatcherOptions::Validate() const {
  if (max_batch_tokens < 1 || max_batch_rows < 1 || max_queue_rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_batch_tokens ", max_batch_tokens, ", max_batch_rows ",
                     max_batch_rows, ", max_queue_rows ", max_queue_rows,
                     ": expected 1 or more of each"));
  }
  if (max_queue_delay < absl::ZeroDuration() ||
      max_queue_delay > absl::Minutes(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_queue_delay is ", absl::FormatDuration(max_queue_delay),
        ": expected 0 to 1m"));
  }
  if (max_queue_bytes < 1 << 20) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_queue_bytes is ", max_queue_bytes, ": expected 1048576 or more"));
  }
  return absl::OkStatus();
}

absl::Status BatchQueue::Push(std::vector<BatchItem> items, absl::Time now) {
  if (items.empty()) return absl::OkStatus();
  LaneQueue& lane = lanes_[static_cast<int>(items[0].lane)];
  if (lane.rows.size() + items.size() >
      static_cast<size_t>(options_.max_queue_rows)) {
    return absl::UnavailableError(absl::StrCat(
        "the queue is full: ", lane.rows.size(), " rows wait, ", items.size(),
        " more would exceed ", options_.max_queue_rows));
  }
  int64_t bytes = 0;
  for (const BatchItem& item : items) bytes += item.bytes;
  if (lane.bytes + bytes > options_.max_queue_bytes) {
    return absl::UnavailableError(
        absl::StrCat("the queue is full: ", lane.bytes, " bytes wait, ", bytes,
                     " more would exceed ", options_.max_queue_bytes));
  }
  lane.bytes += bytes;
  for (BatchItem& item : items) {
    item.queued = now;
    const Key key(item.input.tokens, arrived_++);
    const auto added =
        lane.rows.emplace(key, Waiting{std::move(item), now}).first;
    lane.arrivals.emplace_hint(lane.arrivals.end(), key.second, added);
  }
  return absl::OkStatus();
}

bool BatchQueue::Fits(int rows, int shortest, int longest) const {
  return rows == 1 || (rows <= options_.max_batch_rows &&
                       int64_t{rows} * longest <= options_.max_batch_tokens &&
                       SimilarLength(shortest, longest));
}

// Grows from the oldest row to its neighbours in length, the nearer first.
BatchQueue::Window BatchQueue::AroundOldest(LaneQueue* lane) const {
  const Rows::iterator oldest = lane->arrivals.begin()->second;
  const int center = oldest->first.first;
  Window window{oldest, std::next(oldest), /*full=*/false};
  int shortest = center;
  int longest = center;
  for (int rows = 1;; ++rows) {
    const bool has_below = window.begin != lane->rows.begin();
    const bool has_above = window.end != lane->rows.end();
    const int below = has_below ? std::prev(window.begin)->first.first : 0;
    const int above = has_above ? window.end->first.first : 0;
    const bool below_fits = has_below && Fits(rows + 1, below, longest);
    const bool above_fits = has_above && Fits(rows + 1, shortest, above);
    if (!below_fits && !above_fits) {
      // Full when another row of these lengths would not fit.
      window.full = !Fits(rows + 1, shortest, longest);
      return window;
    }
    if (above_fits && (!below_fits || above - center <= center - below)) {
      longest = above;
      ++window.end;
    } else {
      shortest = below;
      --window.begin;
    }
  }
}

BatchQueue::Window BatchQueue::FirstFull(LaneQueue* lane) const {
  Window window{lane->rows.begin(), lane->rows.begin(), /*full=*/false};
  int rows = 0;
  for (auto next = lane->rows.begin(); next != lane->rows.end(); ++next) {
    const int shortest = window.begin->first.first;
    const int longest = next->first.first;
    if (rows > 0 && !SimilarLength(shortest, longest)) {
      window.begin = next;
      rows = 0;
    }
    ++rows;
    window.end = std::next(next);
    if (!Fits(rows + 1, longest, longest)) {
      // The last rows of the window are alike; the first may be too much.
      while (!Fits(rows, window.begin->first.first, longest)) {
        ++window.begin;
        --rows;
      }
      window.full = true;
      return window;
    }
  }
  return window;
}

bool BatchQueue::Due(const LaneQueue& lane, absl::Time now) const {
  if (lane.rows.empty()) return false;
  return hurry_ || lane.arrivals.begin()->second->second.since +
                           options_.max_queue_delay <=
                       now;
}

std::vector<BatchItem> BatchQueue::Take(LaneQueue* lane, const Window& window) {
  std::vector<BatchItem> batch;
  for (auto row = window.begin; row != window.end; ++row) {
    lane->arrivals.erase(row->first.second);
    lane->bytes -= row->second.item.bytes;
    batch.push_back(std::move(row->second.item));
  }
  lane->rows.erase(window.begin, window.end);
  return batch;
}

bool BatchQueue::Ready(LaneQueue* lane, absl::Time now, Window* window) const {
  if (lane->rows.empty()) return false;
  *window = AroundOldest(lane);
  if (window->full || Due(*lane, now)) return true;
  *window = FirstFull(lane);
  return window->full;
}

std::vector<BatchItem> BatchQueue::Pop(absl::Time now) {
  LaneQueue* interactive = &lanes_[static_cast<int>(Lane::kInteractive)];
  LaneQueue* bulk = &lanes_[static_cast<int>(Lane::kBulk)];
  Window window;
  if (Ready(interactive, now, &window)) return Take(interactive, window);
  if (!Ready(bulk, now, &window)) return {};
  // Interactive rows stop waiting for company when else the bulk lane would
  // take the model.
  if (!interactive->rows.empty()) {
    return Take(interactive, AroundOldest(interactive));
  }
  return Take(bulk, window);
}

absl::Time BatchQueue::NextDue() const {
  absl::Time due = absl::InfiniteFuture();
  for (const LaneQueue& lane : lanes_) {
    if (lane.rows.empty()) continue;
    due = std::min(due, lane.arrivals.begin()->second->second.since +
                            options_.max_queue_delay);
  }
  return due;
}

std::vector<BatchItem> BatchQueue::Clear() {
  std::vector<BatchItem> items;
  for (LaneQueue& lane : lanes_) {
    const Window all{lane.rows.begin(), lane.rows.end(), /*full=*/true};
    for (BatchItem& item : Take(&lane, all)) items.push_back(std::move(item));
  }
  return items;
}

absl::StatusOr<std::unique_ptr<Batcher>> Batcher::Create(
    TeacherModel* model, const BatcherOptions& options, Clock clock) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto batcher =
      std::unique_ptr<Batcher>(new Batcher(model, options, std::move(clock)));
  batcher->thread_ = std::thread(&Batcher::Run, batcher.get());
  return batcher;
}

Batcher::Batcher(TeacherModel* model, const BatcherOptions& options,
                 Clock clock)
    : model_(model),
      clock_(std::move(clock)),
      metrics_(TeacherMetrics::Process()),
      queue_(options) {}

Batcher::~Batcher() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status Batcher::Submit(std::vector<BatchItem> items) {
  const auto rows = static_cast<double>(items.size());
  double tokens = 0;
  for (const BatchItem& item : items) tokens += item.input.tokens;
  absl::MutexLock lock(&mutex_);
  if (stopping_) return ShuttingDown();
  KODISTIL_RETURN_IF_ERROR(queue_.Push(std::move(items), clock_()));
  // Under the lock: before the rows are computed.
  metrics_.pending_requests.Add(rows);
  metrics_.pending_tokens.Add(tokens);
  changed_.SignalAll();
  return absl::OkStatus();
}

void Batcher::Hurry() {
  absl::MutexLock lock(&mutex_);
  queue_.Hurry();
  changed_.SignalAll();
}

void Batcher::Run() {
  std::vector<BatchItem> left;
  for (;;) {
    std::vector<BatchItem> batch;
    {
      absl::MutexLock lock(&mutex_);
      while (!stopping_ && (batch = queue_.Pop(clock_())).empty()) {
        changed_.WaitWithTimeout(&mutex_, queue_.NextDue() - clock_());
      }
      if (stopping_) {
        left = queue_.Clear();
        for (BatchItem& item : batch) left.push_back(std::move(item));
        break;
      }
    }
    Compute(std::move(batch));
  }
  for (BatchItem& item : left) Done(item, ShuttingDown());
}

void Batcher::Done(const BatchItem& item,
                   absl::StatusOr<std::vector<float>> logits) {
  if (!logits.ok()) metrics_.CountFailedRow(logits.status());
  metrics_.pending_requests.Add(-1);
  metrics_.pending_tokens.Add(-item.input.tokens);
  item.done(std::move(logits));
}

void Batcher::Compute(std::vector<BatchItem> batch) {
  const absl::Time now = clock_();
  std::vector<BatchItem> alive;
  for (BatchItem& item : batch) {
    Histogram& waited = item.lane == Lane::kInteractive
                            ? metrics_.interactive_queue_seconds
                            : metrics_.bulk_queue_seconds;
    waited.Observe(now - item.queued);
    const absl::Status dead = WhyDead(item, now);
    if (dead.ok()) {
      alive.push_back(std::move(item));
    } else {
      Done(item, dead);
    }
  }
  if (!alive.empty()) Infer(absl::MakeSpan(alive));
}

void Batcher::Infer(absl::Span<BatchItem> items) {
  std::vector<const EncodedInput*> inputs;
  int64_t tokens = 0;
  for (const BatchItem& item : items) {
    inputs.push_back(&item.input);
    tokens += item.input.tokens;
  }
  const absl::Time start = absl::Now();
  // logits: [batch, num_classes], float32
  absl::StatusOr<std::vector<float>> logits = model_->Infer(inputs);
  metrics_.compute_seconds.Observe(absl::Now() - start);
  metrics_.batch_size.Observe(static_cast<double>(items.size()));
  metrics_.tokens.Increment(tokens);
  const size_t classes = model_->info().num_classes;
  if (logits.ok() && logits->size() != items.size() * classes) {
    logits = absl::InternalError(
        absl::StrCat("the model gave ", logits->size(), " logits for ",
                     items.size(), " rows of ", classes, " classes"));
  }
  if (!logits.ok() && items.size() > 1) {
    Infer(items.first(items.size() / 2));
    Infer(items.subspan(items.size() / 2));
    return;
  }
  if (!logits.ok()) {
    Done(items[0], logits.status());
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const auto begin = logits->begin() + i * classes;
    std::vector<float> row(begin, begin + classes);
    if (std::all_of(row.begin(), row.end(),
                    [](float logit) { return std::isfinite(logit); })) {
      Done(items[i], std::move(row));
    } else {
      Done(items[i],
           absl::InternalError("the model gave a logit that is not finite"));
    }
  }
}

}  // namespace kodistil
