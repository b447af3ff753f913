// Abseil's synchronization as ThreadSanitizer has to see it.
//
// The installed libabsl_synchronization is not instrumented, and its Mutex is
// made of atomics, not of pthread calls that the sanitizer intercepts: without
// this file everything that a Mutex guards looks like a race. The functions
// here take the place of the library's, for our code and for gRPC, which locks
// the same Mutex: each calls the library's own and tells the sanitizer what
// happened before what. Linked into programs built with --config=tsan alone.

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <link.h>
#include <sanitizer/tsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

void* Symbol(const std::string& name) {
  void* const found = dlsym(RTLD_NEXT, name.c_str());
  if (found != nullptr) return found;
  fprintf(stderr, "abseil_tsan.cc: no library has %s\n", name.c_str());
  abort();
}

// The library's function, of the type of ours.
template <typename Function>
Function* RealC(Function& /*ours*/, const char* name) {
  return reinterpret_cast<Function*>(Symbol(name));
}

// The library's function. `name` is mangled as in the Itanium C++ ABI, but for
// the namespace, which stands as "@".
template <typename Function>
Function* Real(const std::string& name) {
  const std::string space = ABSL_INTERNAL_INLINE_NAMESPACE_STR;
  const size_t at = name.find('@');
  const std::string symbol = name.substr(0, at) + "4absl" +
                             std::to_string(space.size()) + space +
                             name.substr(at + 1);
  return reinterpret_cast<Function*>(Symbol(symbol));
}

// gRPC hands calls from thread to thread by atomics of its own, which are not
// seen either. What stands for them is that all mutexes which it locks are one.
char grpc_sync;

// Where libgrpc and libgrpc++ lie.
struct AddressRanges {
  static constexpr int kMost = 8;
  uintptr_t begin[kMost];
  uintptr_t end[kMost];
  int count = 0;
};

int AddGrpc(dl_phdr_info* info, size_t /*size*/, void* to) {
  auto& ranges = *static_cast<AddressRanges*>(to);
  if (strstr(info->dlpi_name, "/libgrpc") == nullptr) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
    if (ranges.count == AddressRanges::kMost) abort();
    ranges.begin[ranges.count] = info->dlpi_addr + part.p_vaddr;
    ranges.end[ranges.count++] = info->dlpi_addr + part.p_vaddr + part.p_memsz;
  }
  return 0;
}

bool InGrpc(const void* caller) {
  static const AddressRanges ranges = [] {
    AddressRanges found;
    dl_iterate_phdr(&AddGrpc, &found);
    return found;
  }();
  const auto address = reinterpret_cast<uintptr_t>(caller);
  for (int i = 0; i < ranges.count; ++i) {
    if (address >= ranges.begin[i] && address < ranges.end[i]) return true;
  }
  return false;
}

void Locked(Mutex* mutex, const void* caller) {
  __tsan_acquire(mutex);
  if (InGrpc(caller)) __tsan_acquire(&grpc_sync);
}

void Unlocking(Mutex* mutex, const void* caller) {
  __tsan_release(mutex);
  if (InGrpc(caller)) __tsan_release(&grpc_sync);
}

// Whoever unlocks a Mutex evaluates the conditions of those who wait for it: it
// still holds the Mutex then, but has told otherwise already.
class IgnoreReads {
 public:
  IgnoreReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoreReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

// A wait that gives `mutex` up in between.
template <typename Wait>
auto GivingUp(Mutex* mutex, Wait wait) {
  __tsan_release(mutex);
  const auto result = [&wait] {
    const IgnoreReads ignore;
    return wait();
  }();
  __tsan_acquire(mutex);
  return result;
}

template <typename Wait>
bool Void(Wait wait) {
  wait();
  return true;
}

// What an instrumented HasBeenNotified() loads: the atomic behind the Mutex.
void* Flag(const Notification* notification) {
  return const_cast<char*>(reinterpret_cast<const char*>(notification)) +
         sizeof(Mutex);
}

}  // namespace

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("_ZN@5Mutex4LockEv");
  real(this);
  Locked(this, __builtin_return_address(0));
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>("_ZN@5Mutex7TryLockEv");
  const bool locked = real(this);
  if (locked) Locked(this, __builtin_return_address(0));
  return locked;
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("_ZN@5Mutex6UnlockEv");
  Unlocking(this, __builtin_return_address(0));
  const IgnoreReads ignore;
  real(this);
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>("_ZN@5Mutex10ReaderLockEv");
  real(this);
  __tsan_acquire(this);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Real<bool(Mutex*)>("_ZN@5Mutex13ReaderTryLockEv");
  const bool locked = real(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::ReaderUnlock() {
  static auto* const real = Real<void(Mutex*)>("_ZN@5Mutex12ReaderUnlockEv");
  __tsan_release(this);
  const IgnoreReads ignore;
  real(this);
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>(
      "_ZN@5Mutex8LockWhenERKNS0_9ConditionE");
  GivingUp(this, [&] { return Void([&] { real(this, condition); }); });
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>(
      "_ZN@5Mutex14ReaderLockWhenERKNS0_9ConditionE");
  GivingUp(this, [&] { return Void([&] { real(this, condition); }); });
}

void Mutex::Await(const Condition& condition) {
  static auto* const real = Real<void(Mutex*, const Condition&)>(
      "_ZN@5Mutex5AwaitERKNS0_9ConditionE");
  GivingUp(this, [&] { return Void([&] { real(this, condition); }); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "_ZN@5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return GivingUp(this, [&] { return real(this, condition, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "_ZN@5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return GivingUp(this, [&] { return real(this, condition, deadline); });
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const real =
      Real<void(CondVar*, Mutex*)>("_ZN@7CondVar4WaitEPNS0_5MutexE");
  GivingUp(mutex, [&] { return Void([&] { real(this, mutex); }); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Duration)>(
      "_ZN@7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return GivingUp(mutex, [&] { return real(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Time)>(
      "_ZN@7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return GivingUp(mutex, [&] { return real(this, mutex, deadline); });
}

void Notification::Notify() {
  static auto* const real =
      Real<void(Notification*)>("_ZN@12Notification6NotifyEv");
  __tsan_release(Flag(this));
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real = Real<void(const Notification*)>(
      "_ZNK@12Notification19WaitForNotificationEv");
  real(this);
  __tsan_acquire(Flag(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = Real<bool(const Notification*, Duration)>(
      "_ZNK@12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = real(this, timeout);
  if (notified) __tsan_acquire(Flag(this));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const real = Real<bool(const Notification*, Time)>(
      "_ZNK@12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = real(this, deadline);
  if (notified) __tsan_acquire(Flag(this));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static auto* const real =
      Real<bool(BlockingCounter*)>("_ZN@15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return real(this);
}

void BlockingCounter::Wait() {
  static auto* const real =
      Real<void(BlockingCounter*)>("_ZN@15BlockingCounter4WaitEv");
  real(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops,
                                      size_t count, void* tag, void* reserved) {
  static auto* const real =
      absl::RealC(grpc_call_start_batch, "grpc_call_start_batch");
  __tsan_release(&absl::grpc_sync);
  return real(call, ops, count, tag, reserved);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                      gpr_timespec deadline, void* reserved) {
  static auto* const real =
      absl::RealC(grpc_completion_queue_next, "grpc_completion_queue_next");
  const grpc_event event = real(queue, deadline, reserved);
  __tsan_acquire(&absl::grpc_sync);
  return event;
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const real =
      absl::RealC(grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  const grpc_event event = real(queue, tag, deadline, reserved);
  __tsan_acquire(&absl::grpc_sync);
  return event;
}

}  // extern "C"
