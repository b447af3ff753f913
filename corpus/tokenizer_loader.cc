#include "corpus/tokenizer_loader.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/bpe_files.h"
#include "corpus/mecab_splitter.h"
#include "corpus/pipeline_tokenizer.h"
#include "corpus/sentencepiece_tokenizer.h"
#include "corpus/special_tokens.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_settings.h"
#include "corpus/utf8.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {
namespace {

constexpr char kKoBertModel[] = "tokenizer_78b3253a26.model";
// The first field of an identity, so that no other list of fields is one.
constexpr char kIdentity[] = "kodistil tokenizer 1";

// Loads one folder.
class Loader {
 public:
  Loader(const std::string& folder, const TokenizerOptions& options,
         TokenizerSettings settings)
      : folder_(folder), options_(options), settings_(std::move(settings)) {}

  absl::StatusOr<LoadedTokenizer> Load();

 private:
  bool Has(const char* name) const { return FileExists(Path(name)); }
  std::string Path(const char* name) const { return JoinPath(folder_, name); }

  absl::StatusOr<LoadedTokenizer> LoadByClass();
  absl::StatusOr<LoadedTokenizer> LoadByFiles();
  absl::StatusOr<LoadedTokenizer> LoadJson();
  absl::StatusOr<LoadedTokenizer> LoadSentencePiece(const char* name);
  absl::StatusOr<LoadedTokenizer> LoadBpeFiles();
  absl::StatusOr<LoadedTokenizer> LoadVocab();
  absl::StatusOr<LoadedTokenizer> LoadPlainVocab(const std::string& vocab);
  absl::StatusOr<std::unique_ptr<Tokenizer>> NewVocabPipeline(
      const std::string& vocab, const std::string& path);

  // Whether only BERT's own special tokens are there, as they are.
  bool IsPlainBert() const;
  // Null when no dictionary is asked for.
  absl::StatusOr<std::unique_ptr<PreTokenizer>> Morphemes() const;
  // An error when a dictionary is asked for, which `what` cannot use.
  absl::Status RefuseMorphemes(const std::string& what) const;
  // `tokenizer` from `path`, with the settings and `contents` as its identity.
  absl::StatusOr<LoadedTokenizer> Finish(
      absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer,
      const std::string& path, std::vector<std::string> contents) const;

  const std::string folder_;
  const TokenizerOptions options_;
  TokenizerSettings settings_;
};

absl::StatusOr<LoadedTokenizer> Loader::Load() {
  if (Has("tokenizer.json")) return LoadJson();
  if (Has(kKoBertModel)) {
    settings_.family = TokenizerFamily::kKoBert;
    return LoadSentencePiece(kKoBertModel);
  }
  return settings_.named_by.empty() ? LoadByFiles() : LoadByClass();
}

absl::StatusOr<LoadedTokenizer> Loader::LoadByClass() {
  std::string wanted;
  switch (settings_.family) {
    case TokenizerFamily::kBert:
      if (Has("vocab.txt")) return LoadVocab();
      wanted = "vocab.txt";
      break;
    case TokenizerFamily::kGpt2:
    case TokenizerFamily::kRoberta:
      if (Has("vocab.json") && Has("merges.txt")) return LoadBpeFiles();
      wanted = "vocab.json and merges.txt";
      break;
    case TokenizerFamily::kT5:
    case TokenizerFamily::kXlnet:
    case TokenizerFamily::kKoBert:
      if (Has("spiece.model")) return LoadSentencePiece("spiece.model");
      wanted = "spiece.model";
      break;
    case TokenizerFamily::kOther:
      wanted = "nothing else";
      break;
  }
  return absl::NotFoundError(
      absl::StrCat(folder_, ": no tokenizer file, expected tokenizer.json or ",
                   wanted, " (", settings_.named_by, ")"));
}

absl::StatusOr<LoadedTokenizer> Loader::LoadByFiles() {
  TokenizerFamily& family = settings_.family;
  if (Has("spiece.model")) {
    if (family == TokenizerFamily::kBert) family = TokenizerFamily::kKoBert;
    if (family != TokenizerFamily::kT5 && family != TokenizerFamily::kXlnet &&
        family != TokenizerFamily::kKoBert) {
      return absl::InvalidArgumentError(absl::StrCat(
          Path("spiece.model"), ": the model type in config.json is \"",
          settings_.model_type,
          "\" and no tokenizer_class is named, expected one of T5, XLNet and "
          "KoBERT"));
    }
    return LoadSentencePiece("spiece.model");
  }
  if (Has("vocab.json") && Has("merges.txt")) {
    if (family != TokenizerFamily::kGpt2 &&
        family != TokenizerFamily::kRoberta) {
      return absl::InvalidArgumentError(absl::StrCat(
          Path("vocab.json"), ": the model type in config.json is \"",
          settings_.model_type,
          "\" and no tokenizer_class is named, expected one of GPT-2, RoBERTa "
          "and BART"));
    }
    return LoadBpeFiles();
  }
  if (Has("vocab.txt")) {
    family = TokenizerFamily::kBert;
    return LoadVocab();
  }
  return absl::NotFoundError(absl::StrCat(
      folder_, ": no tokenizer file, expected one of tokenizer.json, ",
      kKoBertModel, ", spiece.model, vocab.json with merges.txt, vocab.txt"));
}

absl::StatusOr<LoadedTokenizer> Loader::LoadJson() {
  const std::string path = Path("tokenizer.json");
  KODISTIL_ASSIGN_OR_RETURN(std::string json, ReadTokenizerFile(path));
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizer> morphemes,
                            Morphemes());
  return Finish(ParseTokenizerJson(json, path, settings_, std::move(morphemes)),
                path, {json});
}

