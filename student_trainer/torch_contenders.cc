#include "student_trainer/torch_contenders.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

namespace kodistil {

struct TorchContender::Impl {
  Impl(const StudentShape& shape, Batching batching)
      : batching(batching),
        embedding(
            torch::nn::EmbeddingOptions(shape.vocab_size, shape.embedding_dim)
                .padding_idx(0)),
        rnn(torch::nn::LSTMOptions(shape.embedding_dim, shape.hidden_dim)
                .num_layers(shape.lstm_num_layers)
                .bidirectional(true)
                .batch_first(true)),
        linear(2 * shape.hidden_dim, shape.num_classes) {
    std::vector<torch::Tensor> parameters;
    for (torch::nn::Module* module :
         {static_cast<torch::nn::Module*>(embedding.get()),
          static_cast<torch::nn::Module*>(rnn.get()),
          static_cast<torch::nn::Module*>(linear.get())}) {
      for (const torch::Tensor& p : module->parameters()) {
        parameters.push_back(p);
      }
    }
    adam = std::make_unique<torch::optim::Adam>(
        parameters, torch::optim::AdamOptions(1e-3));
  }

  torch::Tensor Forward(const PackedBatch& batch, int64_t length);

  const Batching batching;
  torch::nn::Embedding embedding;
  torch::nn::LSTM rnn;
  torch::nn::Linear linear;
  torch::nn::Dropout dropout{torch::nn::DropoutOptions(0.1)};
  std::unique_ptr<torch::optim::Adam> adam;
};

torch::Tensor TorchContender::Impl::Forward(const PackedBatch& batch,
                                            int64_t length) {
  const int64_t rows = batch.rows.size();
  length = std::max(length, batch.lengths[0]);
  torch::Tensor ids = torch::zeros({rows, length}, torch::kInt64);
  int64_t* to = ids.data_ptr<int64_t>();
  const int64_t* token = batch.tokens.data();
  for (size_t t = 0; t < batch.batch_sizes.size(); ++t) {
    for (int64_t b = 0; b < batch.batch_sizes[t]; ++b) {
      to[b * length + t] = *token++;
    }
  }
  const torch::Tensor x = dropout(embedding(ids));  // [B, T, E]
  torch::Tensor h;                                  // [2 layers, B, H]
  if (batching == Batching::kPacked) {
    const auto packed = torch::nn::utils::rnn::pack_padded_sequence(
        x, torch::tensor(batch.lengths), /*batch_first=*/true);
    h = std::get<0>(std::get<1>(rnn->forward_with_packed_input(packed)));
  } else {
    h = std::get<0>(std::get<1>(rnn->forward(x)));
  }
  return linear(dropout(torch::cat({h[-2], h[-1]}, 1)));
}

TorchContender::TorchContender(const StudentShape& shape, Batching batching)
    : impl_(std::make_unique<Impl>(shape, batching)) {}
TorchContender::~TorchContender() = default;

void TorchContender::Step(const PackedBatch& batch, int length,
                          absl::Span<const int> labels,
                          absl::Span<const float> teacher) {
  namespace F = torch::nn::functional;
  impl_->adam->zero_grad();
  const torch::Tensor logits = impl_->Forward(batch, length);
  const torch::Tensor hard = torch::tensor(
      std::vector<int64_t>(labels.begin(), labels.end()), torch::kInt64);
  const torch::Tensor soft =
      torch::from_blob(const_cast<float*>(teacher.data()), logits.sizes())
          .softmax(1);
  const torch::Tensor loss =
      0.1 * F::cross_entropy(logits, hard) +
      0.9 * F::kl_div(logits.log_softmax(1), soft,
                      F::KLDivFuncOptions().reduction(torch::kBatchMean));
  loss.backward();
  impl_->adam->step();
}

}  // namespace kodistil
