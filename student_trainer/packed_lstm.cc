#include "student_trainer/packed_lstm.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <functional>

#include "base/openmp_bridge.h"
#include "student_trainer/lstm_kernels.h"

namespace kodistil {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One step of a direction over a packed batch: `rows` rows from `offset`, of
// which the first `continued` go on from the rows at `before`.
struct Step {
  int64_t offset, rows, before, continued;
};

std::vector<Step> StepsOf(const std::vector<int64_t>& batch_sizes,
                          bool reverse) {
  const int64_t count = static_cast<int64_t>(batch_sizes.size());
  std::vector<int64_t> offsets(count + 1, 0);
  for (int64_t t = 0; t < count; ++t) {
    offsets[t + 1] = offsets[t] + batch_sizes[t];
  }
  std::vector<Step> steps;
  steps.reserve(count);
  for (int64_t t = 0; !reverse && t < count; ++t) {
    const int64_t before = t == 0 ? 0 : offsets[t - 1];
    steps.push_back(
        {offsets[t], batch_sizes[t], before, t == 0 ? 0 : batch_sizes[t]});
  }
  for (int64_t t = count - 1; reverse && t >= 0; --t) {
    // A row whose last token is at t starts here, from zero.
    const bool first = t + 1 == count;
    steps.push_back({offsets[t], batch_sizes[t], first ? 0 : offsets[t + 1],
                     first ? 0 : batch_sizes[t + 1]});
  }
  return steps;
}

// What a direction's forward leaves for its backward. N tokens, float32.
struct DirectionState {
  Tensor gates;   // [N, 4H]
  Tensor c;       // [N, H]
  Tensor tanh_c;  // [N, H]
  Tensor h;       // [N, H]
};

struct DirectionWeights {
  Tensor w_ih;  // [4H, E]
  Tensor w_hh;  // [4H, H]
  Tensor b_ih;  // [4H]
  Tensor b_hh;  // [4H]
};

DirectionState ForwardDirection(const Tensor& x, const DirectionWeights& w,
                                const std::vector<Step>& steps) {
  const int64_t tokens = x.size(0), hidden = w.w_hh.size(1);
  DirectionState s;
  s.gates = torch::addmm(w.b_ih + w.b_hh, x, w.w_ih.t());
  s.c = torch::empty({tokens, hidden}, x.options());
  s.tanh_c = torch::empty({tokens, hidden}, x.options());
  s.h = torch::empty({tokens, hidden}, x.options());
  const Tensor w_hh_t = w.w_hh.t();
  LstmStepForward step;
  step.hidden = hidden;
  for (const Step& at : steps) {
    if (at.continued > 0) {
      Tensor gates = s.gates.narrow(0, at.offset, at.continued);
      at::addmm_out(gates, gates, s.h.narrow(0, at.before, at.continued),
                    w_hh_t);
    }
    step.rows = at.rows;
    step.continued = at.continued;
    step.gates = s.gates.data_ptr<float>() + at.offset * 4 * hidden;
    step.c_before = s.c.data_ptr<float>() + at.before * hidden;
    step.c = s.c.data_ptr<float>() + at.offset * hidden;
    step.tanh_c = s.tanh_c.data_ptr<float>() + at.offset * hidden;
    step.h = s.h.data_ptr<float>() + at.offset * hidden;
    RunLstmStep(step);
  }
  return s;
}

// Gradients of a direction's inputs.
struct DirectionGradients {
  Tensor x;  // [N, E]
  DirectionWeights w;
};

// Turns s.gates into the gradients of the gates' sums. dh: [N, H].
void BackwardThroughTime(const Tensor& dh, const Tensor& w_hh,
                         const std::vector<Step>& steps, DirectionState* s) {
  const int64_t hidden = w_hh.size(1);
  int64_t rows = 0;
  for (const Step& at : steps) rows = std::max(rows, at.rows);
  Tensor dh_carry = torch::empty({rows, hidden}, dh.options());
  Tensor dc_carry = torch::empty({rows, hidden}, dh.options());
  LstmStepBackward step;
  step.hidden = hidden;
  step.dh_carry = dh_carry.data_ptr<float>();
  step.dc_carry = dc_carry.data_ptr<float>();
  step.carried = 0;
  for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
    step.rows = at->rows;
    step.continued = at->continued;
    step.gates = s->gates.data_ptr<float>() + at->offset * 4 * hidden;
    step.c_before = s->c.data_ptr<float>() + at->before * hidden;
    step.tanh_c = s->tanh_c.data_ptr<float>() + at->offset * hidden;
    step.dh = dh.data_ptr<float>() + at->offset * hidden;
    RunLstmStep(step);
    if (at->continued == 0) continue;
    Tensor carry = dh_carry.narrow(0, 0, at->continued);
    at::mm_out(carry, s->gates.narrow(0, at->offset, at->continued), w_hh);
    step.carried = at->continued;
  }
}

