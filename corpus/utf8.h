// Checks of UTF-8 text: well-formed, and not blank.

#ifndef KODISTIL_CORPUS_UTF8_H_
#define KODISTIL_CORPUS_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace kodistil {

// Number of bytes before the first ill-formed sequence (Unicode 15, table 3-7:
// no overlong forms, no surrogates, nothing above U+10FFFF); text.size() when
// there is none.
size_t WellFormedUtf8Prefix(absl::string_view text);

// Whether the well-formed `text` has only spaces, control and zero-width
// characters.
bool IsBlank(absl::string_view text);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_UTF8_H_
