#include "base/http_message.h"

#include <atomic>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

constexpr size_t kMaxFormNames = 64;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;  // in ASCII, to lower case
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

absl::string_view HttpRequest::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return {};
}

bool HttpRequest::HasContentType(absl::string_view type) const {
  absl::string_view value = Header("content-type");
  value = absl::StripAsciiWhitespace(value.substr(0, value.find(';')));
  return absl::EqualsIgnoreCase(value, type);
}

HttpResponse HttpError(int status, absl::string_view message) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json; charset=utf-8";
  const nlohmann::json json = {{"error", std::string(message)}};
  response.body = absl::StrCat(
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
      "\n");
  return response;
}

HttpResponse HttpOverloaded(absl::string_view message) {
  HttpResponse response = HttpError(503, message);
  response.headers.push_back({"Retry-After", "1"});
  return response;
}

struct HttpReply::Once {
  explicit Once(std::shared_ptr<HttpReplySink> to) : sink(std::move(to)) {}
  ~Once() {
    if (!sent) sink->Send(HttpError(500, "the request was not answered"));
  }
  const std::shared_ptr<HttpReplySink> sink;
  std::atomic<bool> sent{false};
};

HttpReply::HttpReply(std::shared_ptr<HttpReplySink> sink)
    : once_(std::make_shared<Once>(std::move(sink))) {}

void HttpReply::Send(HttpResponse response) const {
  if (once_->sent.exchange(true)) return;
  once_->sink->Send(std::move(response));
}

void HttpReply::Defer(std::function<void()> task) const {
  once_->sink->Defer(std::move(task));
}

absl::StatusOr<std::string> PercentDecode(absl::string_view text,
                                          bool plus_is_space) {
  std::string decoded(text.size(), '\0');
  size_t size = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "byte ", i, " is a '%' without two hexadecimal digits"));
      }
      c = static_cast<char>(16 * high + low);
      i += 2;
    }
    if (c == '\0') {
      return absl::InvalidArgumentError(
          absl::StrCat("byte ", i, " stands for a NUL"));
    }
    decoded[size++] = c;
  }
  decoded.resize(size);
  return decoded;
}

absl::StatusOr<std::map<std::string, std::string>> ParseForm(
    absl::string_view form) {
  std::map<std::string, std::string> values;
  for (const absl::string_view pair :
       absl::StrSplit(form, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    KODISTIL_ASSIGN_OR_RETURN(
        std::string name, PercentDecode(halves.first, /*plus_is_space=*/true));
    KODISTIL_ASSIGN_OR_RETURN(
        std::string value,
        PercentDecode(halves.second, /*plus_is_space=*/true));
    if (values.size() == kMaxFormNames) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", kMaxFormNames, " names"));
    }
    if (!values.emplace(name, std::move(value)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name.substr(0, 80), "\" is given twice"));
    }
  }
  return values;
}

absl::string_view HttpReason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

std::string HttpDate(int64_t unix_seconds) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT",
                          absl::FromUnixSeconds(unix_seconds),
                          absl::UTCTimeZone());
}

}  // namespace kodistil
