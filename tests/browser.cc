#include "tests/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr char kChromium[] = "/usr/bin/chromium";
// A browser that starts beside a build on two cores takes its time.
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr int kLogLines = 20;
constexpr int kControl = 2, kShift = 8;  // of the protocol's `modifiers`

struct Key {
  const char* code;
  int number;        // Windows' virtual key code
  const char* text;  // what it types
};

const std::map<std::string, Key>& Keys() {
  static const auto* const keys =
      new std::map<std::string, Key>{{"Tab", {"Tab", 9, ""}},
                                     {"Enter", {"Enter", 13, "\r"}},
                                     {"Escape", {"Escape", 27, ""}},
                                     {"Space", {"Space", 32, " "}},
                                     {"Backspace", {"Backspace", 8, ""}},
                                     {"ArrowRight", {"ArrowRight", 39, ""}},
                                     {"ArrowDown", {"ArrowDown", 40, ""}},
                                     {"a", {"KeyA", 65, ""}}};
  return *keys;
}

// A string of a JSON object, or "".
std::string TextOf(const Browser::Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>()
                                                   : "";
}

std::string Dump(const Browser::Json& json) {
  return json.dump(-1, ' ', false, Browser::Json::error_handler_t::replace);
}

std::vector<std::string> Arguments(const std::string& folder,
                                   const std::string& in,
                                   const std::string& out) {
  // Chromium reads commands from descriptor 3 and answers on 4.
  return {"-c", R"(exec "$0" "${@:3}" 3<"$1" 4>"$2")",
          // $0 and what follows.
          kChromium, in, out, "--headless", "--no-sandbox", "--disable-gpu",
          "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync",
          "--disable-dev-shm-usage", "--force-color-profile=srgb",
          "--hide-scrollbars", "--lang=ko-KR",
          absl::StrCat("--user-data-dir=", JoinPath(folder, "profile")),
          "--remote-debugging-pipe", "about:blank"};
}

// The rectangle of the first element of the selector, or of the whole page, as
// an expression.
std::string ClipOf(const std::string& selector) {
  if (selector.empty()) {
    return "(() => { const e = document.documentElement; return {x: 0, y: 0, "
           "width: e.scrollWidth, height: e.scrollHeight, scale: 1}; })()";
  }
  return absl::StrCat("(() => { const r = document.querySelector(",
                      Dump(selector),
                      ").getBoundingClientRect(); return {x: r.x + scrollX, "
                      "y: r.y + scrollY, width: r.width, height: r.height, "
                      "scale: 1}; })()");
}

absl::Status Errno(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

}  // namespace

Browser::Browser(const std::string& folder)
    : downloads_(JoinPath(folder, "downloads")) {}

absl::StatusOr<std::unique_ptr<Browser>> Browser::Launch(
    const std::string& folder) {
  if (!FileExists(kChromium)) {
    return absl::NotFoundError(
        absl::StrCat(kChromium,
                     " was not found; sudo deploy/install.sh "
                     "installs it"));
  }
  std::unique_ptr<Browser> browser(new Browser(folder));
  KODISTIL_RETURN_IF_ERROR(browser->Start(folder));
  return browser;
}

Browser::~Browser() {
  if (process_ != nullptr && process_->Running()) {
    Send("", "Browser.close", Json::object()).status().IgnoreError();
    process_->Stop(absl::Seconds(10));
  }
  if (to_browser_ >= 0) close(to_browser_);
  if (from_browser_ >= 0) close(from_browser_);
}

absl::Status Browser::Start(const std::string& folder) {
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(downloads_));
  const std::string in = JoinPath(folder, "commands");
  const std::string out = JoinPath(folder, "answers");
  if (mkfifo(in.c_str(), 0600) != 0 || mkfifo(out.c_str(), 0600) != 0) {
    return Errno(absl::StrCat("cannot make the pipes in ", folder));
  }
  // Both ways, so that neither side waits for the other to open its end.
  to_browser_ = open(in.c_str(), O_RDWR | O_CLOEXEC);
  from_browser_ = open(out.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (to_browser_ < 0 || from_browser_ < 0) return Errno("cannot open a pipe");
  ProcessOptions options;
  options.name = "chromium";
  options.binary = "/bin/bash";
  options.args = Arguments(folder, in, out);
  options.log_path = JoinPath(folder, "chromium.log");
  options.environment["HOME"] = folder;
  KODISTIL_ASSIGN_OR_RETURN(process_, Process::Start(options));
  KODISTIL_ASSIGN_OR_RETURN(const Json target, Send("", "Target.createTarget",
                                                    {{"url", "about:blank"}}));
  KODISTIL_ASSIGN_OR_RETURN(
      const Json attached,
      Send("", "Target.attachToTarget",
           {{"targetId", TextOf(target, "targetId")}, {"flatten", true}}));
  session_ = TextOf(attached, "sessionId");
  for (const char* domain : {"Page", "Runtime", "Log"}) {
    KODISTIL_RETURN_IF_ERROR(
        Call(absl::StrCat(domain, ".enable"), Json::object()).status());
  }
  return Send("", "Browser.setDownloadBehavior",
              {{"behavior", "allow"}, {"downloadPath", downloads_}})
      .status();
}

