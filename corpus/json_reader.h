// Reads JSON files of strangers: every value is asked for by type, and the
// first fault is kept with the file, the path in it, what was found and what
// was expected.

#ifndef KODISTIL_CORPUS_JSON_READER_H_
#define KODISTIL_CORPUS_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace kodistil {

// A value of a file, or none. Once a fault is known, every further question is
// answered with a default, so that a reader may go on to its end and ask
// JsonFile::status() there. Valid while its JsonFile lives.
class JsonNode {
 public:
  // Neither absent nor null.
  bool present() const { return value_ != nullptr && !value_->is_null(); }
  bool is_object() const { return present() && value_->is_object(); }
  bool is_array() const { return present() && value_->is_array(); }
  bool is_string() const { return present() && value_->is_string(); }
  // The value itself; null when there is none.
  const nlohmann::json* raw() const { return value_; }

  // A member of an object, or an element of a list, that need not be there.
  JsonNode Find(absl::string_view key) const;
  // One that must be there.
  JsonNode Get(absl::string_view key) const;
  JsonNode At(size_t index) const;
  // How many elements a list has, which this must be.
  size_t Size() const;

  // The value, which must have that type.
  std::string String() const;
  bool Bool() const;
  double Number() const;
  int64_t Int(int64_t least, int64_t most) const;
  // The value if present, otherwise `fallback`.
  std::string StringOr(absl::string_view fallback) const;
  bool BoolOr(bool fallback) const;

  // A fault unless this is an object without other members than these.
  void OnlyKeys(std::initializer_list<absl::string_view> keys) const;
  // A fault: "FILE: PATH is VALUE, expected ..."; the first one counts.
  void Fail(absl::string_view expected) const;
  // A fault in other words: "FILE: PATH: ...".
  void FailWith(absl::string_view what) const;

  // Where it is, as a JSON pointer: "/model/vocab".
  const std::string& path() const { return path_; }

 private:
  friend class JsonFile;

  struct Context {
    std::string source;
    absl::Status status;
  };

  JsonNode(const nlohmann::json* value, std::string path, Context* context)
      : value_(value), path_(std::move(path)), context_(context) {}

  const nlohmann::json* value_;
  std::string path_;
  Context* context_;
};

// A parsed file. Not thread-safe.
class JsonFile {
 public:
  // DATA_LOSS when `text` is not JSON, or nested deeper than 100;
  // INVALID_ARGUMENT when it is no object. `source` is the path for messages.
  static absl::StatusOr<JsonFile> Parse(absl::string_view text,
                                        const std::string& source);

  JsonNode root() const { return {value_.get(), "", context_.get()}; }
  // OK, or INVALID_ARGUMENT for the first fault.
  const absl::Status& status() const { return context_->status; }
  const std::string& source() const { return context_->source; }

 private:
  JsonFile() = default;

  std::unique_ptr<nlohmann::json> value_;
  std::unique_ptr<JsonNode::Context> context_;
};

// What serde_json makes of the shortest text of `value`, which is what files
// have: without its feature float_roundtrip it divides the digits by a power of
// ten, which can be off in the last bit (f64_from_parts in its de.rs). Hugging
// Face's tokenizers read scores so, and ties of sums turn on it.
double AsSerdeReads(double value);

// `value` in at most some 80 bytes.
std::string ShownJson(const nlohmann::json& value);

}  // namespace kodistil

#endif  // KODISTIL_CORPUS_JSON_READER_H_
