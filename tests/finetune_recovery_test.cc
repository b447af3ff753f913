// Fine-tuning as a process: killed with -9 and started again it ends in the
// same weights as one that nobody disturbed.

#include <signal.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "coordinator/process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr char kConfig[] = R"({
  "model_type": "electra", "hidden_size": 32, "embedding_size": 16,
  "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
  "max_position_embeddings": 64, "vocab_size": 500})";

class FinetuneRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(WriteFileAtomically(JoinPath(dir_, "config.json"), kConfig));
  }

  std::unique_ptr<Process> Start(const std::string& output) {
    ProcessOptions options;
    options.binary = TestBinary("teacher_service/finetune");
    options.args = {absl::StrCat("--config=", JoinPath(dir_, "config.json")),
                    "--from_scratch",
                    "--vocab_size=300",
                    "--sample_rows=2000",
                    "--epochs=2",
                    "--checkpoint_every=5",
                    "--learning_rate=0.001",
                    "--threads=1",
                    "--device=cpu",
                    absl::StrCat("--output=", JoinPath(dir_, output))};
    options.log_path = JoinPath(dir_, output + ".log");
    auto process = Process::Start(options);
    EXPECT_OK(process);
    return *std::move(process);
  }
  // Exit code at the process's end.
  int Run(const std::string& output) {
    const auto process = Start(output);
    process->Wait();
    return process->exit_code();
  }
  std::string State(const std::string& output) const {
    return JoinPath(JoinPath(dir_, output), "training_state.safetensors");
  }
  std::string Digest(const std::string& output) const {
    return *Sha256HexOfFile(
        JoinPath(JoinPath(dir_, output), "model.safetensors"));
  }

  const std::string dir_ = NewTestDir();
};

TEST_F(FinetuneRecoveryTest, KilledAndStartedAgainItGivesTheSameWeights) {
  EXPECT_EQ(Run("straight"), 0);
  const auto killed = Start("killed");
  ASSERT_TRUE(
      PollUntil(absl::Minutes(2), [&] { return FileExists(State("killed")); }));
  killed->Signal(SIGKILL);
  killed->Wait();
  EXPECT_EQ(killed->exit_code(), 128 + SIGKILL);
  EXPECT_FALSE(
      FileExists(JoinPath(JoinPath(dir_, "killed"), "model.safetensors")));
  EXPECT_EQ(Run("killed"), 0);
  ASSERT_OK_AND_ASSIGN(const std::string log,
                       ReadFile(JoinPath(dir_, "killed.log")));
  EXPECT_THAT(log, ::testing::HasSubstr("resuming after step"));
  EXPECT_EQ(Digest("killed"), Digest("straight"));
}

TEST_F(FinetuneRecoveryTest, ToldToStopItKeepsItsState) {
  const auto process = Start("stopped");
  ASSERT_TRUE(PollUntil(absl::Minutes(2),
                        [&] { return FileExists(State("stopped")); }));
  process->Signal(SIGTERM);
  process->Wait();
  EXPECT_EQ(process->exit_code(), 75);
  EXPECT_TRUE(FileExists(State("stopped")));
}

}  // namespace
}  // namespace kodistil
