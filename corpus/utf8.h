// Checks of UTF-8 text: well-formed, and not blank; and its end.

#ifndef KODISTIL_CORPUS_UTF8_H_
#define KODISTIL_CORPUS_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kodistil {

// Number of bytes before the first ill-formed sequence (Unicode 15, table 3-7:
// no overlong forms, no surrogates, nothing above U+10FFFF); text.size() when
// there is none.
size_t WellFormedUtf8Prefix(absl::string_view text);

// The end of `text`, at most `max_bytes` of it, from the start of a character
// on; each ill-formed byte becomes "?".
std::string Utf8Tail(absl::string_view text, size_t max_bytes);

// The longest text that anything here takes. Far more than a review has, or a
// teacher reads.
inline constexpr int64_t kMaxTextCharacters = 10000;

// Characters (code points) of the well-formed `text`.
int64_t CountCharacters(absl::string_view text);

// "the text has 10,001 characters, expected at most 10,000"; "" for a shorter
// text.
std::string TextLengthProblem(absl::string_view text, int64_t max_characters);

// Whether the well-formed `text` has only spaces, control and zero-width
// characters.
bool IsBlank(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_UTF8_H_
