#include "base/pickle_machine.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr size_t kMaxPickleBytes = 64 << 20;
constexpr size_t kMaxValues = 1000000;
constexpr size_t kMaxMarks = 64;
constexpr size_t kMaxLineBytes = 1000;

// The code and the name that Python's pickletools gives it. Those that are not
// allowed are here for the message alone.
constexpr absl::string_view kOpcodes[] = {"\200PROTO",
                                          "(MARK",
                                          ".STOP",
                                          "}EMPTY_DICT",
                                          "]EMPTY_LIST",
                                          ")EMPTY_TUPLE",
                                          "tTUPLE",
                                          "\205TUPLE1",
                                          "\206TUPLE2",
                                          "\207TUPLE3",
                                          "XBINUNICODE",
                                          "USHORT_BINSTRING",
                                          "JBININT",
                                          "KBININT1",
                                          "MBININT2",
                                          "\212LONG1",
                                          "GBINFLOAT",
                                          "NNONE",
                                          "\210NEWTRUE",
                                          "\211NEWFALSE",
                                          "qBINPUT",
                                          "rLONG_BINPUT",
                                          "hBINGET",
                                          "jLONG_BINGET",
                                          "cGLOBAL",
                                          "RREDUCE",
                                          "QBINPERSID",
                                          "bBUILD",
                                          "sSETITEM",
                                          "uSETITEMS",
                                          "aAPPEND",
                                          "eAPPENDS",
                                          "iINST",
                                          "oOBJ",
                                          "\201NEWOBJ",
                                          "\222NEWOBJ_EX",
                                          "\202EXT1",
                                          "\203EXT2",
                                          "\204EXT4",
                                          "\223STACK_GLOBAL",
                                          "PPERSID",
                                          "0POP",
                                          "1POP_MARK",
                                          "2DUP",
                                          "IINT",
                                          "LLONG",
                                          "FFLOAT",
                                          "SSTRING",
                                          "TBINSTRING",
                                          "VUNICODE",
                                          "dDICT",
                                          "lLIST",
                                          "gGET",
                                          "pPUT",
                                          "\213LONG4",
                                          "\214SHORT_BINUNICODE",
                                          "\215BINUNICODE8",
                                          "\224MEMOIZE",
                                          "\225FRAME",
                                          "BBINBYTES",
                                          "CSHORT_BINBYTES",
                                          "\216BINBYTES8"};

std::string OpcodeName(uint8_t code) {
  for (const absl::string_view entry : kOpcodes) {
    if (static_cast<uint8_t>(entry[0]) == code) {
      return std::string(entry.substr(1));
    }
  }
  return absl::StrCat("0x", absl::Hex(code));
}

// In the order of Kind.
constexpr absl::string_view kKindNames[] = {
    "None",   "a bool", "an int",         "a float",  "a string",  "a tuple",
    "a list", "a dict", "an OrderedDict", "a symbol", "a storage", "a tensor",
};

absl::string_view KindName(PickleMachine::Kind kind) {
  return kKindNames[static_cast<int>(kind)];
}

}  // namespace

absl::Status PickleMachine::Fail(absl::StatusCode code,
                                 absl::string_view what) const {
  return absl::Status(
      code, absl::StrCat(source_, " byte ", origin_ + opcode_at_, ", opcode ",
                         OpcodeName(opcode_), ": ", what));
}

absl::StatusOr<absl::string_view> PickleMachine::Take(size_t size) {
  if (size > pickle_.size() - at_) {
    return Damaged(absl::StrCat("needs ", size, " more bytes, ",
                                pickle_.size() - at_, " are left"));
  }
  if (at_ + size > kMaxPickleBytes) {
    return Refused(
        absl::StrCat("a pickle of more than ", kMaxPickleBytes, " bytes"));
  }
  const absl::string_view bytes = pickle_.substr(at_, size);
  at_ += size;
  return bytes;
}

absl::StatusOr<absl::string_view> PickleMachine::TakeLine() {
  const size_t size = pickle_.substr(at_, kMaxLineBytes).find('\n');
  if (size == absl::string_view::npos) {
    return Damaged("a symbol's name without an end");
  }
  const absl::string_view line = pickle_.substr(at_, size);
  KODISTIL_RETURN_IF_ERROR(Take(size + 1).status());
  return line;
}

template <typename T>
absl::StatusOr<int64_t> PickleMachine::TakeInteger() {
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view bytes, Take(sizeof(T)));
  T value;
  memcpy(&value, bytes.data(), sizeof(value));
  return static_cast<int64_t>(value);
}