absl::StatusOr<LoadedTokenizer> Loader::LoadSentencePiece(const char* name) {
  const std::string path = Path(name);
  KODISTIL_RETURN_IF_ERROR(RefuseMorphemes(path));
  KODISTIL_ASSIGN_OR_RETURN(std::string model, ReadTokenizerFile(path));
  std::string vocab;
  // The file beside another spiece.model is not KoBERT's.
  const bool has_vocab = name == kKoBertModel && Has("vocab.txt");
  if (has_vocab) {
    KODISTIL_ASSIGN_OR_RETURN(vocab, ReadTokenizerFile(Path("vocab.txt")));
    if (vocab.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          Path("vocab.txt"), ": is empty, expected one piece a line"));
    }
  }
  return Finish(NewSentencePieceTokenizer(model, path, vocab, Path("vocab.txt"),
                                          settings_),
                path, {model, vocab});
}

absl::StatusOr<LoadedTokenizer> Loader::LoadBpeFiles() {
  BpeFiles files;
  files.vocab_path = Path("vocab.json");
  files.merges_path = Path("merges.txt");
  KODISTIL_RETURN_IF_ERROR(RefuseMorphemes(files.vocab_path));
  KODISTIL_ASSIGN_OR_RETURN(files.vocab, ReadTokenizerFile(files.vocab_path));
  KODISTIL_ASSIGN_OR_RETURN(files.merges, ReadTokenizerFile(files.merges_path));
  return Finish(NewBpeFilesTokenizer(files, settings_), files.vocab_path,
                {files.vocab, files.merges});
}

bool Loader::IsPlainBert() const {
  const auto is_plain = [](const AddedToken& token) {
    return !token.single_word && !token.lstrip && !token.rstrip;
  };
  const TokenizerSettings bert = [] {
    TokenizerSettings defaults;
    defaults.family = TokenizerFamily::kBert;
    return defaults;
  }();
  for (const auto& [name, token] : settings_.special_tokens) {
    const std::string own = bert.SpecialToken(name);
    if (token.content != own || !is_plain(token)) return false;
  }
  for (const AddedToken& token : settings_.added_tokens) {
    bool is_own = false;
    for (const SpecialTokenField& field : SpecialTokenFields()) {
      is_own |= token.content == bert.SpecialToken(field.name);
    }
    if (!is_own || !is_plain(token)) return false;
  }
  return options_.mecab_dicdir.empty();
}

absl::StatusOr<LoadedTokenizer> Loader::LoadVocab() {
  const std::string path = Path("vocab.txt");
  KODISTIL_ASSIGN_OR_RETURN(std::string vocab, ReadTokenizerFile(path));
  if (!settings_.do_lower_case.has_value()) {
    LOG(WARNING) << folder_ << ": no do_lower_case in tokenizer_config.json: "
                 << "lower-casing, as BertTokenizer does by default";
  }
  if (IsPlainBert()) return LoadPlainVocab(vocab);
  return Finish(NewVocabPipeline(vocab, path), path, {vocab});
}

