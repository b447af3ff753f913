#include "base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/base/casts.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100000000;  // as the reference reader
// Far above any real file; what one header can make us allocate stays bounded.
constexpr size_t kMaxTensors = 200000;
constexpr size_t kMaxDimensions = 64;
constexpr char kMetadataKey[] = "__metadata__";

// 0 for a dtype that the format does not know.
uint64_t BitsOf(absl::string_view dtype) {
  static const auto* const kBits = new std::map<absl::string_view, uint64_t>{
      {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},    {"U8", 8},
      {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
      {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
      {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  const auto found = kBits->find(dtype);
  return found == kBits->end() ? 0 : found->second;
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kLongest = 120;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, kLongest)),
                      text.size() > kLongest ? "...\"" : "\"");
}

struct Entry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> offsets;  // begin and end, from the end of the header

  std::string Describe() const {
    return absl::StrCat("tensor ", Quoted(name), " (", dtype, " [",
                        absl::StrJoin(shape, ", "), "], data_offsets [",
                        absl::StrJoin(offsets, ", "), "])");
  }
};

// Takes the header's JSON event by event: a document model would silently keep
// one of two equal keys.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string error;  // empty while all is well

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return Unexpected(absl::StrCat(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Unexpected(text);
  }
  bool binary(binary_t&) override { return Unexpected("binary"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool start_object(size_t) override;
  bool key(string_t& value) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("not JSON at byte ", kLengthBytes + position - 1));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool Fail(std::string message) {
    error = std::move(message);
    return false;
  }
  bool Unexpected(const std::string& found);
  bool TensorKey();

  Place place_ = Place::kStart;
  std::string key_;  // the last one, of the object that is open
  Entry entry_;      // the tensor being read
  bool has_shape_ = false;
  bool has_metadata_ = false;
  std::map<std::string, bool> names_;
};

bool HeaderReader::Unexpected(const std::string& found) {
  switch (place_) {
    case Place::kStart:
    case Place::kEnd:
      return Fail(absl::StrCat("found ", found, ", expected an object"));
    case Place::kTop:
      return Fail(absl::StrCat("entry ", Quoted(key_), " is ", found,
                               ", expected an object"));
    case Place::kMetadata:
      return Fail(absl::StrCat(kMetadataKey, " entry ", Quoted(key_), " is ",
                               found, ", expected a string"));
    default:
      return Fail(
          absl::StrCat("tensor ", Quoted(entry_.name), ": ", key_, " holds ",
                       found, ", expected ",
                       key_ == "dtype" ? "a string" : "whole numbers from 0"));
  }
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (place_ != Place::kShape && place_ != Place::kOffsets) {
    return Unexpected(absl::StrCat(value));
  }
  std::vector<uint64_t>& list =
      place_ == Place::kShape ? entry_.shape : entry_.offsets;
  list.push_back(value);
  if (value > kMost || list.size() > kMaxDimensions) {
    return Fail(absl::StrCat(
        "tensor ", Quoted(entry_.name), ": ", key_,
        value > kMost ? " holds too large a number" : " is too long"));
  }
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (place_ == Place::kMetadata) {
    metadata[key_] = value;
    return true;
  }
  if (place_ != Place::kTensor || key_ != "dtype") {
    return Unexpected(absl::StrCat("the string ", Quoted(value)));
  }
  entry_.dtype = value;
  if (BitsOf(value) != 0) return true;
  return Fail(absl::StrCat("tensor ", Quoted(entry_.name), ": unknown dtype ",
                           Quoted(value)));
}

bool HeaderReader::start_object(size_t) {
  if (place_ == Place::kStart) {
    place_ = Place::kTop;
    return true;
  }
  if (place_ != Place::kTop) return Unexpected("an object");
  if (key_ == kMetadataKey) {
    place_ = Place::kMetadata;
    return true;
  }
  place_ = Place::kTensor;
  entry_ = Entry();
  entry_.name = key_;
  has_shape_ = false;
  if (entries.size() < kMaxTensors) return true;
  return Fail(absl::StrCat("more than ", kMaxTensors, " tensors"));
}

bool HeaderReader::key(string_t& value) {
  key_ = value;
  if (place_ == Place::kTensor) return TensorKey();
  const bool is_new = place_ == Place::kMetadata
                          ? metadata.emplace(value, "").second
                          : names_.emplace(value, true).second;
  if (is_new) return true;
  return Fail(absl::StrCat(
      "duplicate ", place_ == Place::kMetadata ? "metadata key " : "key ",
      Quoted(value)));
}

bool HeaderReader::TensorKey() {
  const std::string where = absl::StrCat("tensor ", Quoted(entry_.name), ": ");
  bool seen = false;
  if (key_ == "dtype") {
    seen = !entry_.dtype.empty();
  } else if (key_ == "shape") {
    seen = has_shape_;
  } else if (key_ == "data_offsets") {
    seen = !entry_.offsets.empty();
  } else {
    return Fail(absl::StrCat(where, "unknown key ", Quoted(key_),
                             ", known are dtype, shape, data_offsets"));
  }
  return !seen || Fail(absl::StrCat(where, "duplicate key ", key_));
}

bool HeaderReader::start_array(size_t) {
  if (place_ == Place::kTensor && key_ == "shape") {
    has_shape_ = true;
    place_ = Place::kShape;
    return true;
  }
  if (place_ == Place::kTensor && key_ == "data_offsets") {
    place_ = Place::kOffsets;
    return true;
  }
  return Unexpected("an array");
}

bool HeaderReader::end_array() {
  if (place_ == Place::kOffsets && entry_.offsets.size() != 2) {
    return Fail(absl::StrCat("tensor ", Quoted(entry_.name),
                             ": data_offsets has ", entry_.offsets.size(),
                             " numbers, expected 2"));
  }
  place_ = Place::kTensor;
  return true;
}

bool HeaderReader::end_object() {
  if (place_ == Place::kTop) {
    place_ = Place::kEnd;
    return true;
  }
  if (place_ == Place::kTensor) {
    const char* missing = entry_.dtype.empty()     ? "dtype"
                          : !has_shape_            ? "shape"
                          : entry_.offsets.empty() ? "data_offsets"
                                                   : nullptr;
    if (missing != nullptr) {
      return Fail(
          absl::StrCat("tensor ", Quoted(entry_.name), ": no ", missing));
    }
    entries.push_back(std::move(entry_));
  }
  place_ = Place::kTop;
  return true;
}

// The JSON text between the length and the data, and where the data begins.
absl::StatusOr<absl::string_view> HeaderText(absl::string_view bytes,
                                             const std::string& source,
                                             uint64_t* data_begin) {
  if (bytes.size() < kLengthBytes) {
    return absl::DataLossError(absl::StrCat(
        source, ": ", bytes.size(),
        " bytes, expected a safetensors file, which has 8 or more"));
  }
  const uint64_t length = LittleEndian(bytes.substr(0, kLengthBytes));
  if (length > kMaxHeaderBytes) {
    return absl::DataLossError(absl::StrCat(
        source, ": byte 0: header length ", length, ", expected at most ",
        kMaxHeaderBytes, "; not a safetensors file?"));
  }
  if (length > bytes.size() - kLengthBytes) {
    return absl::DataLossError(absl::StrCat(
        source, ": the header should end at byte ", kLengthBytes + length,
        ", the file at byte ", bytes.size(), "; it is cut short"));
  }
  *data_begin = kLengthBytes + length;
  absl::string_view header = bytes.substr(kLengthBytes, length);
  while (!header.empty() && header.back() == ' ') header.remove_suffix(1);
  if (header.empty() || header.front() != '{' || header.back() != '}') {
    return absl::DataLossError(absl::StrCat(
        source,
        ": byte 8: the header is not a JSON object padded with spaces"));
  }
  // The JSON parser takes a NUL for the end.
  const size_t nul = header.find('\0');
  if (nul != absl::string_view::npos) {
    return absl::DataLossError(absl::StrCat(
        source, ": byte ", kLengthBytes + nul, ": NUL in the header"));
  }
  return header;
}

// What is wrong with a tensor that should begin at `position` of the data;
// empty when nothing is.
std::string FaultOf(const Entry& entry, uint64_t position,
                    uint64_t data_bytes) {
  uint64_t bits = BitsOf(entry.dtype);
  for (uint64_t dimension : entry.shape) {
    if (__builtin_mul_overflow(bits, dimension, &bits)) {
      return "has a size above 64 bits";
    }
  }
  if (bits % 8 != 0) return "does not fill whole bytes";
  const uint64_t begin = entry.offsets[0];
  const uint64_t end = entry.offsets[1];
  if (begin != position) {
    return absl::StrCat("begins at ", begin, ", expected ", position,
                        " (no holes, no overlap)");
  }
  if (end < begin) return "ends before it begins";
  if (end - begin != bits / 8) {
    return absl::StrCat("has ", end - begin, " bytes, expected ", bits / 8);
  }
  if (end <= data_bytes) return "";
  return absl::StrCat("should end at byte ", end, " of the data, which has ",
                      data_bytes, "; the file is cut short");
}

// Sorts by offset and checks that the tensors cover the data without a hole,
// an overlap or a rest: nothing can hide between or behind them.
absl::Status CheckLayout(uint64_t data_bytes, const std::string& source,
                         std::vector<Entry>* entries) {
  std::sort(entries->begin(), entries->end(),
            [](const Entry& a, const Entry& b) {
              return std::tie(a.offsets, a.name) < std::tie(b.offsets, b.name);
            });
  uint64_t position = 0;
  for (const Entry& entry : *entries) {
    const std::string fault = FaultOf(entry, position, data_bytes);
    if (!fault.empty()) {
      return absl::DataLossError(
          absl::StrCat(source, ": ", entry.Describe(), " ", fault));
    }
    position = entry.offsets[1];
  }
  if (position == data_bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      source, ": the last tensor ends at byte ", position,
      " of the data, which has ", data_bytes, "; no tensor owns the rest"));
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  const uint32_t bits =
      sign | (exponent == 31 ? 0xffu << 23 : (exponent + 112) << 23) |
      (mantissa << 13);
  return absl::bit_cast<float>(bits);
}

