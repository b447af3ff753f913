#include "corpus/token_cache.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/status_macros.h"

#ifndef ABSL_IS_LITTLE_ENDIAN
#error "Token caches are mapped as they are: a little-endian host is needed."
#endif

namespace kodistil {
namespace {

constexpr char kMagic[] = "KDTOKENS";
constexpr char kFolder[] = "tokens";  // of the cache
constexpr uint32_t kVersion = 1;
constexpr size_t kMaxVocab = std::numeric_limits<uint16_t>::max();
constexpr size_t kTrailerBytes = sizeof(uint64_t);
// A thread's start costs as much as some hundred rows.
constexpr size_t kRowsWorthAThread = 4096;
constexpr size_t kMaxThreads = 16;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  uint64_t rows;
  uint64_t tokens;
  char digest[32];
};
static_assert(sizeof(Header) == 64, "the file's header");

size_t PaddedTo8(size_t bytes) { return (bytes + 7) / 8 * 8; }

// Where each part of a file with that many rows and tokens starts.
struct Layout {
  Layout(uint64_t rows, uint64_t token_count)
      : labels(offsets + (rows + 1) * sizeof(uint64_t)),
        splits(labels + PaddedTo8(rows * sizeof(int16_t))),
        tokens(splits + PaddedTo8(rows)),
        trailer(tokens + PaddedTo8(token_count * sizeof(uint16_t))) {}

  size_t offsets = sizeof(Header);
  size_t labels;
  size_t splits;
  size_t tokens;
  size_t trailer;
};

// What becomes of some rows before they are in a file.
struct Columns {
  std::vector<uint64_t> offsets;  // where each row's tokens end
  std::vector<int16_t> labels;
  std::vector<uint8_t> splits;
  std::vector<uint16_t> tokens;
};

absl::Status DataLoss(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

std::string PathOf(const std::string& cache_dir, const std::string& digest) {
  return JoinPath(JoinPath(cache_dir, kFolder),
                  absl::StrCat(absl::BytesToHexString(digest), ".ktok"));
}

// Of all that decides the tokens; 32 bytes.
std::string DigestOf(const std::string& fingerprint, absl::string_view vocab,
                     const WordPieceOptions& options, int max_length) {
  Sha256 digest;
  digest.UpdateField(kMagic);
  digest.UpdateUint64(kVersion);
  digest.UpdateField(fingerprint);
  digest.UpdateField(vocab);
  for (const int64_t option :
       {int64_t{options.lower_case}, int64_t{options.strip_accents},
        int64_t{options.tokenize_chinese_chars}, int64_t{options.slow},
        int64_t{options.special_literals}, int64_t{options.max_word_chars},
        int64_t{max_length}}) {
    digest.UpdateUint64(static_cast<uint64_t>(option));
  }
  return digest.Finish();
}

absl::Status CheckLabels(const Dataset& dataset) {
  for (size_t i = 0; i < dataset.rows.size(); ++i) {
    const int label = dataset.rows[i].label;
    if (label < std::numeric_limits<int16_t>::min() ||
        label > std::numeric_limits<int16_t>::max()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "row %d of %s has label %d, expected at most %d", i, dataset.name,
          label, std::numeric_limits<int16_t>::max()));
    }
  }
  return absl::OkStatus();
}

// Rows `begin` to `end`; the offsets count from the first one's tokens.
Columns TokenizePart(const Dataset& dataset,
                     const WordPieceTokenizer& tokenizer, int max_length,
                     size_t begin, size_t end) {
  Columns columns;
  std::vector<int32_t> ids;
  for (size_t i = begin; i < end; ++i) {
    const Row& row = dataset.rows[i];
    if (row.second_text.empty()) {
      tokenizer.EncodeTo(row.text, max_length, &ids);
    } else {
      ids = tokenizer.EncodePair(row.text, row.second_text, max_length,
                                 /*type_ids=*/nullptr);
    }
    columns.tokens.insert(columns.tokens.end(), ids.begin(), ids.end());
    columns.offsets.push_back(columns.tokens.size());
    columns.labels.push_back(static_cast<int16_t>(row.label));
    columns.splits.push_back(static_cast<uint8_t>(row.split));
  }
  return columns;
}

