#include "corpus/sentencepiece_training.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <iostream>

namespace kodistil {

namespace {

// The library's way to be given texts.
class TextIterator : public sentencepiece::SentenceIterator {
 public:
  explicit TextIterator(const std::vector<std::string>& texts)
      : texts_(texts) {}
  bool done() const override { return next_ == texts_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return texts_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& texts_;
  size_t next_ = 0;
};

}  // namespace

std::string TrainSentencePiece(const std::vector<std::string>& texts,
                               const std::string& flags) {
  std::string model;
  TextIterator iterator(texts);
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      flags + " --minloglevel=2 --num_threads=1", &iterator, &model);
  if (!status.ok()) std::cerr << status.ToString() << std::endl;
  return status.ok() ? model : std::string();
}

std::vector<int> SentencePieceIds(const std::string& model,
                                  const std::string& text) {
  sentencepiece::SentencePieceProcessor processor;
  std::vector<int> ids;
  if (!processor.LoadFromSerializedProto(model).ok() ||
      !processor.Encode(text, &ids).ok()) {
    std::cerr << "SentencePiece refuses its own model" << std::endl;
  }
  return ids;
}

}  // namespace kodistil
