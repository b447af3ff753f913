#include "teacher_service/tiny_transformer.h"

#include <deque>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "teacher_service/transformer_config.h"

namespace kodistil {

TinyTransformer::TinyTransformer(const std::string& model_type) {
  config = absl::StrCat(
      R"({"model_type": ")", model_type,
      R"(", "vocab_size": 12, "hidden_size": 8,)",
      model_type == "electra" ? R"( "embedding_size": 4,)" : "",
      R"( "num_hidden_layers": 2, "num_attention_heads": 2,)",
      R"( "intermediate_size": 16, "max_position_embeddings": 24,)",
      R"( "id2label": {"0": "a", "1": "b", "2": "c"}})");
  const absl::StatusOr<TransformerConfig> parsed =
      ParseTransformerConfig(config, "tiny");
  CHECK(parsed.ok()) << parsed.status();
  shapes = ExpectedTensors(*parsed);
  vocab =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n영화\n재미\n##있다\n##없다\n.\na\nb\nc\n";
  tokenizer_config = R"({"do_lower_case": false, "strip_accents": null})";
}

std::string TinyTransformer::Weights() const {
  Pcg32 random(/*seed=*/7);
  std::deque<std::vector<float>> values;  // the views point into it
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, shape] : shapes) {
    TensorView view;
    view.dtype = "F32";
    view.shape = shape;
    const float centre = absl::EndsWith(name, "LayerNorm.weight") ? 1.0f : 0.0f;
    values.emplace_back(view.elements());
    for (float& value : values.back()) {
      value = centre + static_cast<float>(random.Uniform() - 0.5);
    }
    view.bytes = {reinterpret_cast<const char*>(values.back().data()),
                  values.back().size() * sizeof(float)};
    tensors.emplace(name, std::move(view));
  }
  return SerializeSafetensors(tensors, {{"format", "pt"}});
}

absl::Status TinyTransformer::Write(const std::string& dir) const {
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(dir, "config.json"), config));
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(dir, "model.safetensors"), Weights()));
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(dir, "vocab.txt"), vocab));
  if (tokenizer_config.empty()) return absl::OkStatus();
  return WriteFileAtomically(JoinPath(dir, "tokenizer_config.json"),
                             tokenizer_config);
}

}  // namespace kodistil