DirectionGradients BackwardDirection(const Tensor& x, const Tensor& dh,
                                     const DirectionWeights& w,
                                     const std::vector<Step>& steps,
                                     DirectionState* s) {
  BackwardThroughTime(dh, w.w_hh, steps, s);
  // The state before each token; zero where a row starts.
  Tensor before = torch::empty_like(s->h);
  for (const Step& at : steps) {
    if (at.continued > 0) {
      before.narrow(0, at.offset, at.continued)
          .copy_(s->h.narrow(0, at.before, at.continued));
    }
    if (at.continued < at.rows) {
      before.narrow(0, at.offset + at.continued, at.rows - at.continued)
          .zero_();
    }
  }
  DirectionGradients gradients;
  const Tensor dgates_t = s->gates.t();  // [4H, N]
  gradients.x = torch::mm(s->gates, w.w_ih);
  gradients.w.w_ih = torch::mm(dgates_t, x);
  gradients.w.w_hh = torch::mm(dgates_t, before);
  gradients.w.b_ih = s->gates.sum(0);
  gradients.w.b_hh = gradients.w.b_ih;
  return gradients;
}

constexpr int kWeightsPerDirection = kBiLstmWeights / 2;

DirectionWeights WeightsAt(const variable_list& list, int direction) {
  const int at = direction * kWeightsPerDirection;
  return {list[at], list[at + 1], list[at + 2], list[at + 3]};
}

// Runs `body` for both directions, on two threads where there are two.
void ForBothDirections(const std::function<void(int)>& body) {
  RunOnThreads(at::get_num_threads(), 2, [&](int64_t direction) {
    const torch::NoGradGuard no_grad;  // thread-local
    body(static_cast<int>(direction));
  });
}

// A bidirectional LSTM layer over a packed batch on CPU. Inputs: x [N, E],
// batch sizes, the two directions' four tensors each. Outputs: h of each
// direction, [N, H].
struct BiLstmLayer : public torch::autograd::Function<BiLstmLayer> {
  static variable_list forward(AutogradContext* context, const Tensor& x,
                               const std::vector<int64_t>& batch_sizes,
                               at::TensorList list) {
    const variable_list weights = list.vec();
    DirectionState state[2];
    ForBothDirections([&](int d) {
      state[d] = ForwardDirection(x, WeightsAt(weights, d),
                                  StepsOf(batch_sizes, /*reverse=*/d == 1));
    });
    variable_list saved = {x};
    saved.insert(saved.end(), weights.begin(), weights.end());
    for (const DirectionState& s : state) {
      for (const Tensor& tensor : {s.gates, s.c, s.tanh_c}) {
        saved.push_back(tensor);
      }
    }
    saved.push_back(state[0].h);
    saved.push_back(state[1].h);
    context->save_for_backward(saved);
    context->saved_data["batch_sizes"] = batch_sizes;
    return {state[0].h, state[1].h};
  }

  static variable_list backward(AutogradContext* context,
                                variable_list grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const std::vector<int64_t> batch_sizes =
        context->saved_data["batch_sizes"].toIntVector();
    const Tensor& x = saved[0];
    const variable_list weights(saved.begin() + 1,
                                saved.begin() + 1 + 2 * kWeightsPerDirection);
    DirectionGradients gradients[2];
    ForBothDirections([&](int d) {
      const int at = 1 + 2 * kWeightsPerDirection + 3 * d;
      DirectionState state = {saved[at], saved[at + 1], saved[at + 2],
                              saved[1 + 2 * kWeightsPerDirection + 6 + d]};
      gradients[d] = BackwardDirection(
          x, grad_outputs[d].contiguous(), WeightsAt(weights, d),
          StepsOf(batch_sizes, /*reverse=*/d == 1), &state);
    });
    variable_list result = {gradients[0].x.add_(gradients[1].x), Tensor()};
    for (const DirectionGradients& g : gradients) {
      result.insert(result.end(), {g.w.w_ih, g.w.w_hh, g.w.b_ih, g.w.b_hh});
    }
    return result;
  }
};

}  // namespace

std::vector<Tensor> PackedBiLstm(const Tensor& x,
                                 const std::vector<int64_t>& batch_sizes,
                                 const std::vector<Tensor>& weights) {
  return BiLstmLayer::apply(x, batch_sizes, at::TensorList(weights));
}

}  // namespace kodistil
