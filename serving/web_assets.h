// The web page's files (serving/web/), inside the program.

#ifndef KODISTIL_SERVING_WEB_ASSETS_H_
#define KODISTIL_SERVING_WEB_ASSETS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kodistil {

// All of it lives as long as the program.
struct WebAsset {
  absl::string_view path;  // "/" for index.html, else "/" and the file's name
  absl::string_view content_type;
  absl::string_view bytes;  // UTF-8
};

// What the server gives: "/", "/app.js", "/style.css", "/favicon.svg". They
// refer to each other and to the API without a leading slash.
absl::Span<const WebAsset> WebAssets();

// The same and "/student.js", the student in the browser: what web_export.h
// makes a page of.
absl::Span<const WebAsset> ExportedAssets();

}  // namespace kodistil

#endif  // KODISTIL_SERVING_WEB_ASSETS_H_
