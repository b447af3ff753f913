#include "serving/words.h"

#include "absl/strings/str_cat.h"
#include "corpus/unicode.h"

namespace kodistil {

std::vector<Word> SplitWords(absl::string_view text, size_t most) {
  std::vector<Word> words;
  Word word;
  bool inside = false;
  int index = 0;
  size_t pos = 0;
  while (pos < text.size()) {
    const size_t start = pos;
    const bool space = IsWhiteSpace(NextCodePoint(text, &pos));
    if (space && inside) {
      word.end = index;
      word.end_byte = start;
      words.push_back(word);
    } else if (!space && !inside) {
      if (words.size() == most) return words;
      word.begin = index;
      word.begin_byte = start;
    }
    inside = !space;
    ++index;
  }
  if (inside) {
    word.end = index;
    word.end_byte = text.size();
    words.push_back(word);
  }
  return words;
}

std::string LeaveOut(absl::string_view text, const Word& word) {
  return absl::StrCat(text.substr(0, word.begin_byte),
                      text.substr(word.end_byte));
}

}  // namespace kodistil
