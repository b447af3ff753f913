#include "teacher_service/teacher_service_impl.h"

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "teacher_service/fake_teacher_model.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using LabelCall = grpc::ClientReaderWriter<v1::LabelRequest, v1::LabelResponse>;

Dataset MakeDataset(int rows) {
  Dataset dataset;
  dataset.name = "made";
  for (int i = 0; i < rows; ++i) {
    dataset.rows.push_back({absl::StrCat(i, " 영화"), "", i % 2});
  }
  return dataset;
}

// A RocksDB store and a teacher behind gRPC servers of this process.
class TeacherServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RocksDbLogitStoreOptions store_options;
    store_options.path = NewTestDir() + "/store";
    ASSERT_OK_AND_ASSIGN(store_, RocksDbLogitStore::Open(store_options));
    store_service_ = std::make_unique<LogitStoreServiceImpl>(store_.get());
    ASSERT_OK_AND_ASSIGN(store_server_,
                         Server::Start({}, {store_service_.get()}));
    client_ = std::make_unique<LogitStoreClient>(store_server_->address());
    options_.batcher.max_queue_delay = absl::ZeroDuration();
  }

  void TearDown() override {
    if (!gate_.HasBeenNotified()) gate_.Notify();
    if (server_ != nullptr) server_->Shutdown();
  }

  void StartTeacher(LogitStore* store) {
    ASSERT_OK_AND_ASSIGN(service_,
                         TeacherServiceImpl::Create(&model_, store, options_));
    ServerOptions server_options;
    server_options.drain = absl::ZeroDuration();
    ASSERT_OK_AND_ASSIGN(server_,
                         Server::Start(server_options, {service_.get()}));
    channel_ = NewChannel(server_->address());
    stub_ = v1::TeacherService::NewStub(channel_);
  }

  // Registers the dataset and creates the teacher's set.
  void Register(const Dataset& dataset) {
    ASSERT_OK(client_->RegisterDataset(dataset, dataset.Fingerprint(), ""));
    v1::LogitSetManifest manifest;
    *manifest.mutable_id() = SetId();
    manifest.set_teacher_name("fake");
    manifest.set_dataset_fingerprint(dataset.Fingerprint());
    manifest.set_row_count(dataset.rows.size());
    manifest.set_num_classes(2);
    ASSERT_OK(client_->CreateSet(manifest));
  }

  v1::LogitSetId SetId() const {
    v1::LogitSetId id;
    id.set_teacher_fingerprint(model_.info().fingerprint);
    id.set_dataset("made");
    return id;
  }

  v1::LabelRequest SetMessage() const {
    v1::LabelRequest request;
    *request.mutable_set() = SetId();
    return request;
  }

  static v1::LabelRequest RowsMessage(const Dataset& dataset, int begin,
                                      int end) {
    v1::LabelRequest request;
    for (int i = begin; i < end; ++i) {
      v1::DatasetRow* row = request.add_rows();
      row->set_index(i);
      row->set_text(dataset.rows[i].text);
    }
    return request;
  }

  // Sends the messages, half-closes and returns the call's status; puts the
  // acknowledged indices in acknowledged_, each checked to be in the store.
  absl::Status Label(const std::vector<v1::LabelRequest>& messages) {
    grpc::ClientContext context;
    const auto call = stub_->Label(&context);
    std::thread writer([&] {
      for (const v1::LabelRequest& message : messages) {
        if (!call->Write(message)) break;
      }
      call->WritesDone();
    });
    ReadAcknowledgements(call.get());
    writer.join();
    return FromGrpcStatus(call->Finish());
  }

  void ReadAcknowledgements(LabelCall* call) {
    v1::LabelResponse response;
    while (call->Read(&response)) {
      const std::vector<uint64_t> indices(response.indices().begin(),
                                          response.indices().end());
      ASSERT_OK_AND_ASSIGN(const auto rows, store_->Get(SetId(), indices));
      for (size_t i = 0; i < indices.size(); ++i) {
        acknowledged_.insert(indices[i]);
        EXPECT_EQ(rows[i].logits_size(), 2) << "row " << indices[i];
      }
    }
  }

  absl::StatusOr<v1::InferResponse> Infer(
      const std::vector<std::string>& texts,
      absl::Duration timeout = absl::InfiniteDuration()) {
    grpc::ClientContext context;
    if (timeout != absl::InfiniteDuration()) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    }
    v1::InferRequest request;
    for (const std::string& text : texts) request.add_inputs()->set_text(text);
    v1::InferResponse response;
    const grpc::Status status = stub_->Infer(&context, request, &response);
    pushback_ = context.GetServerTrailingMetadata().count(
                    "grpc-retry-pushback-ms") == 1;
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }

  absl::Notification gate_;
  FakeTeacherModel model_;
  TeacherServiceOptions options_;
  std::unique_ptr<RocksDbLogitStore> store_;
  std::unique_ptr<LogitStoreServiceImpl> store_service_;
  std::unique_ptr<Server> store_server_;
  std::unique_ptr<LogitStoreClient> client_;
  std::unique_ptr<TeacherServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TeacherService::Stub> stub_;
  std::multiset<uint64_t> acknowledged_;
  bool pushback_ = false;
};

