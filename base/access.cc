#include "base/access.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/token_file.h"

namespace kodistil {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using PrivateKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio BioOf(const std::string& bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())),
             &BIO_free);
}

// Keys with a passphrase are refused instead of asking the terminal for it.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/,
                 void* /*user*/) {
  return -1;
}

// The first certificate of a PEM file.
absl::StatusOr<Certificate> ReadCertificate(absl::string_view flag,
                                            const std::string& path) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": ", bytes.status().message()));
  }
  Certificate certificate(
      PEM_read_bio_X509(BioOf(*bytes).get(), nullptr, NoPassphrase, nullptr),
      &X509_free);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--", flag, ": ", path,
        ": found no certificate, expected PEM (-----BEGIN CERTIFICATE-----)"));
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("--", flag, ": the certificate in ", path,
                     " has expired; put a new one there"));
  }
  return certificate;
}

absl::Status CheckKey(const std::string& path, X509* certificate,
                      const std::string& certificate_path) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls_key: ", bytes.status().message()));
  }
  const PrivateKey key(PEM_read_bio_PrivateKey(BioOf(*bytes).get(), nullptr,
                                               NoPassphrase, nullptr),
                       &EVP_PKEY_free);
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tls_key: ", path,
        ": found no private key, expected PEM without a passphrase"));
  }
  if (X509_check_private_key(certificate, key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls_key: the key in ", path,
                     " is not that of the certificate in ", certificate_path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AccessOptions::Validate() const {
  if (tls_cert.empty() != tls_key.empty() ||
      tls_cert.empty() != tls_ca.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("found --tls_cert='", tls_cert, "', --tls_key='", tls_key,
                     "', --tls_ca='", tls_ca, "': expected all three or none"));
  }
  if (tls() && insecure) {
    return absl::InvalidArgumentError(
        "found --insecure beside --tls_cert: expected one of them");
  }
  if (tls_refresh < absl::Seconds(1) || tls_refresh > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TLS files would be looked at every ",
        absl::FormatDuration(tls_refresh), ": expected 1s to 24h"));
  }
  return absl::OkStatus();
}

absl::Status AccessOptions::CheckFiles() const {
  if (!token_file.empty()) {
    KODISTIL_RETURN_IF_ERROR(TokenFile::Open(token_file).status());
  }
  if (!tls()) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(const Certificate certificate,
                            ReadCertificate("tls_cert", tls_cert));
  KODISTIL_RETURN_IF_ERROR(CheckKey(tls_key, certificate.get(), tls_cert));
  return ReadCertificate("tls_ca", tls_ca).status();
}

absl::Status AccessOptions::CheckListen(absl::string_view host) const {
  if (tls() || IsLoopback(host)) return absl::OkStatus();
  if (!insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listening on ", host,
        " lets other machines in: give --tls_cert, --tls_key and --tls_ca "
        "(deploy/certs.sh makes them for a test), or --insecure to let in "
        "whoever reaches the port"));
  }
  if (!token_file.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--token_file without TLS on ", host,
        ": whoever listens on the network would read the token; give "
        "--tls_cert, --tls_key and --tls_ca"));
  }
  return absl::OkStatus();
}

absl::Status CheckClientAccess(const AccessOptions& access) {
  KODISTIL_RETURN_IF_ERROR(access.Validate());
  return access.CheckFiles();
}

bool IsLoopback(absl::string_view host) {
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  in_addr v4 = {};
  in6_addr v6 = {};
  const std::string text(host);
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == 127;
  }
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

absl::string_view HostOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  // The colons of "[::1]" are no port's.
  if (colon == absl::string_view::npos ||
      address.find(']', colon) != absl::string_view::npos) {
    return address;
  }
  return address.substr(0, colon);
}

}  // namespace kodistil
