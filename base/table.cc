#include "base/table.h"

#include <glog/logging.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace kodistil {
namespace {

// The character that begins at *offset, U+FFFD where the bytes are no UTF-8,
// and *offset moved behind it.
UChar32 NextCharacter(absl::string_view text, int32_t* offset) {
  UChar32 c = 0;
  U8_NEXT_OR_FFFD(reinterpret_cast<const uint8_t*>(text.data()), *offset,
                  static_cast<int32_t>(text.size()), c);
  return c;
}

int CharacterWidth(UChar32 c) {
  constexpr uint32_t kNoWidth =
      U_GC_MN_MASK | U_GC_ME_MASK | U_GC_CF_MASK | U_GC_CC_MASK;
  if ((U_GET_GC_MASK(c) & kNoWidth) != 0) return 0;
  // The vowels and finals of a decomposed syllable join its first consonant.
  const int syllable = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
  if (syllable == U_HST_VOWEL_JAMO || syllable == U_HST_TRAILING_JAMO) return 0;
  const int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

std::string WithoutControls(absl::string_view text) {
  std::string result;
  for (int32_t offset = 0; offset < static_cast<int32_t>(text.size());) {
    const int32_t begin = offset;
    const UChar32 c = NextCharacter(text, &offset);
    if ((U_GET_GC_MASK(c) & U_GC_CC_MASK) != 0) {
      result.push_back(' ');
    } else {
      result.append(text.data() + begin, offset - begin);
    }
  }
  return result;
}

// `text` filled up to `width` columns.
std::string Aligned(const std::string& text, int width, bool right) {
  const std::string fill(std::max(0, width - DisplayWidth(text)), ' ');
  return right ? fill + text : text + fill;
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string MarkdownCell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"|", "\\|"}});
}

}  // namespace

int DisplayWidth(absl::string_view text) {
  int width = 0;
  for (int32_t offset = 0; offset < static_cast<int32_t>(text.size());) {
    width += CharacterWidth(NextCharacter(text, &offset));
  }
  return width;
}

std::string CutToWidth(absl::string_view text, int columns) {
  int32_t offset = 0;
  while (offset < static_cast<int32_t>(text.size())) {
    int32_t next = offset;
    columns -= CharacterWidth(NextCharacter(text, &next));
    if (columns < 0) break;
    offset = next;
  }
  return std::string(text.substr(0, offset));
}

void Table::AddRow(std::vector<std::string> cells) {
  CHECK_EQ(cells.size(), columns_.size());
  for (std::string& cell : cells) cell = WithoutControls(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::ToText() const {
  std::vector<int> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int width = DisplayWidth(columns_[i].name);
    for (const auto& row : rows_) {
      width = std::max(width, DisplayWidth(row[i]));
    }
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      absl::StrAppend(&line, i > 0 ? "  " : "",
                      Aligned(cells[i], widths[i], columns_[i].right));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  };
  std::vector<std::string> names, rules;
  for (size_t i = 0; i < columns_.size(); ++i) {
    names.push_back(columns_[i].name);
    rules.push_back(std::string(widths[i], '-'));
  }
  add_line(names);
  add_line(rules);
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::string Table::ToMarkdown() const {
  std::string header = "|", rule = "|", body;
  for (const Column& column : columns_) {
    absl::StrAppend(&header, " ", MarkdownCell(column.name), " |");
    absl::StrAppend(&rule, column.right ? " ---: |" : " --- |");
  }
  for (const auto& row : rows_) {
    absl::StrAppend(&body, "|");
    for (const std::string& cell : row) {
      absl::StrAppend(&body, " ", MarkdownCell(cell), " |");
    }
    absl::StrAppend(&body, "\n");
  }
  return absl::StrCat(header, "\n", rule, "\n", body);
}

std::string Table::ToCsv() const {
  std::string text;
  for (size_t i = 0; i < columns_.size(); ++i) {
    absl::StrAppend(&text, i > 0 ? "," : "", CsvCell(columns_[i].name));
  }
  absl::StrAppend(&text, "\r\n");
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&text, i > 0 ? "," : "", CsvCell(row[i]));
    }
    absl::StrAppend(&text, "\r\n");
  }
  return text;
}

}  // namespace kodistil
