#include "logit_store/store_benchmark.h"

#include <stdio.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "base/table.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/snapshot.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

constexpr int kGets = 1000;
constexpr int kGetRows = 64;
constexpr size_t kPutRows = 4096;

// The rows of the benchmark are two of these each.
using HashMap = std::unordered_map<uint64_t, std::array<float, 2>>;

// argv: file of float32 pairs, pickle to write, repeats. Prints seconds: dump,
// load, thousand random gets of 64.
constexpr char kPickleScript[] = R"(
import array, pickle, random, statistics, sys, time
values = array.array('f')
with open(sys.argv[1], 'rb') as f:
  values.frombytes(f.read())
rows = {i: [values[2 * i], values[2 * i + 1]] for i in range(len(values) // 2)}
times = [[], [], [], []]
for _ in range(int(sys.argv[3])):
  start = time.perf_counter()
  with open(sys.argv[2], 'wb') as f:
    pickle.dump(rows, f)
  times[0].append(time.perf_counter() - start)
  start = time.perf_counter()
  with open(sys.argv[2], 'rb') as f:
    loaded = pickle.load(f)
  times[1].append(time.perf_counter() - start)
  start = time.perf_counter()
  total = 0.0
  for index, logits in loaded.items():
    total += logits[0]
  times[2].append(time.perf_counter() - start)
  wanted = [[random.randrange(len(rows)) for _ in range(64)]
            for _ in range(1000)]
  start = time.perf_counter()
  for indices in wanted:
    got = [loaded[i] for i in indices]
  times[3].append(time.perf_counter() - start)
print(*[statistics.median(t) for t in times])
)";

class Benchmark {
 public:
  Benchmark(const StoreBenchmarkOptions& options, std::string folder)
      : options_(options),
        folder_(std::move(folder)),
        dataset_(ManyTexts(options.rows)) {}

  absl::Status Run(std::ostream* out) {
    MakeRows();
    KODISTIL_RETURN_IF_ERROR(TimeHashMap());
    if (!options_.python.empty()) KODISTIL_RETURN_IF_ERROR(TimePickle());
    KODISTIL_RETURN_IF_ERROR(TimeStore(/*sync=*/true));
    KODISTIL_RETURN_IF_ERROR(TimeStore(/*sync=*/false));
    PrintTable(out);
    return absl::OkStatus();
  }

 private:
  using Work = std::function<absl::Status()>;

  void MakeRows() {
    Pcg32 random(/*seed=*/1);
    for (int i = 0; i < options_.rows; ++i) {
      rows_.push_back(LogitsOf(
          dataset_, i,
          {float(8 * random.Uniform() - 4), float(8 * random.Uniform() - 4)}));
    }
    for (int i = 0; i < kGets; ++i) {
      gets_.emplace_back();
      for (int j = 0; j < kGetRows; ++j) {
        gets_.back().push_back(random.Below(options_.rows));
      }
    }
  }

  // Notes the median time of `work` on `rows` rows.
  absl::Status Time(const std::string& operation, const std::string& how,
                    int64_t rows, const Work& work) {
    std::vector<absl::Duration> times;
    for (int i = 0; i < options_.repeats; ++i) {
      const absl::Time begin = absl::Now();
      KODISTIL_RETURN_IF_ERROR(work());
      times.push_back(absl::Now() - begin);
    }
    std::sort(times.begin(), times.end());
    Note(operation, how, rows, times[times.size() / 2]);
    return absl::OkStatus();
  }

  void Note(const std::string& operation, const std::string& how, int64_t rows,
            absl::Duration time) {
    results_.push_back({operation, how, rows, time});
  }

  absl::Status TimeHashMap() {
    HashMap map;
    const std::string how = "hash map";
    KODISTIL_RETURN_IF_ERROR(Time("put", how, options_.rows, [&] {
      map.clear();
      for (const v1::LogitRow& row : rows_) {
        map[row.index()] = {row.logits(0), row.logits(1)};
      }
      return absl::OkStatus();
    }));
    KODISTIL_RETURN_IF_ERROR(Time("scan", how, options_.rows, [&] {
      for (const auto& [index, logits] : map) sum_ += logits[0];
      return absl::OkStatus();
    }));
    return Time("get", how, kGets * kGetRows, [&] {
      for (const std::vector<uint64_t>& indices : gets_) {
        for (const uint64_t index : indices) sum_ += map.find(index)->second[0];
      }
      return absl::OkStatus();
    });
  }

  absl::Status TimePickle() {
    std::string floats;
    for (const v1::LogitRow& row : rows_) {
      floats.append(reinterpret_cast<const char*>(row.logits().data()),
                    2 * sizeof(float));
    }
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(InFolder("floats"), floats));
    KODISTIL_RETURN_IF_ERROR(
        WriteFileAtomically(InFolder("load.py"), kPickleScript));
    const std::string command = absl::StrCat(
        options_.python, " ", InFolder("load.py"), " ", InFolder("floats"), " ",
        InFolder("rows.pickle"), " ", options_.repeats);
    FILE* pipe = popen(command.c_str(), "r");
    char line[256] = "";
    const bool read = pipe != nullptr && fgets(line, sizeof(line), pipe);
    if (pipe == nullptr || pclose(pipe) != 0 || !read) {
      return absl::UnavailableError(absl::StrCat(command, " failed"));
    }
    const char* operations[] = {"put", "load", "scan", "get"};
    const std::vector<std::string> times =
        absl::StrSplit(absl::StripAsciiWhitespace(line), ' ');
    for (size_t i = 0; i < std::min<size_t>(times.size(), 4); ++i) {
      double seconds = 0;
      if (!absl::SimpleAtod(times[i], &seconds)) continue;
      Note(operations[i], "pickle", i == 3 ? kGets * kGetRows : options_.rows,
           absl::Seconds(seconds));
    }
    return absl::OkStatus();
  }

  absl::Status TimeStore(bool sync) {
    RocksDbLogitStoreOptions store_options;
    store_options.path = InFolder(sync ? "machine" : "process");
    store_options.sync = sync;
    KODISTIL_ASSIGN_OR_RETURN(const auto store,
                              RocksDbLogitStore::Open(store_options));
    KODISTIL_RETURN_IF_ERROR(Fill(dataset_, {0}, store.get()));
    LogitStoreServiceImpl service(store.get());
    KODISTIL_ASSIGN_OR_RETURN(const auto server,
                              Server::Start(ServerOptions(), {&service}));
    LogitStoreClient client(server->address());
    const std::string put = sync ? "put, machine" : "put, process";
    KODISTIL_RETURN_IF_ERROR(Time(put, "embedded", options_.rows, [&] {
      for (size_t at = 0; at < rows_.size(); at += kPutRows) {
        KODISTIL_RETURN_IF_ERROR(store->Put(
            SetId(), absl::MakeConstSpan(rows_).subspan(at, kPutRows)));
      }
      return absl::OkStatus();
    }));
    KODISTIL_RETURN_IF_ERROR(Time(put, "gRPC", options_.rows,
                                  [&] { return client.Put(SetId(), rows_); }));
    if (!sync) return absl::OkStatus();
    const absl::Time last_put = absl::Now();
    KODISTIL_RETURN_IF_ERROR(TimeScan(*store, "scan, just put", "embedded"));
    KODISTIL_RETURN_IF_ERROR(Settle(*store));
    Note("settle", "embedded", options_.rows, absl::Now() - last_put);
    KODISTIL_RETURN_IF_ERROR(TimeReads(*store, "embedded"));
    KODISTIL_RETURN_IF_ERROR(TimeReads(client, "gRPC"));
    return TimeSnapshot(server->address());
  }

  // Waits until no flush or compaction of what was put runs or is due: they
  // take the processors that reads are timed on.
  absl::Status Settle(const RocksDbLogitStore& store) {
    for (bool busy = true; busy;) {
      busy = false;
      for (const char* work :
           {"rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes",
            "rocksdb.compaction-pending", "rocksdb.num-running-compactions"}) {
        KODISTIL_ASSIGN_OR_RETURN(const uint64_t count, store.Property(work));
        busy |= count > 0;
      }
      if (busy) absl::SleepFor(absl::Milliseconds(1));
    }
    return absl::OkStatus();
  }

  absl::Status TimeScan(const LogitStore& store, const std::string& operation,
                        const std::string& how) {
    return Time(operation, how, options_.rows, [&] {
      int64_t found = 0;
      KODISTIL_RETURN_IF_ERROR(
          store.Scan(SetId(), ScanOptions(),
                     [&](const v1::LogitRow& row, const v1::DatasetRow*) {
                       sum_ += row.logits(0);
                       ++found;
                       return absl::OkStatus();
                     }));
      if (found == options_.rows) return absl::OkStatus();
      return absl::InternalError(absl::StrCat("a scan found ", found));
    });
  }

  absl::Status TimeReads(const LogitStore& store, const std::string& how) {
    KODISTIL_RETURN_IF_ERROR(TimeScan(store, "scan", how));
    return Time("get", how, kGets * kGetRows, [&] {
      for (const std::vector<uint64_t>& indices : gets_) {
        KODISTIL_ASSIGN_OR_RETURN(const auto rows, store.Get(SetId(), indices));
        sum_ += rows[0].logits(0);
      }
      return absl::OkStatus();
    });
  }

  // A trainer fetches once, and loads whenever it starts.
  absl::Status TimeSnapshot(const std::string& address) {
    const SnapshotSource source = {address, kTeacher, "films",
                                   dataset_.Fingerprint()};
    const std::string path = SnapshotPath(folder_, source);
    KODISTIL_RETURN_IF_ERROR(Time("fetch", "snapshot", options_.rows, [&] {
      KODISTIL_RETURN_IF_ERROR(RemoveAll(path));
      return LogitSnapshot::OpenOrFetch(folder_, source).status();
    }));
    KODISTIL_RETURN_IF_ERROR(Time("load", "snapshot", options_.rows, [&] {
      return LogitSnapshot::OpenOrFetch(folder_, source).status();
    }));
    KODISTIL_ASSIGN_OR_RETURN(const auto snapshot,
                              LogitSnapshot::OpenOrFetch(folder_, source));
    KODISTIL_RETURN_IF_ERROR(Time("scan", "snapshot", options_.rows, [&] {
      for (uint32_t i = 0; i < snapshot.row_count(); ++i) {
        sum_ += snapshot.Logits(i)[0];
      }
      return absl::OkStatus();
    }));
    return Time("get", "snapshot", kGets * kGetRows, [&] {
      for (const std::vector<uint64_t>& indices : gets_) {
        for (const uint64_t index : indices) sum_ += snapshot.Logits(index)[0];
      }
      return absl::OkStatus();
    });
  }

  // "0.05 x" of the other way's rows/s; "-" where it has no such operation.
  std::string Ratio(const std::string& operation, const std::string& how,
                    double speed) const {
    const std::string kind = operation.substr(0, operation.find(','));
    for (const Result& result : results_) {
      if (result.operation != kind || result.how != how) continue;
      return absl::StrFormat("%.3g x", speed / result.Speed());
    }
    return "-";
  }

  void PrintTable(std::ostream* out) const;

  struct Result {
    std::string operation;
    std::string how;
    int64_t rows;
    absl::Duration time;

    double Speed() const { return rows / absl::ToDoubleSeconds(time); }
  };

  std::string InFolder(const std::string& name) const {
    return JoinPath(folder_, name);
  }

  const StoreBenchmarkOptions options_;
  const std::string folder_;
  const Dataset dataset_;
  std::vector<v1::LogitRow> rows_;
  std::vector<std::vector<uint64_t>> gets_;
  std::vector<Result> results_;
  volatile float sum_ = 0;  // keeps reads from being optimised away
};

