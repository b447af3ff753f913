// A table for terminals and files: columns aligned by display width, in which
// Korean characters are two wide.

#ifndef KODISTIL_BASE_TABLE_H_
#define KODISTIL_BASE_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace kodistil {

// Columns a terminal uses for UTF-8 `text`: wide and full-width characters take
// two, combining marks and control characters none (Unicode TR 11).
int DisplayWidth(absl::string_view text);

// The longest prefix of `text` that takes at most `columns` columns, cut
// between characters.
std::string CutToWidth(absl::string_view text, int columns);

class Table {
 public:
  struct Column {
    std::string name;
    bool right = false;  // right-aligned, for numbers
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns; control characters are shown as spaces.
  void AddRow(std::vector<std::string> cells);

  std::string ToText() const;      // aligned, header underlined
  std::string ToMarkdown() const;  // | escaped
  std::string ToCsv() const;       // RFC 4180, header first

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_TABLE_H_
