#include "corpus/tokenizer_settings.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/json_reader.h"

namespace kodistil {
namespace {

constexpr size_t kLargestFile = 64 << 20;
constexpr int64_t kLargestId = (1 << 24) - 1;

struct NamedFamily {
  const char* name;
  TokenizerFamily family;
};

constexpr NamedFamily kClasses[] = {
    {"BertTokenizer", TokenizerFamily::kBert},
    {"ElectraTokenizer", TokenizerFamily::kBert},
    {"DistilBertTokenizer", TokenizerFamily::kBert},
    {"RobertaTokenizer", TokenizerFamily::kRoberta},
    {"BartTokenizer", TokenizerFamily::kRoberta},
    {"GPT2Tokenizer", TokenizerFamily::kGpt2},
    {"T5Tokenizer", TokenizerFamily::kT5},
    {"MT5Tokenizer", TokenizerFamily::kT5},
    {"XLNetTokenizer", TokenizerFamily::kXlnet},
    {"KoBertTokenizer", TokenizerFamily::kKoBert},
    {"KoBERTTokenizer", TokenizerFamily::kKoBert},
    {"BigBirdTokenizer", TokenizerFamily::kOther},
    {"PreTrainedTokenizer", TokenizerFamily::kOther},
};

constexpr NamedFamily kModelTypes[] = {
    {"bert", TokenizerFamily::kBert},
    {"electra", TokenizerFamily::kBert},
    {"distilbert", TokenizerFamily::kBert},
    {"roberta", TokenizerFamily::kRoberta},
    {"bart", TokenizerFamily::kRoberta},
    {"gpt2", TokenizerFamily::kGpt2},
    {"t5", TokenizerFamily::kT5},
    {"mt5", TokenizerFamily::kT5},
    {"xlnet", TokenizerFamily::kXlnet},
};

// The defaults of the classes' constructors.
struct FamilyTokens {
  TokenizerFamily family;
  const char* tokens[7];  // pad unk cls sep bos eos mask
};

constexpr FamilyTokens kFamilyTokens[] = {
    {TokenizerFamily::kBert,
     {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "", "", "[MASK]"}},
    {TokenizerFamily::kRoberta,
     {"<pad>", "<unk>", "<s>", "</s>", "<s>", "</s>", "<mask>"}},
    {TokenizerFamily::kGpt2,
     {"", "<|endoftext|>", "", "", "<|endoftext|>", "<|endoftext|>", ""}},
    {TokenizerFamily::kT5, {"<pad>", "<unk>", "", "", "", "</s>", ""}},
    {TokenizerFamily::kXlnet,
     {"<pad>", "<unk>", "<cls>", "<sep>", "<s>", "</s>", "<mask>"}},
    {TokenizerFamily::kKoBert,
     {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "", "", "[MASK]"}},
};

// A token is a string, or an object with more to say.
AddedToken ReadToken(const JsonNode& node) {
  AddedToken token;
  token.special = true;
  if (!node.is_object()) {
    token.content = node.String();
  } else {
    token.content = node.Get("content").String();
    token.single_word = node.Find("single_word").BoolOr(false);
    token.lstrip = node.Find("lstrip").BoolOr(false);
    token.rstrip = node.Find("rstrip").BoolOr(false);
    token.normalized = node.Find("normalized").BoolOr(false);
    token.special = node.Find("special").BoolOr(true);
  }
  if (token.content.empty()) node.Fail("a token that is not empty");
  return token;
}

void ReadSpecialTokens(const JsonNode& root, TokenizerSettings* settings) {
  for (const SpecialTokenField& field : SpecialTokenFields()) {
    const JsonNode node = root.Find(field.name);
    if (node.present()) settings->special_tokens[field.name] = ReadToken(node);
  }
}

void ReadFlag(const JsonNode& root, const char* name,
              std::optional<bool>* flag) {
  const JsonNode node = root.Find(name);
  if (node.present()) *flag = node.Bool();
}

// Refuses what would change ids and is not done here.
void RefuseOtherBehaviour(const JsonNode& root,
                          const TokenizerSettings& settings) {
  const JsonNode basic = root.Find("do_basic_tokenize");
  if (!basic.BoolOr(true)) basic.Fail("true");
  const JsonNode side = root.Find("truncation_side");
  if (side.StringOr("right") != "right") side.Fail("\"right\"");
  // GPT2TokenizerFast refuses it too.
  const JsonNode bos = root.Find("add_bos_token");
  if (settings.family == TokenizerFamily::kGpt2 && bos.BoolOr(false)) {
    bos.Fail("false");
  }
}

void ReadMaxLength(const JsonNode& root, TokenizerSettings* settings) {
  JsonNode limit = root.Find("model_max_length");
  if (!limit.present()) limit = root.Find("max_len");
  if (!limit.present()) return;
  const double length = limit.Number();
  if (!(length >= 2)) return limit.Fail("a number from 2");
  // Hugging Face writes 1e30 for "no limit".
  if (length <= kLargestId) settings->model_max_length = length;
}

// added_tokens_decoder: ids as strings to tokens.
void ReadAddedTokens(const JsonNode& decoder, TokenizerSettings* settings) {
  if (!decoder.present()) return;
  if (!decoder.is_object()) return decoder.Fail("an object");
  for (const auto& [key, value] : decoder.raw()->items()) {
    const JsonNode node = decoder.Find(key);
    AddedToken token = ReadToken(node);
    if (!absl::SimpleAtoi(key, &token.id) || token.id < 0 ||
        token.id > kLargestId) {
      node.FailWith(absl::StrCat("is under a key that is no id, expected 0 to ",
                                 kLargestId));
    }
    settings->added_tokens.push_back(std::move(token));
  }
}

void ReadConfig(const JsonNode& root, TokenizerSettings* settings) {
  ReadSpecialTokens(root, settings);
  ReadFlag(root, "do_lower_case", &settings->do_lower_case);
  ReadFlag(root, "strip_accents", &settings->strip_accents);
  ReadFlag(root, "tokenize_chinese_chars", &settings->tokenize_chinese_chars);
  ReadFlag(root, "add_prefix_space", &settings->add_prefix_space);
  ReadFlag(root, "keep_accents", &settings->keep_accents);
  ReadFlag(root, "remove_space", &settings->remove_space);
  const JsonNode extra = root.Find("extra_ids");
  if (extra.present()) settings->extra_ids = extra.Int(0, 10000);
  ReadMaxLength(root, settings);
  ReadAddedTokens(root.Find("added_tokens_decoder"), settings);
}

// The class by its name, fast or slow.
void SetFamily(const JsonNode& node, const std::string& path,
               TokenizerSettings* settings) {
  const std::string name = node.String();
  absl::string_view slow = name;
  absl::ConsumeSuffix(&slow, "Fast");
  std::string known;
  for (const NamedFamily& entry : kClasses) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.name);
    if (slow != entry.name) continue;
    settings->family = entry.family;
    settings->named_by = absl::StrCat(path, ": tokenizer_class ", name);
    return;
  }
  node.Fail(absl::StrCat("one of ", known, ", or with Fast"));
}

