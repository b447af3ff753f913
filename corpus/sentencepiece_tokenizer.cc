#include "corpus/sentencepiece_tokenizer.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "corpus/added_tokens.h"
#include "corpus/piece_model.h"
#include "corpus/sentencepiece_bridge.h"
#include "corpus/sentencepiece_model.h"
#include "corpus/token_layout.h"
#include "corpus/unicode.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr absl::string_view kUnderline = "\u2581";  // begins a word

// What is the same for every text.
struct Parts {
  std::unique_ptr<SentencePieceBridge> model;
  PieceIds ids;
  int32_t unk_id = 0;
  TokenizerFamily family = TokenizerFamily::kT5;
  bool remove_space = true;
  bool keep_accents = false;
  bool lower_case = false;
  AddedTokens special_tokens;
  TokenLayout layout;
  SpecialTokenIds special_ids;
  int vocab_size = 0;
};

// " ".join(text.split())
std::string OneSpace(absl::string_view text) {
  std::string out;
  bool pending = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (IsPythonSpace(c)) {
      pending = !out.empty();
      continue;
    }
    if (pending) out.push_back(' ');
    pending = false;
    AppendUtf8(c, &out);
  }
  return out;
}

std::string WithoutAccents(std::string text) {
  NormalizeLikePython(&text);
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (!IsPythonCombining(c)) AppendUtf8(c, &out);
  }
  return out;
}

std::string LowerCase(absl::string_view text) {
  std::u32string lower;
  for (size_t pos = 0; pos < text.size();) {
    AppendLowerCase(NextCodePoint(text, &pos), &lower);
  }
  std::string out;
  for (const char32_t c : lower) AppendUtf8(c, &out);
  return out;
}

// Whether a piece is longer than a comma, which it ends with, after a digit.
bool EndsWithDigitAndComma(absl::string_view piece) {
  if (piece.size() < 2 || piece.back() != ',') return false;
  size_t pos = piece.size() - 2;
  while (pos > 0 && (piece[pos] & 0xC0) == 0x80) --pos;
  return IsPythonDigit(NextCodePoint(piece, &pos));
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(Parts parts) : parts_(std::move(parts)) {}

  int vocab_size() const override { return parts_.vocab_size; }
  int special_tokens(bool pair) const override {
    return parts_.layout.special_tokens(pair);
  }
  const SpecialTokenIds& special_ids() const override {
    return parts_.special_ids;
  }

 private:
  void EncodeOne(absl::string_view text, int max_length,
                 std::vector<int32_t>* ids,
                 std::vector<int32_t>* type_ids) const override {
    ids->clear();
    Append(text, ids);
    parts_.layout.ApplySingle(max_length, ids, type_ids);
  }

  std::vector<int32_t> EncodeTwo(
      absl::string_view text, absl::string_view second, int max_length,
      std::vector<int32_t>* type_ids) const override {
    std::vector<int32_t> first_ids, second_ids;
    Append(text, &first_ids);
    Append(second, &second_ids);
    return parts_.layout.ApplyPair(std::move(first_ids), std::move(second_ids),
                                   max_length, type_ids);
  }

  void Append(absl::string_view text, std::vector<int32_t>* ids) const {
    std::string well_formed;
    if (WellFormedUtf8Prefix(text) < text.size()) {
      well_formed = WellFormed(text);
      text = well_formed;
    }
    parts_.special_tokens.Split(text, [&](int32_t id, absl::string_view part) {
      if (id >= 0) return ids->push_back(id);
      for (const std::string& piece : PiecesOf(part)) {
        const auto found = parts_.ids.find(piece);
        ids->push_back(found == parts_.ids.end() ? parts_.unk_id
                                                 : found->second);
      }
    });
  }

  std::vector<std::string> PiecesOf(absl::string_view text) const {
    if (parts_.family == TokenizerFamily::kT5) {
      return LibraryPieces(std::string(text));
    }
    std::vector<std::string> out;
    for (std::string& piece : LibraryPieces(Prepared(text))) {
      if (EndsWithDigitAndComma(piece)) {
        AppendNumberAndComma(piece, &out);
      } else {
        out.push_back(std::move(piece));
      }
    }
    return out;
  }

  // preprocess_text of XLNetTokenizer.
  std::string Prepared(absl::string_view text) const {
    std::string out = parts_.lower_case ? LowerCase(text) : std::string(text);
    if (parts_.remove_space) out = OneSpace(out);
    absl::StrReplaceAll({{"``", "\""}, {"''", "\""}}, &out);
    if (!parts_.keep_accents) out = WithoutAccents(std::move(out));
    if (parts_.lower_case) out = LowerCase(out);
    return out;
  }

  // The pieces of a number, and its comma.
  void AppendNumberAndComma(const std::string& piece,
                            std::vector<std::string>* out) const {
    std::vector<std::string> number = LibraryPieces(absl::StrReplaceAll(
        piece.substr(0, piece.size() - 1), {{kUnderline, ""}}));
    if (!absl::StartsWith(piece, kUnderline) && !number.empty() &&
        absl::StartsWith(number[0], kUnderline)) {
      number[0].erase(0, kUnderline.size());
      if (number[0].empty()) number.erase(number.begin());
    }
    for (std::string& part : number) out->push_back(std::move(part));
    out->push_back(",");
  }

  std::vector<std::string> LibraryPieces(const std::string& text) const {
    std::vector<std::string> pieces;
    std::string error;
    // The model was checked, so only memory can be missing.
    CHECK(parts_.model->Encode(text, &pieces, &error)) << error;
    return pieces;
  }

  const Parts parts_;
};

