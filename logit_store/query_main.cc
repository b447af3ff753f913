// Looks into a logit store: a folder or a server.

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/access_flags.h"
#include "base/command_line.h"
#include "base/status_macros.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/query.h"
#include "logit_store/rocksdb_logit_store.h"

ABSL_FLAG(std::string, store, "work/logit_store",
          "folder of the store; may be open in a server at the same time");
ABSL_FLAG(std::string, server, "",
          "host:port of a logit store server, instead of a folder");
ABSL_FLAG(std::string, teacher, kodistil::QueryOptions().teacher,
          "beginning of the teacher's fingerprint, or its name");
ABSL_FLAG(std::string, dataset, kodistil::QueryOptions().dataset,
          "name of the dataset");
ABSL_FLAG(bool, describe, false, "show the datasets and sets of the store");
ABSL_FLAG(bool, missing, false, "show the rows that have no logits");
ABSL_FLAG(bool, verify, false,
          "read every record and check it; exit code 1 when one is damaged");
ABSL_FLAG(std::string, export, "", "write rows to this file (.csv or .jsonl)");
ABSL_FLAG(
    std::string, import, "",
    "read logits made elsewhere from this file: .jsonl with index, logits "
    "and text, or columns index, logits, text separated by tabs");
ABSL_FLAG(std::string, teacher_name, kodistil::QueryOptions().teacher_name,
          "name of the teacher of an import");
ABSL_FLAG(std::string, index, "", "rows to show: 42, 100-120, or 1,5,7-9");
ABSL_FLAG(double, max_margin, kodistil::RowFilter().max_margin,
          "rows whose two largest probabilities are at most this far apart");
ABSL_FLAG(double, min_entropy, kodistil::RowFilter().min_entropy,
          "rows whose probabilities have at least this entropy, in nats");
ABSL_FLAG(bool, disagrees_with_label, false,
          "rows whose largest logit is not that of their label");
ABSL_FLAG(int64_t, limit, kodistil::QueryOptions().limit,
          "rows at most; 0 for all");
ABSL_FLAG(std::string, output, kodistil::QueryOptions().output,
          "table, json or csv");
KODISTIL_DEFINE_CLIENT_ACCESS_FLAGS();

namespace kodistil {
namespace {

QueryOptions OptionsFromFlags() {
  QueryOptions options;
  options.teacher = absl::GetFlag(FLAGS_teacher);
  options.dataset = absl::GetFlag(FLAGS_dataset);
  options.describe = absl::GetFlag(FLAGS_describe);
  options.missing = absl::GetFlag(FLAGS_missing);
  options.verify = absl::GetFlag(FLAGS_verify);
  options.export_file = absl::GetFlag(FLAGS_export);
  options.import_file = absl::GetFlag(FLAGS_import);
  options.teacher_name = absl::GetFlag(FLAGS_teacher_name);
  options.index = absl::GetFlag(FLAGS_index);
  options.filter.max_margin = absl::GetFlag(FLAGS_max_margin);
  options.filter.min_entropy = absl::GetFlag(FLAGS_min_entropy);
  options.filter.disagrees_with_label =
      absl::GetFlag(FLAGS_disagrees_with_label);
  options.limit = absl::GetFlag(FLAGS_limit);
  options.output = absl::GetFlag(FLAGS_output);
  return options;
}

absl::Status Run() {
  const QueryOptions options = OptionsFromFlags();
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  const std::string server = absl::GetFlag(FLAGS_server);
  if (!server.empty()) {
    LogitStoreClientOptions client_options;
    client_options.retry_limit = absl::Seconds(5);
    client_options.access = ClientAccessFromFlags();
    KODISTIL_RETURN_IF_ERROR(CheckClientAccess(client_options.access));
    LogitStoreClient client(server, client_options);
    return Annotate(RunQuery(options, &client, &std::cout), server);
  }
  RocksDbLogitStoreOptions store_options;
  store_options.path = absl::GetFlag(FLAGS_store);
  store_options.read_only = options.import_file.empty();
  store_options.create_if_missing = false;
  store_options.lock_wait = absl::Seconds(1);
  auto store = RocksDbLogitStore::Open(store_options);
  if (store.status().code() == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(
        absl::StrCat(store.status().message(),
                     ": to import, name the server with --server=host:port"));
  }
  KODISTIL_RETURN_IF_ERROR(store.status());
  return RunQuery(options, store->get(), &std::cout);
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //logit_store:query --",
       "Shows, checks, exports and imports the logits of a store: a folder or "
       "a "
       "server.",
       {"bazel run //logit_store:query -- --index=100-120",
        "bazel run //logit_store:query -- --disagrees_with_label "
        "--max_margin=0.1 --limit=20",
        "bazel run //logit_store:query -- --server=127.0.0.1:50061 "
        "--export=logits.csv"}});
  return kodistil::ExitCodeOf(kodistil::Run());
}
