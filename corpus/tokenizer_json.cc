#include "corpus/tokenizer_json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "corpus/piece_model.h"
#include "corpus/pipeline_tokenizer.h"
#include "corpus/special_tokens.h"
#include "corpus/token_layout.h"

namespace kodistil {
namespace {

constexpr int32_t kLargestId = kMostTokenIds - 1;

using Model = std::unique_ptr<PieceModel>;

// Keeps the fault of a model with the place of its settings.
Model Keep(absl::StatusOr<Model> model, const JsonNode& node) {
  if (model.ok()) return *std::move(model);
  node.FailWith(absl::StrCat("cannot be read: ", model.status().message()));
  return nullptr;
}

Model ParseWordPiece(const JsonNode& node, int* vocab_size) {
  node.OnlyKeys({"type", "unk_token", "continuing_subword_prefix",
                 "max_input_chars_per_word", "vocab"});
  WordPieceModelOptions options;
  options.unk_token = node.Get("unk_token").String();
  options.continuing_subword_prefix =
      node.Get("continuing_subword_prefix").String();
  options.max_input_chars_per_word =
      node.Get("max_input_chars_per_word").Int(1, INT32_MAX);
  PieceIds pieces = ParsePieceIds(node.Get("vocab"), vocab_size);
  return Keep(NewWordPieceModel(std::move(pieces), options), node);
}

// Newer files have lists of two, older ones texts with a space between.
std::vector<std::pair<std::string, std::string>> ParseMerges(
    const JsonNode& node) {
  std::vector<std::pair<std::string, std::string>> merges;
  const size_t size = node.Size();
  for (size_t i = 0; i < size; ++i) {
    const nlohmann::json& value = (*node.raw())[i];
    if (value.is_array() && value.size() == 2 && value[0].is_string() &&
        value[1].is_string()) {
      merges.push_back(
          {value[0].get<std::string>(), value[1].get<std::string>()});
      continue;
    }
    const std::string text =
        value.is_string() ? value.get<std::string>() : std::string();
    const size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.find(' ', space + 1) != std::string::npos) {
      node.At(i).Fail("two pieces with a space between");
      return merges;
    }
    merges.push_back({text.substr(0, space), text.substr(space + 1)});
  }
  return merges;
}

Model ParseBpe(const JsonNode& node, int* vocab_size) {
  node.OnlyKeys({"type", "dropout", "unk_token", "continuing_subword_prefix",
                 "end_of_word_suffix", "fuse_unk", "byte_fallback",
                 "ignore_merges", "vocab", "merges"});
  // Hugging Face would drop merges at random even when it only encodes.
  const JsonNode dropout = node.Find("dropout");
  if (dropout.present() && dropout.Number() != 0) dropout.Fail("null");
  BpeModelOptions options;
  options.unk_token = node.Find("unk_token").StringOr("");
  options.continuing_subword_prefix =
      node.Find("continuing_subword_prefix").StringOr("");
  options.end_of_word_suffix = node.Find("end_of_word_suffix").StringOr("");
  options.fuse_unk = node.Find("fuse_unk").BoolOr(false);
  options.byte_fallback = node.Find("byte_fallback").BoolOr(false);
  options.ignore_merges = node.Find("ignore_merges").BoolOr(false);
  PieceIds pieces = ParsePieceIds(node.Get("vocab"), vocab_size);
  return Keep(
      NewBpeModel(std::move(pieces), ParseMerges(node.Get("merges")), options),
      node);
}

Model ParseUnigram(const JsonNode& node, int* vocab_size) {
  node.OnlyKeys({"type", "unk_id", "vocab", "byte_fallback"});
  UnigramModelOptions options;
  options.unk_id = static_cast<int32_t>(node.Get("unk_id").Int(0, kLargestId));
  options.byte_fallback = node.Find("byte_fallback").BoolOr(false);
  std::vector<std::pair<std::string, double>> pieces;
  const JsonNode vocab = node.Get("vocab");
  const size_t size = vocab.Size();
  for (size_t i = 0; i < size; ++i) {
    const nlohmann::json& value = (*vocab.raw())[i];
    if (!value.is_array() || value.size() != 2 || !value[0].is_string() ||
        !value[1].is_number()) {
      vocab.At(i).Fail("a piece and its score");
      return nullptr;
    }
    pieces.push_back(
        {value[0].get<std::string>(), AsSerdeReads(value[1].get<double>())});
  }
  *vocab_size = static_cast<int>(pieces.size());
  return Keep(NewUnigramModel(std::move(pieces), options), node);
}

// Files of before tokenizers 0.9 do not name the type of the model.
std::string ModelType(const JsonNode& node) {
  if (node.Find("type").present()) return node.Find("type").String();
  if (node.Find("merges").present()) return "BPE";
  if (node.Find("unk_id").present()) return "Unigram";
  if (node.Find("max_input_chars_per_word").present()) return "WordPiece";
  return node.Get("type").String();
}

Model ParseModel(const JsonNode& node, int* vocab_size) {
  const std::string type = ModelType(node);
  if (type == "WordPiece") return ParseWordPiece(node, vocab_size);
  if (type == "BPE") return ParseBpe(node, vocab_size);
  if (type == "Unigram") return ParseUnigram(node, vocab_size);
  node.Get("type").Fail("one of BPE, Unigram, WordPiece");
  return nullptr;
}

// An added token that is a piece has the piece's id; others come after the
// pieces in order (AddedVocabulary::add_tokens). A file that says otherwise is
// not what Hugging Face writes, and would be read differently by it.
std::vector<AddedToken> ParseAddedTokens(const JsonNode& list,
                                         const PieceModel& model) {
  std::vector<AddedToken> tokens;
  if (!list.present()) return tokens;
  const size_t size = list.Size();
  int32_t next = model.size();
  for (size_t i = 0; i < size; ++i) {
    const JsonNode node = list.At(i);
    node.OnlyKeys({"id", "content", "single_word", "lstrip", "rstrip",
                   "normalized", "special"});
    AddedToken token;
    token.content = node.Get("content").String();
    token.id = static_cast<int32_t>(node.Get("id").Int(0, kLargestId));
    token.single_word = node.Find("single_word").BoolOr(false);
    token.lstrip = node.Find("lstrip").BoolOr(false);
    token.rstrip = node.Find("rstrip").BoolOr(false);
    token.special = node.Find("special").BoolOr(false);
    token.normalized = node.Find("normalized").BoolOr(!token.special);
    if (token.content.empty()) node.Get("content").Fail("a token");
    const int32_t piece = model.IdOf(token.content);
    const int32_t expected = piece >= 0 ? piece : next;
    if (token.id != expected) {
      node.Get("id").Fail(absl::StrCat(
          expected, piece >= 0 ? ", the id of that piece in the vocabulary"
                               : ", the next free id"));
    }
    next = std::max(next, token.id + 1);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

using Item = TokenLayout::Item;
using Part = TokenLayout::Part;

// ["[CLS]", 2]
int32_t ParseNamedId(const JsonNode& node) {
  if (node.Size() != 2) node.Fail("a token and its id");
  return static_cast<int32_t>(node.At(1).Int(0, kLargestId));
}

// What a {"SpecialToken": {...}} or {"Sequence": {...}} puts there.
void ParseItem(const JsonNode& node, const JsonNode& special_tokens,
               std::vector<Item>* items) {
  node.OnlyKeys({"SpecialToken", "Sequence"});
  const bool is_token = node.Find("SpecialToken").present();
  const JsonNode what = node.Get(is_token ? "SpecialToken" : "Sequence");
  what.OnlyKeys({"id", "type_id"});
  const auto type =
      static_cast<int32_t>(what.Get("type_id").Int(0, kLargestId));
  const std::string id = what.Get("id").String();
  if (!is_token) {
    if (id != "A" && id != "B") what.Get("id").Fail("\"A\" or \"B\"");
    items->push_back({id == "A" ? Part::kFirst : Part::kSecond, -1, type});
    return;
  }
  const JsonNode ids = special_tokens.Get(id).Get("ids");
  for (size_t i = 0; i < ids.Size(); ++i) {
    items->push_back({Part::kToken,
                      static_cast<int32_t>(ids.At(i).Int(0, kLargestId)),
                      type});
  }
}

std::vector<Item> ParseTemplate(const JsonNode& list,
                                const JsonNode& special_tokens, bool is_pair) {
  std::vector<Item> items;
  for (size_t i = 0; i < list.Size(); ++i) {
    ParseItem(list.At(i), special_tokens, &items);
  }
  const auto count = [&items](Part part) {
    return std::count_if(items.begin(), items.end(),
                         [part](const Item& i) { return i.part == part; });
  };
  if (count(Part::kFirst) != 1 || count(Part::kSecond) != (is_pair ? 1 : 0)) {
    list.FailWith(is_pair ? "does not have A once and B once"
                          : "does not have A once and no B");
  }
  return items;
}

// Sets the layout; a processor without special tokens leaves it.
void ParseProcessor(const JsonNode& node, int depth, bool* is_set,
                    TokenLayout* layout) {
  if (!node.present()) return;
  const JsonNode type_node = node.Get("type");
  const std::string type = type_node.String();
  if (type == "ByteLevel") return;  // of offsets alone
  if (type == "Sequence" && depth == 0) {
    const JsonNode list = node.Get("processors");
    for (size_t i = 0; i < list.Size(); ++i) {
      ParseProcessor(list.At(i), depth + 1, is_set, layout);
    }
    return;
  }
  if (*is_set) {
    type_node.FailWith("would be the second that adds special tokens");
  }
  *is_set = true;
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    node.OnlyKeys({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    const int32_t sep = ParseNamedId(node.Get("sep"));
    const int32_t cls = ParseNamedId(node.Get("cls"));
    *layout = type == "BertProcessing" ? TokenLayout::Bert(cls, sep)
                                       : TokenLayout::Roberta(cls, sep);
  } else if (type == "TemplateProcessing") {
    node.OnlyKeys({"type", "single", "pair", "special_tokens"});
    const JsonNode tokens = node.Get("special_tokens");
    layout->single =
        ParseTemplate(node.Get("single"), tokens, /*is_pair=*/false);
    layout->pair = ParseTemplate(node.Get("pair"), tokens, /*is_pair=*/true);
  } else {
    type_node.Fail(
        "one of BertProcessing, ByteLevel, RobertaProcessing, Sequence, "
        "TemplateProcessing");
  }
}

absl::Status CheckLayout(const std::string& source,
                         const TokenizerParts& parts) {
  for (const auto* items : {&parts.layout.single, &parts.layout.pair}) {
    for (const Item& item : *items) {
      if (item.id >= parts.vocab_size) {
        return absl::InvalidArgumentError(
            absl::StrCat(source, ": /post_processor adds the id ", item.id,
                         ", expected less than ", parts.vocab_size,
                         ", the size of the vocabulary"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> ParseTokenizerJson(
    absl::string_view json, const std::string& source,
    const TokenizerSettings& settings,
    std::unique_ptr<PreTokenizer> morphemes) {
  KODISTIL_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(json, source));
  const JsonNode root = file.root();
  root.OnlyKeys({"version", "truncation", "padding", "added_tokens",
                 "normalizer", "pre_tokenizer", "post_processor", "decoder",
                 "model"});
  const JsonNode version = root.Find("version");
  if (version.StringOr("1.0") != "1.0") version.Fail("\"1.0\"");
  TokenizerParts parts;
  const JsonNode model = root.Get("model");
  parts.model = ParseModel(model, &parts.vocab_size);
  // The rest needs a model.
  KODISTIL_RETURN_IF_ERROR(file.status());
  parts.normalizer = ParseNormalizer(root.Find("normalizer"), settings);
  parts.pre_tokenizer = ParsePreTokenizer(root.Find("pre_tokenizer"), settings);
  parts.added_tokens =
      ParseAddedTokens(root.Find("added_tokens"), *parts.model);
  parts.layout = TokenLayout::Plain();
  bool is_set = false;
  ParseProcessor(root.Find("post_processor"), /*depth=*/0, &is_set,
                 &parts.layout);
  if (morphemes != nullptr) {
    if (ModelType(model) != "WordPiece") {
      model.Get("type").Fail("WordPiece, the model that MeCab is for");
    }
    std::vector<std::unique_ptr<PreTokenizer>> both;
    both.push_back(std::move(morphemes));
    if (parts.pre_tokenizer) both.push_back(std::move(parts.pre_tokenizer));
    parts.pre_tokenizer = NewPreTokenizerSequence(std::move(both));
  }
  KODISTIL_RETURN_IF_ERROR(file.status());
  KODISTIL_RETURN_IF_ERROR(SetSpecialIds(settings, source, &parts));
  for (const AddedToken& token : parts.added_tokens) {
    parts.vocab_size = std::max(parts.vocab_size, token.id + 1);
  }
  KODISTIL_RETURN_IF_ERROR(CheckLayout(source, parts));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      NewPipelineTokenizer(std::move(parts));
  if (!tokenizer.ok()) return Annotate(tokenizer.status(), source);
  return tokenizer;
}

}  // namespace kodistil
