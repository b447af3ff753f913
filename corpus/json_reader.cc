#include "corpus/json_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr int kDeepest = 100;

// Whether brackets that no string holds are nested deeper than kDeepest. (The
// library would take any depth, and then end the process writing a message.)
bool NestsTooDeep(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

const char* TypeName(const Json& value) {
  return value.is_object() ? "an object" : "a list";
}

// As JSON pointers have it (RFC 6901).
std::string Escaped(absl::string_view key) {
  std::string out;
  for (const char c : key.substr(0, 80)) {
    out.append(c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c));
  }
  return out;
}

}  // namespace

double AsSerdeReads(double value) {
  if (!std::isfinite(value) || value == 0) return value;
  char text[40];
  const auto end = std::to_chars(text, text + sizeof(text), std::abs(value),
                                 std::chars_format::scientific);
  const absl::string_view shortest(text, end.ptr - text);
  const size_t e = shortest.find('e');
  uint64_t digits = 0;
  int exponent = 0;
  for (const char c : shortest.substr(0, e)) {
    if (c == '.') continue;
    digits = 10 * digits + (c - '0');
    ++exponent;
  }
  int power = 0;
  // SimpleAtoi takes the sign.
  if (!absl::SimpleAtoi(shortest.substr(e + 1), &power)) return value;
  power -= exponent - 1;
  constexpr int kLargestPower = 308;
  if (std::abs(power) > kLargestPower) return value;
  double ten = 1;
  if (!absl::SimpleAtod(absl::StrCat("1e", std::abs(power)), &ten))
    return value;
  const double read = power < 0 ? static_cast<double>(digits) / ten
                                : static_cast<double>(digits) * ten;
  return value < 0 ? -read : read;
}

std::string ShownJson(const Json& value) {
  constexpr size_t kLongest = 80;
  // The whole text of a vocabulary would be made just to be cut.
  if (value.is_structured() && value.size() > kLongest) {
    return absl::StrCat(TypeName(value), " of ", value.size());
  }
  const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/false,
                                      Json::error_handler_t::replace);
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

absl::StatusOr<JsonFile> JsonFile::Parse(absl::string_view text,
                                         const std::string& source) {
  if (NestsTooDeep(text)) {
    return absl::DataLossError(absl::StrCat(
        source, ": nested deeper than ", kDeepest, ", expected a plain file"));
  }
  JsonFile file;
  file.context_ = std::make_unique<JsonNode::Context>();
  file.context_->source = source;
  file.value_ = std::make_unique<Json>(
      Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false));
  if (file.value_->is_discarded()) {
    return absl::DataLossError(absl::StrCat(source, ": not JSON"));
  }
  if (!file.value_->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": found ",
                                                   ShownJson(*file.value_),
                                                   ", expected a JSON object"));
  }
  return file;
}

JsonNode JsonNode::Find(absl::string_view key) const {
  const Json* found = nullptr;
  if (is_object()) {
    const auto member = value_->find(std::string(key));
    if (member != value_->end()) found = &*member;
  }
  return {found, absl::StrCat(path_, "/", Escaped(key)), context_};
}

JsonNode JsonNode::Get(absl::string_view key) const {
  if (!is_object()) {
    Fail("an object");
    return Find(key);
  }
  JsonNode found = Find(key);
  if (found.value_ == nullptr) found.FailWith("is missing");
  return found;
}

JsonNode JsonNode::At(size_t index) const {
  const Json* found = nullptr;
  if (is_array() && index < value_->size()) found = &(*value_)[index];
  JsonNode node(found, absl::StrCat(path_, "/", index), context_);
  if (found == nullptr) node.FailWith("is missing");
  return node;
}

size_t JsonNode::Size() const {
  if (is_array()) return value_->size();
  Fail("a list");
  return 0;
}

std::string JsonNode::String() const {
  if (is_string()) return value_->get<std::string>();
  Fail("a string");
  return "";
}

bool JsonNode::Bool() const {
  if (present() && value_->is_boolean()) return value_->get<bool>();
  Fail("true or false");
  return false;
}

double JsonNode::Number() const {
  if (present() && value_->is_number()) return value_->get<double>();
  Fail("a number");
  return 0;
}

int64_t JsonNode::Int(int64_t least, int64_t most) const {
  const std::string expected =
      absl::StrCat("a whole number from ", least, " to ", most);
  if (present() && value_->is_number_integer()) {
    const bool huge =
        value_->is_number_unsigned() &&
        value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = huge ? INT64_MAX : value_->get<int64_t>();
    if (!huge && number >= least && number <= most) return number;
  }
  Fail(expected);
  return least;
}

std::string JsonNode::StringOr(absl::string_view fallback) const {
  return present() ? String() : std::string(fallback);
}

bool JsonNode::BoolOr(bool fallback) const {
  return present() ? Bool() : fallback;
}

void JsonNode::OnlyKeys(std::initializer_list<absl::string_view> keys) const {
  if (!is_object()) return Fail("an object");
  for (const auto& [key, value] : value_->items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    return Find(key).FailWith(absl::StrCat(
        "is not known here, expected one of ", absl::StrJoin(keys, ", ")));
  }
}

void JsonNode::Fail(absl::string_view expected) const {
  if (!context_->status.ok()) return;
  context_->status = absl::InvalidArgumentError(
      absl::StrCat(context_->source, ": ", path_.empty() ? "/" : path_, " is ",
                   value_ == nullptr ? "missing" : ShownJson(*value_),
                   ", expected ", expected));
}

void JsonNode::FailWith(absl::string_view what) const {
  if (!context_->status.ok()) return;
  context_->status = absl::InvalidArgumentError(absl::StrCat(
      context_->source, ": ", path_.empty() ? "/" : path_, " ", what));
}

}  // namespace kodistil
