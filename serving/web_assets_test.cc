#include "serving/web_assets.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

TEST(WebAssetsTest, GivesEveryFileOfThePageWithItsType) {
  std::vector<std::string> found;
  for (const WebAsset& asset : WebAssets()) {
    found.push_back(std::string(asset.path) + " " +
                    std::string(asset.content_type));
  }
  EXPECT_THAT(found, ElementsAre("/ text/html; charset=utf-8",
                                 "/app.js text/javascript; charset=utf-8",
                                 "/style.css text/css; charset=utf-8",
                                 "/favicon.svg image/svg+xml"));
}

TEST(WebAssetsTest, ExportAddsTheStudent) {
  ASSERT_EQ(ExportedAssets().size(), WebAssets().size() + 1);
  EXPECT_EQ(ExportedAssets().back().path, "/student.js");
}

TEST(WebAssetsTest, BytesAreThoseOfTheFiles) {
  for (const WebAsset& asset : ExportedAssets()) {
    const std::string name =
        asset.path == "/" ? "index.html" : std::string(asset.path.substr(1));
    const auto file = ReadFile("serving/web/" + name);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(asset.bytes == *file) << name;
  }
}

TEST(WebAssetsTest, ThePageRefersToItsFilesOnly) {
  for (const WebAsset& asset : WebAssets()) {
    if (asset.path == "/") continue;
    EXPECT_TRUE(absl::StrContains(
        WebAssets()[0].bytes, "\"" + std::string(asset.path.substr(1)) + "\""))
        << asset.path;
  }
}

}  // namespace
}  // namespace kodistil
