// The parts that Transformers are made of, over rows without padding. Each has
// a differentiable form in LibTorch's operations and, where no graph is built
// on the CPU, one in vector code. Names LibTorch's tensor without including
// LibTorch; everything throws as LibTorch does.

#ifndef KODISTIL_TEACHER_SERVICE_TRANSFORMER_OPS_H_
#define KODISTIL_TEACHER_SERVICE_TRANSFORMER_OPS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "teacher_service/dropout_state.h"
#include "teacher_service/packed_rows.h"
#include "teacher_service/transformer_config.h"

namespace at {
class Tensor;
}  // namespace at

namespace kodistil {

// One pass over packed rows. Borrows the rows and the state of dropout.
struct Run {
  const PackedRows* rows = nullptr;
  DropoutState* dropout = nullptr;  // null: none
  std::string device = "cpu";
  // Vector code: on the CPU, in float32, without a graph.
  bool kernels = false;
  // Attention over rows padded to one length instead of group by group: fewer,
  // larger operations, as a GPU needs them.
  bool pads_attention = false;
};

// Borrows its tensors from Parameters.
struct Linear {
  const at::Tensor* weight = nullptr;  // [out, in]
  const at::Tensor* bias = nullptr;    // [out] or null
  bool input_first = false;            // weight is [in, out]
};
struct Norm {
  const at::Tensor* weight = nullptr;  // [size]
  const at::Tensor* bias = nullptr;    // null: T5's, by the root mean square
  double epsilon = 0;
};

// A network's tensors by name, and those made of them. The map must outlive it.
class Parameters {
 public:
  explicit Parameters(const std::map<std::string, at::Tensor>& tensors);
  ~Parameters();

  const at::Tensor* Get(const std::string& name) const;
  Linear GetLinear(const std::string& name, bool has_bias = true) const;
  Norm GetNorm(const std::string& name, double epsilon,
               bool has_bias = true) const;
  // Several linear layers of one input as one: their outputs side by side. A
  // copy; the originals are not read again.
  Linear Fuse(const std::vector<std::string>& names, bool has_bias = true);
  // Keeps a tensor made of others.
  const at::Tensor* Keep(const at::Tensor& made);
  // The tensor `name`, of which only what was kept is read from now on.
  const at::Tensor& Take(const std::string& name);

  // The names that nothing reads any more.
  const std::vector<std::string>& taken() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// values: [n], int64, on the run's device.
at::Tensor IndexTensor(const Run& run, const std::vector<int64_t>& values);

// x: [n, in]; result: [n, out].
at::Tensor Apply(const Linear& linear, const at::Tensor& x);
// The outputs [first, first + size) alone.
at::Tensor ApplyPart(const Linear& linear, const at::Tensor& x, int64_t first,
                     int64_t size);
at::Tensor Apply(const Run& run, const Norm& norm, const at::Tensor& x);
at::Tensor Activate(Activation activation, const at::Tensor& x);
// x * mask; x itself without dropout.
at::Tensor Dropout(const Run& run, const at::Tensor& x, double rate);
// activation(linear(x))
at::Tensor ApplyActivated(const Run& run, const Linear& linear,
                          Activation activation, const at::Tensor& x);

// A sublayer's end: sum = residual + dropout(linear(x)), then norm(sum).
struct ResidualStep {
  Linear linear;
  Norm norm;
  double rate = 0;
};
// Returns norm(sum). `sum`, where not null, gets the sum.
at::Tensor AddAndNorm(const Run& run, const ResidualStep& step,
                      const at::Tensor& x, const at::Tensor& residual,
                      at::Tensor* sum = nullptr);

struct EmbeddingTables {
  const at::Tensor* words = nullptr;
  double scale = 1;                       // of words
  const at::Tensor* positions = nullptr;  // or null
  const at::Tensor* types = nullptr;      // or null
};
// The sum of the tables' rows, [tokens, width]. `ids` and `positions` are
// [tokens]; types are the run's.
at::Tensor Embed(const Run& run, const EmbeddingTables& tables,
                 const std::vector<int64_t>& ids,
                 const std::vector<int64_t>& positions);

// Rows of x: [index.size(), width].
at::Tensor SelectRows(const Run& run, const at::Tensor& x,
                      const std::vector<int64_t>& index);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TRANSFORMER_OPS_H_
