// An array of floats for vector code: aligned, kept between uses.

#ifndef KODISTIL_STUDENT_TRAINER_FLOAT_BUFFER_H_
#define KODISTIL_STUDENT_TRAINER_FLOAT_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace kodistil {

// Grows and never shrinks, so that steps of similar size allocate nothing.
// Movable; thread-compatible.
class FloatBuffer {
 public:
  // `size` floats, aligned to 64 bytes, followed by 64 bytes that may be read.
  // Their values are lost when the array has to grow, and are zero then.
  float* Resize(size_t size) {
    size_ = size;
    if (size <= capacity_) return data_.get();
    capacity_ = size + size / 8;
    const size_t bytes = (capacity_ * sizeof(float) + 127) / 64 * 64;
    data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    std::memset(data_.get(), 0, bytes);
    return data_.get();
  }

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_FLOAT_BUFFER_H_
