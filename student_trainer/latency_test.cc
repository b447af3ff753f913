#include "student_trainer/latency.h"

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

StudentShape SmallShape() {
  StudentShape shape;
  shape.vocab_size = 20;
  shape.embedding_dim = 4;
  shape.hidden_dim = 4;
  return shape;
}

StudentWeights WeightsOf(const StudentShape& shape) {
  StudentWeights weights;
  for (const auto& [name, dims] : shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    weights[name].assign(size, 0.01f);
  }
  return weights;
}

TEST(LatencyTest, EachRowIsMeasured) {
  const StudentShape shape = SmallShape();
  const std::vector<std::vector<int32_t>> rows = {
      {2, 5, 3}, {2, 3}, {2, 6, 7, 8, 3}, {2, 9, 3}};
  ASSERT_OK_AND_ASSIGN(const v1::RowLatency latency,
                       MeasureLatency(shape, WeightsOf(shape), rows));
  EXPECT_EQ(latency.rows(), 4u);
  EXPECT_EQ(latency.mean_tokens(), 13 / 4.0);
  EXPECT_GT(latency.p50_seconds(), 0);
  EXPECT_GE(latency.p99_seconds(), latency.p50_seconds());
  EXPECT_FALSE(latency.processor().empty());
}

TEST(LatencyTest, NoRowsAndBadWeightsAreErrors) {
  const StudentShape shape = SmallShape();
  EXPECT_THAT(
      MeasureLatency(shape, WeightsOf(shape), {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no rows")));
  EXPECT_THAT(MeasureLatency(shape, {}, {{2, 3}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
}

TEST(LatencyTest, ProcessorIsTheFirstModelName) {
  EXPECT_EQ(ProcessorName("processor\t: 0\nmodel name\t: A CPU @ 2: GHz \n"
                          "model name\t: another\n"),
            "A CPU @ 2: GHz");
  EXPECT_EQ(ProcessorName("model name\t:\nflags\t: x\n"), "unknown");
  EXPECT_EQ(ProcessorName(""), "unknown");
}

}  // namespace
}  // namespace kodistil
