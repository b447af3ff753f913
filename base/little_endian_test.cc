#include "base/little_endian.h"

#include <string>

#include "gtest/gtest.h"

namespace kodistil {
namespace {

TEST(LittleEndianTest, LowestByteIsFirst) {
  std::string bytes = "x";
  AppendLittleEndian(0x1234f6, 4, &bytes);
  EXPECT_EQ(bytes, std::string("x\xf6\x34\x12\0", 5));
}

TEST(LittleEndianTest, NumbersComeBack) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{255}, ~uint64_t{0},
                               uint64_t{0x8000000000000001}}) {
    std::string bytes;
    AppendLittleEndian(value, 8, &bytes);
    EXPECT_EQ(LittleEndian(bytes), value);
  }
  EXPECT_EQ(LittleEndian(""), 0u);
}

}  // namespace
}  // namespace kodistil
