// A real store server, killed with SIGKILL again and again while a client
// writes: what it acknowledged is there. The oracle is a file beside the store.

#include <signal.h>

#include <climits>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "coordinator/process.h"
#include "corpus/dataset.h"
#include "logit_store/logit_store_client.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr int kRounds = 10;
constexpr int kRows = 20000;
constexpr int kMostRowsPut = 200;

using Values = std::map<uint64_t, float>;

class StoreCrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    dataset_.name = "films";
    for (int i = 0; i < kRows; ++i) {
      dataset_.rows.push_back({absl::StrCat("영화 ", i), "", 0, Split::kTrain});
      hashes_.push_back(TextHash(dataset_.rows.back().text, ""));
    }
    id_.set_teacher_fingerprint(std::string(64, 'a'));
    id_.set_dataset(dataset_.name);
    std::cout << "seed " << kSeed << "\n";
  }

  void StartServer() {
    const std::string port_file = JoinPath(folder_, "port");
    ASSERT_OK(RemoveAll(port_file));
    ProcessOptions options;
    options.name = "logit_store";
    options.binary = TestBinary("logit_store/logit_store");
    options.args = {absl::StrCat("--db_path=", db_path()), "--port=0",
                    absl::StrCat("--port_file=", port_file)};
    options.log_path = JoinPath(folder_, "store.log");
    ASSERT_OK_AND_ASSIGN(server_, Process::Start(options));
    int port = 0;
    ASSERT_TRUE(PollUntil(absl::Seconds(30), [&] {
      const auto text = ReadFile(port_file);
      return text.ok() && absl::SimpleAtoi(*text, &port);
    })) << LogTail(options.log_path, /*lines=*/20);
    LogitStoreClientOptions client_options;
    client_options.retry_limit = absl::ZeroDuration();
    client_ = std::make_unique<LogitStoreClient>(
        absl::StrCat("127.0.0.1:", port), client_options);
  }

  void KillServer() {
    server_->Signal(SIGKILL);
    server_->Wait();
  }

  void CreateSet() {
    const std::string fingerprint = dataset_.Fingerprint();
    ASSERT_OK(client_->RegisterDataset(dataset_, fingerprint, ""));
    v1::LogitSetManifest manifest;
    *manifest.mutable_id() = id_;
    manifest.set_dataset_fingerprint(fingerprint);
    manifest.set_row_count(kRows);
    manifest.set_num_classes(2);
    ASSERT_OK(client_->CreateSet(manifest));
  }

  // Writes until the server is gone, or `puts` times. What was acknowledged
  // goes to the oracle, the write that was not into `unsure_`.
  void WriteUntilKilled(int puts = INT_MAX) {
    std::FILE* oracle = std::fopen(oracle_path().c_str(), "a");
    ASSERT_NE(oracle, nullptr);
    for (int i = 0; i < puts; ++i) {
      const uint64_t count = 1 + random_.Below(kMostRowsPut);
      const uint64_t begin = random_.Below(kRows - count + 1);
      const float value = ++value_;
      std::vector<v1::LogitRow> rows(count);
      for (uint64_t i = 0; i < count; ++i) {
        rows[i].set_index(begin + i);
        rows[i].set_text_hash(hashes_[begin + i]);
        rows[i].add_logits(value);
        rows[i].add_logits(-value);
      }
      if (!client_->Put(id_, rows).ok()) {
        unsure_.clear();
        for (const v1::LogitRow& row : rows) unsure_[row.index()] = value;
        break;
      }
      std::fprintf(oracle, "%lu %lu %.9g\n", begin, count, value);
    }
    std::fclose(oracle);
  }

  Values ReadOracle() {
    Values values;
    const auto text = ReadFile(oracle_path());
    EXPECT_OK(text);
    for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> fields = absl::StrSplit(line, ' ');
      uint64_t begin = 0;
      uint64_t count = 0;
      float value = 0;
      EXPECT_TRUE(absl::SimpleAtoi(fields[0], &begin) &&
                  absl::SimpleAtoi(fields[1], &count) &&
                  absl::SimpleAtof(fields[2], &value));
      for (uint64_t i = 0; i < count; ++i) values[begin + i] = value;
    }
    return values;
  }

  // Rows whose acknowledged value is not there. EXPECTs that there is nothing
  // that was never put.
  int CountLost() {
    Values expected = ReadOracle();
    for (const auto& [index, value] : landed_) {
      // Acknowledged later than it landed: the oracle has the newer value.
      if (expected[index] < value) expected[index] = value;
    }
    Values found;
    EXPECT_OK(
        client_->Scan(id_, ScanOptions(),
                      [&](const v1::LogitRow& row, const v1::DatasetRow*) {
                        found[row.index()] = row.logits(0);
                        EXPECT_EQ(row.logits(1), -row.logits(0));
                        return absl::OkStatus();
                      }));
    int lost = 0;
    for (const auto& [index, value] : found) {
      const auto unsure = unsure_.find(index);
      if (unsure != unsure_.end() && unsure->second == value) {
        landed_[index] = value;
        expected[index] = value;
      }
      EXPECT_LE(value, value_) << "row " << index << " was never put";
      EXPECT_EQ(expected.count(index), 1u) << "row " << index;
    }
    for (const auto& [index, value] : expected) {
      const auto at = found.find(index);
      lost += at == found.end() || at->second != value;
    }
    const auto missing = client_->Missing(id_);
    EXPECT_OK(missing);
    EXPECT_EQ(missing->count(), kRows - found.size());
    const auto verified = client_->Verify(id_);
    EXPECT_OK(verified);
    EXPECT_EQ(verified->corrupt_count(), 0u);
    return lost;
  }

  // Writes for a random while, then kills.
  void WriteAndKill() {
    std::thread writer([this] { WriteUntilKilled(); });
    absl::Notification never;
    never.WaitForNotificationWithTimeout(
        absl::Milliseconds(50 + random_of_kills_.Below(250)));
    KillServer();
    writer.join();
  }

  // The only one of the database.
  std::string Log() const {
    std::string log;
    for (const auto& entry : std::filesystem::directory_iterator(db_path())) {
      if (entry.path().extension() == ".log") log = entry.path();
    }
    return log;
  }

  std::string db_path() const { return JoinPath(folder_, "db"); }
  std::string oracle_path() const { return JoinPath(folder_, "oracle"); }

  std::string folder_;
  Dataset dataset_;
  std::vector<std::string> hashes_;
  v1::LogitSetId id_;
  Pcg32 random_{kSeed};  // the writer's
  Pcg32 random_of_kills_{kSeed, /*stream=*/1};
  int value_ = 0;
  Values unsure_;  // of the last write
  Values landed_;  // unsure rows that were found
  std::unique_ptr<Process> server_;
  std::unique_ptr<LogitStoreClient> client_;
};

