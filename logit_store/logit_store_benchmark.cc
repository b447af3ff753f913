// bazel run //logit_store:logit_store_benchmark
// The size is that of NSMC: 200,000 rows of two classes.

#include <benchmark/benchmark.h>
#include <glog/logging.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/server.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

constexpr int kRows = 200000;
constexpr size_t kPutRows = 4096;

// A served store in a temporary folder, with a registered dataset.
class Served {
 public:
  Served() {
    std::string folder =
        (std::filesystem::temp_directory_path() / "logits_XXXXXX").string();
    CHECK(mkdtemp(folder.data()) != nullptr);
    options_.path = folder;
    store_ = RocksDbLogitStore::Open(options_).value();
    service_ = std::make_unique<LogitStoreServiceImpl>(store_.get());
    server_ = Server::Start(ServerOptions(), {service_.get()}).value();
    client_ = std::make_unique<LogitStoreClient>(server_->address());
  }
  ~Served() {
    server_->Shutdown();
    store_.reset();
    std::filesystem::remove_all(options_.path);
  }

  LogitStore& Pick(bool client) {
    if (client) return *client_;
    return *store_;
  }

 private:
  RocksDbLogitStoreOptions options_;
  std::unique_ptr<RocksDbLogitStore> store_;
  std::unique_ptr<LogitStoreServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<LogitStoreClient> client_;
};

const Dataset& Films() {
  static const Dataset& dataset = *new Dataset(ManyTexts(kRows));
  return dataset;
}

void PutAll(LogitStore& store) {
  std::vector<uint64_t> indices;
  for (uint64_t i = 0; i < kRows; ++i) {
    indices.push_back(i);
    if (indices.size() < kPutRows && i + 1 < kRows) continue;
    CHECK(PutRows(Films(), indices, &store).ok());
    indices.clear();
  }
}

void BM_LogitStore_Register(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    Served served;
    state.ResumeTiming();
    CHECK(RegisterRows(Films(), "", &served.Pick(state.range(0))).ok());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BM_LogitStore_Put(benchmark::State& state) {
  Served served;
  LogitStore& store = served.Pick(state.range(0));
  CHECK(Fill(Films(), {0}, &store).ok());
  for (auto _ : state) PutAll(store);
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BM_LogitStore_Scan(benchmark::State& state) {
  Served served;
  LogitStore& store = served.Pick(state.range(0));
  CHECK(Fill(Films(), {0}, &store).ok());
  PutAll(store);
  for (auto _ : state) CHECK(ScanRows(store).value().size() == kRows);
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BM_LogitStore_Missing(benchmark::State& state) {
  Served served;
  LogitStore& store = served.Pick(state.range(0));
  CHECK(Fill(Films(), {0}, &store).ok());
  PutAll(store);
  for (auto _ : state) CHECK(store.Missing(SetId()).value().count() == 0);
  state.SetItemsProcessed(state.iterations() * kRows);
}

BENCHMARK(BM_LogitStore_Register)
    ->ArgName("client")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LogitStore_Put)
    ->ArgName("client")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LogitStore_Scan)
    ->ArgName("client")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LogitStore_Missing)
    ->ArgName("client")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kodistil

BENCHMARK_MAIN();