// Contiguous parts of the rows, one for each thread: joined in order they do
// not depend on how many there are.
std::vector<Columns> Tokenize(const Dataset& dataset,
                              const WordPieceTokenizer& tokenizer,
                              int max_length) {
  const size_t rows = dataset.rows.size();
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t count = std::clamp(rows / kRowsWorthAThread, size_t{1},
                                  std::min(cores, kMaxThreads));
  std::vector<Columns> parts(count);
  const auto tokenize = [&](size_t i) {
    parts[i] = TokenizePart(dataset, tokenizer, max_length, rows * i / count,
                            rows * (i + 1) / count);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(tokenize, i);
  tokenize(0);
  for (std::thread& thread : threads) thread.join();
  return parts;
}

template <typename T>
void Append(const std::vector<T>& values, std::string* out) {
  const size_t bytes = values.size() * sizeof(T);
  if (bytes > 0) out->append(reinterpret_cast<const char*>(&values[0]), bytes);
}

// One column of every part, padded.
template <typename Column>
void AppendColumn(const std::vector<Columns>& parts, Column column,
                  std::string* out) {
  for (const Columns& part : parts) Append(part.*column, out);
  out->resize(PaddedTo8(out->size()));
}

void AppendOffsets(const std::vector<Columns>& parts, std::string* out) {
  std::vector<uint64_t> offsets = {0};
  for (const Columns& part : parts) {
    const uint64_t before = offsets.back();
    for (const uint64_t offset : part.offsets) {
      offsets.push_back(before + offset);
    }
  }
  Append(offsets, out);
}

std::string Serialize(const std::vector<Columns>& parts,
                      const std::string& digest) {
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(header.magic));
  header.version = kVersion;
  for (const Columns& part : parts) {
    header.rows += part.labels.size();
    header.tokens += part.tokens.size();
  }
  std::memcpy(header.digest, digest.data(), sizeof(header.digest));
  std::string out;
  out.reserve(Layout(header.rows, header.tokens).trailer + kTrailerBytes);
  out.append(reinterpret_cast<const char*>(&header), sizeof(header));
  AppendOffsets(parts, &out);
  AppendColumn(parts, &Columns::labels, &out);
  AppendColumn(parts, &Columns::splits, &out);
  AppendColumn(parts, &Columns::tokens, &out);
  const uint64_t checksum = Crc32c(out);
  out.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  return out;
}

absl::Status ValidateRequest(const Dataset& dataset,
                             const WordPieceTokenizer& tokenizer,
                             int max_length) {
  if (static_cast<size_t>(tokenizer.vocab_size()) > kMaxVocab) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the vocabulary has %d pieces, expected at most %d",
                        tokenizer.vocab_size(), kMaxVocab));
  }
  if (max_length != 0 && max_length < 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_length is ", max_length, ", expected 3 or more, or 0"));
  }
  if (dataset.rows.size() > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        dataset.name, " has ", dataset.rows.size(), " rows, expected < 2^32"));
  }
  return absl::OkStatus();
}

absl::Status WriteCache(const std::string& path, const std::string& digest,
                        const Dataset& dataset,
                        const WordPieceTokenizer& tokenizer, int max_length) {
  const absl::Time start = absl::Now();
  KODISTIL_RETURN_IF_ERROR(CheckLabels(dataset));
  const std::vector<Columns> parts = Tokenize(dataset, tokenizer, max_length);
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, Serialize(parts, digest)));
  LOG(INFO) << "tokenised " << dataset.rows.size() << " rows of "
            << dataset.name << " in " << absl::Now() - start << ": " << path;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizedDataset> TokenizedDataset::OpenOrCreate(
    const std::string& cache_dir, const Dataset& dataset,
    absl::string_view vocab, const WordPieceOptions& options, int max_length) {
  KODISTIL_ASSIGN_OR_RETURN(
      const auto tokenizer,
      WordPieceTokenizer::Create(vocab, "vocabulary", options));
  KODISTIL_RETURN_IF_ERROR(ValidateRequest(dataset, *tokenizer, max_length));
  const std::string digest =
      DigestOf(dataset.Fingerprint(), vocab, options, max_length);
  const std::string path = PathOf(cache_dir, digest);
  absl::StatusOr<TokenizedDataset> found = Open(path);
  if (!found.ok()) {
    // Of all that come here together, the first makes the file.
    KODISTIL_RETURN_IF_ERROR(MakeDirectories(JoinPath(cache_dir, kFolder)));
    KODISTIL_ASSIGN_OR_RETURN(const FileLock lock,
                              FileLock::Acquire(absl::StrCat(path, ".lock")));
    found = Open(path);
    if (!found.ok()) {
      if (absl::IsDataLoss(found.status())) {
        LOG(WARNING) << found.status().message() << "; making it again";
      } else if (!absl::IsNotFound(found.status())) {
        return found.status();
      }
      KODISTIL_RETURN_IF_ERROR(
          WriteCache(path, digest, dataset, *tokenizer, max_length));
      KODISTIL_ASSIGN_OR_RETURN(found, Open(path));
      found->created_ = true;
      return found;
    }
  }
  VLOG(1) << "reusing " << path;
  return found;
}