// `read(root)` for the file if it is there.
template <typename Read>
absl::Status ReadJson(const std::string& path, Read read) {
  if (!FileExists(path)) return absl::OkStatus();
  KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadTokenizerFile(path));
  KODISTIL_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(text, path));
  read(file.root());
  return file.status();
}

// tokenizer_config.json has the last word on the class, config.json follows.
absl::Status ReadFamily(const std::string& folder,
                        TokenizerSettings* settings) {
  const std::string model_path = JoinPath(folder, "config.json");
  KODISTIL_RETURN_IF_ERROR(ReadJson(model_path, [&](const JsonNode& root) {
    settings->model_type = root.Find("model_type").StringOr("");
    for (const NamedFamily& entry : kModelTypes) {
      if (settings->model_type == entry.name) settings->family = entry.family;
    }
    const JsonNode name = root.Find("tokenizer_class");
    if (name.present()) SetFamily(name, model_path, settings);
  }));
  const std::string path = JoinPath(folder, "tokenizer_config.json");
  KODISTIL_RETURN_IF_ERROR(ReadJson(path, [&](const JsonNode& root) {
    const JsonNode name = root.Find("tokenizer_class");
    if (name.present()) SetFamily(name, path, settings);
  }));
  // KoBERT is published as an XLNetTokenizer of a BERT.
  if (settings->family == TokenizerFamily::kXlnet &&
      !settings->model_type.empty() && settings->model_type != "xlnet") {
    settings->family = TokenizerFamily::kKoBert;
  }
  return absl::OkStatus();
}

}  // namespace