TEST_F(TeacherServiceTest, DescribesItsModel) {
  StartTeacher(nullptr);
  grpc::ClientContext context;
  v1::DescribeModelResponse response;
  ASSERT_OK(FromGrpcStatus(stub_->DescribeModel(&context, {}, &response)));
  EXPECT_EQ(response.name(), "fake");
  EXPECT_EQ(response.teacher_fingerprint(), std::string(64, 'f'));
  EXPECT_EQ(response.num_classes(), 2u);
}

TEST_F(TeacherServiceTest, InferAnswersInOrder) {
  StartTeacher(nullptr);
  ASSERT_OK_AND_ASSIGN(const auto response, Infer({"3", "10", "7 "}));
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_THAT(response.outputs(0).logits(), ElementsAre(1, 3));
  EXPECT_THAT(response.outputs(1).logits(), ElementsAre(2, 10));
  EXPECT_THAT(response.outputs(2).logits(), ElementsAre(2, 7));
}

TEST_F(TeacherServiceTest, InferOfBadInputIsInvalid) {
  options_.max_infer_inputs = 3;
  options_.label.max_text_characters = 5;
  StartTeacher(nullptr);
  EXPECT_THAT(Infer({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("0 inputs: expected 1 to 3")));
  EXPECT_THAT(
      Infer({"a", "b", "c", "d"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4 inputs")));
  EXPECT_THAT(Infer({"a", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("input 1: the text is empty")));
  EXPECT_THAT(Infer({"가나다라마바"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("6 characters, expected at most 5")));
  EXPECT_OK(Infer({"가나다라마"}));
  EXPECT_THAT(Infer({"1", "bad"}), StatusIs(absl::StatusCode::kInternal,
                                            HasSubstr("input 1: bad row")));
}

TEST_F(TeacherServiceTest, InferBeyondTheQueueIsUnavailableWithPushback) {
  options_.batcher.max_queue_rows = 2;
  model_.gate = &gate_;
  StartTeacher(nullptr);
  std::thread first([this] { EXPECT_OK(Infer({"1"})); });
  model_.entered.WaitForNotification();
  EXPECT_THAT(Infer({"1", "2", "3"}), StatusIs(absl::StatusCode::kUnavailable,
                                               HasSubstr("the queue is full")));
  EXPECT_TRUE(pushback_);
  gate_.Notify();
  first.join();
}

TEST_F(TeacherServiceTest, InferPastItsDeadlineIsNotComputed) {
  model_.gate = &gate_;
  StartTeacher(nullptr);
  std::thread first([this] { EXPECT_OK(Infer({"1"})); });
  model_.entered.WaitForNotification();
  EXPECT_EQ(Infer({"2"}, absl::Milliseconds(10)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  // The server counts the deadline from when the call reached it, a little
  // later than the client does, and shows nobody when it has passed.
  absl::Notification never;
  never.WaitForNotificationWithTimeout(absl::Milliseconds(300));
  gate_.Notify();
  first.join();
  EXPECT_OK(Infer({"3"}));
  EXPECT_EQ(model_.computed, 2) << "the rows 1 and 3";
}

TEST_F(TeacherServiceTest, LabelWritesEveryRowOnce) {
  const Dataset dataset = MakeDataset(5000);
  options_.label.max_rows_in_flight = 700;
  options_.label.store_batch_rows = 300;
  options_.batcher.max_batch_rows = 64;
  StartTeacher(client_.get());
  Register(dataset);
  ASSERT_OK(Label({SetMessage(), RowsMessage(dataset, 0, 4000),
                   RowsMessage(dataset, 4000, 5000)}));
  EXPECT_EQ(acknowledged_.size(), 5000u);
  EXPECT_EQ(
      std::set<uint64_t>(acknowledged_.begin(), acknowledged_.end()).size(),
      5000u);
  EXPECT_EQ(model_.computed, 5000);
  EXPECT_LE(model_.max_waiting, 700) << "memory is bounded";
  ASSERT_OK_AND_ASSIGN(const auto missing, store_->Missing(SetId()));
  EXPECT_EQ(missing.count(), 0u);
  ASSERT_OK_AND_ASSIGN(const auto rows, store_->Get(SetId(), {0, 42, 4999}));
  EXPECT_THAT(rows[1].logits(), ElementsAre(dataset.rows[42].text.size(), 42));
  EXPECT_EQ(rows[2].text_hash(), TextHash(dataset.rows[4999].text, ""));
}

TEST_F(TeacherServiceTest, LabelOfLongTextsIsBoundedInBytes) {
  Dataset dataset = MakeDataset(300);
  for (Row& row : dataset.rows) row.text += std::string(9000, 'x');
  options_.label.max_bytes_in_flight = 1 << 20;
  options_.batcher.max_batch_rows = 4;
  model_.gate = &gate_;
  StartTeacher(client_.get());
  Register(dataset);
  std::thread open([this] {
    model_.entered.WaitForNotification();
    // Encoded as far as there is room: 1 MiB has 116 of these texts.
    while (model_.encoded < 116) std::this_thread::yield();
    gate_.Notify();
  });
  EXPECT_OK(Label({SetMessage(), RowsMessage(dataset, 0, 300)}));
  open.join();
  EXPECT_EQ(acknowledged_.size(), 300u);
  EXPECT_LE(model_.max_waiting, 117);
}

TEST_F(TeacherServiceTest, LabelOfARowAgainIsAcknowledgedAgain) {
  const Dataset dataset = MakeDataset(3);
  StartTeacher(client_.get());
  Register(dataset);
  const auto rows = RowsMessage(dataset, 0, 3);
  ASSERT_OK(Label({SetMessage(), rows, rows}));
  EXPECT_THAT(acknowledged_, ElementsAre(0, 0, 1, 1, 2, 2));
  ASSERT_OK(Label({SetMessage(), rows}));
  ASSERT_OK_AND_ASSIGN(const auto described, store_->Describe());
  EXPECT_EQ(described.sets(0).rows_present(), 3u);
}

TEST_F(TeacherServiceTest, LabelForAnotherTeacherNamesBoth) {
  StartTeacher(client_.get());
  v1::LabelRequest message = SetMessage();
  message.mutable_set()->set_teacher_fingerprint(std::string(64, 'e'));
  EXPECT_THAT(Label({message}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       ::testing::AllOf(HasSubstr(std::string(64, 'e')),
                                        HasSubstr(std::string(64, 'f')))));
}

TEST_F(TeacherServiceTest, LabelWithoutASetIsInvalid) {
  StartTeacher(client_.get());
  EXPECT_THAT(
      Label({RowsMessage(MakeDataset(1), 0, 1)}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no set")));
}

TEST_F(TeacherServiceTest, LabelWithoutAStoreIsFailedPrecondition) {
  StartTeacher(nullptr);
  EXPECT_THAT(Label({SetMessage()}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("--logit_store")));
}

TEST_F(TeacherServiceTest, LabelOfABadRowNamesItsIndex) {
  Dataset dataset = MakeDataset(9);
  StartTeacher(client_.get());
  Register(dataset);
  dataset.rows[7].text = "";
  EXPECT_THAT(Label({SetMessage(), RowsMessage(dataset, 0, 9)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 7: the text is empty")));
  dataset.rows[7].text = "nan";
  EXPECT_THAT(Label({SetMessage(), RowsMessage(dataset, 0, 9)}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("row 7: ")));
}

TEST_F(TeacherServiceTest, LabelEndsWithTheStoresError) {
  // Nothing is registered.
  StartTeacher(client_.get());
  EXPECT_EQ(Label({SetMessage(), RowsMessage(MakeDataset(5), 0, 5)}).code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(acknowledged_, IsEmpty());
}

TEST_F(TeacherServiceTest, LabelWithAStoreThatIsDownIsUnavailable) {
  LogitStoreClientOptions options;
  options.retry_limit = absl::ZeroDuration();
  LogitStoreClient client(store_server_->address(), options);
  StartTeacher(&client);
  store_server_->Shutdown();
  EXPECT_EQ(Label({SetMessage(), RowsMessage(MakeDataset(5), 0, 5)}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(acknowledged_, IsEmpty());
  server_->Shutdown();  // before the client goes
  service_.reset();
}

// A client that dies loses nothing that was acknowledged, and leaves nothing to
// compute behind.
TEST_F(TeacherServiceTest, ACancelledLabelLeavesTheServerWell) {
  const Dataset dataset = MakeDataset(2000);
  options_.batcher.max_batch_rows = 10;
  model_.gate = &gate_;
  StartTeacher(client_.get());
  Register(dataset);
  {
    grpc::ClientContext context;
    const auto call = stub_->Label(&context);
    ASSERT_TRUE(call->Write(SetMessage()));
    ASSERT_TRUE(call->Write(RowsMessage(dataset, 0, 2000)));
    model_.entered.WaitForNotification();
    context.TryCancel();
    EXPECT_EQ(call->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // Wait until the server knows: its one stream slot is free again when a new
  // call is not refused.
  server_->Shutdown();
  gate_.Notify();
  service_.reset();
  EXPECT_LE(model_.computed, 10) << "the batch at the gate";
  StartTeacher(client_.get());
  ASSERT_OK(Label({SetMessage(), RowsMessage(dataset, 0, 2000)}));
  EXPECT_EQ(acknowledged_.size(), 2000u);
}

TEST_F(TeacherServiceTest, DrainAcknowledgesWhatIsComputed) {
  const Dataset dataset = MakeDataset(2000);
  options_.batcher.max_batch_rows = 10;
  options_.label.store_delay = absl::Hours(1);
  model_.gate = &gate_;
  StartTeacher(client_.get());
  Register(dataset);
  grpc::ClientContext context;
  const auto call = stub_->Label(&context);
  ASSERT_TRUE(call->Write(SetMessage()));
  ASSERT_TRUE(call->Write(RowsMessage(dataset, 0, 2000)));
  model_.entered.WaitForNotification();
  service_->Drain();
  gate_.Notify();
  ReadAcknowledgements(call.get());
  EXPECT_THAT(
      FromGrpcStatus(call->Finish()),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
  EXPECT_EQ(acknowledged_.size(), static_cast<size_t>(model_.computed));
  EXPECT_GT(acknowledged_.size(), 0u);
  EXPECT_LT(acknowledged_.size(), 2000u);
  EXPECT_EQ(Label({SetMessage()}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(TeacherServiceTest, LabelCallsBeyondTheLimitAreUnavailable) {
  options_.max_label_streams = 1;
  StartTeacher(client_.get());
  Register(MakeDataset(1));
  grpc::ClientContext context;
  const auto call = stub_->Label(&context);
  ASSERT_TRUE(call->Write(SetMessage()));
  ASSERT_TRUE(call->Write(RowsMessage(MakeDataset(1), 0, 1)));
  v1::LabelResponse response;
  ASSERT_TRUE(call->Read(&response));
  EXPECT_THAT(Label({SetMessage()}),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("1 Label calls are running")));
  call->WritesDone();
  EXPECT_OK(FromGrpcStatus(call->Finish()));
}

TEST(TeacherServiceOptionsTest, BadOptionsAreInvalid) {
  TeacherServiceOptions options;
  EXPECT_OK(options.Validate());
  options.max_label_streams = 0;
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.label.max_bytes_in_flight = 0;
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.label.store_batch_rows = 5000;
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kodistil
