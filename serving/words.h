// The words of a text, and the text without one of them: what an answer turns
// on is seen by leaving a word out.

#ifndef KODISTIL_SERVING_WORDS_H_
#define KODISTIL_SERVING_WORDS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {

// What stands between white space (Unicode's White_Space).
struct Word {
  // In code points of the text, end exclusive.
  int begin = 0;
  int end = 0;
  // The same in bytes.
  size_t begin_byte = 0;
  size_t end_byte = 0;
};

// The first `most` words of the well-formed `text`.
std::vector<Word> SplitWords(absl::string_view text, size_t most);

// `text` without the word; the white space on both sides stays.
std::string LeaveOut(absl::string_view text, const Word& word);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_WORDS_H_