absl::StatusOr<Browser::Json> Browser::Send(const std::string& session,
                                            const std::string& method,
                                            const Json& params) {
  Json command = {{"id", ++last_id_}, {"method", method}, {"params", params}};
  if (!session.empty()) command["sessionId"] = session;
  // A zero byte ends a message.
  const std::string bytes = Dump(command) + '\0';
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t written =
        write(to_browser_, bytes.data() + sent, bytes.size() - sent);
    if (written < 0 && errno != EINTR) return Errno("cannot write a command");
    sent += std::max<ssize_t>(written, 0);
  }
  const absl::Time end = absl::Now() + kPatience;
  while (true) {
    absl::StatusOr<Json> message = Receive(end);
    if (absl::IsNotFound(message.status())) {
      return absl::DeadlineExceededError(absl::StrCat(
          method, ": no answer within ", absl::FormatDuration(kPatience)));
    }
    if (!message.ok()) return Annotate(message.status(), method);
    if (message->value("id", int64_t{0}) != last_id_) {
      Note(*message);
      continue;
    }
    if (message->contains("error")) {
      return absl::InternalError(
          absl::StrCat(method, ": ", Dump((*message)["error"])));
    }
    return (*message)["result"];
  }
}

absl::StatusOr<Browser::Json> Browser::Receive(absl::Time end) {
  while (true) {
    const size_t length = received_.find('\0');
    if (length != received_.npos) {
      Json message = Json::parse(received_.substr(0, length), nullptr,
                                 /*allow_exceptions=*/false);
      received_.erase(0, length + 1);
      if (message.is_object()) return message;
      return absl::InternalError("the browser's message is no JSON object");
    }
    if (!process_->Running()) {
      return absl::UnavailableError(
          absl::StrCat("chromium ", process_->ExitText(), ":\n",
                       LogTail(process_->options().log_path, kLogLines)));
    }
    if (absl::Now() > end) return absl::NotFoundError("no message");
    pollfd ready = {from_browser_, POLLIN, 0};
    poll(&ready, 1, /*timeout=*/100);
    char buffer[1 << 16];
    const ssize_t size = read(from_browser_, buffer, sizeof(buffer));
    if (size > 0) received_.append(buffer, size);
  }
}

// Events of the page that tests ask for.
void Browser::Note(const Json& event) {
  const std::string method = TextOf(event, "method");
  const Json params = event.value("params", Json::object());
  if (method == "Page.loadEventFired") loaded_ = true;
  if (method == "Runtime.exceptionThrown") {
    errors_.push_back(Dump(params["exceptionDetails"]));
  }
  if (method == "Runtime.consoleAPICalled" &&
      TextOf(params, "type") == "error") {
    errors_.push_back(Dump(params["args"]));
  }
  if (method == "Log.entryAdded" && params.contains("entry") &&
      TextOf(params["entry"], "level") == "error") {
    errors_.push_back(TextOf(params["entry"], "text") + " " +
                      TextOf(params["entry"], "url"));
  }
}

absl::StatusOr<Browser::Json> Browser::Call(const std::string& method,
                                            const Json& params) {
  return Send(session_, method, params);
}

absl::Status Browser::Open(const std::string& url) {
  loaded_ = false;
  KODISTIL_ASSIGN_OR_RETURN(const Json result,
                            Call("Page.navigate", {{"url", url}}));
  if (!TextOf(result, "errorText").empty()) {
    return absl::InternalError(
        absl::StrCat(url, ": ", TextOf(result, "errorText")));
  }
  const absl::Time end = absl::Now() + kPatience;
  while (!loaded_) {
    KODISTIL_ASSIGN_OR_RETURN(const Json event, Receive(end));
    Note(event);
  }
  return absl::OkStatus();
}

absl::StatusOr<Browser::Json> Browser::Evaluate(const std::string& expression) {
  KODISTIL_ASSIGN_OR_RETURN(
      Json result, Call("Runtime.evaluate", {{"expression", expression},
                                             {"awaitPromise", true},
                                             {"returnByValue", true}}));
  if (result.contains("exceptionDetails")) {
    return absl::InternalError(
        absl::StrCat(expression, ": ", Dump(result["exceptionDetails"])));
  }
  return result["result"].value("value", Json());
}

