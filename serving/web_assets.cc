#include "serving/web_assets.h"

#include "serving/web_files.h"

namespace kodistil {
namespace {

constexpr char kScript[] = "text/javascript; charset=utf-8";

}  // namespace

absl::Span<const WebAsset> ExportedAssets() {
  static const auto* const assets = new WebAsset[]{
      {"/", "text/html; charset=utf-8", kWebPage},
      {"/app.js", kScript, kWebScript},
      {"/style.css", "text/css; charset=utf-8", kWebStyle},
      {"/favicon.svg", "image/svg+xml", kWebIcon},
      {"/student.js", kScript, kWebStudent},
  };
  return {assets, 5};
}

absl::Span<const WebAsset> WebAssets() { return ExportedAssets().first(4); }

}  // namespace kodistil
