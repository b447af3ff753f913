#include "corpus/dataset_reader.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kNsmcHeader[] = "id\tdocument\tlabel\n";

// Writes files into a folder of its own and reads datasets of them.
class DatasetReaderTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = JoinPath(dir_, name);
    EXPECT_OK(WriteFileAtomically(path, bytes));
    return path;
  }

  DatasetOptions Options(const std::string& dataset) {
    DatasetOptions options;
    options.dataset = dataset;
    options.data_dir = dir_;
    return options;
  }

  // `count` rows of Steam's format.
  static std::string SteamRows(int count, const std::string& prefix = "글") {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&bytes, i % 2, "\t", prefix, i, "\n");
    }
    return bytes;
  }

  static std::string NsmcRows(int count, const std::string& prefix) {
    std::string bytes = kNsmcHeader;
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&bytes, i, "\t", prefix, i, "\t", i % 2, "\n");
    }
    return bytes;
  }

  static size_t CountOf(const Dataset& dataset, Split split) {
    return dataset.IndicesOf(split).size();
  }

  const std::string dir_ = NewTestDir();
};

TEST_F(DatasetReaderTest, SampleIsSplitByRatio) {
  DatasetOptions options;
  options.sample_rows = 1000;
  ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
  EXPECT_EQ(dataset.name, "sample");
  EXPECT_EQ(dataset.num_classes, 2);
  EXPECT_EQ(CountOf(dataset, Split::kTest), 100u);
  EXPECT_EQ(CountOf(dataset, Split::kValid), 45u);
  EXPECT_EQ(CountOf(dataset, Split::kTrain), 855u);
}

TEST_F(DatasetReaderTest, NsmcHasItsOfficialSplits) {
  Write("ratings_train.txt", NsmcRows(100, "가"));
  Write("ratings_test.txt", NsmcRows(20, "나"));
  ASSERT_OK_AND_ASSIGN(const Dataset dataset,
                       ReadDataset(Options("nsmc"), nullptr));
  EXPECT_EQ(dataset.name, "nsmc");
  EXPECT_EQ(CountOf(dataset, Split::kTrain), 95u);
  EXPECT_EQ(CountOf(dataset, Split::kValid), 5u);
  const std::vector<uint32_t> test = dataset.IndicesOf(Split::kTest);
  ASSERT_EQ(test.size(), 20u);
  EXPECT_EQ(test.front(), 100u);
  EXPECT_EQ(dataset.rows[100].text, "나0");
}

TEST_F(DatasetReaderTest, IndicesStayWhenTheSplitChanges) {
  DatasetOptions options = Options(Write("a.txt", SteamRows(50)));
  ASSERT_OK_AND_ASSIGN(const Dataset one, ReadDataset(options, nullptr));
  options.split_seed = 2;
  ASSERT_OK_AND_ASSIGN(const Dataset two, ReadDataset(options, nullptr));
  EXPECT_NE(one.IndicesOf(Split::kTest), two.IndicesOf(Split::kTest));
  for (size_t i = 0; i < one.rows.size(); ++i) {
    EXPECT_EQ(one.rows[i].text, two.rows[i].text);
  }
}

TEST_F(DatasetReaderTest, SklearnModeHasScikitLearnsRows) {
  DatasetOptions options = Options(Write("a.txt", SteamRows(10)));
  options.split_mode = "sklearn";
  ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
  EXPECT_EQ(dataset.IndicesOf(Split::kTest), std::vector<uint32_t>({2}));
  EXPECT_EQ(dataset.IndicesOf(Split::kValid), std::vector<uint32_t>({5}));
  EXPECT_EQ(CountOf(dataset, Split::kTrain), 8u);
}

TEST_F(DatasetReaderTest, SeveralFilesAreOneDatasetInTheirOrder) {
  Write("naver_shopping.txt", "5\t쇼핑\n3\t중간\n1\t나쁨\n");
  Write("steam.txt", "1\t게임\n0\t별로\n");
  const std::string csv = Write("m.csv", "document,label,idx\n영화,1,0\n");
  ASSERT_OK_AND_ASSIGN(
      const Dataset dataset,
      ReadDataset(Options("naver_shopping,steam," + csv), nullptr));
  EXPECT_EQ(dataset.name, "naver_shopping+steam+m");
  std::string texts;
  for (const Row& row : dataset.rows) absl::StrAppend(&texts, row.text, " ");
  EXPECT_EQ(texts, "쇼핑 나쁨 게임 별로 영화 ");
}