absl::Status Browser::WaitFor(const std::string& expression,
                              const std::string& shown) {
  absl::StatusOr<Json> value = Json();
  const bool reached = PollUntil(kPatience, [&] {
    value = Evaluate(expression);
    return (value.ok() && value->is_boolean() && value->get<bool>()) ||
           absl::IsUnavailable(value.status());
  });
  if (reached && value.ok()) return absl::OkStatus();
  if (absl::IsUnavailable(value.status())) return value.status();
  const absl::StatusOr<Json> more = Evaluate(shown);
  return absl::DeadlineExceededError(absl::StrCat(
      expression, " is ", value.ok() ? Dump(*value) : value.status().ToString(),
      " after ", absl::FormatDuration(kPatience), "; ",
      more.ok() ? Dump(*more) : more.status().ToString()));
}

absl::Status Browser::Type(const std::string& text) {
  return Call("Input.insertText", {{"text", text}}).status();
}

absl::Status Browser::KeyEvent(const char* type, const std::string& key) {
  absl::string_view name = key;
  int modifiers = 0;
  if (absl::ConsumePrefix(&name, "Control+")) modifiers |= kControl;
  if (absl::ConsumePrefix(&name, "Shift+")) modifiers |= kShift;
  const auto found = Keys().find(std::string(name));
  if (found == Keys().end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown key ", key));
  }
  Json params = {{"type", type},
                 {"key", name == "Space" ? " " : std::string(name)},
                 {"code", found->second.code},
                 {"windowsVirtualKeyCode", found->second.number},
                 {"modifiers", modifiers}};
  if (absl::string_view(type) == "keyDown") params["text"] = found->second.text;
  // What a shortcut does is the editor's, which headless browsers do not map.
  if (key == "Control+a") params["commands"] = {"selectAll"};
  return Call("Input.dispatchKeyEvent", params).status();
}

absl::Status Browser::Press(const std::string& key) {
  KODISTIL_RETURN_IF_ERROR(KeyEvent("keyDown", key));
  return KeyEvent("keyUp", key);
}

absl::Status Browser::Click(const std::string& selector) {
  KODISTIL_ASSIGN_OR_RETURN(
      const Json at,
      Evaluate(absl::StrCat("(() => { const e = document.querySelector(",
                            Dump(selector),
                            "); e.scrollIntoView({block: 'center', behavior: "
                            "'instant'}); const r = e.getBoundingClientRect(); "
                            "return [r.x + r.width / 2, r.y + r.height / 2]; "
                            "})()")));
  for (const char* type : {"mouseMoved", "mousePressed", "mouseReleased"}) {
    KODISTIL_RETURN_IF_ERROR(
        Call("Input.dispatchMouseEvent", {{"type", type},
                                          {"x", at[0]},
                                          {"y", at[1]},
                                          {"button", "left"},
                                          {"clickCount", 1}})
            .status());
  }
  return absl::OkStatus();
}

absl::Status Browser::SetViewport(int width, int height) {
  return Call("Emulation.setDeviceMetricsOverride", {{"width", width},
                                                     {"height", height},
                                                     {"deviceScaleFactor", 1},
                                                     {"mobile", false}})
      .status();
}

absl::Status Browser::PreferDark(bool dark) {
  const Json feature = {{"name", "prefers-color-scheme"},
                        {"value", dark ? "dark" : "light"}};
  return Call("Emulation.setEmulatedMedia",
              {{"features", Json::array({feature})}})
      .status();
}

absl::Status Browser::Screenshot(const std::string& path,
                                 const std::string& selector) {
  KODISTIL_ASSIGN_OR_RETURN(const Json clip, Evaluate(ClipOf(selector)));
  KODISTIL_ASSIGN_OR_RETURN(
      const Json image,
      Call("Page.captureScreenshot", {{"format", "png"},
                                      {"clip", clip},
                                      {"captureBeyondViewport", true}}));
  std::string bytes;
  if (!absl::Base64Unescape(TextOf(image, "data"), &bytes)) {
    return absl::InternalError("the screenshot is no base64");
  }
  return WriteFileAtomically(path, bytes);
}

absl::Status Browser::KeepScreenshot(const std::string& name,
                                     const std::string& selector) {
  const char* outputs = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (outputs == nullptr) return absl::OkStatus();
  return Screenshot(JoinPath(outputs, name + ".png"), selector);
}

std::vector<std::string> Browser::TakeErrors() {
  return std::exchange(errors_, {});
}

}  // namespace kodistil
