#include "logit_store/query.h"

#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "logit_store/import_logits.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/query_rows.h"
#include "logit_store/store_testing.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

using Json = nlohmann::json;

// A store in which "films" has the texts a, bb, ccc, dddd, eeeee (labels 1, 0,
// 1, 0, 1) and all but row 3 have logits.
class QueryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dataset_ = Texts({"a", "bb", "ccc", "dddd", "eeeee"});
    ASSERT_OK(Fill(dataset_, {}, &store_));
    ASSERT_OK(store_.Put(
        SetId(),
        {LogitsOf(dataset_, 0, {-2, 2}), LogitsOf(dataset_, 1, {-1, 1}),
         LogitsOf(dataset_, 2, {0, 0.1f}), LogitsOf(dataset_, 4, {3, -3})}));
  }

  std::string Query(const QueryOptions& options) {
    std::ostringstream out;
    status_ = RunQuery(options, &store_, &out);
    return out.str();
  }

  // Indices of the rows that the query finds.
  std::vector<int> IndicesOf(QueryOptions options) {
    options.output = "json";
    const Json rows = Json::parse(Query(options), nullptr, false);
    EXPECT_OK(status_);
    std::vector<int> indices;
    for (const Json& row : rows) indices.push_back(row["index"]);
    return indices;
  }

  std::string WriteTemp(const std::string& name, const std::string& content) {
    const std::string path = JoinPath(NewTestDir(), name);
    EXPECT_OK(WriteFileAtomically(path, content));
    return path;
  }

  absl::Status Import(const std::string& path) {
    return ImportLogits(path, "films", "elsewhere", &store_).status();
  }

  Dataset dataset_;
  InMemoryLogitStore store_;
  absl::Status status_;
};

TEST(QueryRowTest, ProbabilitiesFollowFromLogits) {
  v1::LogitRow logits;
  for (const float logit : {1000.f, 1000.f, 0.f}) logits.add_logits(logit);
  const QueryRow row = MakeQueryRow(logits, v1::DatasetRow());
  EXPECT_THAT(row.probabilities, ElementsAre(0.5, 0.5, 0));
  EXPECT_EQ(row.predicted, 0);
  EXPECT_EQ(row.margin, 0);
  EXPECT_FLOAT_EQ(row.entropy, std::log(2));
}

TEST_F(QueryTest, IndexShowsRowsWithTheirTexts) {
  QueryOptions options;
  options.index = "0-1,4";
  const std::string table = Query(options);
  ASSERT_OK(status_);
  EXPECT_THAT(table, AllOf(HasSubstr("eeeee"), HasSubstr("0.0180 0.9820"),
                           HasSubstr("-2.0000 2.0000"), Not(HasSubstr("ccc"))));
  EXPECT_THAT(IndicesOf(options), ElementsAre(0, 1, 4));
  options.index = "2-3";
  EXPECT_THAT(IndicesOf(options), ElementsAre(2));
}

TEST_F(QueryTest, RowThatIsNotThereIsNotFound) {
  QueryOptions options;
  options.index = "3";
  Query(options);
  EXPECT_THAT(status_, StatusIs(absl::StatusCode::kNotFound,
                                HasSubstr("rows 3 of set films")));
  options.index = "7";
  Query(options);
  EXPECT_THAT(status_, StatusIs(absl::StatusCode::kNotFound,
                                HasSubstr("row 7 is outside dataset films of 5 "
                                          "rows")));
}

TEST_F(QueryTest, FiltersAndLimit) {
  QueryOptions options;
  options.filter.max_margin = 0.8;
  EXPECT_THAT(IndicesOf(options), ElementsAre(1, 2));
  options.filter.max_margin = 1;
  options.filter.min_entropy = 0.6;
  EXPECT_THAT(IndicesOf(options), ElementsAre(2));
  options.filter.min_entropy = 0;
  options.filter.disagrees_with_label = true;
  EXPECT_THAT(IndicesOf(options), ElementsAre(1, 4));
  options.limit = 1;
  EXPECT_THAT(IndicesOf(options), ElementsAre(1));
}

TEST_F(QueryTest, RowsWithoutALabelDisagreeWithNothing) {
  Dataset unlabelled = dataset_;
  unlabelled.rows[1].label = kNoLabel;
  ASSERT_OK(RegisterRows(unlabelled, dataset_.Fingerprint(), &store_));
  QueryOptions options;
  options.filter.disagrees_with_label = true;
  EXPECT_THAT(IndicesOf(options), ElementsAre(4));
}

TEST_F(QueryTest, MissingIsALineForScripts) {
  QueryOptions options;
  options.missing = true;
  EXPECT_EQ(Query(options), "1 missing of 5: 3\n");
  ASSERT_OK(PutRows(dataset_, {3}, &store_));
  EXPECT_EQ(Query(options), "none missing of 5\n");
  options.output = "json";
  const Json json = Json::parse(Query(options), nullptr, false);
  ASSERT_THAT(json, SizeIs(1));
  EXPECT_EQ(json[0]["missing"], 0);
  EXPECT_EQ(json[0]["rows"], 5);
}

