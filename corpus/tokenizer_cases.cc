#include "corpus/tokenizer_cases.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/wordpiece_tokenizer.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr int kTruncatedLength = 32;  // of the field ids_32

std::string StringOr(const Json& object, const char* key,
                     const std::string& fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>()
                                                     : fallback;
}

bool BoolOr(const Json& object, const char* key, bool fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>()
                                                      : fallback;
}

WordPieceOptions ParseOptions(const Json& settings) {
  WordPieceOptions options;
  options.lower_case = BoolOr(settings, "do_lower_case", options.lower_case);
  options.strip_accents =
      BoolOr(settings, "strip_accents", options.strip_accents);
  options.tokenize_chinese_chars = BoolOr(settings, "tokenize_chinese_chars",
                                          options.tokenize_chinese_chars);
  options.slow = absl::StrContains(StringOr(settings, "tokenizer", ""), "slow");
  const auto chars = settings.find("max_input_chars_per_word");
  if (chars != settings.end() && chars->is_number_integer()) {
    options.max_word_chars = chars->get<int>();
  }
  return options;
}

// INVALID_ARGUMENT unless object[key] is a list of integers.
absl::StatusOr<std::vector<int32_t>> ParseIds(const Json& object,
                                              const char* key,
                                              const std::string& where) {
  const auto found = object.find(key);
  std::vector<int32_t> ids;
  if (found == object.end() || !found->is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected a list of ids '", key, "'"));
  }
  for (const Json& id : *found) {
    if (!id.is_number_integer()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": found ", id.dump(), " in '", key, "', expected integers"));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

absl::Status ParseCase(const Json& object, const std::string& source, int index,
                       std::vector<TokenizerCase>* out) {
  const std::string where = absl::StrCat(source, ": case ", index);
  if (!object.is_object() || !object.contains("text") ||
      !object["text"].is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected an object with a string 'text'"));
  }
  TokenizerCase parsed;
  parsed.label = StringOr(object, "label", absl::StrCat("case ", index));
  parsed.text = object["text"].get<std::string>();
  KODISTIL_ASSIGN_OR_RETURN(parsed.ids, ParseIds(object, "ids", where));
  out->push_back(parsed);
  if (!object.contains("ids_32")) return absl::OkStatus();
  parsed.max_length = kTruncatedLength;
  KODISTIL_ASSIGN_OR_RETURN(parsed.ids, ParseIds(object, "ids_32", where));
  out->push_back(std::move(parsed));
  return absl::OkStatus();
}

}  // namespace

std::string TokenizerDifference::ToString() const {
  return absl::StrFormat(
      "%s%s: \"%s\"\n  expected %s\n  found    %s", expected.label,
      expected.max_length > 0
          ? absl::StrCat(" (max_length ", expected.max_length, ")")
          : "",
      expected.text, absl::StrJoin(expected.ids, " "),
      absl::StrJoin(found, " "));
}

absl::StatusOr<TokenizerCases> ParseTokenizerCases(absl::string_view json,
                                                   const std::string& source) {
  const Json file = Json::parse(json, /*cb=*/nullptr,
                                /*allow_exceptions=*/false);
  if (file.is_discarded() || !file.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": expected a JSON object of 'settings' and 'cases'"));
  }
  const auto settings = file.find("settings");
  const auto cases = file.find("cases");
  if (settings == file.end() || !settings->is_object() || cases == file.end() ||
      !cases->is_array() || cases->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": expected an object 'settings' and a list 'cases'"));
  }
  TokenizerCases parsed;
  parsed.options = ParseOptions(*settings);
  parsed.vocab = StringOr(*settings, "vocab", "");
  parsed.vocab_sha256 = StringOr(*settings, "vocab_sha256", "");
  int index = 0;
  for (const Json& object : *cases) {
    KODISTIL_RETURN_IF_ERROR(ParseCase(object, source, index, &parsed.cases));
    ++index;
  }
  return parsed;
}

absl::StatusOr<std::vector<TokenizerDifference>> CompareTokenizer(
    const TokenizerCases& cases, absl::string_view vocab,
    const std::string& vocab_source, const WordPieceOptions& options) {
  const std::string digest = Sha256Hex(vocab);
  if (!cases.vocab_sha256.empty() && digest != cases.vocab_sha256) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s has SHA-256 %s, expected %s: the cases were made with %s",
        vocab_source, digest, cases.vocab_sha256, cases.vocab));
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const std::unique_ptr<WordPieceTokenizer> tokenizer,
      WordPieceTokenizer::Create(vocab, vocab_source, options));
  std::vector<TokenizerDifference> differences;
  for (const TokenizerCase& expected : cases.cases) {
    std::vector<int32_t> found =
        tokenizer->Encode(expected.text, expected.max_length);
    if (found != expected.ids) {
      differences.push_back({expected, std::move(found)});
    }
  }
  return differences;
}

absl::Status ReportDifferences(
    const std::vector<TokenizerDifference>& differences,
    const TokenizerCases& cases, const std::string& source, std::ostream* out) {
  for (const TokenizerDifference& difference : differences) {
    *out << difference.ToString() << "\n";
  }
  *out << cases.cases.size() << " cases, " << differences.size() << " different"
       << std::endl;
  if (differences.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(source, ": ", differences.size(),
                                          " of ", cases.cases.size(),
                                          " cases differ"));
}

absl::Status EncodeLines(const Tokenizer& tokenizer, int max_length,
                         std::istream* lines, std::ostream* out) {
  const int least = tokenizer.special_tokens(/*pair=*/false);
  if (max_length < 0 || (max_length > 0 && max_length < least)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_length is ", max_length, ", expected ", least, " or more, or 0"));
  }
  for (std::string line; std::getline(*lines, line);) {
    *out << absl::StrJoin(tokenizer.Encode(line, max_length), " ") << "\n";
  }
  return absl::OkStatus();
}

}  // namespace kodistil
