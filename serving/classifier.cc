#include "serving/classifier.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "serving/words.h"

namespace kodistil {

absl::Status ClassifierOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(models.Validate());
  KODISTIL_RETURN_IF_ERROR(pool.Validate());
  if (cache_rows < 0 || cache_rows > 100000000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cache_rows is ", cache_rows, "; expected 0 to 100000000"));
  }
  if (large_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("large_bytes is ", large_bytes, "; expected 0 or more"));
  }
  if (time_limit < absl::Milliseconds(1) || time_limit > absl::Hours(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the time limit is ", absl::FormatDuration(time_limit),
                     "; expected 1ms to 1h"));
  }
  return absl::OkStatus();
}

// A job on its way.
struct Classifier::Pending {
  // Calls done, once.
  void Fail(const absl::Status& status) {
    std::exchange(done, nullptr)(status);
  }
  bool Expired() const {
    return job.deadline != absl::InfiniteFuture() && absl::Now() > job.deadline;
  }
  absl::Status Late() const {
    return absl::DeadlineExceededError(
        absl::StrCat("the time for ", job.texts.size(), " texts is over"));
  }

  Classifier* owner = nullptr;
  ClassifyJob job;
  Done done;
  Classification result;
  std::vector<size_t> missing;  // texts that the cache did not have
  size_t computed = 0;          // of them
};

// Rows of small jobs, side by side through the kernel.
class Classifier::ThreadBatch {
 public:
  // Whether this is the first one since the last Flush.
  static bool Add(std::shared_ptr<Pending> pending) {
    Waiting().push_back(std::move(pending));
    return Waiting().size() == 1;
  }

  static void Flush() {
    std::vector<std::shared_ptr<Pending>> jobs = std::move(Waiting());
    Waiting().clear();
    Run(jobs);
  }

  static void Run(const std::vector<std::shared_ptr<Pending>>& jobs) {
    std::vector<Slot> slots;
    for (const auto& job : jobs) {
      if (job->Expired()) {
        job->Fail(job->Late());
        continue;
      }
      for (const size_t text : job->missing) slots.push_back({job.get(), text});
    }
    // Rows of one length end together, and leave no part of a batch empty; the
    // short ones, which are soon done, do not wait for the long ones.
    std::stable_sort(
        slots.begin(), slots.end(),
        [](const Slot& a, const Slot& b) { return a.Bytes() < b.Bytes(); });
    while (!slots.empty()) RunSome(&slots);
  }

 private:
  struct Slot {
    size_t Bytes() const { return job->job.texts[text].size(); }

    Pending* job;
    size_t text;
  };

  static std::vector<std::shared_ptr<Pending>>& Waiting() {
    static thread_local std::vector<std::shared_ptr<Pending>> waiting;
    return waiting;
  }

  // The first slots that the first one's model takes at once.
  static void RunSome(std::vector<Slot>* slots) {
    const StudentModel& model = *slots->front().job->result.model;
    std::vector<Slot> now;
    std::vector<Slot> later;
    for (const Slot& slot : *slots) {
      const bool fits =
          slot.job->result.model.get() == &model && now.size() < kKernelRows;
      (fits ? now : later).push_back(slot);
    }
    *slots = std::move(later);
    std::vector<absl::string_view> texts;
    for (const Slot& slot : now)
      texts.push_back(slot.job->job.texts[slot.text]);
    const size_t classes = model.classes();
    std::vector<float> probabilities(now.size() * classes);
    now[0].job->owner->RunBatch(model, texts, absl::MakeSpan(probabilities));
    for (size_t i = 0; i < now.size(); ++i) {
      Pending* const job = now[i].job;
      const auto row = probabilities.begin() + i * classes;
      job->result.answers[now[i].text].probabilities.assign(row, row + classes);
      if (++job->computed == job->missing.size()) job->owner->Finish(job);
    }
  }
};

Classifier::Classifier(const ClassifierOptions& options)
    : options_(options), cache_(options.cache_rows), pool_(options.pool) {}

Classifier::~Classifier() { Stop(); }

absl::StatusOr<std::unique_ptr<Classifier>> Classifier::Create(
    const ClassifierOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto classifier = std::unique_ptr<Classifier>(new Classifier(options));
  KODISTIL_ASSIGN_OR_RETURN(classifier->models_,
                            ModelSet::Create(options.models));
  return classifier;
}

bool Classifier::IsLarge(const ClassifyJob& job) const {
  return job.explain || job.texts.size() > kKernelRows ||
         job.Bytes() > static_cast<size_t>(options_.large_bytes) ||
         options_.large_bytes == 0;
}

