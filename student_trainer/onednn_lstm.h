// A bidirectional LSTM layer of oneDNN, forward and backward: what
// training_benchmark compares with.

#ifndef KODISTIL_STUDENT_TRAINER_ONEDNN_LSTM_H_
#define KODISTIL_STUDENT_TRAINER_ONEDNN_LSTM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace kodistil {

// Rows of a batch are padded to one length, as the primitive wants them. Not
// thread-safe. oneDNN's errors end the program.
class OneDnnLstm {
 public:
  // Inputs, hidden units of a direction, rows of every batch.
  OneDnnLstm(int input, int hidden, int rows);
  ~OneDnnLstm();

  // PyTorch's tensors one after another, as BiLstm::Pack takes them.
  void SetWeights(absl::Span<const float> plain);

  // Makes what steps of this length need, so that they are not slow at first.
  void Prepare(int length);

  // Forward and backward. x: [length, rows, input]. lengths: [rows], at most
  // `length`. ends: [rows, 2H] out, the forward state of each row's last token
  // and the backward state of its first; dends: their gradient. Weights are
  // brought into the primitives' layouts at every step, as training has to.
  void Step(int length, const std::vector<float>& x,
            absl::Span<const int64_t> lengths, const std::vector<float>& dends,
            std::vector<float>* ends);

  // Of the last step, as SetWeights takes them.
  std::vector<float> Gradient() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_ONEDNN_LSTM_H_
