#include "base/http_message.h"

#include <memory>
#include <string>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class KeptReplies : public HttpReplySink {
 public:
  void Send(HttpResponse response) override {
    statuses.push_back(response.status);
  }
  void Defer(std::function<void()> task) override { task(); }
  std::vector<int> statuses;
};

TEST(HttpRequestTest, HeadersAreOfAnyCase) {
  HttpRequest request;
  request.headers = {{"Content-Type", "Application/JSON ; charset=utf-8"},
                     {"X-Id", "1"},
                     {"x-id", "2"}};
  EXPECT_EQ(request.Header("x-ID"), "1");
  EXPECT_EQ(request.Header("x-other"), "");
  EXPECT_TRUE(request.HasContentType("application/json"));
  EXPECT_FALSE(request.HasContentType("application/jsonp"));
}

TEST(HttpReplyTest, TheFirstAnswerCounts) {
  const auto sink = std::make_shared<KeptReplies>();
  {
    const HttpReply reply(sink);
    const HttpReply copy = reply;
    copy.Send(HttpError(404, "x"));
    reply.Send(HttpError(400, "x"));
  }
  EXPECT_THAT(sink->statuses, ElementsAre(404));
}

TEST(HttpReplyTest, ARequestThatIsForgottenIs500) {
  const auto sink = std::make_shared<KeptReplies>();
  { const HttpReply reply(sink); }
  EXPECT_THAT(sink->statuses, ElementsAre(500));
}

TEST(HttpErrorTest, IsJsonWhateverTheMessage) {
  EXPECT_EQ(HttpError(400, "a \"b\"\n").body,
            "{\"error\":\"a \\\"b\\\"\\n\"}\n");
  EXPECT_EQ(HttpError(400, "\xff").body, "{\"error\":\"\xef\xbf\xbd\"}\n");
  EXPECT_THAT(HttpOverloaded("full").headers,
              ElementsAre(Pair("Retry-After", "1")));
}

TEST(PercentDecodeTest, DecodesBytes) {
  EXPECT_EQ(*PercentDecode("/%EA%B0%80+a%2f", false), "/가+a/");
  EXPECT_EQ(*PercentDecode("a+b%2B", true), "a b+");
}

TEST(PercentDecodeTest, RefusesHalfEscapesAndNul) {
  for (const char* bad : {"%", "a%1", "%1g", "%g1", "%%1"}) {
    EXPECT_THAT(PercentDecode(bad, false),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("without two hexadecimal digits")))
        << bad;
  }
  EXPECT_THAT(PercentDecode("a%00", false),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NUL")));
}

TEST(ParseFormTest, ReadsNamesAndValues) {
  ASSERT_OK_AND_ASSIGN(const auto form,
                       ParseForm("sentence=%EC%A2%8B%EB%8B%A4+a=b&&x"));
  EXPECT_THAT(form, ElementsAre(Pair("sentence", "좋다 a=b"), Pair("x", "")));
  EXPECT_TRUE(ParseForm("")->empty());
}

TEST(ParseFormTest, RefusesWhatIsNotClear) {
  EXPECT_THAT(ParseForm("a=1&a=2"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"a\" is given twice")));
  std::string many;
  for (int i = 0; i < 65; ++i) many += "&n" + std::to_string(i) + "=1";
  EXPECT_THAT(ParseForm(many), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("more than 64 names")));
}

// The example of RFC 7231, section 7.1.1.1.
TEST(HttpDateTest, IsAsTheStandardHasIt) {
  EXPECT_EQ(HttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace
}  // namespace kodistil