void Classifier::Classify(ClassifyJob job, const Defer& defer, Done done) {
  const absl::Status valid = job.Validate();
  if (!valid.ok()) return done(valid);
  const auto pending = std::make_shared<Pending>();
  pending->owner = this;
  pending->result.model = models_->Find(job.model);
  if (pending->result.model == nullptr) {
    return done(absl::NotFoundError(
        absl::StrCat("there is no model \"", job.model, "\"")));
  }
  const bool large = IsLarge(job);
  if (large) {
    job.deadline = std::min(job.deadline, absl::Now() + options_.time_limit);
  }
  pending->result.explained = job.explain;
  pending->result.answers.resize(job.texts.size());
  for (size_t i = 0; i < job.texts.size(); ++i) {
    if (!cache_.Find(pending->result.model->digest(), job.texts[i],
                     &pending->result.answers[i].probabilities)) {
      pending->missing.push_back(i);
    }
  }
  pending->job = std::move(job);
  pending->done = std::move(done);
  if (pending->missing.empty() && !pending->job.explain) {
    return Finish(pending.get());
  }
  if (large) {
    if (pool_.TrySubmit([this, pending] { Compute(pending.get()); })) return;
    ++refused_;
    return pending->Fail(absl::UnavailableError(
        absl::StrCat(options_.pool.max_queue, " large requests wait already")));
  }
  if (!defer) return ThreadBatch::Run({pending});
  if (ThreadBatch::Add(pending)) defer(&ThreadBatch::Flush);
}

void Classifier::RunBatch(const StudentModel& model,
                          absl::Span<const absl::string_view> texts,
                          absl::Span<float> probabilities) {
  model.Classify(texts, probabilities);
  batches_.fetch_add(1, std::memory_order_relaxed);
  rows_.fetch_add(texts.size(), std::memory_order_relaxed);
}

// One large job. Its time is looked at before each batch.
void Classifier::Compute(Pending* pending) {
  const StudentModel& model = *pending->result.model;
  const size_t classes = model.classes();
  std::vector<float> probabilities(kKernelRows * classes);
  for (size_t begin = 0; begin < pending->missing.size();
       begin += kKernelRows) {
    if (pending->Expired()) return pending->Fail(pending->Late());
    std::vector<absl::string_view> texts;
    for (size_t i = begin;
         i < std::min(begin + kKernelRows, pending->missing.size()); ++i) {
      texts.push_back(pending->job.texts[pending->missing[i]]);
    }
    RunBatch(model, texts,
             absl::MakeSpan(probabilities).subspan(0, texts.size() * classes));
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto row = probabilities.begin() + i * classes;
      pending->result.answers[pending->missing[begin + i]].probabilities.assign(
          row, row + classes);
    }
  }
  if (pending->job.explain) return Explain(pending);
  Finish(pending);
}

void Classifier::Explain(Pending* pending) {
  const StudentModel& model = *pending->result.model;
  const size_t classes = model.classes();
  std::vector<float> probabilities(kKernelRows * classes);
  std::vector<std::string> variants;
  std::vector<std::pair<size_t, size_t>> places;  // text, word
  const auto flush = [&] {
    const std::vector<absl::string_view> texts(variants.begin(),
                                               variants.end());
    RunBatch(model, texts,
             absl::MakeSpan(probabilities).subspan(0, texts.size() * classes));
    for (size_t i = 0; i < places.size(); ++i) {
      TextAnswer& answer = pending->result.answers[places[i].first];
      answer.words[places[i].second].weight =
          answer.probabilities[1] - probabilities[i * classes + 1];
    }
    variants.clear();
    places.clear();
  };
  for (size_t t = 0; t < pending->job.texts.size(); ++t) {
    const std::string& text = pending->job.texts[t];
    for (const Word& word : SplitWords(text, kMaxWords)) {
      std::vector<WordWeight>* words = &pending->result.answers[t].words;
      places.push_back({t, words->size()});
      words->push_back({word.begin, word.end, 0});
      variants.push_back(LeaveOut(text, word));
      if (variants.size() < kKernelRows) continue;
      if (pending->Expired()) return pending->Fail(pending->Late());
      flush();
    }
  }
  if (!variants.empty()) flush();
  Finish(pending);
}

void Classifier::Finish(Pending* pending) {
  Classification* const result = &pending->result;
  for (const size_t text : pending->missing) {
    cache_.Insert(result->model->digest(), pending->job.texts[text],
                  result->answers[text].probabilities);
  }
  for (TextAnswer& answer : result->answers) {
    const std::vector<float>& row = answer.probabilities;
    answer.label = static_cast<int>(std::max_element(row.begin(), row.end()) -
                                    row.begin());
  }
  texts_.fetch_add(result->answers.size(), std::memory_order_relaxed);
  std::exchange(pending->done, nullptr)(std::move(*result));
}

ClassifierCounts Classifier::counts() const {
  return {texts_, batches_, rows_, refused_};
}

}  // namespace kodistil