absl::Status PickleMachine::Push(Value value) {
  if (values_.size() >= kMaxValues) {
    return Refused(absl::StrCat("more than ", kMaxValues, " objects"));
  }
  const Id id = static_cast<Id>(values_.size());
  values_.push_back(std::move(value));
  return PushAgain(id);
}

absl::Status PickleMachine::PushAgain(Id id) {
  if (stack_.size() >= kMaxValues) {
    return Refused(absl::StrCat("a stack of more than ", kMaxValues));
  }
  stack_.push_back(id);
  return absl::OkStatus();
}

absl::StatusOr<PickleMachine::Id> PickleMachine::Pop() {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) return Damaged("the stack is empty");
  const Id id = stack_.back();
  stack_.pop_back();
  return id;
}

absl::StatusOr<std::vector<PickleMachine::Id>> PickleMachine::PopToMark() {
  if (marks_.empty()) return Damaged("there is no mark on the stack");
  std::vector<Id> items(stack_.begin() + marks_.back(), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

absl::StatusOr<std::vector<PickleMachine::Id>> PickleMachine::PopMany(
    size_t count) {
  std::vector<Id> items(count);
  for (size_t i = count; i-- > 0;) {
    KODISTIL_ASSIGN_OR_RETURN(items[i], Pop());
  }
  return items;
}

absl::Status PickleMachine::Expect(Id id, Kind kind,
                                   absl::string_view what) const {
  if (values_[id].kind == kind) return absl::OkStatus();
  return Refused(absl::StrCat(what, " is ", KindName(values_[id].kind),
                              ", expected ", KindName(kind)));
}

absl::StatusOr<PickleMachine::Id> PickleMachine::Run() {
  do {
    if (at_ >= pickle_.size()) {
      return Damaged("the pickle ends after it without STOP");
    }
    opcode_at_ = at_;
    opcode_ = static_cast<uint8_t>(pickle_[at_]);
    KODISTIL_RETURN_IF_ERROR(Take(1).status());
    KODISTIL_RETURN_IF_ERROR(Step());
  } while (opcode_ != '.');
  if (!marks_.empty() || stack_.size() != 1) {
    return Damaged(absl::StrCat("the stack holds ", stack_.size(),
                                " objects at the end, expected 1"));
  }
  return stack_[0];
}

absl::Status PickleMachine::CheckNothingFollows() const {
  if (at_ == pickle_.size()) return absl::OkStatus();
  return Damaged(absl::StrCat(pickle_.size() - at_, " bytes follow the end"));
}

absl::Status PickleMachine::Step() {
  switch (opcode_) {
    case 0x80: {
      KODISTIL_ASSIGN_OR_RETURN(const int64_t protocol, TakeInteger<uint8_t>());
      if (protocol == 2 && opcode_at_ == 0) return absl::OkStatus();
      return Refused(
          absl::StrCat("protocol ", protocol, ", expected 2 at byte 0"));
    }
    case '.':
      return absl::OkStatus();
    case 'c':
    case 'Q':
    case 'R':
    case 'b':
      return StepSymbol();
    case 'q':
    case 'r':
    case 'h':
    case 'j':
      return StepMemo();
    case 'X':
      return PushText(TakeInteger<uint32_t>());
    case 'U':
      return PushText(TakeInteger<uint8_t>());
    case 'J':
      return PushInt(TakeInteger<int32_t>());
    case 'K':
      return PushInt(TakeInteger<uint8_t>());
    case 'M':
      return PushInt(TakeInteger<uint16_t>());
    case 0x8a:
      return PushLong();
    default:
      return StepContainer();
  }
}

absl::Status PickleMachine::StepSymbol() {
  if (opcode_ == 'c') {
    KODISTIL_ASSIGN_OR_RETURN(const absl::string_view module, TakeLine());
    KODISTIL_ASSIGN_OR_RETURN(const absl::string_view name, TakeLine());
    return Global(module, name);
  }
  KODISTIL_ASSIGN_OR_RETURN(const Id top, Pop());
  if (opcode_ == 'Q') return PersistentId(top);
  if (opcode_ == 'R') {
    KODISTIL_ASSIGN_OR_RETURN(const Id function, Pop());
    KODISTIL_RETURN_IF_ERROR(Expect(top, Kind::kTuple, "the argument"));
    KODISTIL_RETURN_IF_ERROR(Expect(function, Kind::kSymbol, "the function"));
    return Reduce(function, top);
  }
  if (stack_.empty()) return Damaged("the stack is empty");
  return Build(stack_.back());
}

absl::Status PickleMachine::StepContainer() {
  Value value;
  switch (opcode_) {
    case '(':
      return Mark();
    case 't':
      return PushTuple(PopToMark());
    case 0x85:
    case 0x86:
    case 0x87:
      return PushTuple(PopMany(opcode_ - 0x84));
    case 's':
      return SetItems(PopMany(2));
    case 'u':
      return SetItems(PopToMark());
    case 'a':
      return Append(PopMany(1));
    case 'e':
      return Append(PopToMark());
    case '}':
      value.kind = Kind::kDict;
      break;
    case ']':
      value.kind = Kind::kList;
      break;
    case ')':
      value.kind = Kind::kTuple;
      break;
    case 'N':
      break;
    case 'G':
      KODISTIL_RETURN_IF_ERROR(Take(8).status());
      value.kind = Kind::kFloat;
      break;
    case 0x88:
    case 0x89:
      value.kind = Kind::kBool;
      value.number = opcode_ == 0x88;
      break;
    default:
      return Refused("an opcode that no state dict needs");
  }
  return Push(std::move(value));
}

absl::Status PickleMachine::StepMemo() {
  const bool is_long = opcode_ == 'r' || opcode_ == 'j';
  KODISTIL_ASSIGN_OR_RETURN(const int64_t index, is_long
                                                     ? TakeInteger<uint32_t>()
                                                     : TakeInteger<uint8_t>());
  if (opcode_ == 'q' || opcode_ == 'r') {
    if (stack_.empty()) return Damaged("the stack is empty");
    if (memo_.size() >= kMaxValues) return Refused("too many memo entries");
    memo_[index] = stack_.back();
    return absl::OkStatus();
  }
  const auto it = memo_.find(index);
  if (it == memo_.end()) {
    return Damaged(absl::StrCat("memo ", index, " was never put"));
  }
  return PushAgain(it->second);
}

absl::Status PickleMachine::Mark() {
  if (marks_.size() >= kMaxMarks) {
    return Refused(absl::StrCat("nested deeper than ", kMaxMarks));
  }
  marks_.push_back(stack_.size());
  return absl::OkStatus();
}

absl::Status PickleMachine::PushText(absl::StatusOr<int64_t> size) {
  KODISTIL_RETURN_IF_ERROR(size.status());
  Value value;
  value.kind = Kind::kString;
  KODISTIL_ASSIGN_OR_RETURN(value.text, Take(*size));
  return Push(std::move(value));
}

absl::Status PickleMachine::PushInt(absl::StatusOr<int64_t> number) {
  KODISTIL_RETURN_IF_ERROR(number.status());
  Value value;
  value.kind = Kind::kInt;
  value.number = *number;
  return Push(std::move(value));
}

absl::Status PickleMachine::PushLong() {
  KODISTIL_ASSIGN_OR_RETURN(const int64_t size, TakeInteger<uint8_t>());
  if (size > 8) return Refused("an integer of more than 64 bits");
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view bytes, Take(size));
  // Two's complement, little-endian: the top byte gives the sign.
  const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
  int64_t number = negative ? -1 : 0;
  memcpy(&number, bytes.data(), size);
  return PushInt(number);
}

absl::Status PickleMachine::PushTuple(absl::StatusOr<std::vector<Id>> items) {
  KODISTIL_RETURN_IF_ERROR(items.status());
  Value value;
  value.kind = Kind::kTuple;
  value.items = *std::move(items);
  return Push(std::move(value));
}

absl::Status PickleMachine::SetItems(absl::StatusOr<std::vector<Id>> items) {
  KODISTIL_RETURN_IF_ERROR(items.status());
  if (stack_.empty()) return Damaged("there is no dict to fill");
  Value& dict = values_[stack_.back()];
  if (dict.kind != Kind::kDict && dict.kind != Kind::kOrderedDict) {
    return Refused(absl::StrCat("sets items of ", KindName(dict.kind),
                                ", expected a dict"));
  }
  if (items->size() % 2 != 0) return Damaged("a key without a value");
  for (size_t i = 0; i < items->size(); i += 2) {
    KODISTIL_RETURN_IF_ERROR(Expect((*items)[i], Kind::kString, "a key"));
    dict.entries.emplace_back((*items)[i], (*items)[i + 1]);
  }
  return absl::OkStatus();
}

absl::Status PickleMachine::Append(absl::StatusOr<std::vector<Id>> items) {
  KODISTIL_RETURN_IF_ERROR(items.status());
  if (stack_.empty()) return Damaged("there is no list to fill");
  const Id id = stack_.back();
  KODISTIL_RETURN_IF_ERROR(Expect(id, Kind::kList, "what is appended to"));
  values_[id].items.insert(values_[id].items.end(), items->begin(),
                           items->end());
  return absl::OkStatus();
}

}  // namespace kodistil