TEST_F(StoreCrashTest, AcknowledgedRowsSurviveKills) {
  ASSERT_NO_FATAL_FAILURE(StartServer());
  ASSERT_NO_FATAL_FAILURE(CreateSet());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    WriteAndKill();
    ASSERT_NO_FATAL_FAILURE(StartServer());
    EXPECT_EQ(CountLost(), 0);
  }
  const size_t acknowledged = ReadOracle().size();
  std::cout << kRounds << " kills, " << value_ << " puts, " << acknowledged
            << " rows acknowledged, none lost\n";
  EXPECT_GT(acknowledged, 1000u);
}

// The control: a log that ends early is noticed. What was put is cut, not the
// set.
TEST_F(StoreCrashTest, ShortenedLogIsNoticed) {
  ASSERT_NO_FATAL_FAILURE(StartServer());
  ASSERT_NO_FATAL_FAILURE(CreateSet());
  const std::string log = Log();
  ASSERT_FALSE(log.empty());
  const size_t before = std::filesystem::file_size(log);
  WriteUntilKilled(/*puts=*/50);
  KillServer();
  const size_t size = std::filesystem::file_size(log);
  ASSERT_GT(size, before);
  std::filesystem::resize_file(log, size - (size - before) / 8);
  ASSERT_NO_FATAL_FAILURE(StartServer());
  const int lost = CountLost();
  std::cout << lost << " rows lost with an eighth of the log\n";
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace kodistil
