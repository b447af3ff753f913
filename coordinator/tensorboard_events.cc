#include "coordinator/tensorboard_events.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "coordinator/grid.h"

namespace kodistil {
namespace {

using google::protobuf::FieldDescriptor;
using v1::StudentConfig;
using v1::TensorboardEvent;
using v1::TensorboardHParam;
using v1::TensorboardMetadata;
using v1::TensorboardMetric;
using v1::TensorboardValue;
using v1::Trial;

constexpr char kFileVersion[] = "brain.Event:2";
constexpr char kScalars[] = "scalars";
constexpr char kHParams[] = "hparams";

double Seconds(absl::Time time) {
  return absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

TensorboardEvent EventAt(absl::Time now, int64_t step) {
  TensorboardEvent event;
  event.set_wall_time(Seconds(now));
  event.set_step(step);
  return event;
}

// The metadata goes with every value: only a tag's first one needs it, and a
// reader may come to a file that is not the first.
void AddScalar(const char* tag, double value, TensorboardEvent* event) {
  auto* const added = event->mutable_summary()->add_value();
  added->set_tag(tag);
  added->set_simple_value(static_cast<float>(value));
  TensorboardMetadata* const metadata = added->mutable_metadata();
  metadata->mutable_plugin_data()->set_plugin_name(kScalars);
  metadata->set_data_class(TensorboardMetadata::DATA_CLASS_SCALAR);
}

TensorboardEvent HParamsEvent(const char* tag,
                              const v1::TensorboardHParams& content,
                              absl::Time now) {
  TensorboardEvent event = EventAt(now, 0);
  auto* const value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  auto* const plugin = value->mutable_metadata()->mutable_plugin_data();
  plugin->set_plugin_name(kHParams);
  plugin->set_content(content.SerializeAsString());
  // The null tensor, without which the plugin does not see the tag.
  value->mutable_tensor()->set_dtype(v1::TensorboardTensor::TYPE_FLOAT);
  value->mutable_tensor()->mutable_tensor_shape()->add_dim();
  return event;
}

bool IsText(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
}

TensorboardValue ValueOf(const StudentConfig& config,
                         const FieldDescriptor& field) {
  const auto& reflection = *StudentConfig::GetReflection();
  TensorboardValue value;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      value.set_number_value(reflection.GetUInt32(config, &field));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      value.set_number_value(
          static_cast<double>(reflection.GetUInt64(config, &field)));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      value.set_number_value(reflection.GetDouble(config, &field));
      break;
    default:
      value.set_string_value(reflection.GetString(config, &field));
  }
  // How records hold the default.
  if (field.name() == "optimizer" && value.string_value().empty()) {
    value.set_string_value("adam");
  }
  return value;
}

TensorboardHParam HParamOf(const std::vector<Trial>& trials,
                           const FieldDescriptor& field) {
  TensorboardHParam hparam;
  hparam.set_name(field.name());
  hparam.set_type(IsText(field) ? TensorboardHParam::TYPE_STRING
                                : TensorboardHParam::TYPE_FLOAT64);
  std::map<std::pair<double, std::string>, TensorboardValue> values;
  for (const Trial& trial : trials) {
    const TensorboardValue value = ValueOf(trial.config(), field);
    values[{value.number_value(), value.string_value()}] = value;
  }
  for (const auto& [key, value] : values) {
    *hparam.mutable_domain_discrete()->add_values() = value;
  }
  hparam.set_differs(values.size() > 1);
  return hparam;
}

void AddMetric(const char* tag, const char* name,
               TensorboardMetric::DatasetType type,
               v1::TensorboardExperiment* experiment) {
  TensorboardMetric* const metric = experiment->add_metric_infos();
  metric->mutable_name()->set_tag(tag);
  metric->set_display_name(name);
  metric->set_dataset_type(type);
}

}  // namespace

TensorboardEvent VersionEvent(absl::Time now) {
  TensorboardEvent event = EventAt(now, 0);
  event.set_file_version(kFileVersion);
  return event;
}

TensorboardEvent EpochEvent(const StudentConfig& config,
                            const v1::EpochReport& epoch, absl::Time now) {
  TensorboardEvent event = EventAt(now, epoch.epoch());
  AddScalar(kLossTag, epoch.train_loss(), &event);
  AddScalar(kHardLossTag, epoch.hard_loss(), &event);
  if (config.loss_option() != "ce") {
    AddScalar(kSoftLossTag, epoch.soft_loss(), &event);
  }
  AddScalar(kValidTag, epoch.valid_accuracy(), &event);
  AddScalar(kRateTag, epoch.learning_rate(), &event);
  if (epoch.rows() > 0 && epoch.seconds() > 0) {
    AddScalar(kSpeedTag, epoch.rows() / epoch.seconds(), &event);
  }
  return event;
}

TensorboardEvent TestEvent(const v1::TrialResult& result, absl::Time now) {
  TensorboardEvent event = EventAt(now, result.epochs());
  AddScalar(kTestTag,
            result.total() == 0
                ? 0
                : static_cast<double>(result.correct()) / result.total(),
            &event);
  AddScalar(kTestLossTag, result.test_loss(), &event);
  return event;
}

TensorboardEvent ExperimentEvent(const std::vector<Trial>& trials,
                                 absl::Time now) {
  v1::TensorboardHParams content;
  v1::TensorboardExperiment& experiment = *content.mutable_experiment();
  int64_t created = trials.empty() ? 0 : trials.front().created_unix_ms();
  for (const Trial& trial : trials) {
    experiment.set_name(trial.inputs().dataset());
    created = std::min(created, trial.created_unix_ms());
  }
  experiment.set_description("A KoDistil sweep, one session for each trial.");
  experiment.set_time_created_secs(created / 1000.0);
  const auto* const descriptor = StudentConfig::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    *experiment.add_hparam_infos() = HParamOf(trials, *descriptor->field(i));
  }
  AddMetric(kTestTag, "test accuracy",
            TensorboardMetric::DATASET_TYPE_VALIDATION, &experiment);
  AddMetric(kValidTag, "validation accuracy",
            TensorboardMetric::DATASET_TYPE_VALIDATION, &experiment);
  AddMetric(kLossTag, "training loss", TensorboardMetric::DATASET_TYPE_TRAINING,
            &experiment);
  return HParamsEvent(kExperimentTag, content, now);
}

