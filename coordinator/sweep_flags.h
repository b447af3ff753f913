// The grid's flags: one per field of SweepSpec, lists separated by commas.

#ifndef KODISTIL_COORDINATOR_SWEEP_FLAGS_H_
#define KODISTIL_COORDINATOR_SWEEP_FLAGS_H_

#include <functional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "kodistil/v1/sweep.pb.h"

// Expanded once, in the main that takes a grid. Empty values leave the spec's
// file, and then the default sweep, as they are.
#define KODISTIL_DEFINE_SWEEP_FLAGS()                                        \
  ABSL_FLAG(std::string, student, "",                                        \
            "Named sizes: tiny, mini, small, base, large (default "          \
            "tiny,small)");                                                  \
  ABSL_FLAG(std::string, hidden_dim, "",                                     \
            "Axis: LSTM state of each direction, 1 to 4096");                \
  ABSL_FLAG(std::string, embedding_dim, "", "Axis: embedding, 1 to 4096");   \
  ABSL_FLAG(std::string, vocab_size, "",                                     \
            "Axis: WordPiece pieces, 100 to 65535 (default 3000)");          \
  ABSL_FLAG(std::string, batch_size, "", "Axis: rows a step (default 64)");  \
  ABSL_FLAG(std::string, loss_rate, "",                                      \
            "Axis: weight of the hard label in the loss, 0 to 1 (default "   \
            "0.1)");                                                         \
  ABSL_FLAG(std::string, temperature, "",                                    \
            "Axis: temperature of the softened logits (default 1,2)");       \
  ABSL_FLAG(std::string, train_epoch, "", "Axis: epochs (default 8)");       \
  ABSL_FLAG(std::string, loss_option, "",                                    \
            "Axis: kl_div, mse or ce (default kl_div)");                     \
  ABSL_FLAG(std::string, lr, "",                                             \
            "Axis: Adam's learning rate (default "                           \
            "0.001)");                                                       \
  ABSL_FLAG(std::string, scheduler_type, "",                                 \
            "Axis: StepLR, CyclicLR or constant (default StepLR)");          \
  ABSL_FLAG(std::string, step_size, "",                                      \
            "StepLR: epochs between decays (default 2)");                    \
  ABSL_FLAG(std::string, gamma, "", "StepLR: factor (default 0.7)");         \
  ABSL_FLAG(std::string, base_lr, "",                                        \
            "CyclicLR: lower bound (default 0.0001)");                       \
  ABSL_FLAG(std::string, max_lr, "",                                         \
            "CyclicLR: upper bound (default "                                \
            "0.002)");                                                       \
  ABSL_FLAG(std::string, step_size_up, "",                                   \
            "CyclicLR: steps from bound to bound (default 2000)");           \
  ABSL_FLAG(std::string, dropout, "",                                        \
            "Axis: dropout, 0 to 0.99 (default "                             \
            "0.2)");                                                         \
  ABSL_FLAG(std::string, lstm_num_layers, "",                                \
            "Axis: LSTM layers, 1 to 16 (default 1)");                       \
  ABSL_FLAG(std::string, seed, "", "Axis: random seed (default 1)");         \
  ABSL_FLAG(std::string, max_length, "",                                     \
            "Tokens a row, longer rows are cut (default 256)");              \
  ABSL_FLAG(std::string, select, "",                                         \
            "Epoch kept: best (on the valid split) or last (default best)"); \
  ABSL_FLAG(std::string, engine, "",                                         \
            "Axis: what trains on a CPU: fast, or torch, the reference "     \
            "(default fast)");                                               \
  ABSL_FLAG(std::string, optimizer, "",                                      \
            "Axis: adam or adamw (default adam, adamw with weight_decay)");  \
  ABSL_FLAG(std::string, weight_decay, "",                                   \
            "Axis: AdamW's decoupled weight decay, 0 to 10 (default 0.01)"); \
  ABSL_FLAG(bool, no_twins, false, "Leave out the plain twin of each student")

namespace kodistil {

// Sets the fields of `spec` from the flags of the same name that are not empty;
// they replace what a spec file gave. INVALID_ARGUMENT names flag and value.
absl::Status ApplySweepFlags(v1::SweepSpec* spec);

// The same with any source of values: `value_of(name)` is the text of a flag,
// empty when it was not given.
absl::Status ApplySweepValues(
    const std::function<std::string(const std::string& name)>& value_of,
    v1::SweepSpec* spec);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_FLAGS_H_
