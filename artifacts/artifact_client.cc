#include "artifacts/artifact_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "artifacts/artifact_service.h"
#include "base/grpc_bridge.h"
#include "base/hash.h"
#include "base/retry.h"
#include "base/status_macros.h"

namespace kodistil {

ArtifactClient::ArtifactClient(std::shared_ptr<grpc::Channel> channel,
                               ArtifactStore cache,
                               const ArtifactClientOptions& options)
    : stub_(v1::ArtifactService::NewStub(channel)),
      cache_(std::move(cache)),
      options_(options) {}

absl::StatusOr<MappedFile> ArtifactClient::Get(
    const std::string& digest) const {
  KODISTIL_RETURN_IF_ERROR(ValidateDigest(digest));
  // A damaged file of the cache is fetched again.
  absl::StatusOr<MappedFile> cached = cache_.Get(digest);
  if (cached.ok()) return cached;
  KODISTIL_ASSIGN_OR_RETURN(const std::string content, Download(digest));
  KODISTIL_RETURN_IF_ERROR(cache_.PutAs(digest, content));
  return cache_.Get(digest);
}

absl::StatusOr<std::string> ArtifactClient::Download(
    const std::string& digest) const {
  KODISTIL_RETURN_IF_ERROR(ValidateDigest(digest));
  std::string content;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(RetryUnavailable(
                   options_.retry_limit,
                   [&] { return Fetch(digest, &content); }, options_.stop),
               absl::StrCat("cannot fetch artifact ", digest)));
  const std::string found = Sha256Hex(content);
  if (found == digest) return content;
  return absl::DataLossError(absl::StrCat("artifact of ", content.size(),
                                          " bytes has digest ", found,
                                          ", expected ", digest));
}

absl::Status ArtifactClient::Fetch(const std::string& digest,
                                   std::string* content) const {
  content->clear();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
  v1::GetArtifactRequest request;
  request.set_digest(digest);
  const auto reader = stub_->Get(&context, request);
  v1::GetArtifactResponse response;
  while (reader->Read(&response)) *content += response.chunk();
  return FromGrpcCall(reader->Finish(), context);
}

absl::StatusOr<std::string> ArtifactClient::PutFile(
    const std::string& path) const {
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  std::string digest = Sha256Hex(file.bytes());
  KODISTIL_RETURN_IF_ERROR(Annotate(
      RetryUnavailable(
          options_.retry_limit,
          [&] { return Send(digest, file.bytes(), /*checkpoint=*/false); },
          options_.stop),
      absl::StrCat("cannot send ", path)));
  return digest;
}

absl::StatusOr<std::string> ArtifactClient::PutCheckpoint(
    absl::string_view content) const {
  std::string digest = Sha256Hex(content);
  KODISTIL_RETURN_IF_ERROR(
      Annotate(RetryUnavailable(
                   options_.retry_limit,
                   [&] { return Send(digest, content, /*checkpoint=*/true); },
                   options_.stop),
               "cannot send the checkpoint"));
  return digest;
}

absl::Status ArtifactClient::Send(const std::string& digest,
                                  absl::string_view content,
                                  bool checkpoint) const {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
  v1::PutArtifactResponse response;
  const auto writer = stub_->Put(&context, &response);
  v1::PutArtifactRequest request;
  request.set_digest(digest);
  request.set_checkpoint(checkpoint);
  do {
    const absl::string_view chunk = content.substr(0, kArtifactChunkBytes);
    request.set_chunk(chunk.data(), chunk.size());
    // False when the service has answered already: Finish tells what.
    if (!writer->Write(request)) break;
    request.clear_digest();
    content.remove_prefix(chunk.size());
  } while (!content.empty());
  writer->WritesDone();
  return FromGrpcCall(writer->Finish(), context);
}

}  // namespace kodistil
