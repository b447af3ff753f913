#include "corpus/special_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

int32_t IdOf(const std::string& content, const TokenizerParts& parts) {
  for (const AddedToken& token : parts.added_tokens) {
    if (token.content == content) return token.id;
  }
  return parts.model->IdOf(content);
}

}  // namespace

PieceIds ParsePieceIds(const JsonNode& node, int* vocab_size) {
  PieceIds pieces;
  *vocab_size = 0;
  if (!node.is_object()) {
    node.Fail("an object of pieces to ids");
    return pieces;
  }
  pieces.reserve(node.raw()->size());
  for (const auto& [piece, id] : node.raw()->items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMostTokenIds) {
      node.Find(piece).Fail(
          absl::StrCat("an id from 0 to ", kMostTokenIds - 1));
      return pieces;
    }
    pieces[piece] = id.get<int32_t>();
    *vocab_size = std::max(*vocab_size, id.get<int32_t>() + 1);
  }
  return pieces;
}

absl::Status SetSpecialIds(const TokenizerSettings& settings,
                           const std::string& source, TokenizerParts* parts) {
  for (const SpecialTokenField& field : SpecialTokenFields()) {
    const std::string content = settings.SpecialToken(field.name);
    if (content.empty()) continue;
    int32_t& id = parts->special_ids.*field.id;
    id = IdOf(content, *parts);
    // One that a file names must be there; one that the class has, may be.
    if (id < 0 && settings.special_tokens.count(field.name) > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ": no token \"", content, "\", which is the ", field.name,
          " of tokenizer_config.json or special_tokens_map.json"));
    }
  }
  return absl::OkStatus();
}

absl::Status AddSpecialTokens(const TokenizerSettings& settings,
                              const std::string& source,
                              TokenizerParts* parts) {
  for (const AddedToken& token : settings.added_tokens) {
    const int32_t piece = parts->model->IdOf(token.content);
    if (piece >= 0 && piece != token.id) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ": the piece \"", token.content, "\" has the id ", piece,
          ", expected ", token.id, ", the id of that added token"));
    }
    parts->vocab_size = std::max(parts->vocab_size, token.id + 1);
    parts->added_tokens.push_back(token);
  }
  KODISTIL_RETURN_IF_ERROR(SetSpecialIds(settings, source, parts));
  for (const SpecialTokenField& field : SpecialTokenFields()) {
    const auto named = settings.special_tokens.find(field.name);
    AddedToken token;
    if (named != settings.special_tokens.end()) token = named->second;
    token.content = settings.SpecialToken(field.name);
    token.id = parts->special_ids.*field.id;
    token.special = true;
    token.normalized = false;
    // RobertaTokenizer's, unless a file says more than its text.
    const bool is_plain = !token.lstrip && !token.rstrip && !token.single_word;
    if (settings.family == TokenizerFamily::kRoberta && is_plain &&
        field.id == &SpecialTokenIds::mask) {
      token.lstrip = true;
    }
    if (token.id >= 0) parts->added_tokens.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace kodistil
