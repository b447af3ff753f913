// A real server in this process, over a real socket.

#include "serving/classify_client.h"

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/server.h"
#include "base/testing.h"
#include "nlohmann/json.hpp"
#include "serving/student_server.h"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class ClassifyClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StudentServerOptions options;
    ASSERT_OK_AND_ASSIGN(options.classifier.models.models,
                         SaveTwoStudents(folder_));
    options.registry = &registry_;
    ASSERT_OK_AND_ASSIGN(server_, StudentServer::Start(options));
    options_.server = server_->grpc()->address();
    options_.output = "jsonl";
  }

  absl::Status Classify(const std::vector<std::string>& texts) {
    size_t used = 0;
    return ClassifyTexts(
        options_,
        [&](std::string* text) {
          if (used == texts.size()) return false;
          *text = texts[used++];
          return true;
        },
        &output_);
  }

  std::vector<Json> Objects() const {
    std::istringstream lines(output_.str());
    std::vector<Json> objects;
    for (std::string line; std::getline(lines, line);) {
      objects.push_back(Json::parse(line));
    }
    return objects;
  }

  const std::string folder_ = NewTestDir();
  MetricRegistry registry_;
  std::unique_ptr<StudentServer> server_;
  ClassifyClientOptions options_;
  std::ostringstream output_;
};

TEST_F(ClassifyClientTest, EachTextHasItsLineInOrder) {
  std::vector<std::string> texts;
  for (int i = 0; i < 150; ++i) texts.push_back("영화 " + std::to_string(i));
  ASSERT_OK(Classify(texts));
  const std::vector<Json> objects = Objects();
  ASSERT_EQ(objects.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(objects[i]["text"], texts[i]);
    EXPECT_EQ(objects[i]["model"], "first");
    const auto probabilities =
        objects[i]["probabilities"].get<std::vector<double>>();
    ASSERT_EQ(probabilities.size(), 2u);
    EXPECT_NEAR(probabilities[0] + probabilities[1], 1, 1e-5);
    EXPECT_EQ(objects[i]["label"], probabilities[1] > probabilities[0] ? 1 : 0);
  }
}

TEST_F(ClassifyClientTest, BatchesDoNotMatter) {
  const std::vector<std::string> texts = {"좋다", "\"싫다\"\t\\",
                                          "그저 그렇다"};
  ASSERT_OK(Classify(texts));
  const std::vector<Json> together = Objects();
  output_.str("");
  options_.batch_rows = 1;
  ASSERT_OK(Classify(texts));
  EXPECT_EQ(Objects(), together);
}

TEST_F(ClassifyClientTest, TsvHasLabelProbabilityAndText) {
  ASSERT_OK(Classify({"좋다"}));
  const Json object = Objects().at(0);
  output_.str("");
  options_.output = "tsv";
  ASSERT_OK(Classify({"좋다"}));
  const int label = object["label"];
  std::ostringstream expected;
  expected << label << "\t" << object["probabilities"][label].get<double>()
           << "\t좋다\n";
  EXPECT_EQ(output_.str(), expected.str());
}

TEST_F(ClassifyClientTest, OtherModelAnswers) {
  ASSERT_OK(Classify({"좋다"}));
  options_.model = "second";
  ASSERT_OK(Classify({"좋다"}));
  const std::vector<Json> objects = Objects();
  EXPECT_EQ(objects.at(1)["model"], "second");
  EXPECT_NE(objects.at(1)["probabilities"], objects.at(0)["probabilities"]);
}

TEST_F(ClassifyClientTest, NoTextNoLine) {
  EXPECT_OK(Classify({}));
  EXPECT_EQ(output_.str(), "");
}

TEST_F(ClassifyClientTest, BadTextIsNamedByItsPlace) {
  std::vector<std::string> texts(70, "좋다");
  texts[66] = "";
  EXPECT_THAT(Classify(texts), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("line 67: is empty")));
  EXPECT_EQ(Objects().size(), kMaxTexts) << "the request before";
  texts[66] = "\xff";
  EXPECT_THAT(Classify(texts),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 67: byte 0 is not UTF-8")));
  options_.place = "argument";
  EXPECT_THAT(Classify({std::string(10001, 'a')}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("argument 1: has 10001 characters")));
}

TEST_F(ClassifyClientTest, ServersErrorNamesTheServer) {
  options_.model = "third";
  EXPECT_THAT(Classify({"좋다"}),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr(options_.server), HasSubstr("third"))));
  server_->Drain();
  server_ = nullptr;
  options_.retry_limit = absl::ZeroDuration();
  EXPECT_THAT(Classify({"좋다"}), StatusIs(absl::StatusCode::kUnavailable,
                                           HasSubstr(options_.server)));
}

TEST_F(ClassifyClientTest, OutputThatBreaksIsAnError) {
  output_.setstate(std::ios::badbit);
  EXPECT_THAT(Classify({"좋다"}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cannot write")));
}

TEST(ClassifyClientOptionsTest, WantsKnownOutputsAndBatches) {
  ClassifyClientOptions options;
  EXPECT_OK(options.Validate());
  options.output = "csv";
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--output=csv: expected tsv or jsonl")));
  options = {};
  options.batch_rows = kMaxTexts + 1;
  EXPECT_FALSE(options.Validate().ok());
}

}  // namespace
}  // namespace kodistil
