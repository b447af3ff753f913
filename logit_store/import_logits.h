// Brings logits that were made elsewhere into a store.

#ifndef KODISTIL_LOGIT_STORE_IMPORT_LOGITS_H_
#define KODISTIL_LOGIT_STORE_IMPORT_LOGITS_H_

#include <string>

#include "absl/status/statusor.h"
#include "kodistil/v1/logit_store.pb.h"
#include "logit_store/logit_store.h"

namespace kodistil {

// Reads the logits of every row of the registered dataset from a file:
// JSON lines {"index":0,"logits":[1.5,-0.5],"text":"...","text_hash":"..."},
// text and text_hash may be left out; or, for every other name, columns
// separated by tabs: index, logits, and the text where the last column of some
// row is no number. The order is free. The teacher's fingerprint is the file's
// SHA-256.
//
// INVALID_ARGUMENT for a line that is neither, naming file and line;
// FAILED_PRECONDITION when the number of rows, or a text, is not that of the
// dataset. Nothing is written then. Importing a file again changes nothing.
absl::StatusOr<v1::LogitSetManifest> ImportLogits(
    const std::string& path, const std::string& dataset,
    const std::string& teacher_name, LogitStore* store);

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_IMPORT_LOGITS_H_
