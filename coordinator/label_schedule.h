// Which teacher gets which rows: as many as it computes in a few seconds, not
// by turn.

#ifndef KODISTIL_COORDINATOR_LABEL_SCHEDULE_H_
#define KODISTIL_COORDINATOR_LABEL_SCHEDULE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "kodistil/v1/status.pb.h"

namespace kodistil {

struct LabelScheduleOptions {
  // A teacher is given work for about so long: its window grows while rows come
  // back sooner and shrinks when they come back later.
  absl::Duration target = absl::Seconds(2);
  // Tokens without an acknowledgement at one teacher: at first, at least and at
  // most. The least is a batch of a CPU, so that a slow one still has batches.
  int64_t first_window = 8192;
  int64_t min_window = 2048;
  int64_t max_window = 1 << 20;
  // Rows of one message, 1 to 4,096.
  int max_message_rows = 256;
  // A row that waits at a teacher for so long is given to an idle one too.
  absl::Duration steal_after = absl::Milliseconds(500);
  // What time it is; tests have a clock of their own.
  std::function<absl::Time()> now = [] { return absl::Now(); };

  absl::Status Validate() const;
};

// A row to be labelled; its tokens weigh it and need not be exact.
struct RowWork {
  uint64_t index = 0;
  int32_t tokens = 1;
};

// What a teacher has done.
struct TeacherShare {
  // Rows that it acknowledged before any other.
  int64_t rows = 0;
  // Time in which it was connected.
  absl::Duration connected;
};

// Rows that wait, and those that each teacher has. Every row ends once: the
// first acknowledgement counts. Thread-safe.
class LabelSchedule {
 public:
  // `work`: each index once.
  LabelSchedule(const LabelScheduleOptions& options,
                const std::vector<RowWork>& work);

  // A connection to the teacher at `address`; its number is for the other
  // calls.
  int Join(const std::string& address);

  // The rows of the next message to the teacher: waits until it has room for
  // them. First what waits; when nothing does and it is idle, the later half of
  // what has been at another for the longest time. Empty when the connection or
  // the labelling is over.
  std::vector<uint64_t> Take(int teacher);
  // The same without waiting; empty when there is nothing now.
  std::vector<uint64_t> TryTake(int teacher);

  // The rows are durable. Those that are not the teacher's are ignored. Returns
  // how many it was the first to do.
  int64_t Acknowledge(int teacher, absl::Span<const uint64_t> rows);

  // The connection is over: rows that no other teacher has wait again. Returns
  // how many rows it had acknowledged.
  int64_t Leave(int teacher);

  // Ends the labelling; the first status counts.
  void Stop(const absl::Status& status);
  // Waits for up to `limit` until every row is done or Stop; true when so.
  bool WaitForEnd(absl::Duration limit);
  bool Over() { return WaitForEnd(absl::ZeroDuration()); }

  // OK, or that of Stop.
  absl::Status status() const;
  int64_t done() const;
  int64_t total() const { return total_; }
  // When a row was acknowledged last.
  absl::Time last_progress() const;
  // Teachers that are connected.
  int connected() const;
  // By address.
  std::map<std::string, TeacherShare> Shares() const;
  // All of it, for people.
  v1::LabellingStatus Status() const;
  // Tokens that the teacher may have without an acknowledgement.
  int64_t WindowOf(int teacher) const;

 private:
  struct Row {
    int32_t tokens = 0;
    uint8_t holders = 0;  // teachers that have it
    bool done = true;     // also what is not to be labelled
  };
  struct Sent {
    absl::Time at;
    int64_t order = 0;  // of sending, from 1
    int64_t ahead = 0;  // tokens to compute until its message is done
  };
  struct Teacher {
    std::string address;
    absl::Time joined;
    int64_t window = 0;
    // Without an acknowledgement.
    absl::flat_hash_map<uint64_t, Sent> sent;
    int64_t sent_tokens = 0;
    int64_t last_order = 0;
    // The window was full when more could have been sent.
    bool limited = false;
    // Rows sent up to here tell of a window that was shrunk since.
    int64_t shrunk_at = 0;
    // Taken over from another and not yet sent.
    std::deque<uint64_t> taken_over;
    int64_t acknowledged = 0;
    bool here = true;
  };

  bool OverLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(const Teacher& teacher) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<uint64_t> TakeLocked(Teacher* teacher)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves rows from the front of `queue` to `message` while there is room.
  void Fill(std::deque<uint64_t>* queue, Teacher* teacher,
            std::vector<uint64_t>* message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeOver(Teacher* idle) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Rows of `teacher` that it alone has had for long enough, later ones first.
  std::vector<uint64_t> LateRows(const Teacher& teacher, absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release(uint64_t index, std::vector<uint64_t>* free)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Adapt(Teacher* teacher, const Sent& oldest, int64_t tokens)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LabelScheduleOptions options_;
  int64_t total_ = 0;  // constant after construction
  mutable absl::Mutex mutex_;
  std::vector<Row> rows_ ABSL_GUARDED_BY(mutex_);  // by index
  std::deque<uint64_t> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<Teacher> teachers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, TeacherShare> shares_ ABSL_GUARDED_BY(mutex_);
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t tokens_left_ ABSL_GUARDED_BY(mutex_) = 0;  // of rows not done
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_LABEL_SCHEDULE_H_
