// How config.json of each architecture is read, and the tensors it stands for.

#ifndef KODISTIL_TEACHER_SERVICE_ARCHITECTURE_CONFIG_H_
#define KODISTIL_TEACHER_SERVICE_ARCHITECTURE_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "teacher_service/field_reader.h"
#include "teacher_service/transformer_config.h"

namespace kodistil {

// Collects the tensors of a checkpoint with Hugging Face's initialisation.
class SpecBuilder {
 public:
  // `stddev`: of the normal distribution of weights.
  explicit SpecBuilder(double stddev) : stddev_(stddev) {}

  // What follows belongs to the classifier.
  void BeginHead() { in_head_ = true; }
  // name.weight [out, in], name.bias [out].
  void Linear(const std::string& name, int64_t out, int64_t in,
              bool has_bias = true);
  // name.weight [size] of ones, name.bias [size].
  void Norm(const std::string& name, int64_t size, bool has_bias = true);
  // name.weight [rows, width]; row `zero_row`, if any, is zero.
  void Table(const std::string& name, int64_t rows, int64_t width,
             int64_t zero_row = -1);
  // Any tensor, normal with the given deviation.
  void Normal(const std::string& name, std::vector<int64_t> shape,
              double stddev);
  void Zeros(const std::string& name, std::vector<int64_t> shape);

  double stddev() const { return stddev_; }
  std::map<std::string, TensorSpec> Finish() { return std::move(specs_); }

 private:
  void Add(const std::string& name, TensorSpec spec);

  const double stddev_;
  bool in_head_ = false;
  std::map<std::string, TensorSpec> specs_;
};

// One row a model_type. The defaults are those of transformers 4.35.
struct ArchitectureEntry {
  Architecture architecture;
  const char* model_type;
  // Sets the defaults, then what the fields say.
  void (*read)(FieldReader* fields, TransformerConfig* config);
  std::map<std::string, TensorSpec> (*tensors)(const TransformerConfig& config);
  // Of the word embedding.
  const char* word_embeddings;
};
absl::Span<const ArchitectureEntry> AllArchitectures();

void ReadBertConfig(FieldReader* fields, TransformerConfig* config);
void ReadElectraConfig(FieldReader* fields, TransformerConfig* config);
void ReadRobertaConfig(FieldReader* fields, TransformerConfig* config);
void ReadBigBirdConfig(FieldReader* fields, TransformerConfig* config);
void ReadDistilBertConfig(FieldReader* fields, TransformerConfig* config);
void ReadGpt2Config(FieldReader* fields, TransformerConfig* config);
void ReadBartConfig(FieldReader* fields, TransformerConfig* config);
void ReadXlnetConfig(FieldReader* fields, TransformerConfig* config);
void ReadT5Config(FieldReader* fields, TransformerConfig* config);

// Of all four of BERT's family.
std::map<std::string, TensorSpec> BertTensors(const TransformerConfig& config);
std::map<std::string, TensorSpec> DistilBertTensors(
    const TransformerConfig& config);
std::map<std::string, TensorSpec> Gpt2Tensors(const TransformerConfig& config);
std::map<std::string, TensorSpec> BartTensors(const TransformerConfig& config);
std::map<std::string, TensorSpec> XlnetTensors(const TransformerConfig& config);
std::map<std::string, TensorSpec> T5Tensors(const TransformerConfig& config);

// Sets the activation that `field` names.
void ReadActivation(FieldReader* fields, const std::string& field,
                    Activation* result);
// Sets the size of a head; a fault unless `heads` divides `size`.
void SetHeadSize(FieldReader* fields, const char* size_field, int64_t size,
                 const char* heads_field, int64_t heads, int64_t* head_size);
// A fault unless `id` (named `field`) is in the vocabulary or -1.
void CheckTokenId(FieldReader* fields, const char* field, int64_t id,
                  const TransformerConfig& config);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_ARCHITECTURE_CONFIG_H_
