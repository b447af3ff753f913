#include "base/access_credentials.h"

#include <glog/logging.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/client_interceptor.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/access_rules.h"
#include "base/grpc_bridge.h"
#include "base/status_macros.h"
#include "base/token_file.h"

namespace kodistil {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

constexpr char kAuthorization[] = "authorization";
constexpr absl::string_view kBearer = "Bearer ";

absl::string_view View(grpc::string_ref text) {
  return {text.data(), text.size()};
}

// Stands before all services of a server. Thread-safe.
class Gate final : public grpc::AuthMetadataProcessor {
 public:
  // `tokens` may be null: none are asked for.
  Gate(bool tls, std::unique_ptr<TokenFile> tokens)
      : tls_(tls), tokens_(std::move(tokens)) {}

  // Else every call would go through a thread of its own.
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata,
                       grpc::AuthContext* context, OutputMetadata* consumed,
                       OutputMetadata* /*response*/) override {
    // HTTP/2's name for the method's; gRPC refuses calls without it.
    const auto path = metadata.find(":path");
    const absl::string_view method =
        path == metadata.end() ? "" : View(path->second);
    const absl::Status token = CheckToken(metadata, consumed);
    if (IsOpenToAll(method)) return grpc::Status::OK;
    if (!token.ok()) return ToGrpcStatus(token);
    if (!tls_) return grpc::Status::OK;
    Roles roles = 0;
    for (const grpc::string_ref& uri :
         context->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
      roles |= RoleOfUri(View(uri));
    }
    return ToGrpcStatus(CheckRoles(method, roles));
  }

 private:
  // Takes the token out of the metadata, so that no service can log it.
  absl::Status CheckToken(const InputMetadata& metadata,
                          OutputMetadata* consumed) const {
    bool accepted = false;
    const auto range = metadata.equal_range(kAuthorization);
    for (auto it = range.first; it != range.second; ++it) {
      absl::string_view value = View(it->second);
      consumed->emplace(kAuthorization, std::string(value));
      accepted |= tokens_ != nullptr && absl::ConsumePrefix(&value, kBearer) &&
                  tokens_->Accepts(value);
    }
    if (tokens_ == nullptr || accepted) return absl::OkStatus();
    return absl::UnauthenticatedError(absl::StrCat(
        range.first == range.second ? "found no token" : "found a wrong token",
        ": this server asks for one (--token_file), over TLS or on loopback"));
  }

  const bool tls_;
  const std::unique_ptr<TokenFile> tokens_;
};

// Adds the token to one call.
class TokenSender final : public Interceptor {
 public:
  explicit TokenSender(std::shared_ptr<TokenFile> tokens)
      : tokens_(std::move(tokens)) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(
          kAuthorization, absl::StrCat(kBearer, tokens_->First()));
    }
    methods->Proceed();
  }

 private:
  const std::shared_ptr<TokenFile> tokens_;
};

class TokenSenders final : public ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenders(std::shared_ptr<TokenFile> tokens)
      : tokens_(std::move(tokens)) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*call*/) override {
    return new TokenSender(tokens_);
  }

 private:
  const std::shared_ptr<TokenFile> tokens_;
};

std::shared_ptr<grpc::experimental::CertificateProviderInterface> WatchFiles(
    const AccessOptions& access) {
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      access.tls_key, access.tls_cert, access.tls_ca,
      static_cast<unsigned>(absl::ToInt64Seconds(access.tls_refresh)));
}

std::shared_ptr<grpc::ChannelCredentials> NewChannelCredentials(
    const AccessOptions& access) {
  if (!access.tls()) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(WatchFiles(access));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> NewServerCredentials(
    const AccessOptions& access, const std::string& host) {
  KODISTIL_RETURN_IF_ERROR(access.Validate());
  KODISTIL_RETURN_IF_ERROR(access.CheckListen(host));
  KODISTIL_RETURN_IF_ERROR(access.CheckFiles());
  std::unique_ptr<TokenFile> tokens;
  if (!access.token_file.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(tokens, TokenFile::Open(access.token_file));
  }
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (access.tls()) {
    grpc::experimental::TlsServerCredentialsOptions options(WatchFiles(access));
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    credentials = grpc::experimental::TlsServerCredentials(options);
  } else if (tokens != nullptr) {
    // As plain as insecure ones on the wire, but these take a processor.
    credentials = grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  } else {
    LOG_IF(WARNING, !IsLoopback(host))
        << "--insecure: whoever reaches " << host << " is served";
    return grpc::InsecureServerCredentials();
  }
  credentials->SetAuthMetadataProcessor(
      std::make_shared<Gate>(access.tls(), std::move(tokens)));
  return credentials;
}

std::shared_ptr<grpc::Channel> NewChannelWithAccess(
    const std::string& address, const AccessOptions& access,
    grpc::ChannelArguments arguments) {
  const size_t at = address.find('@');
  const std::string target =
      at == std::string::npos ? address : address.substr(at + 1);
  const bool local = IsLoopback(HostOf(target));
  if (access.tls()) {
    std::string name = access.server_name;
    if (name.empty() && at != std::string::npos) name = address.substr(0, at);
    if (name.empty() && local) name = access.local_name;
    if (!name.empty()) arguments.SetSslTargetNameOverride(name);
  }
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  if (!access.token_file.empty() && (access.tls() || local)) {
    auto tokens = TokenFile::Open(access.token_file);
    if (tokens.ok()) {
      interceptors.push_back(
          std::make_unique<TokenSenders>(*std::move(tokens)));
    } else {
      LOG(ERROR) << tokens.status().message();
    }
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      target, NewChannelCredentials(access), arguments,
      std::move(interceptors));
}

}  // namespace kodistil
