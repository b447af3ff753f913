// A TCP proxy on loopback that can be slow, hang, and lose its connections.

#ifndef KODISTIL_TESTS_CHAOS_TCP_PROXY_H_
#define KODISTIL_TESTS_CHAOS_TCP_PROXY_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kodistil {

// Passes bytes on in both directions, each on a thread of its own. Thread-safe.
class TcpProxy {
 public:
  // Listens on a port of its own.
  static absl::StatusOr<std::unique_ptr<TcpProxy>> Start();
  ~TcpProxy();

  // "127.0.0.1:port".
  std::string address() const;

  // Where new connections go, a port on loopback. Before, and when nobody
  // listens there, they are closed at once.
  void SetBackend(int port);

  // From now on each piece of data (up to 16 KiB) takes so long.
  void SetDelay(absl::Duration delay);
  // Nothing is passed on until this is set back; nothing is lost either.
  void SetHung(bool hung);
  // Cuts every connection, in the middle of whatever it carries. Returns how
  // many there were.
  int DropConnections();
  // Does so after `bytes` more bytes, most likely within a message.
  void DropAfter(int64_t bytes);

  int connections() const;

 private:
  struct Connection;

  TcpProxy(int listener, int port);
  void Accept();
  void Connect(int client);
  // Body of a thread: one direction of a connection.
  void Pump(const std::shared_ptr<Connection>& connection, int from, int to);
  // Waits as long as the faults want; false when the connection was cut.
  bool MayPass(const Connection& connection, int64_t bytes);
  int CutAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int listener_;
  const int port_;
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  int backend_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration delay_ ABSL_GUARDED_BY(mutex_);
  bool hung_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t bytes_until_drop_ ABSL_GUARDED_BY(mutex_) = -1;  // -1: never
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int pumps_ ABSL_GUARDED_BY(mutex_) = 0;  // threads
  std::set<std::shared_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::thread accepter_;
};

}  // namespace kodistil

#endif  // KODISTIL_TESTS_CHAOS_TCP_PROXY_H_
