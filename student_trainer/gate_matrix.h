// Matrices that give an LSTM's gates, as inference_steps.h wants them.

#ifndef KODISTIL_STUDENT_TRAINER_GATE_MATRIX_H_
#define KODISTIL_STUDENT_TRAINER_GATE_MATRIX_H_

#include <glog/logging.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "hwy/aligned_allocator.h"

namespace kodistil {

// Aligned to a vector, zero when new; grows and never shrinks.
template <class T>
class Aligned {
 public:
  // The values are lost when it grows.
  T* Resize(size_t size) {
    if (size > capacity_) {
      data_ = hwy::AllocateAligned<T>(size);
      CHECK(data_ != nullptr) << "out of memory for " << size << " values";
      std::memset(data_.get(), 0, size * sizeof(T));
      capacity_ = size;
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t bytes() const { return capacity_ * sizeof(T); }

 private:
  hwy::AlignedFreeUniquePtr<T[]> data_;
  size_t capacity_ = 0;
};

// A layer's gates and where its units lie.
struct Geometry {
  size_t hidden = 0;  // H
  size_t lanes = 0;   // L
  size_t blocks = 0;  // P
  size_t units() const { return blocks * lanes; }
  size_t gates() const { return 4 * units(); }

  // Where gate `row` of PyTorch's 4H lies among a row's gates.
  size_t GateAt(size_t row) const {
    const size_t gate = row / hidden, unit = row % hidden;
    return (unit / lanes * 4 + gate) * lanes + unit % lanes;
  }
};

// [4H, columns] of PyTorch, whose column k is input `place[k]` of `depth`.
struct GateMatrix {
  const float* values = nullptr;
  size_t columns = 0;
  std::vector<size_t> place;
  size_t depth = 0;
};

// A matrix as the products want it, in one of the two precisions.
struct PackedMatrix {
  size_t depth = 0;  // a multiple of 4 for int8
  Aligned<float> floats;
  Aligned<int8_t> int8s;
  Aligned<float> scales;
  // What kStateZero adds to each product, to be taken away.
  Aligned<int32_t> offsets;

  void PackFloats(const Geometry& geometry, const GateMatrix& matrix);
  void PackInt8s(const Geometry& geometry, const GateMatrix& matrix);
  int64_t bytes() const {
    return floats.bytes() + int8s.bytes() + scales.bytes() + offsets.bytes();
  }
};

// How far apart the integers of a row lie when its largest value becomes
// `most`; 0 for a row of zeros.
float QuantizationStep(const float* values, size_t count, int most);

inline constexpr int kMaxInt8 = 127;

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_GATE_MATRIX_H_
