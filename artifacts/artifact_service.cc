#include "artifacts/artifact_service.h"

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/grpc_bridge.h"

namespace kodistil {
namespace {

constexpr absl::Duration kPushback = absl::Seconds(1);

}  // namespace

absl::StatusOr<MappedFile> ArtifactServiceImpl::Find(
    const std::string& digest) const {
  absl::StatusOr<MappedFile> file = store_.Get(digest);
  if (absl::IsNotFound(file.status()) && checkpoints_ != nullptr) {
    return checkpoints_->Get(digest);
  }
  return file;
}

grpc::Status ArtifactServiceImpl::Get(
    grpc::ServerContext* context, const v1::GetArtifactRequest* request,
    grpc::ServerWriter<v1::GetArtifactResponse>* writer) {
  const auto place = gets_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  const absl::StatusOr<MappedFile> file = Find(request->digest());
  if (!file.ok()) return ToGrpcStatus(file.status());
  absl::string_view rest = file->bytes();
  v1::GetArtifactResponse response;
  while (!rest.empty()) {
    const absl::string_view chunk = rest.substr(0, kArtifactChunkBytes);
    response.set_chunk(chunk.data(), chunk.size());
    // False when the client is gone: nobody is left to answer.
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
    rest.remove_prefix(chunk.size());
  }
  return grpc::Status::OK;
}

grpc::Status ArtifactServiceImpl::Put(
    grpc::ServerContext* context,
    grpc::ServerReader<v1::PutArtifactRequest>* reader,
    v1::PutArtifactResponse* response) {
  const auto place = puts_.Enter(context);
  if (!place.ok()) return ToGrpcStatus(place.status());
  std::string digest;
  std::string content;
  bool checkpoint = false;
  uint64_t most = options_.max_artifact_bytes;
  const absl::Cleanup release = [this, &content] {
    put_bytes_ -= content.size();
  };
  v1::PutArtifactRequest request;
  for (bool first = true; reader->Read(&request); first = false) {
    if (first) {
      digest = request.digest();
      checkpoint = request.checkpoint();
      if (checkpoint && checkpoints_ == nullptr) {
        return ToGrpcStatus(absl::FailedPreconditionError(
            "checkpoints are not kept here: all workers share a folder"));
      }
      if (checkpoint) most = checkpoints_->max_bytes();
      // The same content may be on its way many times: a vocabulary, a retry.
      if (!checkpoint && store_.Has(digest)) return grpc::Status::OK;
    }
    if (content.size() + request.chunk().size() > most) {
      return ToGrpcStatus(absl::ResourceExhaustedError(absl::StrCat(
          "artifact ", digest, " is larger than ", most, " bytes")));
    }
    content += request.chunk();
    put_bytes_ += request.chunk().size();
    // Who is alone goes on, so that somebody always does.
    if (put_bytes_ > options_.max_put_bytes && put_bytes_ > content.size()) {
      AddPushback(kPushback, context);
      return ToGrpcStatus(absl::UnavailableError(
          absl::StrCat("too many artifacts are on their way: more than ",
                       options_.max_put_bytes, " bytes at once")));
    }
  }
  // A client that went away in mid-stream looks like the end of the stream; the
  // digest tells the difference.
  return ToGrpcStatus(checkpoint ? checkpoints_->Put(digest, content)
                                 : store_.PutAs(digest, content));
}

}  // namespace kodistil
