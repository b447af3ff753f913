#include "corpus/added_tokens.h"

#include <algorithm>
#include <utility>

#include "corpus/unicode.h"

namespace kodistil {
namespace {

// The end of the white space at `pos`.
size_t SkipSpace(absl::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t next = pos;
    if (!IsWhiteSpace(NextCodePoint(text, &next))) break;
    pos = next;
  }
  return pos;
}

// Where the character before `pos`, which is not 0, begins.
size_t Before(absl::string_view text, size_t pos) {
  do {
    --pos;
  } while (pos > 0 && (text[pos] & 0xC0) == 0x80);
  return pos;
}

size_t SkipSpaceBackwards(absl::string_view text, size_t pos) {
  while (pos > 0) {
    size_t start = Before(text, pos);
    const size_t previous = start;
    if (!IsWhiteSpace(NextCodePoint(text, &start))) break;
    pos = previous;
  }
  return pos;
}

// Whether a word goes on at either side of the part of `text`.
bool TouchesWord(absl::string_view text, size_t begin, size_t end) {
  if (end < text.size() && IsWordCharacter(NextCodePoint(text, &end))) {
    return true;
  }
  if (begin == 0) return false;
  size_t before = Before(text, begin);
  return IsWordCharacter(NextCodePoint(text, &before));
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)) {
  std::vector<std::pair<absl::string_view, int32_t>> contents;
  // Backwards: of two with the same content PieceTrie keeps the last.
  for (size_t i = tokens_.size(); i-- > 0;) {
    contents.push_back({tokens_[i].content, static_cast<int32_t>(i)});
    begins_[static_cast<uint8_t>(tokens_[i].content[0])] = true;
  }
  contents_ = PieceTrie(std::move(contents));
}

void AddedTokens::Split(absl::string_view text, Visitor visit) const {
  size_t done = 0;  // before it everything is visited
  for (size_t pos = 0; pos < text.size();) {
    if (!begins_[static_cast<uint8_t>(text[pos])]) {
      ++pos;
      continue;
    }
    const PieceTrie::Match match = contents_.LongestPrefix(text.substr(pos));
    if (match.length == 0) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[match.id];
    size_t begin = pos;
    size_t end = pos += match.length;
    if (token.single_word && TouchesWord(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(SkipSpaceBackwards(text, begin), done);
    if (token.rstrip) end = SkipSpace(text, end);
    if (done < begin) visit(-1, text.substr(done, begin - done));
    visit(token.id, text.substr(begin, end - begin));
    done = end;
  }
  if (done < text.size()) visit(-1, text.substr(done));
}

}  // namespace kodistil
