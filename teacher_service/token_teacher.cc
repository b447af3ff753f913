#include "teacher_service/token_teacher.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/wordpiece_tokenizer.h"
#include "glog/logging.h"
#include "teacher_service/transformer_config.h"

namespace kodistil {
namespace {

// Of a network that does not tell its own.
constexpr int64_t kDefaultMaxLength = 512;

// A folder's tokenizer files.
struct TokenizerFiles {
  std::string vocab_path;
  std::string vocab;
  TokenizerConfig config;
};

absl::StatusOr<TokenizerFiles> ReadTokenizerFiles(const std::string& folder) {
  TokenizerFiles files;
  files.vocab_path = JoinPath(folder, "vocab.txt");
  KODISTIL_ASSIGN_OR_RETURN(files.vocab, ReadFile(files.vocab_path));
  const std::string path = JoinPath(folder, "tokenizer_config.json");
  if (!FileExists(path)) {
    LOG(WARNING) << path << " is not there: lower-casing and dropping accents,"
                 << " as BertTokenizer does by default";
    return files;
  }
  KODISTIL_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  KODISTIL_ASSIGN_OR_RETURN(files.config, ParseTokenizerConfig(json, path));
  return files;
}

// The smallest of the limits that are known, or the one asked for.
absl::StatusOr<int> MaxLength(const TokenNetworkInfo& network,
                              const TokenizerConfig& tokenizer, int asked) {
  int64_t limit =
      network.max_positions > 0 ? network.max_positions : kDefaultMaxLength;
  if (asked == 0) {
    if (tokenizer.max_length > 0) limit = std::min(limit, tokenizer.max_length);
    return static_cast<int>(limit);
  }
  // Only the network's table is a hard limit.
  if (asked < 3 || (network.max_positions > 0 && asked > limit)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_length is ", asked, ", expected 3 to ", limit,
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
               std::unique_ptr<WordPieceTokenizer> tokenizer, TeacherInfo info)
      : network_(std::move(network)),
        tokenizer_(std::move(tokenizer)),
        info_(std::move(info)) {}

  const TeacherInfo& info() const override { return info_; }
  absl::StatusOr<EncodedInput> Encode(const TeacherInput& input) const override;
  absl::StatusOr<std::vector<float>> Infer(
      absl::Span<const EncodedInput* const> batch) override;

 private:
  const std::unique_ptr<TokenNetwork> network_;
  const std::unique_ptr<WordPieceTokenizer> tokenizer_;
  const TeacherInfo info_;
};

absl::StatusOr<EncodedInput> TokenTeacher::Encode(
    const TeacherInput& input) const {
  EncodedInput encoded;
  if (input.second_text.empty()) {
    encoded.ids = tokenizer_->Encode(input.text, info_.max_length);
  } else {
    encoded.ids = tokenizer_->EncodePair(input.text, input.second_text,
                                         info_.max_length, &encoded.type_ids);
    if (network_->info().type_vocab_size == 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          info_.name, " has one token type: it does not take pairs"));
    }
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
  tokens.ids.assign(size, tokenizer_->pad_id());
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
                                          const TokenizerFiles& files,
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
  hash.UpdateField(files.vocab);
  hash.UpdateUint64(files.config.lower_case);
  hash.UpdateUint64(files.config.strip_accents);
  hash.UpdateUint64(files.config.tokenize_chinese_chars);
  hash.UpdateUint64(max_length);
  return hash.FinishHex();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TeacherModel>> NewTokenTeacher(
    std::unique_ptr<TokenNetwork> network, const std::string& folder,
    const TeacherModelOptions& options) {
  KODISTIL_ASSIGN_OR_RETURN(const TokenizerFiles files,
                            ReadTokenizerFiles(folder));
  WordPieceOptions wordpiece;
  wordpiece.lower_case = files.config.lower_case;
  wordpiece.strip_accents = files.config.strip_accents;
  wordpiece.tokenize_chinese_chars = files.config.tokenize_chinese_chars;
  KODISTIL_ASSIGN_OR_RETURN(
      std::unique_ptr<WordPieceTokenizer> tokenizer,
      WordPieceTokenizer::Create(files.vocab, files.vocab_path, wordpiece));
  const TokenNetworkInfo& known = network->info();
  if (known.vocab_size > 0 && tokenizer->vocab_size() > known.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.vocab_path, ": ", tokenizer->vocab_size(),
                     " pieces, expected at most ", known.vocab_size,
                     ", the vocab_size of config.json"));
  }
  TeacherInfo info;
  info.name = LastPart(options.model_dir);
  info.model_type = known.model_type;
  info.num_classes = static_cast<int>(known.num_classes);
  info.parameters = known.parameters;
  info.device = known.device;
  KODISTIL_ASSIGN_OR_RETURN(info.max_length,
                            MaxLength(known, files.config, options.max_length));
  KODISTIL_ASSIGN_OR_RETURN(
      info.fingerprint, FingerprintOf(known, folder, files, info.max_length));
  return std::make_unique<TokenTeacher>(std::move(network),
                                        std::move(tokenizer), std::move(info));
}

}  // namespace kodistil
