// A server program of the project as a child process on a port of its own.

#ifndef KODISTIL_TESTS_SERVER_PROCESS_H_
#define KODISTIL_TESTS_SERVER_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/process.h"

namespace kodistil {

struct ServerProcess {
  std::unique_ptr<Process> process;
  std::string address;  // 127.0.0.1:port
};

// Starts the program `binary` ("logit_store/logit_store") with `args` and
// waits until it serves. Log and port file are in `folder` and begin with
// `name`. DEADLINE_EXCEEDED with the end of the log when it does not come up.
absl::StatusOr<ServerProcess> StartServer(const std::string& folder,
                                          const std::string& name,
                                          const std::string& binary,
                                          std::vector<std::string> args);

// Runs a program to its end; INTERNAL with the end of its log when it fails.
absl::Status RunProgram(const std::string& folder, const std::string& name,
                        const std::string& binary,
                        std::vector<std::string> args);

// An n-gram teacher of the rows in `dataset_file`, trained into a new folder
// under `folder`. Returns it.
absl::StatusOr<std::string> TrainNgramTeacher(const std::string& folder,
                                              const std::string& dataset_file);

}  // namespace kodistil

#endif  // KODISTIL_TESTS_SERVER_PROCESS_H_
