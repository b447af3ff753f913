#include "student_trainer/onednn_lstm.h"

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <unordered_map>
#include <utility>

#include "student_trainer/float_buffer.h"

namespace kodistil {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using dnnl::memory;

constexpr auto kFloat = memory::data_type::f32;
constexpr auto kBoth = dnnl::rnn_direction::bidirectional_concat;

// The primitives of one length.
struct Steps {
  Steps(const dnnl::lstm_forward::primitive_desc& forward,
        const dnnl::lstm_backward::primitive_desc& backward)
      : forward_desc(forward),
        backward_desc(backward),
        forward(forward),
        backward(backward) {}

  dnnl::lstm_forward::primitive_desc forward_desc;
  dnnl::lstm_backward::primitive_desc backward_desc;
  dnnl::lstm_forward forward;
  dnnl::lstm_backward backward;
};

// Arrays of a step, which those of all lengths share.
enum Place {
  kX,
  kDx,
  kY,
  kDy,
  kWorkspace,
  kForwardLayer,
  kForwardIter,
  kBackwardLayer,
  kBackwardIter,
  kDLayer,
  kDIter,
  kPlaces
};

}  // namespace

struct OneDnnLstm::Impl {
  Impl(int input, int hidden, int rows)
      : input(input), hidden(hidden), rows(rows) {
    layer = Make({{1, 2, input, 4, hidden}, kFloat, Tag::ldigo});
    iter = Make({{1, 2, hidden, 4, hidden}, kFloat, Tag::ldigo});
    bias = Make({{1, 2, 4, hidden}, kFloat, Tag::ldgo});
    dlayer = Make(layer.get_desc());
    diter = Make(iter.get_desc());
    dbias = Make(bias.get_desc());
  }

  memory Make(const Desc& desc) { return memory(desc, engine); }
  memory At(Place place, const Desc& desc) {
    const size_t floats = (desc.get_size() + 3) / sizeof(float);
    return memory(desc, engine, arrays[place].Resize(floats));
  }
  Steps MakeSteps(int length) const;
  void Reorder(memory from, memory to) {
    dnnl::reorder(from, to).execute(stream, from, to);
  }
  // visit(index in PyTorch's order, index in the array, array).
  template <class Visit>
  void ForEachWeight(Visit visit) const;

  const int input, hidden, rows;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  memory layer, iter, bias;  // [2, I, 4, H], [2, H, 4, H], [2, 4, H]
  memory dlayer, diter, dbias;
  FloatBuffer arrays[kPlaces];
  std::map<int, Steps> steps;
};

Steps OneDnnLstm::Impl::MakeSteps(int length) const {
  const Desc none;
  const Desc x({length, rows, input}, kFloat, Tag::tnc);
  const Desc y({length, rows, 2 * hidden}, kFloat, Tag::tnc);
  const Desc any_layer({1, 2, input, 4, hidden}, kFloat, Tag::any);
  const Desc any_iter({1, 2, hidden, 4, hidden}, kFloat, Tag::any);
  const Desc b = bias.get_desc();
  const dnnl::lstm_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kBoth, x, none, none, any_layer,
       any_iter, b, y, none, none},
      engine);
  const dnnl::lstm_backward::primitive_desc backward({dnnl::prop_kind::backward,
                                                      kBoth,
                                                      x,
                                                      none,
                                                      none,
                                                      any_layer,
                                                      any_iter,
                                                      b,
                                                      y,
                                                      none,
                                                      none,
                                                      x,
                                                      none,
                                                      none,
                                                      any_layer,
                                                      any_iter,
                                                      b,
                                                      y,
                                                      none,
                                                      none},
                                                     engine, forward);
  return Steps(forward, backward);
}

namespace {

float* Floats(const memory& array) {
  return static_cast<float*>(array.get_data_handle());
}

// visit(where a row's state lies in [T, B, 2H], where in [B, 2H]).
template <class Visit>
void ForEachEnd(size_t hidden, absl::Span<const int64_t> lengths, Visit visit) {
  const size_t rows = lengths.size();
  for (size_t b = 0; b < rows; ++b) {
    for (size_t d = 0; d < 2; ++d) {
      const size_t t = d == 0 ? lengths[b] - 1 : 0;
      visit(((t * rows + b) * 2 + d) * hidden, (2 * b + d) * hidden);
    }
  }
}

void SetZero(const memory& array) {
  std::memset(array.get_data_handle(), 0, array.get_desc().get_size());
}

}  // namespace