TEST_F(DatasetReaderTest, FilesMayNameTheirFormatAndSplit) {
  const std::string train = Write("a.txt", "1\t가\n1\t나\n");
  const std::string test = Write("b.txt", "0\t다\n");
  const std::string valid = Write("c=d.txt", "0\t라\n");
  ASSERT_OK_AND_ASSIGN(
      const Dataset dataset,
      ReadDataset(Options(absl::StrCat("steam:train=", train, ", test=", test,
                                       ",steam:valid=", valid)),
                  nullptr));
  EXPECT_EQ(dataset.IndicesOf(Split::kTrain), std::vector<uint32_t>({0, 1}));
  EXPECT_EQ(dataset.IndicesOf(Split::kTest), std::vector<uint32_t>({2}));
  EXPECT_EQ(dataset.IndicesOf(Split::kValid), std::vector<uint32_t>({3}));
}

TEST_F(DatasetReaderTest, UnlabelledRowsAreNeverTested) {
  const std::string labelled = Write("a.txt", SteamRows(40));
  const std::string more = Write("b.txt", "하나\n둘\n셋\n넷\n");
  ASSERT_OK_AND_ASSIGN(const Dataset dataset,
                       ReadDataset(Options(labelled + "," + more), nullptr));
  ASSERT_EQ(dataset.rows.size(), 44u);
  for (size_t i = 40; i < 44; ++i) {
    EXPECT_EQ(dataset.rows[i].label, kNoLabel);
    EXPECT_EQ(dataset.rows[i].split, Split::kTrain);
  }
  EXPECT_EQ(CountOf(dataset, Split::kTest), 4u);
}

TEST_F(DatasetReaderTest, CanonicalFileKeepsNameSplitsAndFingerprint) {
  DatasetOptions options;
  options.sample_rows = 200;
  options.name = "my sample";
  ASSERT_OK_AND_ASSIGN(const Dataset before, ReadDataset(options, nullptr));
  const std::string path = Write("x.kds", SerializeDataset(before));
  ASSERT_OK_AND_ASSIGN(const Dataset after,
                       ReadDataset(Options(path), nullptr));
  EXPECT_EQ(after.name, "my sample");
  EXPECT_EQ(after.Fingerprint(), before.Fingerprint());

  DatasetOptions again = Options(path);
  again.split_mode = "ratio";
  again.split_seed = 5;
  ASSERT_OK_AND_ASSIGN(const Dataset other, ReadDataset(again, nullptr));
  EXPECT_NE(other.Fingerprint(), before.Fingerprint());
}

TEST_F(DatasetReaderTest, DamagedCanonicalFileIsDataLoss) {
  std::string bytes = SerializeDataset(Dataset{"n", {{"가", "", 1}}, 2});
  bytes.back() = 'x';
  const std::string path = Write("x.kds", bytes);
  EXPECT_THAT(ReadDataset(Options(path), nullptr),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
}

TEST_F(DatasetReaderTest, BadRowsFailOrAreReported) {
  DatasetOptions options =
      Options(Write("a.txt", SteamRows(20) + "7\t나쁜 줄\n"));
  EXPECT_THAT(ReadDataset(options, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a.txt:21: label '7', expected 0 or 1")));
  options.skip_bad_rows = true;
  ReadReport report;
  ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, &report));
  EXPECT_EQ(dataset.rows.size(), 20u);
  EXPECT_THAT(DescribeSkipped(report), AllOf(HasSubstr("1 bad row skipped:\n"),
                                             HasSubstr("a.txt:21: label '7'")));
  EXPECT_THAT(DescribeSkipped(ReadReport()), IsEmpty());
}

TEST_F(DatasetReaderTest, NamedDatasetWithoutFolderSaysWhereItIs) {
  DatasetOptions options;
  options.dataset = "nsmc";
  EXPECT_THAT(
      ReadDataset(options, nullptr),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          AllOf(HasSubstr("--data_dir"), HasSubstr("ratings_train.txt"),
                HasSubstr("ratings_test.txt"), HasSubstr("github.com/e9t/nsmc"),
                HasSubstr("`deploy/fetch_data.sh nsmc DIR` downloads"))));
  EXPECT_THAT(ReadDataset(Options("steam"), nullptr),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("steam.txt"),
                             HasSubstr("github.com/bab2min/corpus"),
                             HasSubstr("deploy/fetch_data.sh"))));
}

