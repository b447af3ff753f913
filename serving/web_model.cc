#include "serving/web_model.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "corpus/unicode.h"
#include "student_trainer/gate_matrix.h"
#include "student_trainer/inference_steps.h"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;  // FORMAT of web/student.js
// Less than 2^23 by more than the rounding of a float division.
constexpr int kMaxInt24 = (1 << 23) - 256;
constexpr char32_t kCodePoints = 0x110000;

template <class T>
std::string Base64(const std::vector<T>& values) {
  return absl::Base64Escape(absl::string_view(
      reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
}

// The rows of a matrix as integers up to `most`.
struct Integers {
  std::vector<int> values;
  std::vector<float> scales;  // of each row
};

Integers RoundRows(const std::vector<float>& values, size_t columns, int most) {
  Integers rounded;
  for (size_t at = 0; at < values.size(); at += columns) {
    const float step = QuantizationStep(values.data() + at, columns, most);
    rounded.scales.push_back(step);
    for (size_t k = 0; k < columns; ++k) {
      rounded.values.push_back(step == 0 ? 0
                                         : std::lrint(values[at + k] / step));
    }
  }
  return rounded;
}

// [rows, columns] in 8 bits, as the kernel has them, for states that were
// multiplied by 1 / `unit`.
Json InEightBits(const std::vector<float>& values, size_t columns, float unit) {
  Integers rounded = RoundRows(values, columns, kMaxInt8);
  for (float& scale : rounded.scales) scale *= unit;
  return {{"values", Base64(std::vector<int8_t>(rounded.values.begin(),
                                                rounded.values.end()))},
          {"scales", Base64(rounded.scales)}};
}

// [rows, columns] in 24 bits: 256 * high + low.
Json InWideBits(const std::vector<float>& values, size_t columns) {
  const Integers rounded = RoundRows(values, columns, kMaxInt24);
  std::vector<int16_t> high;
  std::vector<uint8_t> low;
  for (const int value : rounded.values) {
    low.push_back(value & 255);
    high.push_back((value - low.back()) / 256);
  }
  return {{"high", Base64(high)},
          {"low", Base64(low)},
          {"scales", Base64(rounded.scales)}};
}

Json DirectionJson(const StudentFolder& student, int layer,
                   const char* direction) {
  const size_t hidden = student.shape.hidden_dim;
  const float unit = 1.0f / kStateScale;
  const std::string suffix = absl::StrCat("l", layer, direction);
  std::vector<float> bias = student.weights.at("rnn.bias_ih_" + suffix);
  const std::vector<float>& other = student.weights.at("rnn.bias_hh_" + suffix);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] += other[i];
  const std::vector<float>& input =
      student.weights.at("rnn.weight_ih_" + suffix);
  return {
      {"input", layer == 0 ? InWideBits(input, student.shape.embedding_dim)
                           : InEightBits(input, 2 * hidden, unit)},
      {"bias", Base64(bias)},
      {"recurrent", InEightBits(student.weights.at("rnn.weight_hh_" + suffix),
                                hidden, unit)}};
}

Json TensorsJson(const StudentFolder& student) {
  Json layers = Json::array();
  for (int layer = 0; layer < student.shape.lstm_num_layers; ++layer) {
    layers.push_back({DirectionJson(student, layer, ""),
                      DirectionJson(student, layer, "_reverse")});
  }
  return {{"embedding", InWideBits(student.weights.at("embedding.weight"),
                                   student.shape.embedding_dim)},
          {"layers", std::move(layers)},
          {"head", Base64(student.weights.at("linear.weight"))},
          {"head_bias", Base64(student.weights.at("linear.bias"))}};
}

// The code points of a kind, as runs: [gap, length, gap, length, ...].
Json Runs(const CharTable& table, uint8_t flag) {
  Json runs = Json::array();
  char32_t last = 0;  // the end of the run before
  for (char32_t c = 0; c < kCodePoints;) {
    if ((table.Flags(c) & flag) == 0) {
      ++c;
      continue;
    }
    char32_t end = c;
    while (end < kCodePoints && (table.Flags(end) & flag) != 0) ++end;
    runs.push_back(static_cast<uint32_t>(c - last));
    runs.push_back(static_cast<uint32_t>(end - c));
    c = last = end;
  }
  return runs;
}

// The page has our tables of Unicode, so that it does not depend on the
// browser's.
Json CharactersJson(const WordPieceOptions& options) {
  const CharTable& table =
      CharTable::Get(options.slow ? UnicodeRules::kSlow : UnicodeRules::kFast);
  Json characters = {{"dropped", Runs(table, kCharDropped)},
                     {"space", Runs(table, kCharSpace)},
                     {"punctuation", Runs(table, kCharPunctuation)}};
  if (options.tokenize_chinese_chars) {
    characters["cjk"] = Runs(table, kCharCjk);
  }
  if (options.strip_accents) {
    characters["nonspacing"] = Runs(table, kCharNonspacing);
  }
  return characters;
}

Json TokenizerJson(const StudentFolder& student) {
  const WordPieceOptions& options = student.tokenizer;
  return {{"lower_case", options.lower_case},
          {"strip_accents", options.strip_accents},
          {"tokenize_chinese_chars", options.tokenize_chinese_chars},
          {"slow", options.slow},
          {"special_literals", options.special_literals},
          {"max_word_chars", options.max_word_chars},
          {"characters", CharactersJson(options)},
          {"vocab", student.vocab}};
}

Json ShapeJson(const StudentShape& shape) {
  return {{"vocab_size", shape.vocab_size},
          {"embedding_dim", shape.embedding_dim},
          {"hidden_dim", shape.hidden_dim},
          {"lstm_num_layers", shape.lstm_num_layers},
          {"num_classes", shape.num_classes}};
}

}  // namespace

std::string WebModelScript(const WebModel& model) {
  const StudentFolder& student = *model.student;
  const Json json = {{"format", kFormat},
                     {"name", model.name},
                     {"card", model.card},
                     {"shape", ShapeJson(student.shape)},
                     {"max_length", student.max_length},
                     {"state_scale", kStateScale},
                     {"tokenizer", TokenizerJson(student)},
                     {"tensors", TensorsJson(student)}};
  // "<" never ends or begins a script, should someone inline the file.
  const std::string text =
      absl::StrReplaceAll(json.dump(-1, ' ', /*ensure_ascii=*/false,
                                    Json::error_handler_t::replace),
                          {{"<", "\\u003c"}});
  return absl::StrCat("'use strict';\nglobalThis.kodistilModel = ", text,
                      ";\n");
}

}  // namespace kodistil
