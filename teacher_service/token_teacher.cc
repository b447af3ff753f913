#include "teacher_service/token_teacher.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_loader.h"

namespace kodistil {
namespace {

// Of a network that does not tell its own.
constexpr int64_t kDefaultMaxLength = 512;

// The smallest of the limits that are known, or the one asked for.
absl::StatusOr<int> MaxLength(const TokenNetworkInfo& network,
                              const LoadedTokenizer& loaded, int asked) {
  int64_t limit =
      network.max_positions > 0 ? network.max_positions : kDefaultMaxLength;
  // A pair has room for its special tokens.
  const int least = std::max(3, loaded.tokenizer->special_tokens(true));
  if (asked == 0) {
    if (loaded.model_max_length > 0) {
      limit = std::min(limit, loaded.model_max_length);
    }
    if (limit < least) {
      return absl::InvalidArgumentError(absl::StrCat(
          loaded.path, ": a row may have ", limit, " tokens, expected ", least,
          " or more for the special tokens of a pair"));
    }
    return static_cast<int>(limit);
  }
  // Only the network's table is a hard limit.
  if (asked < least || (network.max_positions > 0 && asked > limit)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_length is ", asked, ", expected ", least, " to ", limit,
        network.max_positions > 0 ? " (the model's position table)" : ""));
  }
  return asked;
}

// The last part of a path: "models/electra/" is "electra".
std::string LastPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

class TokenTeacher : public TeacherModel {
 public:
  TokenTeacher(std::unique_ptr<TokenNetwork> network,
               std::unique_ptr<Tokenizer> tokenizer, TeacherInfo info)
      : network_(std::move(network)),
        tokenizer_(std::move(tokenizer)),
        info_(std::move(info)) {}

  const TeacherInfo& info() const override { return info_; }
  absl::StatusOr<EncodedInput> Encode(const TeacherInput& input) const override;
  absl::StatusOr<std::vector<float>> Infer(
      absl::Span<const EncodedInput* const> batch) override;

 private:
  const std::unique_ptr<TokenNetwork> network_;
  const std::unique_ptr<Tokenizer> tokenizer_;
  const TeacherInfo info_;
};

absl::StatusOr<EncodedInput> TokenTeacher::Encode(
    const TeacherInput& input) const {
  EncodedInput encoded;
  if (input.second_text.empty()) {
    encoded.ids =
        tokenizer_->Encode(input.text, info_.max_length, &encoded.type_ids);
  } else {
    encoded.ids = tokenizer_->EncodePair(input.text, input.second_text,
                                         info_.max_length, &encoded.type_ids);
  }
  // No types are as good as zeros.
  const bool has_types =
      network_->info().type_vocab_size != 1 &&
      std::any_of(encoded.type_ids.begin(), encoded.type_ids.end(),
                  [](int32_t type) { return type != 0; });
  if (!has_types) encoded.type_ids.clear();
  if (encoded.ids.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokenizer of ", info_.name,
                     " makes no token of the text, expected one or more"));
  }
  encoded.tokens = static_cast<int>(encoded.ids.size());
  return encoded;
}

absl::StatusOr<std::vector<float>> TokenTeacher::Infer(
    absl::Span<const EncodedInput* const> batch) {
  if (batch.empty()) return std::vector<float>();
  TokenBatch tokens;
  tokens.rows = batch.size();
  for (const EncodedInput* input : batch) {
    tokens.columns = std::max<int64_t>(tokens.columns, input->ids.size());
  }
  const size_t size = tokens.rows * tokens.columns;
  // Networks mask padding; those without a token for it take any.
  tokens.ids.assign(size, std::max(0, tokenizer_->pad_id()));
  tokens.mask.assign(size, 0);
  tokens.type_ids.assign(size, 0);
  for (size_t row = 0; row < batch.size(); ++row) {
    const size_t start = row * tokens.columns;
    const EncodedInput& input = *batch[row];
    std::copy(input.ids.begin(), input.ids.end(), tokens.ids.begin() + start);
    std::fill_n(tokens.mask.begin() + start, input.ids.size(), 1);
    std::copy(input.type_ids.begin(), input.type_ids.end(),
              tokens.type_ids.begin() + start);
  }
  return network_->Forward(tokens);
}

// Over everything that decides a logit: another fingerprint is another teacher.
absl::StatusOr<std::string> FingerprintOf(const TokenNetworkInfo& network,
                                          const std::string& folder,
                                          const LoadedTokenizer& tokenizer,
                                          int max_length) {
  Sha256 hash;
  hash.UpdateField("kodistil token teacher 1");
  hash.UpdateField(network.model_type);
  hash.UpdateField(network.weights_digest);
  const std::string config_path = JoinPath(folder, "config.json");
  if (FileExists(config_path)) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string config, ReadFile(config_path));
    hash.UpdateField(config);
  } else {
    hash.UpdateField("");
  }
  tokenizer.UpdateFingerprint(&hash);
  hash.UpdateUint64(max_length);
  return hash.FinishHex();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TeacherModel>> NewTokenTeacher(
    std::unique_ptr<TokenNetwork> network, const std::string& folder,
    const TeacherModelOptions& options) {
  KODISTIL_ASSIGN_OR_RETURN(LoadedTokenizer loaded,
                            LoadTokenizer(folder, {options.mecab_dicdir}));
  const TokenNetworkInfo& known = network->info();
  const int vocab_size = loaded.tokenizer->vocab_size();
  if (known.vocab_size > 0 && vocab_size > known.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        loaded.path, ": ", vocab_size, " pieces, expected at most ",
        known.vocab_size, ", the vocab_size of config.json"));
  }
  TeacherInfo info;
  info.name = LastPart(options.model_dir);
  info.model_type = known.model_type;
  info.num_classes = static_cast<int>(known.num_classes);
  info.parameters = known.parameters;
  info.device = known.device;
  KODISTIL_ASSIGN_OR_RETURN(info.max_length,
                            MaxLength(known, loaded, options.max_length));
  KODISTIL_ASSIGN_OR_RETURN(
      info.fingerprint, FingerprintOf(known, folder, loaded, info.max_length));
  return std::make_unique<TokenTeacher>(
      std::move(network), std::move(loaded.tokenizer), std::move(info));
}

}  // namespace kodistil