TensorboardEvent StartEvent(const Trial& trial, absl::Time now) {
  v1::TensorboardHParams content;
  v1::TensorboardSessionStart& start = *content.mutable_session_start_info();
  const auto* const descriptor = StudentConfig::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor& field = *descriptor->field(i);
    (*start.mutable_hparams())[field.name()] = ValueOf(trial.config(), field);
  }
  StudentConfig seedless = trial.config();
  seedless.clear_seed();
  start.set_group_name(TrialId(seedless, trial.inputs()).substr(0, 12));
  const int64_t began = trial.attempt_history_size() == 0
                            ? 0
                            : trial.attempt_history(0).begin_unix_ms();
  start.set_start_time_secs(began > 0 ? began / 1000.0 : Seconds(now));
  return HParamsEvent(kStartTag, content, now);
}

v1::TensorboardSessionEnd::Status EndStatus(const Trial& trial) {
  return trial.state() == Trial::STATE_DONE
             ? v1::TensorboardSessionEnd::STATUS_SUCCESS
             : v1::TensorboardSessionEnd::STATUS_FAILURE;
}

TensorboardEvent EndEvent(const Trial& trial, absl::Time now) {
  v1::TensorboardHParams content;
  v1::TensorboardSessionEnd& end = *content.mutable_session_end_info();
  end.set_status(EndStatus(trial));
  const int attempts = trial.attempt_history_size();
  const int64_t ended =
      attempts == 0 ? 0 : trial.attempt_history(attempts - 1).end_unix_ms();
  end.set_end_time_secs(ended > 0 ? ended / 1000.0 : Seconds(now));
  return HParamsEvent(kEndTag, content, now);
}

v1::TensorboardHParams HParamsOf(const TensorboardEvent& event) {
  v1::TensorboardHParams content;
  for (const auto& value : event.summary().value()) {
    const auto& plugin = value.metadata().plugin_data();
    if (plugin.plugin_name() != kHParams) continue;
    if (content.ParseFromString(plugin.content())) return content;
  }
  return v1::TensorboardHParams();
}

}  // namespace kodistil
