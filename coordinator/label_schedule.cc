#include "coordinator/label_schedule.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// How often one that waits for work looks whether another's rows are late.
constexpr absl::Duration kLook = absl::Milliseconds(50);
// A message is a quarter of the window: one is computed, one is read, and the
// rest is on its way.
constexpr int kMessages = 4;

}  // namespace

absl::Status LabelScheduleOptions::Validate() const {
  if (max_message_rows < 1 || max_message_rows > 4096) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_message_rows is ", max_message_rows, ", expected 1 to 4096"));
  }
  if (min_window < 1 || first_window < min_window ||
      max_window < first_window) {
    return absl::InvalidArgumentError(absl::StrCat(
        "windows of ", first_window, " tokens at first, ", min_window,
        " at least, ", max_window,
        " at most: expected 1 or more, and the first between the others"));
  }
  if (target <= absl::ZeroDuration() || steal_after < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "target is ", absl::FormatDuration(target), ", expected more than 0; ",
        "steal_after is ", absl::FormatDuration(steal_after),
        ", expected 0 or more"));
  }
  return absl::OkStatus();
}

LabelSchedule::LabelSchedule(const LabelScheduleOptions& options,
                             const std::vector<RowWork>& work)
    : options_(options),
      total_(static_cast<int64_t>(work.size())),
      last_progress_(options.now()) {
  uint64_t end = 0;
  for (const RowWork& row : work) end = std::max(end, row.index + 1);
  rows_.resize(end);
  for (const RowWork& row : work) {
    rows_[row.index].tokens = std::max(1, row.tokens);
    rows_[row.index].done = false;
    tokens_left_ += rows_[row.index].tokens;
    waiting_.push_back(row.index);
  }
}

int LabelSchedule::Join(const std::string& address) {
  absl::MutexLock lock(&mutex_);
  Teacher& teacher = teachers_.emplace_back();
  teacher.address = address;
  teacher.joined = options_.now();
  teacher.window = options_.first_window;
  return static_cast<int>(teachers_.size()) - 1;
}

std::vector<uint64_t> LabelSchedule::Take(int number) {
  absl::MutexLock lock(&mutex_);
  Teacher& teacher = teachers_[number];
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool work = !waiting_.empty() || !teacher.taken_over.empty();
    return !teacher.here || OverLocked() || (work && HasRoom(teacher));
  };
  for (;;) {
    mutex_.AwaitWithTimeout(absl::Condition(&ready), kLook);
    // Also after the time: another's rows become late by themselves.
    std::vector<uint64_t> message = TakeLocked(&teacher);
    if (!message.empty() || !teacher.here || OverLocked()) return message;
  }
}

std::vector<uint64_t> LabelSchedule::TryTake(int number) {
  absl::MutexLock lock(&mutex_);
  return TakeLocked(&teachers_[number]);
}

std::vector<uint64_t> LabelSchedule::TakeLocked(Teacher* teacher) {
  std::vector<uint64_t> message;
  if (!teacher->here || OverLocked()) return message;
  if (waiting_.empty() && teacher->taken_over.empty() &&
      teacher->sent.empty()) {
    TakeOver(teacher);
  }
  const bool room = HasRoom(*teacher);
  const bool work = !waiting_.empty() || !teacher->taken_over.empty();
  teacher->limited = work && !room;
  if (!room) return message;
  Fill(&teacher->taken_over, teacher, &message);
  Fill(&waiting_, teacher, &message);
  // The message is answered as a whole, more or less.
  for (const uint64_t index : message) {
    teacher->sent[index].ahead = teacher->sent_tokens;
  }
  return message;
}

bool LabelSchedule::HasRoom(const Teacher& teacher) const {
  return teacher.sent_tokens <= teacher.window - teacher.window / kMessages;
}

void LabelSchedule::Fill(std::deque<uint64_t>* queue, Teacher* teacher,
                         std::vector<uint64_t>* message) {
  const int64_t most = std::max<int64_t>(1, teacher->window / kMessages);
  int64_t tokens = 0;
  for (const uint64_t index : *message) tokens += rows_[index].tokens;
  const Sent sent = {options_.now(), ++teacher->last_order, /*ahead=*/0};
  while (!queue->empty() &&
         static_cast<int>(message->size()) < options_.max_message_rows) {
    const uint64_t index = queue->front();
    Row& row = rows_[index];
    if (!row.done) {
      if (!message->empty() && tokens + row.tokens > most) break;
      tokens += row.tokens;
      message->push_back(index);
      teacher->sent_tokens += row.tokens;
      teacher->sent[index] = sent;
      // A row that was taken over counted as held from that moment.
      row.holders += queue == &waiting_;
    }
    queue->pop_front();
  }
}

std::vector<uint64_t> LabelSchedule::LateRows(const Teacher& teacher,
                                              absl::Time now) const {
  std::vector<std::pair<int64_t, uint64_t>> late;
  for (const auto& [index, sent] : teacher.sent) {
    const Row& row = rows_[index];
    const bool late_alone =
        !row.done && row.holders == 1 && now - sent.at >= options_.steal_after;
    if (late_alone) late.emplace_back(sent.order, index);
  }
  std::sort(late.rbegin(), late.rend());
  std::vector<uint64_t> indices;
  for (const auto& entry : late) indices.push_back(entry.second);
  return indices;
}

