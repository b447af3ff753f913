// The stack machine of pickle protocol 2, reduced to what a checkpoint's data
// needs: numbers, strings, tuples, dicts. What symbols mean is the subclass's.

#ifndef KODISTIL_BASE_PICKLE_MACHINE_H_
#define KODISTIL_BASE_PICKLE_MACHINE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Not thread-safe; runs once. Borrows the pickle and the source's name. Every
// error names the source, the byte and the opcode: DATA_LOSS for damage,
// INVALID_ARGUMENT for what is not allowed. Memory is bounded by the pickle's
// size, each byte of which makes at most one object, and by 64 MiB of it.
class PickleMachine {
 public:
  virtual ~PickleMachine() = default;

  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kTuple,
    kList,
    kDict,
    kOrderedDict,
    kSymbol,
    kStorage,
    kTensor,
  };

 protected:
  using Id = uint32_t;

  // One object. They lie in an arena and name each other by position, so that a
  // dict that contains itself is harmless: nothing ever walks the graph.
  struct Value {
    Kind kind = Kind::kNone;
    int64_t number = 0;                      // int, bool; tensor: its position
    absl::string_view text;                  // string; storage: its key
    std::vector<Id> items;                   // tuple, list
    std::vector<std::pair<Id, Id>> entries;  // dicts
  };

  // The pickle is at byte `origin` of the source; more may follow it.
  PickleMachine(absl::string_view pickle, const std::string& source,
                size_t origin = 0)
      : pickle_(pickle), source_(source), origin_(origin) {}

  // Runs to STOP; the one object left, which is the pickle's.
  absl::StatusOr<Id> Run();
  // The pickle's size, after Run.
  size_t size() const { return at_; }
  // DATA_LOSS when bytes follow, after Run.
  absl::Status CheckNothingFollows() const;

  // The opcodes GLOBAL (pushes a symbol), BINPERSID, REDUCE and BUILD.
  virtual absl::Status Global(absl::string_view module,
                              absl::string_view name) = 0;
  virtual absl::Status PersistentId(Id id) = 0;
  virtual absl::Status Reduce(Id function, Id arguments) = 0;
  virtual absl::Status Build(Id object) = 0;

  absl::Status Damaged(absl::string_view what) const {
    return Fail(absl::StatusCode::kDataLoss, what);
  }
  absl::Status Refused(absl::string_view what) const {
    return Fail(absl::StatusCode::kInvalidArgument, what);
  }
  // INVALID_ARGUMENT "what is a list, expected a tuple" for another kind.
  absl::Status Expect(Id id, Kind kind, absl::string_view what) const;

  const Value& value(Id id) const { return values_[id]; }
  absl::Status Push(Value value);
  // Pushes an object that is there already.
  absl::Status PushAgain(Id id);

 private:
  absl::Status Fail(absl::StatusCode code, absl::string_view what) const;
  absl::StatusOr<absl::string_view> Take(size_t size);
  absl::StatusOr<absl::string_view> TakeLine();
  template <typename T>
  absl::StatusOr<int64_t> TakeInteger();
  absl::StatusOr<Id> Pop();
  absl::StatusOr<std::vector<Id>> PopToMark();
  absl::StatusOr<std::vector<Id>> PopMany(size_t count);

  absl::Status Step();
  absl::Status StepSymbol();
  absl::Status StepContainer();
  absl::Status StepMemo();
  absl::Status Mark();
  absl::Status PushText(absl::StatusOr<int64_t> size);
  absl::Status PushInt(absl::StatusOr<int64_t> number);
  absl::Status PushLong();
  absl::Status PushTuple(absl::StatusOr<std::vector<Id>> items);
  absl::Status SetItems(absl::StatusOr<std::vector<Id>> items);
  absl::Status Append(absl::StatusOr<std::vector<Id>> items);

  const absl::string_view pickle_;
  const std::string& source_;
  const size_t origin_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  uint8_t opcode_ = 0;
  std::vector<Value> values_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, Id> memo_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_PICKLE_MACHINE_H_
