// The coordinator's side of the logit store: registers datasets, asks what is
// missing, counts how often a teacher is right.

#ifndef KODISTIL_COORDINATOR_STORE_ACCESS_H_
#define KODISTIL_COORDINATOR_STORE_ACCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/access.h"
#include "corpus/dataset.h"
#include "corpus/predictions.h"
#include "kodistil/v1/logit_store.grpc.pb.h"
#include "logit_store/teacher_mix.h"

namespace kodistil {

// Thread-safe. UNAVAILABLE is retried for half a minute.
class StoreAccess {
 public:
  // `between_tries` is called when the store could not be reached, before it is
  // asked again; it may be null.
  explicit StoreAccess(const std::string& address,
                       const AccessOptions& access = {},
                       std::function<void()> between_tries = nullptr);

  struct Registration {
    bool known = false;  // the store held this name with another fingerprint
    uint64_t changed_count = 0;
    std::vector<uint64_t> changed;  // the first ones
  };
  // Registers the dataset under its name. When the store holds logits of `id`
  // for more other texts than equal ones under that name, FAILED_PRECONDITION
  // naming both fingerprints, unless `replace`.
  absl::StatusOr<Registration> Register(const Dataset& dataset,
                                        const v1::LogitSetId& id,
                                        bool replace) const;

  // Creates the set or finds it; see LogitStoreService.CreateSet.
  absl::Status CreateSet(const v1::LogitSetManifest& manifest) const;

  absl::StatusOr<v1::MissingResponse> Missing(const v1::LogitSetId& id) const;

  struct Count {
    uint64_t correct = 0;
    uint64_t total = 0;
    Predictions predictions;  // of the rows counted, by index
  };
  // How many labelled rows of the test split have their highest logit at the
  // label.
  absl::StatusOr<Count> CountCorrect(const v1::LogitSetId& id,
                                     const Dataset& dataset) const;
  // The same with the weighted mean of the teachers' logits;
  // FAILED_PRECONDITION naming a row that not all of them have.
  absl::StatusOr<Count> CountCorrectOfMean(const TeacherMix& mix,
                                           const Dataset& dataset) const;

 private:
  absl::Status CheckSameTexts(const Dataset& dataset, const v1::LogitSetId& id,
                              const std::string& known) const;
  absl::StatusOr<v1::RegisterDatasetResponse> Send(
      const Dataset& dataset, const std::string& fingerprint,
      const std::string& expected) const;

  // Runs `call` until it is not UNAVAILABLE, for half a minute.
  absl::Status Retry(const std::function<absl::Status()>& call) const;
  absl::Status SendOnce(const Dataset& dataset, const std::string& fingerprint,
                        const std::string& expected,
                        v1::RegisterDatasetResponse* response) const;
  struct TestLogits {
    uint64_t index = 0;
    int label = 0;
    std::vector<float> logits;
  };
  // Labelled rows of the test split.
  absl::StatusOr<std::vector<TestLogits>> FetchTest(
      const v1::LogitSetId& id, const Dataset& dataset) const;
  // Calls `row` with each labelled row of the test split that is there.
  using TestRow = std::function<void(const v1::LogitRow& row, int label)>;
  absl::Status ScanTestRows(const v1::LogitSetId& id, const Dataset& dataset,
                            const TestRow& row) const;

  const std::string address_;
  const std::function<void()> between_tries_;
  const std::unique_ptr<v1::LogitStoreService::Stub> stub_;
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_STORE_ACCESS_H_