void Benchmark::PrintTable(std::ostream* out) const {
  Table table({{"operation"},
               {"way"},
               {"time", /*right=*/true},
               {"rows/s", /*right=*/true},
               {"to the hash map", /*right=*/true},
               {"to the pickle", /*right=*/true}});
  for (const Result& result : results_) {
    table.AddRow(
        {result.operation, result.how,
         absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(result.time)),
         absl::StrFormat("%.0f", result.Speed()),
         Ratio(result.operation, "hash map", result.Speed()),
         Ratio(result.operation, "pickle", result.Speed())});
  }
  *out << options_.rows << " rows of two classes; put: all rows; get: " << kGets
       << " times " << kGetRows << " random rows; median of "
       << options_.repeats << "\n"
       << "just put: beside the flushes and compactions of all puts; settle: "
          "from the last put until those are over; other reads come after it\n"
       << table.ToText();
}

}  // namespace

absl::Status StoreBenchmarkOptions::Validate() const {
  if (rows < 1000 || rows > 10000000) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows ", rows, ": expected 1000 to 10000000"));
  }
  if (repeats >= 1 && repeats <= 100) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("repeats ", repeats, ": expected 1 to 100"));
}

absl::Status RunStoreBenchmark(const StoreBenchmarkOptions& options,
                               std::ostream* out) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  std::string folder = JoinPath(std::filesystem::temp_directory_path().string(),
                                "logits_XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot make ", folder));
  }
  const absl::Cleanup remove = [&folder] { RemoveAll(folder).IgnoreError(); };
  return Benchmark(options, folder).Run(out);
}

}  // namespace kodistil
