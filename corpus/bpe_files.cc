#include "corpus/bpe_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "corpus/json_reader.h"
#include "corpus/piece_model.h"
#include "corpus/pipeline_tokenizer.h"
#include "corpus/special_tokens.h"

namespace kodistil {
namespace {

// The first line names the version; each other one is two pieces with a space
// between.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseMerges(
    absl::string_view text, const std::string& path) {
  std::vector<std::pair<std::string, std::string>> merges;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    if (++number == 1) {
      if (absl::StartsWith(line, "#version")) continue;
      // Hugging Face's slow tokenizers drop whatever the first line is.
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":1: found \"", line.substr(0, 80), "\", expected #version"));
    }
    if (line.empty()) continue;
    const std::vector<absl::string_view> parts = absl::StrSplit(line, ' ');
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": found \"", line.substr(0, 80),
                       "\", expected two pieces with a space between"));
    }
    merges.push_back({std::string(parts[0]), std::string(parts[1])});
  }
  return merges;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> NewBpeFilesTokenizer(
    const BpeFiles& files, const TokenizerSettings& settings) {
  KODISTIL_ASSIGN_OR_RETURN(const JsonFile vocab,
                            JsonFile::Parse(files.vocab, files.vocab_path));
  TokenizerParts parts;
  PieceIds pieces = ParsePieceIds(vocab.root(), &parts.vocab_size);
  KODISTIL_RETURN_IF_ERROR(vocab.status());
  KODISTIL_ASSIGN_OR_RETURN(auto merges,
                            ParseMerges(files.merges, files.merges_path));
  absl::StatusOr<std::unique_ptr<PieceModel>> model =
      NewBpeModel(std::move(pieces), std::move(merges), BpeModelOptions());
  if (!model.ok()) return Annotate(model.status(), files.merges_path);
  parts.model = *std::move(model);
  parts.pre_tokenizer =
      NewByteLevelPreTokenizer(settings.add_prefix_space.value_or(false),
                               /*use_regex=*/true);
  KODISTIL_RETURN_IF_ERROR(
      AddSpecialTokens(settings, files.vocab_path, &parts));
  parts.layout = TokenLayout::Plain();
  if (settings.family == TokenizerFamily::kRoberta) {
    const SpecialTokenIds& ids = parts.special_ids;
    if (ids.cls < 0 || ids.sep < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          files.vocab_path, ": no piece for ",
          ids.cls < 0 ? "cls_token \"" : "sep_token \"",
          settings.SpecialToken(ids.cls < 0 ? "cls_token" : "sep_token"),
          "\", which a ", NameOf(settings.family), " has"));
    }
    parts.layout = TokenLayout::Roberta(ids.cls, ids.sep);
  }
  return NewPipelineTokenizer(std::move(parts));
}

}  // namespace kodistil
