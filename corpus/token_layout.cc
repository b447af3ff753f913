#include "corpus/token_layout.h"

#include <glog/logging.h>

#include <algorithm>

namespace kodistil {
namespace {

using Item = TokenLayout::Item;

Item Token(int32_t id, int32_t type) {
  return {TokenLayout::Part::kToken, id, type};
}
Item First() { return {TokenLayout::Part::kFirst, /*id=*/-1, /*type=*/0}; }
Item Second(int32_t type) {
  return {TokenLayout::Part::kSecond, /*id=*/-1, type};
}

}  // namespace

std::pair<size_t, size_t> KeepLongestFirst(size_t first, size_t second,
                                           size_t budget, bool slow) {
  if (first + second <= budget) return {first, second};
  const size_t half = budget / 2;
  if (std::min(first, second) <= half) {
    return first <= second ? std::make_pair(first, budget - first)
                           : std::make_pair(budget - second, second);
  }
  const bool first_keeps_odd = slow || first > second;
  return first_keeps_odd ? std::make_pair(budget - half, half)
                         : std::make_pair(half, budget - half);
}

TokenLayout TokenLayout::Bert(int32_t cls, int32_t sep) {
  TokenLayout layout;
  layout.single = {Token(cls, 0), First(), Token(sep, 0)};
  layout.pair = {Token(cls, 0), First(), Token(sep, 0), Second(1),
                 Token(sep, 1)};
  return layout;
}

TokenLayout TokenLayout::Roberta(int32_t cls, int32_t sep) {
  TokenLayout layout;
  layout.single = {Token(cls, 0), First(), Token(sep, 0)};
  layout.pair = {Token(cls, 0), First(),   Token(sep, 0),
                 Token(sep, 0), Second(0), Token(sep, 0)};
  return layout;
}

TokenLayout TokenLayout::Xlnet(int32_t cls, int32_t sep) {
  TokenLayout layout;
  layout.single = {First(), Token(sep, 0), Token(cls, 2)};
  layout.pair = {First(), Token(sep, 0), Second(1), Token(sep, 1),
                 Token(cls, 2)};
  return layout;
}

TokenLayout TokenLayout::T5(int32_t eos) {
  TokenLayout layout;
  layout.single = {First(), Token(eos, 0)};
  layout.pair = {First(), Token(eos, 0), Second(0), Token(eos, 0)};
  return layout;
}

TokenLayout TokenLayout::Plain() {
  TokenLayout layout;
  layout.single = {First()};
  layout.pair = {First(), Second(1)};
  return layout;
}

int TokenLayout::special_tokens(bool is_pair) const {
  const std::vector<Item>& items = is_pair ? pair : single;
  return static_cast<int>(
      std::count_if(items.begin(), items.end(),
                    [](const Item& i) { return i.part == Part::kToken; }));
}

void TokenLayout::ApplySingle(int max_length, std::vector<int32_t>* ids,
                              std::vector<int32_t>* type_ids) const {
  const int added = special_tokens(/*is_pair=*/false);
  CHECK(max_length == 0 || max_length >= added) << max_length;
  if (max_length > 0 && ids->size() + added > static_cast<size_t>(max_length)) {
    ids->resize(max_length - added);
  }
  std::vector<int32_t> text;
  text.swap(*ids);
  ids->reserve(text.size() + added);
  if (type_ids != nullptr) type_ids->clear();
  for (const Item& item : single) {
    if (item.part == Part::kFirst) {
      ids->insert(ids->end(), text.begin(), text.end());
    } else if (!IsRepeated(item, text)) {
      ids->push_back(item.id);
    }
    if (type_ids != nullptr) type_ids->resize(ids->size(), item.type);
  }
}

bool TokenLayout::IsRepeated(const Item& item,
                             const std::vector<int32_t>& text) const {
  return skip_repeated && !text.empty() && text.back() == item.id;
}

std::vector<int32_t> TokenLayout::ApplyPair(
    std::vector<int32_t> first, std::vector<int32_t> second, int max_length,
    std::vector<int32_t>* type_ids) const {
  const int added = special_tokens(/*is_pair=*/true);
  CHECK(max_length == 0 || max_length >= added) << max_length;
  const size_t budget = max_length == 0 ? SIZE_MAX : max_length - added;
  const auto [keep_first, keep_second] =
      KeepLongestFirst(first.size(), second.size(), budget, slow);
  first.resize(keep_first);
  second.resize(keep_second);
  std::vector<int32_t> ids;
  ids.reserve(keep_first + keep_second + added);
  if (type_ids != nullptr) type_ids->clear();
  const std::vector<int32_t>* before = nullptr;  // text before a token
  for (const Item& item : pair) {
    if (item.part == Part::kToken) {
      if (before == nullptr || !IsRepeated(item, *before)) {
        ids.push_back(item.id);
      }
    } else {
      before = item.part == Part::kFirst ? &first : &second;
      ids.insert(ids.end(), before->begin(), before->end());
    }
    if (type_ids != nullptr) type_ids->resize(ids.size(), item.type);
  }
  return ids;
}

}  // namespace kodistil
