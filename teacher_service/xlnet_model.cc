#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "teacher_service/encoder_layer.h"
#include "teacher_service/transformer_model.h"

namespace kodistil {
namespace {

using at::Tensor;

struct XlnetLayer {
  Linear query_key_value;                 // [hidden, 3 * hidden], input first
  Linear position;                        // r: [hidden, hidden], input first
  const Tensor* word_bias = nullptr;      // r_w_bias [heads, depth]
  const Tensor* position_bias = nullptr;  // r_r_bias
  const Tensor* type_bias = nullptr;      // r_s_bias
  const Tensor* types = nullptr;          // seg_embed [2, heads, depth]
  ResidualStep attention;
  Linear up;
  ResidualStep down;
};

class XlnetModel : public TransformerModel {
 public:
  XlnetModel(const TransformerConfig& config, Parameters* parameters);

  absl::StatusOr<std::vector<int64_t>> PooledPlaces(
      const PackedRows& rows) const override;
  Tensor States(const Run& run,
                const std::vector<int64_t>* places) const override;
  Tensor Classify(const Run& run, const Tensor& pooled) const override {
    return RunHead(run, head_, pooled);
  }

 private:
  XlnetLayer GetLayer(const std::string& name, Parameters* parameters) const;
  // Of the distances -reach to reach: [2 * reach + 1, hidden].
  Tensor PositionEmbedding(const Run& run, int64_t reach) const;
  Tensor AttendAll(const Run& run, const XlnetLayer& layer,
                   const Tensor& hidden, const Tensor& positions,
                   const std::vector<int64_t>* places) const;
  Tensor AttendGroup(const Run& run, const XlnetLayer& layer,
                     const RowGroup& group, const Tensor* query_key_value,
                     const Tensor& positions) const;

