// Texts through a student server's gRPC, for the command line.

#ifndef KODISTIL_SERVING_CLASSIFY_CLIENT_H_
#define KODISTIL_SERVING_CLASSIFY_CLIENT_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "serving/classify_job.h"

namespace kodistil {

struct ClassifyClientOptions {
  // HOST:PORT.
  std::string server = "127.0.0.1:50081";
  // Name of one of the server's models; empty for its first one.
  std::string model;
  // tsv: the label, its probability and the text, separated by tabs. jsonl: an
  // object a line with text, label, probabilities and model.
  std::string output = "tsv";
  // Texts of a request, 1 to kMaxTexts.
  size_t batch_rows = kMaxTexts;
  // Of one request, and how long a server that is away is asked again.
  absl::Duration call_timeout = absl::Seconds(30);
  absl::Duration retry_limit = absl::Seconds(5);
  // What the texts are, for messages: "line 3: is empty".
  std::string place = "line";
  AccessOptions access;

  absl::Status Validate() const;
};

// Sets the next text; false at the end.
using TextSource = std::function<bool(std::string* text)>;

// Writes a line for each text, in their order, as the answers come. Ends at the
// first that cannot be classified, after what came before its request:
// INVALID_ARGUMENT naming its place for a text that is empty, too long or not
// UTF-8, else the server's error, which names the server; DATA_LOSS when
// `output` cannot be written.
absl::Status ClassifyTexts(const ClassifyClientOptions& options,
                           const TextSource& next, std::ostream* output);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_CLASSIFY_CLIENT_H_