void LabelSchedule::TakeOver(Teacher* idle) {
  const absl::Time now = options_.now();
  const Teacher* slowest = nullptr;
  std::vector<uint64_t> late;
  absl::Time since = absl::InfiniteFuture();
  for (const Teacher& teacher : teachers_) {
    if (&teacher == idle || teacher.sent.empty()) continue;
    const std::vector<uint64_t> rows = LateRows(teacher, now);
    if (rows.empty()) continue;
    const absl::Time oldest = teacher.sent.at(rows.back()).at;
    if (oldest >= since) continue;
    since = oldest;
    slowest = &teacher;
    late = rows;
  }
  if (slowest == nullptr) return;
  // The other half it may well do itself in the meantime.
  late.resize((late.size() + 1) / 2);
  for (const uint64_t index : late) {
    ++rows_[index].holders;
    idle->taken_over.push_back(index);
  }
}

void LabelSchedule::Adapt(Teacher* teacher, const Sent& oldest,
                          int64_t tokens) {
  const absl::Duration waited =
      std::max(options_.now() - oldest.at, absl::Microseconds(1));
  // At its speed, what it computes in the target.
  const auto fitting = static_cast<int64_t>(
      std::min(static_cast<double>(oldest.ahead) *
                   absl::FDivDuration(options_.target, waited),
               static_cast<double>(options_.max_window)));
  if (waited <= options_.target) {
    // Doubles in each round trip at most: a speed is known once the window was
    // full for a while.
    const bool grows = teacher->limited && fitting > teacher->window;
    if (grows) teacher->window = std::min(teacher->window + tokens, fitting);
  } else if (oldest.order > teacher->shrunk_at) {
    teacher->shrunk_at = teacher->last_order;
    teacher->window = std::min(teacher->window, fitting);
  }
  teacher->window =
      std::clamp(teacher->window, options_.min_window, options_.max_window);
}

int64_t LabelSchedule::Acknowledge(int number,
                                   absl::Span<const uint64_t> rows) {
  absl::MutexLock lock(&mutex_);
  Teacher& teacher = teachers_[number];
  Sent oldest;
  int64_t tokens = 0;
  int64_t counted = 0;
  for (const uint64_t index : rows) {
    const auto it = teacher.sent.find(index);
    if (it == teacher.sent.end()) continue;
    Row& row = rows_[index];
    if (oldest.order == 0 || it->second.order < oldest.order) {
      oldest = it->second;
    }
    tokens += row.tokens;
    teacher.sent.erase(it);
    --row.holders;
    if (!row.done) {
      ++counted;
      tokens_left_ -= row.tokens;
    }
    row.done = true;
  }
  if (oldest.order == 0) return 0;
  teacher.sent_tokens -= tokens;
  teacher.acknowledged += counted;
  Adapt(&teacher, oldest, tokens);
  if (counted == 0) return 0;
  done_ += counted;
  shares_[teacher.address].rows += counted;
  last_progress_ = options_.now();
  return counted;
}

void LabelSchedule::Release(uint64_t index, std::vector<uint64_t>* free) {
  Row& row = rows_[index];
  if (--row.holders == 0 && !row.done) free->push_back(index);
}

int64_t LabelSchedule::Leave(int number) {
  absl::MutexLock lock(&mutex_);
  Teacher& teacher = teachers_[number];
  if (!teacher.here) return teacher.acknowledged;
  teacher.here = false;
  std::vector<uint64_t> free;
  for (const auto& [index, sent] : teacher.sent) Release(index, &free);
  for (const uint64_t index : teacher.taken_over) Release(index, &free);
  teacher.sent.clear();
  teacher.taken_over.clear();
  std::sort(free.begin(), free.end());
  waiting_.insert(waiting_.begin(), free.begin(), free.end());
  shares_[teacher.address].connected += options_.now() - teacher.joined;
  return teacher.acknowledged;
}

bool LabelSchedule::OverLocked() const { return stopped_ || done_ == total_; }

void LabelSchedule::Stop(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!OverLocked()) status_ = status;
  stopped_ = true;
}

bool LabelSchedule::WaitForEnd(absl::Duration limit) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(
      absl::Condition(this, &LabelSchedule::OverLocked), limit);
}

absl::Status LabelSchedule::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

int64_t LabelSchedule::done() const {
  absl::MutexLock lock(&mutex_);
  return done_;
}

absl::Time LabelSchedule::last_progress() const {
  absl::MutexLock lock(&mutex_);
  return last_progress_;
}

int LabelSchedule::connected() const {
  absl::MutexLock lock(&mutex_);
  int here = 0;
  for (const Teacher& teacher : teachers_) here += teacher.here;
  return here;
}

std::map<std::string, TeacherShare> LabelSchedule::Shares() const {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, TeacherShare> shares = shares_;
  for (const Teacher& teacher : teachers_) {
    if (!teacher.here) continue;
    shares[teacher.address].connected += options_.now() - teacher.joined;
  }
  return shares;
}

v1::LabellingStatus LabelSchedule::Status() const {
  const std::map<std::string, TeacherShare> shares = Shares();
  v1::LabellingStatus status;
  absl::MutexLock lock(&mutex_);
  status.set_rows(total_);
  status.set_rows_done(done_);
  status.set_tokens_waiting(tokens_left_);
  for (const auto& [address, share] : shares) {
    v1::TeacherStatus* const teacher = status.add_teachers();
    teacher->set_address(address);
    teacher->set_rows(share.rows);
    const double seconds = absl::ToDoubleSeconds(share.connected);
    if (seconds > 0) teacher->set_rows_per_second(share.rows / seconds);
    for (const Teacher& known : teachers_) {
      if (known.here && known.address == address) teacher->set_connected(true);
    }
  }
  return status;
}

int64_t LabelSchedule::WindowOf(int teacher) const {
  absl::MutexLock lock(&mutex_);
  return teachers_[teacher].window;
}

}  // namespace kodistil
