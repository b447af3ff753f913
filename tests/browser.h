// Debian's Chromium, driven through its DevTools protocol over a pipe: tests of
// pages as a person uses them, with nothing else installed
// (docs/adr/0021-browser-tests.md).

#ifndef KODISTIL_TESTS_BROWSER_H_
#define KODISTIL_TESTS_BROWSER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/process.h"
#include "nlohmann/json.hpp"

namespace kodistil {

// One headless browser with one page, and a profile of its own. Not
// thread-safe. Every call gives DEADLINE_EXCEEDED when the browser does not
// answer, UNAVAILABLE when it has ended, INTERNAL with its words when it
// refuses.
class Browser {
 public:
  using Json = nlohmann::json;

  // `folder` holds the profile, the log and what pages download; it must be
  // new. NOT_FOUND when Chromium is not installed.
  static absl::StatusOr<std::unique_ptr<Browser>> Launch(
      const std::string& folder);
  ~Browser();

  // Opens an address and waits until it is loaded.
  absl::Status Open(const std::string& url);
  // The value of an expression in the page, of what its promise gives when it
  // is one. INTERNAL with the exception that it throws.
  absl::StatusOr<Json> Evaluate(const std::string& expression);
  // Until the expression is true; an exception counts as false.
  // DEADLINE_EXCEEDED naming it and `shown`, an expression that tells more.
  absl::Status WaitFor(const std::string& expression,
                       const std::string& shown = "''");

  // As a person does it, to what has the focus.
  absl::Status Type(const std::string& text);
  // "Tab", "Shift+Tab", "Enter", "Space", "Escape", "Control+a", "Backspace",
  // "ArrowRight", "ArrowDown".
  absl::Status Press(const std::string& key);
  // The middle of the element, which is scrolled into view.
  absl::Status Click(const std::string& selector);

  // The size of the window in CSS pixels.
  absl::Status SetViewport(int width, int height);
  // What the system prefers.
  absl::Status PreferDark(bool dark);
  // A PNG file of the whole page, or of the first element of the selector.
  absl::Status Screenshot(const std::string& path,
                          const std::string& selector = "");
  // The same as NAME.png among the files that Bazel keeps of a test
  // (test.outputs); nothing when the test runs without Bazel.
  absl::Status KeepScreenshot(const std::string& name,
                              const std::string& selector = "");

  // Exceptions nobody caught, errors on the console, what a policy or the
  // network refused; since the last call.
  std::vector<std::string> TakeErrors();

  // Any method of the protocol, for the page.
  absl::StatusOr<Json> Call(const std::string& method, const Json& params);

  const std::string& downloads() const { return downloads_; }

 private:
  explicit Browser(const std::string& folder);
  absl::Status Start(const std::string& folder);
  // Sends a command; `session` is empty for the browser itself.
  absl::StatusOr<Json> Send(const std::string& session,
                            const std::string& method, const Json& params);
  // The next message; NOT_FOUND when none came until `end`.
  absl::StatusOr<Json> Receive(absl::Time end);
  void Note(const Json& event);
  absl::Status KeyEvent(const char* type, const std::string& key);

  const std::string downloads_;
  std::unique_ptr<Process> process_;
  int to_browser_ = -1;
  int from_browser_ = -1;
  std::string received_;  // less than a message
  std::string session_;
  int64_t last_id_ = 0;
  bool loaded_ = false;
  std::vector<std::string> errors_;
};

}  // namespace kodistil

#endif  // KODISTIL_TESTS_BROWSER_H_
