// The SentencePiece library, loaded when it is needed and kept apart from the
// rest of the program.

#ifndef KODISTIL_CORPUS_SENTENCEPIECE_BRIDGE_H_
#define KODISTIL_CORPUS_SENTENCEPIECE_BRIDGE_H_

#include <memory>
#include <string>
#include <vector>

namespace kodistil {

// A model in the library's hands. Thread-safe after creation. (No Abseil here:
// the library's header declares an absl::string_view of its own.)
class SentencePieceBridge {
 public:
  // False with `*error` when the library cannot be loaded.
  static bool IsAvailable(std::string* error);
  // `model` is a serialized ModelProto, which the library trusts: it must have
  // been checked before. Null with `*error` when the library is not available
  // or refuses the model.
  static std::unique_ptr<SentencePieceBridge> Create(const std::string& model,
                                                     std::string* error);
  ~SentencePieceBridge();
  SentencePieceBridge(const SentencePieceBridge&) = delete;
  SentencePieceBridge& operator=(const SentencePieceBridge&) = delete;

  // The pieces of a UTF-8 text; of what is unknown the text itself. False with
  // `*error` when the library fails.
  bool Encode(const std::string& text, std::vector<std::string>* pieces,
              std::string* error) const;

 private:
  struct Processor;
  explicit SentencePieceBridge(std::unique_ptr<Processor> processor);

  const std::unique_ptr<Processor> processor_;
};

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_SENTENCEPIECE_BRIDGE_H_