  const TransformerConfig config_;
  EmbeddingTables tables_;
  std::vector<XlnetLayer> layers_;
  ClassifierHead head_;
};

XlnetModel::XlnetModel(const TransformerConfig& config, Parameters* parameters)
    : config_(config) {
  tables_.words = parameters->Get("transformer.word_embedding.weight");
  for (int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(
        GetLayer(absl::StrCat("transformer.layer.", i, "."), parameters));
  }
  head_.dense = parameters->GetLinear("sequence_summary.summary");
  head_.out = parameters->GetLinear("logits_proj");
  head_.inner_dropout = config.classifier_dropout;
}

XlnetLayer XlnetModel::GetLayer(const std::string& name,
                                Parameters* parameters) const {
  const std::string attention = name + "rel_attn.";
  const int64_t hidden = config_.hidden_size;
  // [hidden, heads, depth] as a matrix.
  const auto take = [&](const char* part) {
    return parameters->Take(attention + part).view({hidden, hidden});
  };
  XlnetLayer layer;
  layer.query_key_value.weight =
      parameters->Keep(at::cat({take("q"), take("k"), take("v")}, 1));
  layer.query_key_value.input_first = true;
  layer.position.weight = parameters->Keep(take("r"));
  layer.position.input_first = true;
  layer.word_bias = parameters->Get(attention + "r_w_bias");
  layer.position_bias = parameters->Get(attention + "r_r_bias");
  layer.type_bias = parameters->Get(attention + "r_s_bias");
  layer.types = parameters->Get(attention + "seg_embed");
  layer.attention.linear.weight = parameters->Keep(take("o"));
  layer.attention.norm =
      parameters->GetNorm(attention + "layer_norm", config_.layer_norm_eps);
  layer.attention.rate = config_.hidden_dropout;
  layer.up = parameters->GetLinear(name + "ff.layer_1");
  layer.down.linear = parameters->GetLinear(name + "ff.layer_2");
  layer.down.norm =
      parameters->GetNorm(name + "ff.layer_norm", config_.layer_norm_eps);
  layer.down.rate = config_.hidden_dropout;
  return layer;
}

absl::StatusOr<std::vector<int64_t>> XlnetModel::PooledPlaces(
    const PackedRows& rows) const {
  std::vector<int64_t> places;
  rows.ForEachRow([&](int64_t, int64_t, const RowGroup& group) {
    places.push_back(group.length - 1);
  });
  return places;
}

Tensor XlnetModel::PositionEmbedding(const Run& run, int64_t reach) const {
  const auto options = tables_.words->options().dtype(at::kFloat);
  Tensor distances = at::arange(-reach, reach + 1, options);
  if (config_.clamp_length > 0) {
    distances = distances.clamp(-config_.clamp_length, config_.clamp_length);
  }
  const Tensor exponents =
      at::arange(0, config_.hidden_size, 2, options) / config_.hidden_size;
  const Tensor angles =
      distances.unsqueeze(1) / at::pow(10000.0, exponents).unsqueeze(0);
  return at::cat({at::sin(angles), at::cos(angles)}, 1)
      .to(tables_.words->scalar_type());
}

// What a group's queries see: all tokens of their rows, or the last one alone.
struct GroupIndex {
  int64_t queries = 0;
  Tensor distance;  // [Q, K], index into the positions
  Tensor differs;   // [rows, 1, Q, K]: whether types differ, int64
};

GroupIndex IndexOf(const Run& run, const RowGroup& group, int64_t queries,
                   int64_t reach) {
  const PackedRows& rows = *run.rows;
  const int64_t length = group.length, first = length - queries;
  const auto cut = [&](const std::vector<int64_t>& values, int64_t size) {
    const auto begin = values.begin() + group.first_token;
    return IndexTensor(run, std::vector<int64_t>(begin, begin + size));
  };
  // Columns are the same for all rows of the group.
  const Tensor columns = cut(rows.columns, length);
  const Tensor types =
      cut(rows.type_ids, group.tokens()).view({group.rows, length});
  GroupIndex index;
  index.queries = queries;
  index.distance = columns.narrow(0, first, queries).unsqueeze(1) -
                   columns.unsqueeze(0) + reach;
  index.differs =
      (types.narrow(1, first, queries).unsqueeze(2) != types.unsqueeze(1))
          .unsqueeze(1)
          .to(at::kLong);
  return index;
}

// query: [n, Q, heads, depth]; key: [n, K, heads, depth]; positions:
// [distances, heads, depth]. Result: scores [n, heads, Q, K] by content, by
// distance and by types (Yang et al.: XLNet, 2019, sections 2.4 and 2.5).
Tensor Scores(const XlnetLayer& layer, const GroupIndex& index,
              const Tensor& query, const Tensor& key, const Tensor& positions) {
  const std::vector<int64_t> shape = {query.size(0), query.size(2),
                                      query.size(1), key.size(1)};
  const auto multiply = [&](const Tensor* bias, const Tensor& other) {
    return at::matmul((query + *bias).transpose(1, 2), other);
  };
  const Tensor content = multiply(layer.word_bias, key.permute({0, 2, 3, 1}));
  const Tensor by_distance =
      at::gather(multiply(layer.position_bias, positions.permute({1, 2, 0})), 3,
                 index.distance.expand(shape));
  const Tensor by_type =
      at::gather(multiply(layer.type_bias, layer.types->permute({1, 2, 0})), 3,
                 index.differs.expand(shape));
  return (content + by_distance + by_type) *
         (1 / std::sqrt(static_cast<double>(query.size(3))));
}

// query: [tokens or rows, hidden], key, value: [tokens, hidden], all of all
// rows; positions: [2 * reach + 1, heads, depth]. Result: the group's context.
Tensor XlnetModel::AttendGroup(const Run& run, const XlnetLayer& layer,
                               const RowGroup& group,
                               const Tensor* query_key_value,
                               const Tensor& positions) const {
  const int64_t n = group.rows, length = group.length;
  const int64_t heads = config_.num_heads, depth = config_.head_size;
  const bool is_pooled = query_key_value[0].size(0) != run.rows->tokens();
  const GroupIndex index =
      IndexOf(run, group, is_pooled ? 1 : length, positions.size(0) / 2);
  const auto view = [&](int part, int64_t first, int64_t size) {
    return query_key_value[part]
        .narrow(0, first, n * size)
        .view({n, size, heads, depth});
  };
  const Tensor query =
      view(0, is_pooled ? group.first_row : group.first_token, index.queries);
  const Tensor value = view(2, group.first_token, length);
  Tensor scores = Scores(layer, index, query,
                         view(1, group.first_token, length), positions);
  if (group.padding > 0) {
    // Only the padding itself sees the padding.
    Tensor mask = at::zeros({length, length}, scores.options());
    mask.narrow(1, length - 1, 1)
        .narrow(0, 0, length - 1)
        .fill_(-std::numeric_limits<float>::infinity());
    scores = scores + mask.narrow(0, length - index.queries, index.queries);
  }
  const Tensor weights =
      Dropout(run, at::softmax(scores, -1), config_.attention_dropout);
  return at::matmul(weights, value.transpose(1, 2))
      .transpose(1, 2)
      .reshape({n * index.queries, heads * depth});
}

Tensor XlnetModel::AttendAll(const Run& run, const XlnetLayer& layer,
                             const Tensor& hidden, const Tensor& positions,
                             const std::vector<int64_t>* places) const {
  const int64_t size = config_.hidden_size;
  const Tensor distances =
      Apply(layer.position, positions)
          .view({-1, config_.num_heads, config_.head_size});
  Tensor parts[3];
  if (places == nullptr) {
    const Tensor all = Apply(layer.query_key_value, hidden);
    for (int i = 0; i < 3; ++i) parts[i] = all.narrow(1, i * size, size);
  } else {
    const Tensor pooled = SelectRows(run, hidden, TokensOf(*run.rows, *places));
    parts[0] = ApplyPart(layer.query_key_value, pooled, 0, size);
    const Tensor both =
        ApplyPart(layer.query_key_value, hidden, size, 2 * size);
    for (int i = 1; i < 3; ++i) parts[i] = both.narrow(1, (i - 1) * size, size);
  }
  std::vector<Tensor> groups;
  for (const RowGroup& group : run.rows->groups) {
    groups.push_back(AttendGroup(run, layer, group, parts, distances));
  }
  return at::cat(groups);
}

Tensor XlnetModel::States(const Run& run,
                          const std::vector<int64_t>* places) const {
  const PackedRows& rows = *run.rows;
  Tensor hidden = Dropout(run, Embed(run, tables_, rows.ids, rows.columns),
                          config_.embedding_dropout);
  const int64_t reach =
      *std::max_element(rows.columns.begin(), rows.columns.end());
  const Tensor positions =
      Dropout(run, PositionEmbedding(run, reach), config_.hidden_dropout);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const XlnetLayer& layer = layers_[i];
    const auto* last = i + 1 == layers_.size() ? places : nullptr;
    const Tensor context = AttendAll(run, layer, hidden, positions, last);
    if (last != nullptr) {
      hidden = SelectRows(run, hidden, TokensOf(rows, *last));
    }
    const Tensor attended = AddAndNorm(run, layer.attention, context, hidden);
    const Tensor inner = Dropout(
        run, ApplyActivated(run, layer.up, config_.activation, attended),
        config_.activation_dropout);
    hidden = AddAndNorm(run, layer.down, inner, attended);
  }
  return Dropout(run, hidden, config_.hidden_dropout);
}

}  // namespace

std::unique_ptr<TransformerModel> NewXlnetModel(const TransformerConfig& config,
                                                Parameters* parameters) {
  return std::make_unique<XlnetModel>(config, parameters);
}

}  // namespace kodistil