float BrainToFloat(uint16_t brain) {
  return absl::bit_cast<float>(static_cast<uint32_t>(brain) << 16);
}

// `bytes` need not be aligned.
template <typename T, typename Convert>
std::vector<float> ConvertAll(absl::string_view bytes, Convert convert) {
  std::vector<float> result(bytes.size() / sizeof(T));
  for (size_t i = 0; i < result.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    result[i] = convert(value);
  }
  return result;
}

}  // namespace

int64_t TensorView::elements() const {
  int64_t result = 1;
  for (int64_t dimension : shape) result *= dimension;
  return result;
}

absl::Status ParseSafetensors(absl::string_view bytes,
                              const std::string& source,
                              std::map<std::string, TensorView>* tensors,
                              std::map<std::string, std::string>* metadata) {
  uint64_t data_begin = 0;
  KODISTIL_ASSIGN_OR_RETURN(const absl::string_view header,
                            HeaderText(bytes, source, &data_begin));
  HeaderReader reader;
  if (!Json::sax_parse(header, &reader)) {
    return absl::DataLossError(
        absl::StrCat(source, ": header: ", reader.error));
  }
  const absl::string_view data = bytes.substr(data_begin);
  KODISTIL_RETURN_IF_ERROR(CheckLayout(data.size(), source, &reader.entries));
  tensors->clear();
  for (Entry& entry : reader.entries) {
    TensorView view;
    view.dtype = std::move(entry.dtype);
    view.shape.assign(entry.shape.begin(), entry.shape.end());
    view.bytes =
        data.substr(entry.offsets[0], entry.offsets[1] - entry.offsets[0]);
    tensors->emplace(std::move(entry.name), std::move(view));
  }
  *metadata = std::move(reader.metadata);
  return absl::OkStatus();
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile result;
  KODISTIL_ASSIGN_OR_RETURN(result.file_, MappedFile::Open(path));
  KODISTIL_RETURN_IF_ERROR(ParseSafetensors(
      result.file_.bytes(), path, &result.tensors_, &result.metadata_));
  return result;
}

