#include "base/health_watch.h"

#include <vector>

#include "absl/time/clock.h"

namespace kodistil {

HealthWatch::HealthWatch(std::shared_ptr<grpc::Channel> channel,
                         absl::Duration limit)
    : stub_(channel) {
  context_.set_wait_for_ready(true);
  context_.set_deadline(absl::ToChronoTime(absl::Now() + limit));
  call_ = stub_.PrepareCall(&context_, "/grpc.health.v1.Health/Watch", &queue_);
  call_->StartCall(/*tag=*/this);
  if (!Done()) return;
  // HealthCheckRequest{}: the whole server.
  const grpc::Slice empty("");
  call_->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(), this);
  Done();
}

HealthWatch::~HealthWatch() {
  context_.TryCancel();
  grpc::Status status;
  call_->Finish(&status, this);
  Done();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool HealthWatch::Done() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

std::string HealthWatch::Next() {
  grpc::ByteBuffer message;
  call_->Read(&message, this);
  if (!Done()) return "ended";
  std::vector<grpc::Slice> slices;
  if (!message.Dump(&slices).ok()) return "ended";
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  // HealthCheckResponse{status}: field 1, a varint.
  if (bytes == "\x08\x01") return "SERVING";
  if (bytes == "\x08\x02") return "NOT_SERVING";
  return "unknown";
}

}  // namespace kodistil