// KoBERT's vocab.txt: lines without the white space at their ends.
absl::StatusOr<PieceIds> ParseVocab(absl::string_view text,
                                    const std::string& source, int* size) {
  PieceIds ids;
  for (*size = 0; !text.empty(); ++*size) {
    const size_t end = std::min(text.find('\n'), text.size());
    absl::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (WellFormedUtf8Prefix(line) < line.size()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s:%d: found a piece that is not UTF-8, expected one UTF-8 piece a "
          "line",
          source, *size + 1));
    }
    std::string stripped;
    std::string spaces;
    for (size_t pos = 0; pos < line.size();) {
      const char32_t c = NextCodePoint(line, &pos);
      if (IsPythonSpace(c)) {
        if (!stripped.empty()) AppendUtf8(c, &spaces);
        continue;
      }
      stripped += spaces;
      spaces.clear();
      AppendUtf8(c, &stripped);
    }
    ids[stripped] = *size;
  }
  return ids;
}

// Gives the special tokens of `settings` their ids and makes their literals
// known.
absl::Status AddSpecialTokens(const std::string& source,
                              const TokenizerSettings& settings, Parts* parts) {
  std::vector<AddedToken> literals = settings.added_tokens;
  const int pieces = parts->vocab_size;
  for (const AddedToken& token : literals) {
    parts->vocab_size = std::max(parts->vocab_size, token.id + 1);
  }
  const auto id_of = [&](const std::string& content) {
    for (const AddedToken& token : settings.added_tokens) {
      if (token.content == content) return token.id;
    }
    const auto found = parts->ids.find(content);
    return found == parts->ids.end() ? -1 : found->second;
  };
  for (const SpecialTokenField& field : SpecialTokenFields()) {
    AddedToken token;
    token.content = settings.SpecialToken(field.name);
    if (token.content.empty()) continue;
    token.id = id_of(token.content);
    parts->special_ids.*field.id = token.id;
    if (token.id >= 0) {
      literals.push_back(std::move(token));
    } else if (settings.special_tokens.count(field.name) > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": no piece \"", token.content, "\", which ",
                       field.name, " is"));
    }
  }
  for (const char* extra : {"<eop>", "<eod>"}) {
    if (settings.family != TokenizerFamily::kXlnet) break;
    const int32_t id = id_of(extra);
    if (id >= 0) literals.push_back({extra, id});
  }
  if (settings.family == TokenizerFamily::kT5) {
    const int end = pieces + static_cast<int>(settings.extra_ids);
    for (int i = 0; i < settings.extra_ids; ++i) {
      const std::string name = absl::StrCat("<extra_id_", i, ">");
      const int32_t known = id_of(name);
      literals.push_back({name, known >= 0 ? known : end - i - 1});
    }
    parts->vocab_size = std::max(parts->vocab_size, end);
  }
  parts->special_tokens = AddedTokens(std::move(literals));
  return absl::OkStatus();
}

// The special tokens that the family's layout needs.
absl::Status SetLayout(const std::string& source, Parts* parts) {
  const SpecialTokenIds& ids = parts->special_ids;
  const bool is_t5 = parts->family == TokenizerFamily::kT5;
  const std::pair<const char*, int32_t> needed[] = {
      {"unk_token", ids.unk},
      {"pad_token", ids.pad},
      {is_t5 ? "eos_token" : "sep_token", is_t5 ? ids.eos : ids.sep},
      {is_t5 ? "eos_token" : "cls_token", is_t5 ? ids.eos : ids.cls}};
  for (const auto& [name, id] : needed) {
    if (id < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": no piece for ", name, ", which a ",
                       NameOf(parts->family), " has"));
    }
  }
  parts->unk_id = ids.unk;
  if (is_t5) {
    parts->layout = TokenLayout::T5(ids.eos);
    parts->layout.skip_repeated = true;
  } else if (parts->family == TokenizerFamily::kXlnet) {
    parts->layout = TokenLayout::Xlnet(ids.cls, ids.sep);
  } else {
    parts->layout = TokenLayout::Bert(ids.cls, ids.sep);
  }
  parts->layout.slow = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> NewSentencePieceTokenizer(
    absl::string_view model, const std::string& source, absl::string_view vocab,
    const std::string& vocab_source, const TokenizerSettings& settings) {
  KODISTIL_ASSIGN_OR_RETURN(const SentencePieceModel parsed,
                            SentencePieceModel::Parse(model, source));
  Parts parts;
  parts.family = settings.family;
  parts.remove_space = settings.remove_space.value_or(true);
  parts.keep_accents = settings.keep_accents.value_or(false);
  parts.lower_case = settings.do_lower_case.value_or(false);
  if (vocab.empty()) {
    parts.ids = parsed.Ids();
    parts.vocab_size = static_cast<int>(parsed.pieces.size());
  } else {
    KODISTIL_ASSIGN_OR_RETURN(
        parts.ids, ParseVocab(vocab, vocab_source, &parts.vocab_size));
  }
  const std::string& names = vocab.empty() ? source : vocab_source;
  KODISTIL_RETURN_IF_ERROR(AddSpecialTokens(names, settings, &parts));
  KODISTIL_RETURN_IF_ERROR(SetLayout(names, &parts));
  std::string error;
  if (!SentencePieceBridge::IsAvailable(&error)) {
    return absl::FailedPreconditionError(absl::StrCat(source, ": ", error));
  }
  parts.model = SentencePieceBridge::Create(parsed.Serialize(), &error);
  if (parts.model == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": SentencePiece says: ", error));
  }
  return std::unique_ptr<Tokenizer>(
      std::make_unique<SentencePieceTokenizer>(std::move(parts)));
}

}  // namespace kodistil