std::string SerializeSafetensors(
    const std::map<std::string, TensorView>& tensors,
    const std::map<std::string, std::string>& metadata) {
  // Keys in name order, by nlohmann's default map: the same input gives the
  // same bytes.
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  uint64_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {
        {"dtype", tensor.dtype},
        {"shape", tensor.shape},
        {"data_offsets", {position, position + tensor.bytes.size()}}};
    position += tensor.bytes.size();
  }
  std::string text = header.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                                 Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string result(kLengthBytes, '\0');
  for (uint64_t i = 0; i < kLengthBytes; ++i) {
    result[i] = static_cast<char>(text.size() >> (8 * i));
  }
  result.reserve(result.size() + text.size() + position);
  result += text;
  for (const auto& [name, tensor] : tensors) {
    result.append(tensor.bytes.data(), tensor.bytes.size());
  }
  return result;
}

absl::StatusOr<std::vector<float>> ToFloats(const TensorView& tensor) {
  if (tensor.dtype == "F32") {
    return ConvertAll<float>(tensor.bytes, [](float value) { return value; });
  }
  if (tensor.dtype == "F64") {
    return ConvertAll<double>(
        tensor.bytes, [](double value) { return static_cast<float>(value); });
  }
  if (tensor.dtype == "F16") {
    return ConvertAll<uint16_t>(tensor.bytes, HalfToFloat);
  }
  if (tensor.dtype == "BF16") {
    return ConvertAll<uint16_t>(tensor.bytes, BrainToFloat);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "dtype ", Quoted(tensor.dtype), ", expected one of F64, F32, F16, BF16"));
}

}  // namespace kodistil