const char* NameOf(TokenizerFamily family) {
  for (const NamedFamily& entry : kClasses) {
    if (entry.family == family) return entry.name;
  }
  return "";
}

const std::vector<SpecialTokenField>& SpecialTokenFields() {
  static const auto* const kFields = new std::vector<SpecialTokenField>{
      {"pad_token", &SpecialTokenIds::pad},
      {"unk_token", &SpecialTokenIds::unk},
      {"cls_token", &SpecialTokenIds::cls},
      {"sep_token", &SpecialTokenIds::sep},
      {"bos_token", &SpecialTokenIds::bos},
      {"eos_token", &SpecialTokenIds::eos},
      {"mask_token", &SpecialTokenIds::mask}};
  return *kFields;
}

std::string TokenizerSettings::SpecialToken(const std::string& name) const {
  const auto found = special_tokens.find(name);
  if (found != special_tokens.end()) return found->second.content;
  for (const FamilyTokens& entry : kFamilyTokens) {
    for (size_t i = 0; i < SpecialTokenFields().size(); ++i) {
      if (entry.family == family && name == SpecialTokenFields()[i].name) {
        return entry.tokens[i];
      }
    }
  }
  return "";
}

std::string TokenizerSettings::Identity() const {
  std::string out = absl::StrCat(NameOf(family), "\n");
  for (const std::optional<bool>& flag :
       {do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space,
        keep_accents, remove_space}) {
    out += !flag.has_value() ? '-' : *flag ? '1' : '0';
  }
  absl::StrAppend(&out, "\n", extra_ids, "\n");
  const auto append = [&out](absl::string_view name, const AddedToken& token) {
    absl::StrAppend(&out, name, " ", token.id, " ", token.single_word,
                    token.lstrip, token.rstrip, token.normalized, token.special,
                    " ", absl::CEscape(token.content), "\n");
  };
  for (const auto& [name, token] : special_tokens) append(name, token);
  for (const AddedToken& token : added_tokens) append("added", token);
  return out;
}

absl::StatusOr<TokenizerSettings> ReadTokenizerSettings(
    const std::string& folder) {
  TokenizerSettings settings;
  KODISTIL_RETURN_IF_ERROR(ReadFamily(folder, &settings));
  const std::string config = JoinPath(folder, "tokenizer_config.json");
  KODISTIL_RETURN_IF_ERROR(ReadJson(config, [&](const JsonNode& root) {
    ReadConfig(root, &settings);
    RefuseOtherBehaviour(root, settings);
  }));
  const std::string map = JoinPath(folder, "special_tokens_map.json");
  KODISTIL_RETURN_IF_ERROR(ReadJson(
      map, [&](const JsonNode& root) { ReadSpecialTokens(root, &settings); }));
  const std::string added = JoinPath(folder, "added_tokens.json");
  KODISTIL_RETURN_IF_ERROR(ReadJson(added, [&](const JsonNode& root) {
    for (const auto& [content, id] : root.raw()->items()) {
      AddedToken token;
      token.content = content;
      token.id = static_cast<int32_t>(root.Find(content).Int(0, kLargestId));
      if (content.empty()) root.Find(content).FailWith("is an empty token");
      settings.added_tokens.push_back(std::move(token));
    }
  }));
  std::sort(settings.added_tokens.begin(), settings.added_tokens.end(),
            [](const AddedToken& a, const AddedToken& b) {
              return std::tie(a.id, a.content) < std::tie(b.id, b.content);
            });
  return settings;
}

absl::StatusOr<std::string> ReadTokenizerFile(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  if (file.bytes().size() > kLargestFile) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", file.bytes().size(),
                     " bytes, expected at most ", kLargestFile));
  }
  return std::string(file.bytes());
}

}  // namespace kodistil
