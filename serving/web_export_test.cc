#include "serving/web_export.h"

#include <string>

#include "base/files.h"
#include "base/testing.h"
#include "student_trainer/student_testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Tiny, V3000 H16 E8.
std::string TinyFolder() {
  StudentShape shape;
  shape.embedding_dim = 8;
  shape.hidden_dim = 16;
  const std::string folder = JoinPath(NewTestDir(), "tiny");
  EXPECT_OK(SaveStudent(RandomStudent(shape, /*seed=*/1), folder));
  return folder;
}

TEST(WebExportTest, WritesThePageAndItsSizes) {
  const std::string output = JoinPath(NewTestDir(), "a/page");
  ASSERT_OK_AND_ASSIGN(const auto files, ExportWeb({TinyFolder(), output}));
  std::vector<std::string> names;
  int64_t gzipped = 0;
  for (const ExportedFile& file : files) {
    names.push_back(file.name);
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         ReadFile(JoinPath(output, file.name)));
    EXPECT_EQ(file.bytes, static_cast<int64_t>(bytes.size())) << file.name;
    EXPECT_LT(file.gzipped, file.bytes + 30) << file.name;
    gzipped += file.gzipped;
  }
  EXPECT_THAT(names,
              UnorderedElementsAre("index.html", "app.js", "student.js",
                                   "model.js", "style.css", "favicon.svg"));
  // What Tiny promises.
  EXPECT_LT(gzipped, 150 * 1000);
  EXPECT_THAT(*ListDirectory(output),
              ElementsAre("app.js", "favicon.svg", "index.html", "model.js",
                          "student.js", "style.css"));
}

TEST(WebExportTest, ThePagesPolicyAllowsNoConnection) {
  const std::string output = NewTestDir();
  ASSERT_OK(ExportWeb({TinyFolder(), output}));
  ASSERT_OK_AND_ASSIGN(const std::string page,
                       ReadFile(JoinPath(output, "index.html")));
  EXPECT_THAT(page, HasSubstr("\"default-src 'none'; "));
  EXPECT_EQ(page.find("connect-src"), page.npos);
  // The policy comes before whatever it is about, the model before its reader.
  size_t last = 0;
  for (const char* part : {"charset", "Content-Security-Policy", "style.css",
                           "model.js", "student.js", "app.js"}) {
    const size_t at = page.find(part);
    ASSERT_NE(at, page.npos) << part;
    EXPECT_LT(last, at) << part;
    last = at;
  }
}

TEST(WebExportTest, TheSameStudentGivesTheSameBytes) {
  const std::string model = TinyFolder();
  const std::string a = NewTestDir(), b = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const auto files, ExportWeb({model, a}));
  ASSERT_OK(ExportWeb({model + "/", b}));
  for (const ExportedFile& file : files) {
    EXPECT_TRUE(*ReadFile(JoinPath(a, file.name)) ==
                *ReadFile(JoinPath(b, file.name)))
        << file.name;
  }
}

TEST(WebExportTest, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(ExportWeb({"", "page"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model")));
  EXPECT_THAT(
      ExportWeb({"student", ""}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("output")));
  EXPECT_THAT(ExportWeb({"/no/such/folder", NewTestDir()}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such")));
  const std::string file = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(file, "x"));
  const auto result = ExportWeb({TinyFolder(), file});
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), HasSubstr(file));
}

}  // namespace
}  // namespace kodistil