absl::StatusOr<LoadedTokenizer> Loader::LoadPlainVocab(
    const std::string& vocab) {
  WordPieceOptions options;
  options.lower_case = settings_.do_lower_case.value_or(true);
  // Null follows do_lower_case.
  options.strip_accents = settings_.strip_accents.value_or(options.lower_case);
  options.tokenize_chinese_chars =
      settings_.tokenize_chinese_chars.value_or(true);
  LoadedTokenizer loaded;
  loaded.path = Path("vocab.txt");
  KODISTIL_ASSIGN_OR_RETURN(loaded.tokenizer, WordPieceTokenizer::Create(
                                                  vocab, loaded.path, options));
  for (const AddedToken& token : settings_.added_tokens) {
    const SpecialTokenIds& ids = loaded.tokenizer->special_ids();
    const int32_t known[] = {ids.pad, ids.unk, ids.cls, ids.sep, ids.mask};
    if (std::count(std::begin(known), std::end(known), token.id) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          loaded.path, ": the added token \"", token.content, "\" has the id ",
          token.id, ", expected its id in the vocabulary"));
    }
  }
  loaded.model_max_length = settings_.model_max_length;
  loaded.identity_fields = {vocab};
  loaded.identity_numbers = {options.lower_case, options.strip_accents,
                             options.tokenize_chinese_chars};
  return loaded;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Loader::NewVocabPipeline(
    const std::string& vocab, const std::string& path) {
  PieceIds pieces;
  int32_t next = 0;
  for (absl::string_view rest = vocab; !rest.empty(); ++next) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    absl::string_view piece = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    absl::ConsumeSuffix(&piece, "\r");
    if (WellFormedUtf8Prefix(piece) < piece.size()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s:%d: found a piece that is not UTF-8, expected one UTF-8 piece a "
          "line",
          path, next + 1));
    }
    pieces[piece] = next;
  }
  WordPieceModelOptions options;
  options.unk_token = settings_.SpecialToken("unk_token");
  absl::StatusOr<std::unique_ptr<PieceModel>> model =
      NewWordPieceModel(std::move(pieces), options);
  if (!model.ok()) return Annotate(model.status(), path);
  TokenizerParts parts;
  parts.model = *std::move(model);
  parts.vocab_size = next;
  BertNormalizerOptions normalizer;
  normalizer.lowercase = settings_.do_lower_case.value_or(true);
  normalizer.strip_accents =
      settings_.strip_accents.value_or(normalizer.lowercase);
  normalizer.handle_chinese_chars =
      settings_.tokenize_chinese_chars.value_or(true);
  parts.normalizer = NewBertNormalizer(normalizer);
  std::vector<std::unique_ptr<PreTokenizer>> splitters;
  KODISTIL_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizer> morphemes,
                            Morphemes());
  if (morphemes != nullptr) splitters.push_back(std::move(morphemes));
  splitters.push_back(NewBertPreTokenizer());
  parts.pre_tokenizer = NewPreTokenizerSequence(std::move(splitters));
  KODISTIL_RETURN_IF_ERROR(AddSpecialTokens(settings_, path, &parts));
  const SpecialTokenIds& ids = parts.special_ids;
  if (ids.cls < 0 || ids.sep < 0 || ids.pad < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": found ", next, " pieces without ",
        settings_.SpecialToken(ids.cls < 0   ? "cls_token"
                               : ids.sep < 0 ? "sep_token"
                                             : "pad_token"),
        ", expected a WordPiece vocabulary with BERT's special tokens"));
  }
  parts.layout = TokenLayout::Bert(ids.cls, ids.sep);
  return NewPipelineTokenizer(std::move(parts));
}

absl::StatusOr<std::unique_ptr<PreTokenizer>> Loader::Morphemes() const {
  if (options_.mecab_dicdir.empty()) return std::unique_ptr<PreTokenizer>();
  return NewMecabSplitter(options_.mecab_dicdir);
}

absl::Status Loader::RefuseMorphemes(const std::string& what) const {
  if (options_.mecab_dicdir.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      what, ": a MeCab dictionary is given (", options_.mecab_dicdir,
      "), expected a WordPiece vocabulary to use it with"));
}

absl::StatusOr<LoadedTokenizer> Loader::Finish(
    absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer,
    const std::string& path, std::vector<std::string> contents) const {
  KODISTIL_RETURN_IF_ERROR(tokenizer.status());
  LoadedTokenizer loaded;
  loaded.tokenizer = *std::move(tokenizer);
  loaded.path = path;
  loaded.model_max_length = settings_.model_max_length;
  loaded.identity_fields = {kIdentity, path.substr(path.rfind('/') + 1),
                            settings_.Identity()};
  for (std::string& content : contents) {
    loaded.identity_fields.push_back(std::move(content));
  }
  if (!options_.mecab_dicdir.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(std::string digest,
                              MecabDictionaryDigest(options_.mecab_dicdir));
    loaded.identity_fields.push_back(std::move(digest));
  }
  return loaded;
}

}  // namespace

void LoadedTokenizer::UpdateFingerprint(Sha256* hash) const {
  for (const std::string& field : identity_fields) hash->UpdateField(field);
  for (const uint64_t number : identity_numbers) hash->UpdateUint64(number);
}

absl::StatusOr<LoadedTokenizer> LoadTokenizer(const std::string& folder,
                                              const TokenizerOptions& options) {
  KODISTIL_ASSIGN_OR_RETURN(TokenizerSettings settings,
                            ReadTokenizerSettings(folder));
  return Loader(folder, options, std::move(settings)).Load();
}

}  // namespace kodistil