TEST_F(DatasetReaderTest, TextsBeyondTheLimitAreBadRows) {
  const std::string longest(10000, 'x');
  const std::string path =
      Write("long.txt", absl::StrCat("ok\n", longest, "\n", longest, "y\n"));
  EXPECT_THAT(ReadDataset(Options("lines:" + path), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("long.txt:3"),
                             HasSubstr("10001 characters, expected at most "
                                       "10000"))));
  DatasetOptions options = Options("lines:" + path);
  options.skip_bad_rows = true;
  ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
  EXPECT_EQ(dataset.rows.size(), 2u);
}

TEST_F(DatasetReaderTest, UnknownNamesAndFilesAreTold) {
  EXPECT_THAT(ReadDataset(Options("nsmcc"), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unknown dataset 'nsmcc'")));
  EXPECT_THAT(ReadDataset(Options("/no/file.txt"), nullptr),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/file.txt")));
  EXPECT_THAT(ReadDataset(Options("tsv:/no/file.txt"), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unknown format 'tsv'")));
  EXPECT_THAT(ReadDataset(Options("dev=/no/file.txt"), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unknown split 'dev'")));
  EXPECT_THAT(
      ReadDataset(Options("a.txt,,b.txt"), nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no file")));
  EXPECT_THAT(
      ReadDataset(Options("csv:"), nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no file")));
  EXPECT_THAT(ReadDataset(Options("sample,nsmc"), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("cannot be merged")));
  EXPECT_THAT(ReadDataset(Options(dir_), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(dir_)));
}

TEST_F(DatasetReaderTest, EmptyFileIsFailedPrecondition) {
  EXPECT_THAT(ReadDataset(Options(Write("e.txt", "")), nullptr),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("e.txt: no rows")));
  EXPECT_THAT(ReadDataset(Options(Write("h.txt", kNsmcHeader)), nullptr),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("h.txt: no rows")));
}

TEST_F(DatasetReaderTest, OfficialNeedsSplitsOfEveryFile) {
  const std::string a = Write("a.txt", SteamRows(4));
  DatasetOptions options = Options(a);
  options.split_mode = "official";
  EXPECT_THAT(ReadDataset(options, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--split_mode=official needs")));
}

TEST_F(DatasetReaderTest, OptionsOutOfRangeAreInvalidArgument) {
  const auto expect_bad = [](const DatasetOptions& options,
                             const std::string& message) {
    EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr(message)));
  };
  DatasetOptions options;
  EXPECT_OK(options.Validate());
  options.dataset = "";
  expect_bad(options, "--dataset is empty");
  options = DatasetOptions();
  options.split_mode = "random";
  expect_bad(options, "--split_mode is 'random'");
  options = DatasetOptions();
  options.test_fraction = 1.0;
  expect_bad(options, "test_fraction is 1");
  options = DatasetOptions();
  options.valid_fraction = -0.1;
  expect_bad(options, "valid_fraction is -0.1");
  options = DatasetOptions();
  options.sample_rows = 9;
  expect_bad(options, "--sample_rows is 9");
  options = DatasetOptions();
  options.name = "a\nb";
  expect_bad(options, "the dataset's name");
  options = DatasetOptions();
  options.split_mode = "sklearn";
  options.split_seed = uint64_t{1} << 32;
  expect_bad(options, "--split_seed is 4294967296");
}

TEST_F(DatasetReaderTest, RealNsmcReadsWhole) {
  REQUIRE_DATA_OR_SKIP();
  DatasetOptions options;
  options.dataset = "nsmc";
  options.data_dir = JoinPath(DataDir(), "nsmc");
  ReadReport report;
  ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, &report));
  EXPECT_EQ(report.skipped, 0);
  EXPECT_EQ(CountOf(dataset, Split::kTrain), 142500u);
  EXPECT_EQ(CountOf(dataset, Split::kValid), 7500u);
  EXPECT_EQ(CountOf(dataset, Split::kTest), 50000u);
}

}  // namespace
}  // namespace kodistil
