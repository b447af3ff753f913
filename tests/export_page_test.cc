// The page that //serving:export_web writes, opened from disk in a real
// browser: real reviews get the server's answers.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/http_testing.h"
#include "base/status_macros.h"
#include "base/testing.h"
#include "corpus/dataset_reader.h"
#include "nlohmann/json.hpp"
#include "serving/web_export.h"
#include "student_trainer/converter.h"
#include "student_trainer/student.h"
#include "student_trainer/student_testing.h"
#include "tests/browser.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr size_t kRows = 200;
constexpr size_t kRowsOfRequest = 50;
constexpr double kTolerance = 1e-3;
constexpr int64_t kMostOfTiny = 150 * 1000;

// Those of coordinator/grid.cc.
struct Size {
  const char* name;
  int hidden_dim;
  int embedding_dim;
  // Trained on NSMC, in the folder of data; nullptr for random weights.
  const char* checkpoint;
};
constexpr Size kSizes[] = {{"tiny", 16, 8, nullptr},
                           {"mini", 16, 16, nullptr},
                           {"small", 64, 32, "small_plain.pt"},
                           {"base", 128, 64, "base_distilled.pt"},
                           {"large", 256, 128, nullptr}};

struct Answer {
  int label = -1;
  double positive = 0;  // its probability
};
using Answers = std::vector<Answer>;

struct Difference {
  double probability = 0;  // the largest one
  int labels = 0;          // how many differ
};

Difference Between(const Answers& a, const Answers& b) {
  Difference difference;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference.probability = std::max(difference.probability,
                                      std::abs(a[i].positive - b[i].positive));
    difference.labels += a[i].label != b[i].label;
  }
  return difference;
}

// "line,text,label,name,p_negative,p_positive", of which the text alone may
// hold a comma, and none a line's end.
Answers AnswersOfCsv(const std::string& csv) {
  Answers answers;
  std::vector<std::string> lines =
      absl::StrSplit(csv, "\r\n", absl::SkipEmpty());
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
    Answer answer;
    EXPECT_GE(cells.size(), 6u) << lines[i];
    if (cells.size() < 6) continue;
    EXPECT_TRUE(absl::SimpleAtoi(cells[cells.size() - 4], &answer.label));
    EXPECT_TRUE(absl::SimpleAtod(cells.back(), &answer.positive));
    answers.push_back(answer);
  }
  return answers;
}

class ExportPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DATA_OR_SKIP();
    DatasetOptions options;
    options.dataset =
        absl::StrCat("nsmc:test=", DataDir(), "/nsmc/ratings_test.txt");
    ASSERT_OK_AND_ASSIGN(const Dataset dataset,
                         ReadDataset(options, /*report=*/nullptr));
    ASSERT_GE(dataset.rows.size(), kRows);
    for (size_t i = 0; i < kRows; ++i) texts_.push_back(dataset.rows[i].text);
    std::vector<std::string> specs;
    for (const Size& size : kSizes) {
      ASSERT_OK(MakeStudent(size));
      specs.push_back(absl::StrCat(size.name, "=", FolderOf(size)));
    }
    ASSERT_OK(StartTheServer(absl::StrJoin(specs, ",")));
    ASSERT_OK_AND_ASSIGN(browser_, Browser::Launch(folder_ + "/browser"));
  }

  std::string FolderOf(const Size& size) const {
    return absl::StrCat(folder_, "/", size.name);
  }

  absl::Status MakeStudent(const Size& size) const {
    const std::string seed = JoinPath(DataDir(), "seed");
    const std::string vocab =
        JoinPath(seed, "tokenizer/vocab_size_3000/vocab.txt");
    if (size.checkpoint != nullptr) {
      ConvertOptions options;
      options.checkpoint = absl::StrCat(seed, "/checkpoints/", size.checkpoint);
      options.vocab = vocab;
      options.output = FolderOf(size);
      return ConvertCheckpoint(options).status();
    }
    StudentShape shape;
    shape.hidden_dim = size.hidden_dim;
    shape.embedding_dim = size.embedding_dim;
    StudentFolder student = RandomStudent(shape, /*seed=*/1);
    const absl::StatusOr<std::string> pieces = ReadFile(vocab);
    if (!pieces.ok()) return pieces.status();
    student.vocab = *pieces;
    return SaveStudent(student, FolderOf(size));
  }

  absl::Status StartTheServer(const std::string& models) {
    const std::string port_file = folder_ + "/http.port";
    absl::StatusOr<ServerProcess> server = StartServer(
        folder_, "serving", "serving/serving",
        {absl::StrCat("--model=", models), "--precision=int8", "--http_port=0",
         absl::StrCat("--http_port_file=", port_file)});
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    const absl::StatusOr<std::string> port = ReadFile(port_file);
    if (!port.ok()) return port.status();
    if (absl::SimpleAtoi(*port, &http_port_)) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(port_file, ": ", *port));
  }

  Answers AskServer(const std::string& model) const {
    Answers answers;
    for (size_t begin = 0; begin < kRows; begin += kRowsOfRequest) {
      const std::vector<std::string> texts(
          texts_.begin() + begin, texts_.begin() + begin + kRowsOfRequest);
      const auto answer = HttpCall(
          http_port_, "POST", "/v1/classify",
          Json{{"model", model}, {"texts", texts}}.dump(), "application/json");
      EXPECT_OK(answer);
      if (!answer.ok()) return answers;
      EXPECT_EQ(answer->status, 200) << answer->body;
      const Json body = Json::parse(answer->body);
      for (const Json& one : body["answers"]) {
        answers.push_back({one["label"], one["probabilities"][1]});
      }
    }
    return answers;
  }

  // As a person does: all reviews at once, one a line, then the CSV.
  absl::StatusOr<Answers> AskPage(const std::string& page) {
    KODISTIL_RETURN_IF_ERROR(
        browser_->Open(absl::StrCat("file://", page, "/index.html")));
    KODISTIL_RETURN_IF_ERROR(browser_->Click("[data-language=en]"));
    KODISTIL_RETURN_IF_ERROR(
        browser_
            ->Evaluate(absl::StrCat(
                "(() => { const r = document.querySelector('#review');"
                " r.value = ",
                Json(absl::StrJoin(texts_, "\n")).dump(),
                "; r.dispatchEvent(new Event('input', {bubbles: true})); })()"))
            .status());
    KODISTIL_RETURN_IF_ERROR(browser_->WaitFor(
        "!document.querySelector('#download').disabled",
        "document.querySelector('#table-title').textContent"));
    KODISTIL_RETURN_IF_ERROR(browser_->Click("#download"));
    const std::string saved = browser_->downloads() + "/reviews.csv";
    // The browser makes the file before it writes the bytes.
    Answers answers;
    PollUntil(absl::Seconds(30), [&] {
      const std::string csv = ReadFile(saved).value_or("");
      if (!absl::EndsWith(csv, "\r\n")) return false;
      answers = AnswersOfCsv(csv);
      return answers.size() >= kRows;
    });
    KODISTIL_RETURN_IF_ERROR(RemoveAll(saved));
    return answers;
  }

  const std::string folder_ = NewTestDir();
  std::vector<std::string> texts_;
  ServerProcess server_;
  int http_port_ = 0;
  std::unique_ptr<Browser> browser_;
};

TEST_F(ExportPageTest, RealReviewsGetTheServersAnswers) {
  std::map<std::string, Answers> of_server;
  for (const Size& size : kSizes) of_server[size.name] = AskServer(size.name);
  std::cout << absl::StrFormat("%-6s %10s %10s %24s\n", "page", "bytes", "gzip",
                               "largest difference");
  for (const Size& size : kSizes) {
    SCOPED_TRACE(size.name);
    const std::string page = absl::StrCat(folder_, "/page-", size.name);
    ASSERT_OK_AND_ASSIGN(const std::vector<ExportedFile> files,
                         ExportWeb({FolderOf(size), page}));
    int64_t bytes = 0, gzipped = 0;
    for (const ExportedFile& file : files) {
      bytes += file.bytes;
      gzipped += file.gzipped;
    }
    if (size.name == std::string("tiny")) {
      EXPECT_LT(gzipped, kMostOfTiny);
    }
    ASSERT_OK_AND_ASSIGN(const Answers answers, AskPage(page));
    EXPECT_THAT(browser_->TakeErrors(), IsEmpty());
    ASSERT_EQ(answers.size(), kRows);
    ASSERT_EQ(of_server[size.name].size(), kRows);
    const Difference difference = Between(answers, of_server[size.name]);
    std::cout << absl::StrFormat("%-6s %10d %10d %24.2g\n", size.name, bytes,
                                 gzipped, difference.probability);
    EXPECT_LE(difference.probability, kTolerance);
    EXPECT_EQ(difference.labels, 0);
    // The control: other students answer otherwise.
    const char* other = size.name == std::string("tiny") ? "mini" : "tiny";
    EXPECT_GT(Between(answers, of_server[other]).probability, 0.1);
    EXPECT_GT(Between(answers, of_server[other]).labels, 0);
  }
}

}  // namespace
}  // namespace kodistil
