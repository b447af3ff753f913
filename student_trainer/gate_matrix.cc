#include "student_trainer/gate_matrix.h"

#include <algorithm>
#include <cmath>

#include "student_trainer/inference_steps.h"

namespace kodistil {

float QuantizationStep(const float* values, size_t count, int most) {
  float largest = 0;
  for (size_t k = 0; k < count; ++k) {
    largest = std::max(largest, std::abs(values[k]));
  }
  return largest / most;
}

void PackedMatrix::PackFloats(const Geometry& geometry,
                              const GateMatrix& matrix) {
  depth = matrix.depth;
  const size_t wide = 4 * geometry.lanes;
  float* out = floats.Resize(geometry.gates() * depth);
  for (size_t row = 0; row < 4 * geometry.hidden; ++row) {
    const size_t at = geometry.GateAt(row);
    float* block = out + at / wide * depth * wide + at % wide;
    for (size_t k = 0; k < matrix.columns; ++k) {
      block[matrix.place[k] * wide] = matrix.values[row * matrix.columns + k];
    }
  }
}

void PackedMatrix::PackInt8s(const Geometry& geometry,
                             const GateMatrix& matrix) {
  depth = (matrix.depth + 3) / 4 * 4;
  const size_t wide = 4 * geometry.lanes;
  int8_t* out = int8s.Resize(geometry.gates() * depth);
  scales.Resize(geometry.gates());
  offsets.Resize(geometry.gates());
  for (size_t row = 0; row < 4 * geometry.hidden; ++row) {
    const float* values = matrix.values + row * matrix.columns;
    const float scale = QuantizationStep(values, matrix.columns, kMaxInt8);
    if (scale == 0) continue;
    const size_t at = geometry.GateAt(row);
    scales.data()[at] = scale / kStateScale;
    int8_t* block = out + at / wide * depth * wide + at % wide * 4;
    for (size_t k = 0; k < matrix.columns; ++k) {
      const size_t place = matrix.place[k];
      const auto weight = static_cast<int8_t>(std::lrint(values[k] / scale));
      block[place / 4 * 4 * wide + place % 4] = weight;
      offsets.data()[at] += kStateZero * weight;
    }
  }
}

}  // namespace kodistil
