#include "tests/chaos/tcp_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace kodistil {
namespace {

constexpr size_t kPieceBytes = 16 << 10;

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

void SendAtOnce(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool SendAll(int socket, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    size -= sent;
  }
  return true;
}

}  // namespace

struct TcpProxy::Connection {
  ~Connection() {
    close(client);
    close(server);
  }
  // Wakes both pumps.
  void Cut() {
    cut = true;
    shutdown(client, SHUT_RDWR);
    shutdown(server, SHUT_RDWR);
  }

  int client = -1;
  int server = -1;
  bool cut = false;  // guarded by the proxy's mutex
  int pumps = 2;     // the same
};

absl::StatusOr<std::unique_ptr<TcpProxy>> TcpProxy::Start() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || bind(listener, plain, size) != 0 ||
      listen(listener, /*backlog=*/64) != 0 ||
      getsockname(listener, plain, &size) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot listen on loopback: ", strerror(errno)));
  }
  auto proxy = std::unique_ptr<TcpProxy>(
      new TcpProxy(listener, ntohs(address.sin_port)));
  proxy->accepter_ = std::thread(&TcpProxy::Accept, proxy.get());
  return proxy;
}

TcpProxy::TcpProxy(int listener, int port) : listener_(listener), port_(port) {}

TcpProxy::~TcpProxy() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    CutAll();
  }
  shutdown(listener_, SHUT_RDWR);
  accepter_.join();
  close(listener_);
  absl::MutexLock lock(&mutex_);
  CutAll();
  mutex_.Await(absl::Condition(
      +[](int* pumps) { return *pumps == 0; }, &pumps_));
}

std::string TcpProxy::address() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void TcpProxy::SetBackend(int port) {
  absl::MutexLock lock(&mutex_);
  backend_ = port;
}

void TcpProxy::SetDelay(absl::Duration delay) {
  absl::MutexLock lock(&mutex_);
  delay_ = delay;
  changed_.SignalAll();
}

void TcpProxy::SetHung(bool hung) {
  absl::MutexLock lock(&mutex_);
  hung_ = hung;
  changed_.SignalAll();
}

int TcpProxy::DropConnections() {
  absl::MutexLock lock(&mutex_);
  return CutAll();
}

void TcpProxy::DropAfter(int64_t bytes) {
  absl::MutexLock lock(&mutex_);
  bytes_until_drop_ = bytes;
}

int TcpProxy::connections() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(connections_.size());
}

int TcpProxy::CutAll() {
  bytes_until_drop_ = -1;
  int cut = 0;
  for (const auto& connection : connections_) {
    cut += !connection->cut;
    connection->Cut();
  }
  changed_.SignalAll();
  return cut;
}

void TcpProxy::Accept() {
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) {
      Connect(client);
      continue;
    }
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
  }
}

void TcpProxy::Connect(int client) {
  auto connection = std::make_shared<Connection>();
  connection->client = client;
  connection->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int backend = 0;
  {
    absl::MutexLock lock(&mutex_);
    backend = backend_;
  }
  const sockaddr_in address = Loopback(backend);
  if (backend == 0 ||
      connect(connection->server, reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) != 0) {
    return;  // closes the client's
  }
  SendAtOnce(connection->client);
  SendAtOnce(connection->server);
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  connections_.insert(connection);
  pumps_ += 2;
  std::thread([this, connection] {
    Pump(connection, connection->client, connection->server);
  }).detach();
  std::thread([this, connection] {
    Pump(connection, connection->server, connection->client);
  }).detach();
}

bool TcpProxy::MayPass(const Connection& connection, int64_t bytes) {
  absl::MutexLock lock(&mutex_);
  const absl::Time arrived = absl::Now();
  while (!connection.cut) {
    const absl::Time due = arrived + delay_;
    if (hung_) {
      changed_.Wait(&mutex_);
    } else if (absl::Now() < due) {
      changed_.WaitWithDeadline(&mutex_, due);
    } else {
      break;
    }
  }
  if (!connection.cut && bytes_until_drop_ >= 0) {
    bytes_until_drop_ -= bytes;
    if (bytes_until_drop_ < 0) CutAll();
  }
  return !connection.cut;
}

void TcpProxy::Pump(const std::shared_ptr<Connection>& connection, int from,
                    int to) {
  char piece[kPieceBytes];
  bool whole = false;
  for (;;) {
    const ssize_t size = recv(from, piece, sizeof(piece), 0);
    if (size < 0 && errno == EINTR) continue;
    whole = size == 0;
    if (size <= 0 || !MayPass(*connection, size) || !SendAll(to, piece, size)) {
      break;
    }
  }
  absl::MutexLock lock(&mutex_);
  if (whole && !connection->cut) {
    shutdown(to, SHUT_WR);  // the other direction may go on
  } else {
    connection->Cut();
  }
  if (--connection->pumps == 0) connections_.erase(connection);
  --pumps_;
}

}  // namespace kodistil
