#include "serving/answer_cache.h"

#include <string>
#include <thread>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;

TEST(AnswerCacheTest, GivesBackWhatWasPutIn) {
  AnswerCache cache(100);
  std::vector<float> answer;
  EXPECT_FALSE(cache.Find("digest1", "좋다", &answer));
  cache.Insert("digest1", "좋다", {0.25f, 0.75f});
  ASSERT_TRUE(cache.Find("digest1", "좋다", &answer));
  EXPECT_THAT(answer, ElementsAre(0.25f, 0.75f));
  EXPECT_EQ(cache.hits(), 1u);
  EXPECT_EQ(cache.misses(), 1u);
}

TEST(AnswerCacheTest, AnotherModelsAnswerIsNotGiven) {
  AnswerCache cache(100);
  cache.Insert("digest1", "a", {1, 0});
  std::vector<float> answer;
  EXPECT_FALSE(cache.Find("digest2", "a", &answer));
}

TEST(AnswerCacheTest, StaysWithinItsRows) {
  AnswerCache cache(160);
  for (int i = 0; i < 5000; ++i) cache.Insert("d", std::to_string(i), {1, 0});
  EXPECT_LE(cache.rows(), 160u);
  EXPECT_GT(cache.rows(), 100u);
}

// The first text is asked for again and again and outlives the others.
TEST(AnswerCacheTest, DropsTheLeastRecentlyUsed) {
  AnswerCache cache(32);  // two in each list
  std::vector<float> answer;
  cache.Insert("d", "kept", {1, 0});
  for (int i = 0; i < 1000; ++i) {
    cache.Insert("d", std::to_string(i), {1, 0});
    ASSERT_TRUE(cache.Find("d", "kept", &answer)) << i;
  }
  cache.Insert("d", "once", {1, 0});
  for (int i = 1000; i < 2000; ++i) {
    cache.Insert("d", std::to_string(i), {1, 0});
  }
  EXPECT_FALSE(cache.Find("d", "once", &answer));
}

TEST(AnswerCacheTest, OfNoRowsKeepsNothing) {
  AnswerCache cache(0);
  EXPECT_FALSE(cache.enabled());
  cache.Insert("d", "a", {1, 0});
  std::vector<float> answer;
  EXPECT_FALSE(cache.Find("d", "a", &answer));
  EXPECT_EQ(cache.rows(), 0u);
  EXPECT_EQ(cache.misses(), 0u);
}

TEST(AnswerCacheTest, IsThreadSafe) {
  AnswerCache cache(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache] {
      std::vector<float> answer;
      for (int i = 0; i < 2000; ++i) {
        const std::string text = std::to_string(i % 100);
        const float value = static_cast<float>(i % 100);
        if (cache.Find("d", text, &answer)) {
          EXPECT_EQ(answer[0], value);
        } else {
          cache.Insert("d", text, {value});
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.hits() + cache.misses(), 8000u);
}

}  // namespace
}  // namespace kodistil
