#include "base/certificate_testing.h"

#include <glog/logging.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "absl/strings/str_cat.h"
#include "base/files.h"

namespace kodistil {
namespace {

using X509Pointer = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPointer = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// Writes with `write(bio)` and returns the bytes.
template <typename Write>
std::string Pem(const Write& write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()),
                                                      &BIO_free);
  CHECK_EQ(write(bio.get()), 1);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, size);
}

std::string PemOf(X509* certificate) {
  return Pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string PemOf(EVP_PKEY* key) {
  return Pem([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr,
                                    nullptr);
  });
}

void AddExtension(X509* issuer, X509* certificate, int id,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  CHECK_NOTNULL(extension);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// A certificate for `key` that is neither issued nor signed yet.
X509Pointer NewCertificate(const std::string& name, EVP_PKEY* key,
                           absl::Duration lifetime) {
  X509Pointer certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  int64_t serial = 0;
  CHECK_EQ(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 7), 1);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()),
                  absl::ToInt64Seconds(lifetime));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct TestAuthority::State {
  KeyPointer key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  X509Pointer certificate{nullptr, &X509_free};
};

TestAuthority::TestAuthority(const std::string& name)
    : state_(std::make_unique<State>()) {
  EVP_PKEY* const key = state_->key.get();
  state_->certificate = NewCertificate(name, key, absl::Hours(24));
  X509* const certificate = state_->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  AddExtension(certificate, certificate, NID_basic_constraints,
               "critical,CA:TRUE");
  CHECK_GT(X509_sign(certificate, key, EVP_sha256()), 0);
}

TestAuthority::~TestAuthority() = default;

AccessOptions TestAuthority::Issue(const std::string& folder,
                                   const Certificate& wanted) const {
  const KeyPointer key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  X509* const issuer = state_->certificate.get();
  const auto certificate = NewCertificate("test", key.get(), wanted.lifetime);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  if (!wanted.alternative_names.empty()) {
    AddExtension(issuer, certificate.get(), NID_subject_alt_name,
                 wanted.alternative_names);
  }
  CHECK_GT(X509_sign(certificate.get(), state_->key.get(), EVP_sha256()), 0);
  AccessOptions access;
  access.tls_refresh = absl::Seconds(1);
  access.tls_cert = JoinPath(folder, "cert.pem");
  access.tls_key = JoinPath(folder, "key.pem");
  access.tls_ca = JoinPath(folder, "ca.pem");
  CHECK(WriteFileAtomically(access.tls_ca, PemOf(issuer)).ok());
  CHECK(WriteFileAtomically(access.tls_key, PemOf(key.get())).ok());
  CHECK(WriteFileAtomically(access.tls_cert, PemOf(certificate.get())).ok());
  return access;
}

AccessOptions TestAuthority::IssueRole(const std::string& folder,
                                       const std::string& role) const {
  Certificate certificate;
  if (!role.empty()) {
    absl::StrAppend(&certificate.alternative_names, ",URI:kodistil:role/",
                    role);
  }
  return Issue(folder, certificate);
}

}  // namespace kodistil