TEST_F(QueryTest, DescribeShowsSetsAndDatasets) {
  QueryOptions options;
  const std::string table = Query(options);
  EXPECT_THAT(table, AllOf(HasSubstr("films"), HasSubstr("ngram"),
                           HasSubstr("aaaaaaaaaaaa ")));
  options.output = "json";
  const Json json = Json::parse(Query(options), nullptr, false);
  EXPECT_EQ(json["format_version"], 1);
  EXPECT_EQ(json["sets"][0]["rows_present"], 4);
  EXPECT_EQ(json["datasets"][0]["rows"], 5);
  options.output = "csv";
  EXPECT_THAT(Query(options), HasSubstr(dataset_.Fingerprint()));
}

TEST_F(QueryTest, VerifySaysWhatItChecked) {
  QueryOptions options;
  options.verify = true;
  EXPECT_THAT(Query(options), HasSubstr("4 records checked, 0 corrupt"));
  EXPECT_OK(status_);
}

class DamagedStore : public InMemoryLogitStore {
 public:
  absl::StatusOr<v1::VerifyResponse> Verify(
      const v1::LogitSetId&) const override {
    v1::VerifyResponse response;
    response.set_checked(4);
    response.add_corrupt(2);
    response.set_corrupt_count(1);
    return response;
  }
};

TEST(QueryVerifyTest, DamageIsDataLoss) {
  DamagedStore store;
  ASSERT_OK(Fill(ManyTexts(4), {0, 1, 2, 3}, &store));
  QueryOptions options;
  options.verify = true;
  std::ostringstream out;
  EXPECT_THAT(
      RunQuery(options, &store, &out),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 corrupt rows: 2")));
}

TEST_F(QueryTest, SeveralSetsMustBeChosenFrom) {
  ASSERT_OK(store_.CreateSet(ManifestOf(dataset_, 2, kOtherTeacher)));
  QueryOptions options;
  options.index = "0";
  Query(options);
  EXPECT_THAT(status_, StatusIs(absl::StatusCode::kInvalidArgument,
                                AllOf(HasSubstr("--dataset=films"),
                                      HasSubstr("--teacher=aaaaaaaaaaaa"),
                                      HasSubstr("--teacher=bbbbbbbbbbbb"))));
  options.teacher = "aa";
  EXPECT_THAT(IndicesOf(options), ElementsAre(0));
  options.teacher = "c";
  Query(options);
  EXPECT_THAT(status_, StatusIs(absl::StatusCode::kNotFound,
                                HasSubstr("--teacher=bbbbbbbbbbbb")));
  options.teacher = "";
  options.index = "";
  options.missing = true;
  EXPECT_THAT(Query(options),
              AllOf(HasSubstr("films aaaaaaaaaaaa: 1 missing of 5: 3"),
                    HasSubstr("films bbbbbbbbbbbb: 5 missing of 5: 0-4")));
}

TEST_F(QueryTest, ExportedCsvHoldsTheRows) {
  QueryOptions options;
  options.export_file = JoinPath(NewTestDir(), "rows.csv");
  options.index = "4";
  EXPECT_THAT(Query(options), HasSubstr("1 rows of films written to"));
  ASSERT_OK(status_);
  ASSERT_OK_AND_ASSIGN(const std::string csv, ReadFile(options.export_file));
  EXPECT_THAT(csv, HasSubstr("index,split,label,predicted,margin,entropy,"
                             "logit_0,logit_1,probability_0,probability_1,"
                             "text,second_text"));
  EXPECT_THAT(csv, HasSubstr("\n4,train,1,0,0.9950"));
  EXPECT_THAT(csv, HasSubstr(",3.0,-3.0,"));
}

TEST_F(QueryTest, ExportComesBackByImport) {
  ASSERT_OK(store_.Put(SetId(), {LogitsOf(dataset_, 3, {0.1f, -1e-7f})}));
  QueryOptions options;
  options.export_file = JoinPath(NewTestDir(), "rows.jsonl");
  Query(options);
  ASSERT_OK(status_);
  QueryOptions import;
  import.import_file = options.export_file;
  import.teacher_name = "copy";
  EXPECT_THAT(Query(import), HasSubstr("5 rows of films imported"));
  ASSERT_OK(status_);
  ASSERT_OK_AND_ASSIGN(const std::string file, ReadFile(options.export_file));
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> rows,
                       store_.Get(SetId(Sha256Hex(file)), {3, 4}));
  EXPECT_THAT(rows[0].logits(), ElementsAre(0.1f, -1e-7f));
  EXPECT_THAT(rows[1].logits(), ElementsAre(3, -3));
  // Again: the same set.
  Query(import);
  EXPECT_OK(status_);
}

TEST_F(QueryTest, UnwritableExportIsNamed) {
  QueryOptions options;
  options.export_file = JoinPath(NewTestDir(), "no/such/folder.csv");
  Query(options);
  EXPECT_THAT(status_, StatusIs(absl::StatusCode::kPermissionDenied,
                                HasSubstr("no/such/folder.csv")));
}