absl::StatusOr<TokenizedDataset> TokenizedDataset::OpenMade(
    const std::string& cache_dir, const std::string& dataset_fingerprint,
    absl::string_view vocab, const WordPieceOptions& options, int max_length) {
  absl::StatusOr<TokenizedDataset> found = Open(PathOf(
      cache_dir, DigestOf(dataset_fingerprint, vocab, options, max_length)));
  if (absl::IsDataLoss(found.status())) {
    return absl::NotFoundError(found.status().message());
  }
  return found;
}

absl::StatusOr<TokenizedDataset> TokenizedDataset::Open(
    const std::string& path) {
  TokenizedDataset opened;
  KODISTIL_ASSIGN_OR_RETURN(opened.file_, MappedFile::Open(path));
  opened.path_ = path;
  KODISTIL_RETURN_IF_ERROR(opened.Check());
  return opened;
}

// Checks the whole file and sets the pointers into it.
absl::Status TokenizedDataset::Check() {
  const absl::string_view bytes = file_.bytes();
  Header header;
  if (bytes.size() < sizeof(header) + kTrailerBytes) {
    return DataLoss(path_, absl::StrFormat("found %d bytes, expected a header "
                                           "of %d and a checksum",
                                           bytes.size(), sizeof(header)));
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(header.magic)) != 0) {
    return DataLoss(path_, "expected a token cache's first bytes at byte 0");
  }
  // Before the version, so that a damaged one is no newer one: every version
  // ends with its checksum.
  const size_t end = bytes.size() - kTrailerBytes;
  uint64_t checksum;
  std::memcpy(&checksum, &bytes[end], sizeof(checksum));
  if (checksum != Crc32c(bytes.substr(0, end))) {
    return DataLoss(path_, absl::StrFormat("expected the checksum of bytes 0 "
                                           "to %d at byte %d",
                                           end, end));
  }
  KODISTIL_RETURN_IF_ERROR(CheckFormatVersion(
      {"token cache", 1, kVersion, "or delete it: it is made again"}, path_,
      header.version));
  // Neither count can be above the file's size, so the layout cannot overflow.
  const bool counts_fit =
      header.rows < bytes.size() && header.tokens < bytes.size();
  const Layout layout = counts_fit ? Layout(header.rows, header.tokens)
                                   : Layout(/*rows=*/0, /*token_count=*/0);
  if (!counts_fit || layout.trailer != end) {
    return DataLoss(
        path_, absl::StrFormat("found %d bytes, expected those of %d rows and "
                               "%d tokens",
                               bytes.size(), header.rows, header.tokens));
  }
  row_count_ = static_cast<uint32_t>(header.rows);
  offsets_ = reinterpret_cast<const uint64_t*>(&bytes[layout.offsets]);
  labels_ = reinterpret_cast<const int16_t*>(&bytes[layout.labels]);
  splits_ = reinterpret_cast<const uint8_t*>(&bytes[layout.splits]);
  tokens_ = reinterpret_cast<const uint16_t*>(&bytes[layout.tokens]);
  return absl::OkStatus();
}

absl::Span<const uint16_t> TokenizedDataset::Tokens(uint32_t index) const {
  DCHECK_LT(index, row_count_);
  return {tokens_ + offsets_[index], offsets_[index + 1] - offsets_[index]};
}

int TokenizedDataset::Label(uint32_t index) const {
  DCHECK_LT(index, row_count_);
  return labels_[index];
}

Split TokenizedDataset::SplitOf(uint32_t index) const {
  DCHECK_LT(index, row_count_);
  return static_cast<Split>(splits_[index]);
}

}  // namespace kodistil