template <class Visit>
void OneDnnLstm::Impl::ForEachWeight(Visit visit) const {
  size_t plain = 0;
  for (int d = 0; d < 2; ++d) {
    for (const auto& [array, columns] :
         {std::make_pair(&layer, input), std::make_pair(&iter, hidden)}) {
      for (int row = 0; row < 4 * hidden; ++row) {
        for (int k = 0; k < columns; ++k) {
          visit(plain++, (size_t(d) * columns + k) * 4 * hidden + row, array);
        }
      }
    }
    // The two biases, of which oneDNN has one.
    for (int i = 0; i < 2 * 4 * hidden; ++i) {
      visit(plain++, size_t(d) * 4 * hidden + i % (4 * hidden), &bias);
    }
  }
}

OneDnnLstm::OneDnnLstm(int input, int hidden, int rows)
    : impl_(std::make_unique<Impl>(input, hidden, rows)) {}
OneDnnLstm::~OneDnnLstm() = default;

void OneDnnLstm::SetWeights(absl::Span<const float> plain) {
  SetZero(impl_->bias);
  impl_->ForEachWeight([&](size_t from, size_t to, const memory* array) {
    float* value = Floats(*array) + to;
    *value = array == &impl_->bias ? *value + plain[from] : plain[from];
  });
}

std::vector<float> OneDnnLstm::Gradient() const {
  std::vector<float> plain;
  impl_->ForEachWeight([&](size_t, size_t from, const memory* array) {
    const memory& gradient = array == &impl_->layer  ? impl_->dlayer
                             : array == &impl_->iter ? impl_->diter
                                                     : impl_->dbias;
    plain.push_back(Floats(gradient)[from]);
  });
  return plain;
}

void OneDnnLstm::Prepare(int length) {
  if (impl_->steps.count(length) == 0) {
    impl_->steps.emplace(length, impl_->MakeSteps(length));
  }
}

void OneDnnLstm::Step(int length, const std::vector<float>& x,
                      absl::Span<const int64_t> lengths,
                      const std::vector<float>& dends,
                      std::vector<float>* ends) {
  Prepare(length);
  Impl& net = *impl_;
  const Steps& s = net.steps.at(length);
  const auto weights = [&net](Place place, const memory& from, const Desc& to) {
    const memory array = net.At(place, to);
    net.Reorder(from, array);
    return array;
  };
  const memory input = net.At(kX, s.forward_desc.src_layer_desc());
  const memory y = net.At(kY, s.forward_desc.dst_layer_desc());
  const memory dy = net.At(kDy, s.backward_desc.diff_dst_layer_desc());
  std::copy_n(x.data(), size_t(length) * net.rows * net.input, Floats(input));
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC_LAYER, input},
      {DNNL_ARG_WEIGHTS_LAYER,
       weights(kForwardLayer, net.layer, s.forward_desc.weights_layer_desc())},
      {DNNL_ARG_WEIGHTS_ITER,
       weights(kForwardIter, net.iter, s.forward_desc.weights_iter_desc())},
      {DNNL_ARG_BIAS, net.bias},
      {DNNL_ARG_DST_LAYER, y},
      {DNNL_ARG_WORKSPACE,
       net.At(kWorkspace, s.forward_desc.workspace_desc())}};
  s.forward.execute(net.stream, arguments);
  SetZero(dy);
  ends->resize(dends.size());
  ForEachEnd(net.hidden, lengths, [&](size_t at, size_t end) {
    std::copy_n(Floats(y) + at, net.hidden, ends->data() + end);
    std::copy_n(dends.data() + end, net.hidden, Floats(dy) + at);
  });
  const memory dlayer =
      net.At(kDLayer, s.backward_desc.diff_weights_layer_desc());
  const memory diter = net.At(kDIter, s.backward_desc.diff_weights_iter_desc());
  // The primitive adds to them.
  for (const memory& sum : {dlayer, diter, net.dbias}) SetZero(sum);
  arguments[DNNL_ARG_WEIGHTS_LAYER] =
      weights(kBackwardLayer, net.layer, s.backward_desc.weights_layer_desc());
  arguments[DNNL_ARG_WEIGHTS_ITER] =
      weights(kBackwardIter, net.iter, s.backward_desc.weights_iter_desc());
  arguments[DNNL_ARG_DIFF_SRC_LAYER] =
      net.At(kDx, s.backward_desc.diff_src_layer_desc());
  arguments[DNNL_ARG_DIFF_WEIGHTS_LAYER] = dlayer;
  arguments[DNNL_ARG_DIFF_WEIGHTS_ITER] = diter;
  arguments[DNNL_ARG_DIFF_BIAS] = net.dbias;
  arguments[DNNL_ARG_DIFF_DST_LAYER] = dy;
  s.backward.execute(net.stream, arguments);
  net.Reorder(dlayer, net.dlayer);
  net.Reorder(diter, net.diter);
  net.stream.wait();
}

}  // namespace kodistil