TEST_F(QueryTest, WrongOptionsAreRefused) {
  const auto refused = [this](const QueryOptions& options,
                              const std::string& text) {
    Query(options);
    EXPECT_THAT(status_,
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  };
  QueryOptions options;
  options.missing = options.verify = true;
  refused(options, "found several");
  options = {};
  options.output = "xml";
  refused(options, "--output=xml: expected table, json or csv");
  options = {};
  options.export_file = "x.txt";
  refused(options, "--export=x.txt");
  options = {};
  options.filter.max_margin = 2;
  refused(options, "--max_margin=2");
  for (const char* index : {"x", "5-3", "1-2-3", "1,,2", "-1"}) {
    options = {};
    options.index = index;
    refused(options, std::string("--index=") + index);
  }
}

TEST_F(QueryTest, TsvIsImportedInAnyOrder) {
  const std::string content =
      "index\tnegative\tpositive\ttext\n"
      "4\t1\t2\teeeee\n3\t1\t2\tdddd\n0\t0.5\t-1e-3\ta\n"
      "1\t1\t2\tbb\n2\t1\t2\tccc\r\n";
  ASSERT_OK(Import(WriteTemp("x.tsv", content)));
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> rows,
                       store_.Get(SetId(Sha256Hex(content)), {0}));
  EXPECT_THAT(rows[0].logits(), ElementsAre(0.5f, -1e-3f));
}

TEST_F(QueryTest, TsvWithoutTextsIsImported) {
  const std::string content = "0\t1\t2\n1\t1\t2\n2\t1\t2\n3\t1\t2\n4\t7\t2\n";
  ASSERT_OK(Import(WriteTemp("x.tsv", content)));
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> rows,
                       store_.Get(SetId(Sha256Hex(content)), {4}));
  EXPECT_THAT(rows[0].logits(), ElementsAre(7, 2));
}

TEST_F(QueryTest, ImportOfAnotherDatasetIsRefused) {
  EXPECT_THAT(Import(WriteTemp("x.tsv", "0\t1\t2\n1\t1\t2\n")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("x.tsv: found 2 rows"),
                             HasSubstr("films has 5"))));
  EXPECT_THAT(
      Import(WriteTemp("x.tsv",
                       "0\t1\t2\ta\n1\t1\t2\tbb\n2\t1\t2\tX\n3\t1\t2\tdddd\n"
                       "4\t1\t2\teeeee\n")),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("line 3: row 2: the text hash is"),
                     HasSubstr("(\"ccc\")"))));
  ASSERT_OK_AND_ASSIGN(const v1::DescribeResponse described, store_.Describe());
  EXPECT_THAT(described.sets(), SizeIs(1));
  EXPECT_THAT(
      ImportLogits(WriteTemp("x.tsv", "0\t1\t2\n"), "no", "x", &store_),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("no dataset no")));
}

TEST_F(QueryTest, WrongTextHashInJsonIsRefused) {
  std::string content;
  for (int i = 0; i < 5; ++i) {
    content += "{\"index\":" + std::to_string(i) + ",\"logits\":[1,2]" +
               (i == 1 ? ",\"text_hash\":\"feed\"" : "") + "}\n";
  }
  EXPECT_THAT(Import(WriteTemp("x.jsonl", content)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("line 2: row 1: the text hash is feed")));
}

TEST_F(QueryTest, BrokenImportsNameTheLine) {
  const std::vector<std::pair<std::string, std::string>> tsv = {
      {"", "expected rows of logits"},
      {"0\t1\n", "line 1: expected 3 columns separated by tabs, found 2"},
      {"0\t1\t2\n1\t1\t2\t3\n", "line 2: expected 3 columns"},
      {"x\t1\t2\n", "line 1: expected an index, found 'x'"},
      {"0\t1\ty\t3\n", "line 1: expected a logit in column 3, found 'y'"},
      {"0\t1\tnan\n1\t1\t2\n2\t1\t2\n3\t1\t2\n4\t1\t2\n", "finite"},
      {"0\t1\t2\n1\t1\t2\n2\t1\t2\n3\t1\t2\n3\t1\t2\n", "row 3 comes twice"},
      {"0\t1\t2\n1\t1\t2\n2\t1\t2\n3\t1\t2\n9\t1\t2\n", "row 9 is outside"}};
  for (const auto& [content, message] : tsv) {
    EXPECT_THAT(
        Import(WriteTemp("x.tsv", content)),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
  const std::vector<std::pair<std::string, std::string>> json = {
      {"[1]", "line 1: expected a JSON object"},
      {"{\"index\":0,", "line 1: expected a JSON object"},
      {"{\"index\":-1,\"logits\":[1,2]}", "line 1: expected an \"index\""},
      {"{\"index\":0}", "line 1: expected \"logits\""},
      {"{\"index\":0,\"logits\":[1,\"x\"]}", "expected a logit, found \"x\""}};
  for (const auto& [content, message] : json) {
    EXPECT_THAT(
        Import(WriteTemp("x.jsonl", content)),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
  EXPECT_THAT(Import("/no/such/file.tsv"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("file.tsv")));
}

}  // namespace
}  // namespace kodistil
