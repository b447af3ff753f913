#include "base/request_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kodistil {
namespace {

using ::testing::MatchesRegex;

TEST(RequestIdTest, TheCallersIsKept) {
  EXPECT_EQ(RequestIdOf("a-7/x"), "a-7/x");
  EXPECT_EQ(RequestIdOf(std::string(128, 'x')), std::string(128, 'x'));
}

TEST(RequestIdTest, WhatCannotStandInALineIsReplaced) {
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\nb"),
        std::string("한"), std::string(129, 'x'), std::string(1, '\0')}) {
    EXPECT_THAT(RequestIdOf(bad), MatchesRegex("[0-9a-f]{16}")) << bad;
  }
}

TEST(RequestIdTest, NewOnesDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(RequestIdOf("")).second);
  }
}

}  // namespace
}  // namespace kodistil
