#include <functional>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "corpus/tokenizer_json.h"
#include "corpus/unicode.h"
#include "glog/logging.h"

namespace kodistil {
namespace {

constexpr int kDeepestSequence = 8;

using Normalizer = std::unique_ptr<TextNormalizer>;
using Splitter = std::unique_ptr<PreTokenizer>;

// A fault that names what there is.
template <typename Table>
void FailUnknown(const JsonNode& type, const Table& known) {
  type.Fail(absl::StrCat(
      "one of ",
      absl::StrJoin(known, ", ", [](std::string* out, const auto& entry) {
        out->append(entry.first);
      })));
}

// BertTokenizerFast sets its own options in the normalizer that it loads, the
// defaults of its constructor included (tokenization_bert_fast.py).
void ApplyBertSettings(const TokenizerSettings& settings, bool* strip_accents,
                       bool strip_was_null, BertNormalizerOptions* options) {
  if (settings.family != TokenizerFamily::kBert) return;
  const bool lower = settings.do_lower_case.value_or(true);
  const bool chinese = settings.tokenize_chinese_chars.value_or(true);
  const bool same_strip =
      settings.strip_accents.has_value()
          ? !strip_was_null && *settings.strip_accents == *strip_accents
          : strip_was_null;
  if (lower == options->lowercase && chinese == options->handle_chinese_chars &&
      same_strip) {
    return;
  }
  LOG_IF(WARNING, !settings.do_lower_case.has_value() && !options->lowercase)
      << "lower-casing, as BertTokenizerFast does unless do_lower_case in "
      << "tokenizer_config.json says no, though tokenizer.json does not";
  options->lowercase = lower;
  options->handle_chinese_chars = chinese;
  *strip_accents = settings.strip_accents.value_or(lower);
}

Normalizer ParseBert(const JsonNode& node, const TokenizerSettings& settings,
                     int depth) {
  node.OnlyKeys({"type", "clean_text", "handle_chinese_chars", "strip_accents",
                 "lowercase"});
  BertNormalizerOptions options;
  options.clean_text = node.Get("clean_text").Bool();
  options.handle_chinese_chars = node.Get("handle_chinese_chars").Bool();
  options.lowercase = node.Get("lowercase").Bool();
  const JsonNode strip = node.Find("strip_accents");
  // Null follows `lowercase`.
  bool strips = strip.BoolOr(options.lowercase);
  if (depth == 0) {
    ApplyBertSettings(settings, &strips, !strip.present(), &options);
  }
  options.strip_accents = strips;
  return NewBertNormalizer(options);
}

Normalizer ParseReplace(const JsonNode& node) {
  node.OnlyKeys({"type", "pattern", "content"});
  const JsonNode pattern = node.Get("pattern");
  pattern.OnlyKeys({"String", "Regex"});
  const std::string content = node.Get("content").String();
  if (!pattern.Find("Regex").present()) {
    const std::string literal = pattern.Get("String").String();
    if (literal.empty()) pattern.Get("String").Fail("a text to replace");
    return NewReplaceNormalizer(literal.empty() ? " " : literal, content);
  }
  // The regular expressions of the models that we know.
  static constexpr auto is_space = [](char32_t c) { return c == ' '; };
  static const auto* const kRuns =
      new std::map<std::string, std::pair<bool (*)(char32_t), int>>{
          {" {2,}", {is_space, 2}},
          {" +", {is_space, 1}},
          {"\\s+", {IsWhiteSpace, 1}},
          {"\\s{2,}", {IsWhiteSpace, 2}}};
  const auto run = kRuns->find(pattern.Get("Regex").String());
  if (run == kRuns->end()) {
    FailUnknown(pattern.Get("Regex"), *kRuns);
    return nullptr;
  }
  return NewReplaceRunsNormalizer(run->second.first, run->second.second,
                                  content);
}

Normalizer ParseCharsmap(const JsonNode& node) {
  node.OnlyKeys({"type", "precompiled_charsmap"});
  const JsonNode map = node.Get("precompiled_charsmap");
  std::string blob;
  if (!absl::Base64Unescape(map.String(), &blob)) {
    map.Fail("base64");
    return nullptr;
  }
  absl::StatusOr<Charsmap> parsed = Charsmap::Parse(blob, map.path());
  if (!parsed.ok()) {
    map.FailWith(absl::StrCat("is damaged: ", parsed.status().message()));
    return nullptr;
  }
  return NewCharsmapNormalizer(*std::move(parsed));
}

Normalizer ParseStrip(const JsonNode& node) {
  node.OnlyKeys({"type", "strip_left", "strip_right"});
  return NewStripNormalizer(node.Get("strip_left").Bool(),
                            node.Get("strip_right").Bool());
}

Normalizer ParsePrepend(const JsonNode& node) {
  node.OnlyKeys({"type", "prepend"});
  return NewPrependNormalizer(node.Get("prepend").String());
}

// The parts of a "Sequence": `parse(part)` for each.
template <typename Part, typename Parse>
std::vector<Part> ParseSequence(const JsonNode& node, const char* key,
                                Parse parse) {
  node.OnlyKeys({"type", key});
  std::vector<Part> parts;
  const JsonNode list = node.Get(key);
  for (size_t i = 0; i < list.Size(); ++i) {
    Part part = parse(list.At(i));
    if (part == nullptr) {
      list.At(i).Fail("an object");
      break;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

using NormalizerParser = std::function<Normalizer(
    const JsonNode& node, const TokenizerSettings& settings, int depth)>;

Normalizer ParseNormalizerAt(const JsonNode& node,
                             const TokenizerSettings& settings, int depth);

// A type without options.
template <typename Make>
NormalizerParser Simple(Make make) {
  return [make](const JsonNode& node, const TokenizerSettings&, int) {
    node.OnlyKeys({"type"});
    return make();
  };
}

NormalizerParser Form(NormalForm form) {
  return Simple([form] { return NewFormNormalizer(form); });
}

const std::map<std::string, NormalizerParser>& NormalizerTypes() {
  static const auto* const kTypes = new std::map<std::string, NormalizerParser>{
      {"BertNormalizer", ParseBert},
      {"Lowercase", Simple(NewLowercaseNormalizer)},
      {"NFC", Form(NormalForm::kNfc)},
      {"NFD", Form(NormalForm::kNfd)},
      {"NFKC", Form(NormalForm::kNfkc)},
      {"NFKD", Form(NormalForm::kNfkd)},
      {"Precompiled", [](const JsonNode& node, const TokenizerSettings&,
                         int) { return ParseCharsmap(node); }},
      {"Prepend", [](const JsonNode& node, const TokenizerSettings&,
                     int) { return ParsePrepend(node); }},
      {"Replace", [](const JsonNode& node, const TokenizerSettings&,
                     int) { return ParseReplace(node); }},
      {"Sequence",
       [](const JsonNode& node, const TokenizerSettings& settings, int depth) {
         return NewNormalizerSequence(ParseSequence<Normalizer>(
             node, "normalizers", [&](const JsonNode& part) {
               return ParseNormalizerAt(part, settings, depth + 1);
             }));
       }},
      {"Strip", [](const JsonNode& node, const TokenizerSettings&,
                   int) { return ParseStrip(node); }},
      {"StripAccents", Simple(NewStripAccentsNormalizer)}};
  return *kTypes;
}

Normalizer ParseNormalizerAt(const JsonNode& node,
                             const TokenizerSettings& settings, int depth) {
  if (!node.present()) return nullptr;
  const JsonNode type = node.Get("type");
  const auto parser = NormalizerTypes().find(type.String());
  if (parser == NormalizerTypes().end()) {
    FailUnknown(type, NormalizerTypes());
    return nullptr;
  }
  if (depth > kDeepestSequence) {
    type.FailWith("is nested too deep");
    return nullptr;
  }
  return parser->second(node, settings, depth);
}

SeparatorBehavior ParseBehavior(const JsonNode& node) {
  static const auto* const kNames =
      new std::map<std::string, SeparatorBehavior>{
          {"Contiguous", SeparatorBehavior::kContiguous},
          {"Isolated", SeparatorBehavior::kIsolated},
          {"MergedWithNext", SeparatorBehavior::kMergedWithNext},
          {"MergedWithPrevious", SeparatorBehavior::kMergedWithPrevious},
          {"Removed", SeparatorBehavior::kRemoved}};
  const auto found = kNames->find(node.String());
  if (found != kNames->end()) return found->second;
  FailUnknown(node, *kNames);
  return SeparatorBehavior::kIsolated;
}

Splitter ParseSplit(const JsonNode& node) {
  node.OnlyKeys({"type", "pattern", "behavior", "invert"});
  const JsonNode pattern = node.Get("pattern");
  pattern.OnlyKeys({"String", "Regex"});
  std::unique_ptr<SeparatorFinder> finder;
  if (!pattern.Find("Regex").present()) {
    finder = NewLiteralFinder(pattern.Get("String").String());
  } else {
    using Make = std::unique_ptr<SeparatorFinder> (*)();
    static const auto* const kPatterns = new std::map<std::string, Make>{
        {kGpt2Pattern, NewGpt2Finder},
        {"\\s", [] { return NewCharacterFinder(IsWhiteSpace); }},
        {"\\s+", [] { return NewRunFinder(IsWhiteSpace); }}};
    const JsonNode regex = pattern.Get("Regex");
    const auto found = kPatterns->find(regex.String());
    if (found == kPatterns->end()) {
      FailUnknown(regex, *kPatterns);
      return nullptr;
    }
    finder = found->second();
  }
  return NewSplitPreTokenizer(std::move(finder),
                              ParseBehavior(node.Get("behavior")),
                              node.Get("invert").Bool());
}

// Older files have add_prefix_space, newer ones prepend_scheme.
Splitter ParseMetaspace(const JsonNode& node) {
  node.OnlyKeys({"type", "replacement", "str_rep", "add_prefix_space",
                 "prepend_scheme", "split"});
  static const auto* const kSchemes = new std::map<std::string, PrependScheme>{
      {"always", PrependScheme::kAlways},
      {"first", PrependScheme::kFirst},
      {"never", PrependScheme::kNever}};
  const JsonNode prefix = node.Find("add_prefix_space");
  const JsonNode scheme = node.Find("prepend_scheme");
  const std::string name =
      scheme.StringOr(prefix.BoolOr(true) ? "always" : "never");
  const auto found = kSchemes->find(name);
  if (found == kSchemes->end()) {
    FailUnknown(scheme, *kSchemes);
    return nullptr;
  }
  if (!prefix.BoolOr(true) && name != "never") scheme.Fail("\"never\"");
  const std::string replacement = node.Get("replacement").String();
  size_t length = 0;
  if (!replacement.empty()) NextCodePoint(replacement, &length);
  if (length == 0 || length < replacement.size()) {
    node.Get("replacement").Fail("one character");
    return nullptr;
  }
  return NewMetaspacePreTokenizer(replacement, found->second,
                                  node.Find("split").BoolOr(true));
}

// GPT2TokenizerFast and RobertaTokenizerFast set their own add_prefix_space in
// the pre_tokenizer that they load (tokenization_gpt2_fast.py).
Splitter ParseByteLevel(const JsonNode& node, const TokenizerSettings& settings,
                        int depth) {
  node.OnlyKeys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  bool prefix = node.Get("add_prefix_space").Bool();
  if (depth == 0 && (settings.family == TokenizerFamily::kGpt2 ||
                     settings.family == TokenizerFamily::kRoberta)) {
    prefix = settings.add_prefix_space.value_or(false);
  }
  return NewByteLevelPreTokenizer(prefix, node.Find("use_regex").BoolOr(true));
}

Splitter ParseDelimiter(const JsonNode& node) {
  node.OnlyKeys({"type", "delimiter"});
  return NewSplitPreTokenizer(NewLiteralFinder(node.Get("delimiter").String()),
                              SeparatorBehavior::kRemoved, /*invert=*/false);
}

Splitter ParseDigits(const JsonNode& node) {
  node.OnlyKeys({"type", "individual_digits"});
  const bool single = node.Get("individual_digits").Bool();
  return NewSplitPreTokenizer(
      single ? NewCharacterFinder(IsNumber) : NewRunFinder(IsNumber),
      SeparatorBehavior::kIsolated, /*invert=*/false);
}

Splitter ParsePunctuation(const JsonNode& node) {
  node.OnlyKeys({"type", "behavior"});
  const JsonNode behavior = node.Find("behavior");
  return NewPunctuationPreTokenizer(behavior.present()
                                        ? ParseBehavior(behavior)
                                        : SeparatorBehavior::kIsolated);
}

using SplitterParser = std::function<Splitter(
    const JsonNode& node, const TokenizerSettings& settings, int depth)>;

Splitter ParsePreTokenizerAt(const JsonNode& node,
                             const TokenizerSettings& settings, int depth);

SplitterParser Alone(Splitter (*parse)(const JsonNode&)) {
  return [parse](const JsonNode& node, const TokenizerSettings&, int) {
    return parse(node);
  };
}

Splitter ParseWhitespaceSplit(const JsonNode& node) {
  node.OnlyKeys({"type"});
  return NewSplitPreTokenizer(NewCharacterFinder(IsWhiteSpace),
                              SeparatorBehavior::kRemoved, /*invert=*/false);
}

const std::map<std::string, SplitterParser>& PreTokenizerTypes() {
  static const auto* const kTypes = new std::map<std::string, SplitterParser>{
      {"BertPreTokenizer", Alone([](const JsonNode& node) {
         node.OnlyKeys({"type"});
         return NewBertPreTokenizer();
       })},
      {"ByteLevel", ParseByteLevel},
      {"CharDelimiterSplit", Alone(ParseDelimiter)},
      {"Digits", Alone(ParseDigits)},
      {"Metaspace", Alone(ParseMetaspace)},
      {"Punctuation", Alone(ParsePunctuation)},
      {"Sequence",
       [](const JsonNode& node, const TokenizerSettings& settings, int depth) {
         return NewPreTokenizerSequence(ParseSequence<Splitter>(
             node, "pretokenizers", [&](const JsonNode& part) {
               return ParsePreTokenizerAt(part, settings, depth + 1);
             }));
       }},
      {"Split", Alone(ParseSplit)},
      {"Whitespace", Alone([](const JsonNode& node) {
         node.OnlyKeys({"type"});
         return NewWordPreTokenizer();
       })},
      {"WhitespaceSplit", Alone(ParseWhitespaceSplit)}};
  return *kTypes;
}

Splitter ParsePreTokenizerAt(const JsonNode& node,
                             const TokenizerSettings& settings, int depth) {
  if (!node.present()) return nullptr;
  const JsonNode type = node.Get("type");
  const auto parser = PreTokenizerTypes().find(type.String());
  if (parser == PreTokenizerTypes().end()) {
    FailUnknown(type, PreTokenizerTypes());
    return nullptr;
  }
  if (depth > kDeepestSequence) {
    type.FailWith("is nested too deep");
    return nullptr;
  }
  return parser->second(node, settings, depth);
}

}  // namespace

std::unique_ptr<TextNormalizer> ParseNormalizer(
    const JsonNode& node, const TokenizerSettings& settings) {
  return ParseNormalizerAt(node, settings, /*depth=*/0);
}

std::unique_ptr<PreTokenizer> ParsePreTokenizer(
    const JsonNode& node, const TokenizerSettings& settings) {
  return ParsePreTokenizerAt(node, settings, /*depth=*/0);
}

}  // namespace kodistil
