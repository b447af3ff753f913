#include "corpus/sentencepiece_model.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "corpus/charsmap.h"
#include "corpus/utf8.h"

namespace kodistil {
namespace {

constexpr size_t kMostPieces = 1 << 22;
constexpr size_t kLongestPiece = 1000;  // bytes

// Wire types (protobuf's encoding guide).
enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t number = 0;
  int wire_type = kVarint;
  uint64_t number_value = 0;  // of a varint or fixed32
  absl::string_view bytes;
  size_t offset = 0;  // of the field in the message
};

// The fields of a message in order.
class WireReader {
 public:
  explicit WireReader(absl::string_view message) : message_(message) {}

  // False at the end, and with `*damaged` where the message is.
  bool Next(Field* field, bool* damaged) {
    field->offset = pos_;
    uint64_t tag = 0;
    if (pos_ == message_.size()) return false;
    *damaged = !Varint(&tag);
    field->number = tag >> 3;
    field->wire_type = static_cast<int>(tag & 7);
    if (*damaged || field->number == 0) {
      *damaged = true;
      return false;
    }
    *damaged = !Value(field);
    return !*damaged;
  }

 private:
  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 70 && pos_ < message_.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(message_[pos_++]);
      if (shift == 63 && byte > 1) return false;
      *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool Take(uint64_t size, absl::string_view* bytes) {
    if (size > message_.size() - pos_) return false;
    *bytes = message_.substr(pos_, size);
    pos_ += size;
    return true;
  }

  bool Value(Field* field) {
    uint32_t word = 0;
    switch (field->wire_type) {
      case kVarint:
        return Varint(&field->number_value);
      case kFixed64:
        return Take(8, &field->bytes);
      case kBytes:
        return Varint(&field->number_value) &&
               Take(field->number_value, &field->bytes);
      case kFixed32:
        if (!Take(4, &field->bytes)) return false;
        std::memcpy(&word, field->bytes.data(), sizeof(word));
        field->number_value = word;
        return true;
      default:
        return false;
    }
  }

  const absl::string_view message_;
  size_t pos_ = 0;
};

// Calls `read(field)` for each field of a message; false when it is damaged, or
// when `read` is not content with a field's wire type.
template <typename Read>
bool ReadMessage(absl::string_view message, size_t* offset, Read read) {
  WireReader reader(message);
  Field field;
  bool damaged = false;
  while (reader.Next(&field, &damaged)) {
    *offset = field.offset;
    if (!read(field)) return false;
  }
  *offset = field.offset;
  return !damaged;
}

bool ReadString(const Field& field, std::string* value) {
  *value = std::string(field.bytes);
  return field.wire_type == kBytes;
}

bool ReadNumber(const Field& field, uint64_t* value) {
  *value = field.number_value;
  return field.wire_type == kVarint;
}

bool ReadBool(const Field& field, bool* value) {
  *value = field.number_value != 0;
  return field.wire_type == kVarint;
}

bool ReadPiece(absl::string_view message, SentencePieceModel::Piece* piece) {
  size_t offset = 0;
  return ReadMessage(message, &offset, [piece](const Field& field) {
    const auto bits = static_cast<uint32_t>(field.number_value);
    switch (field.number) {
      case 1:
        return ReadString(field, &piece->text);
      case 2:
        std::memcpy(&piece->score, &bits, sizeof(bits));
        return field.wire_type == kFixed32;
      case 3:
        return ReadNumber(field, &piece->type);
      default:
        return true;
    }
  });
}

bool ReadTrainerSpec(absl::string_view message, SentencePieceModel* model) {
  size_t offset = 0;
  return ReadMessage(message, &offset, [model](const Field& field) {
    switch (field.number) {
      case 3:
        return ReadNumber(field, &model->model_type);
      case 24:
        return ReadBool(field, &model->treat_whitespace_as_suffix);
      case 35:
        return ReadBool(field, &model->byte_fallback);
      default:
        return true;
    }
  });
}

bool ReadNormalizerSpec(absl::string_view message, SentencePieceModel* model) {
  size_t offset = 0;
  return ReadMessage(message, &offset, [model](const Field& field) {
    switch (field.number) {
      case 2:
        return ReadString(field, &model->precompiled_charsmap);
      case 3:
        return ReadBool(field, &model->add_dummy_prefix);
      case 4:
        return ReadBool(field, &model->remove_extra_whitespaces);
      case 5:
        return ReadBool(field, &model->escape_whitespaces);
      default:
        return true;
    }
  });
}

bool ReadField(const Field& field, SentencePieceModel* model) {
  switch (field.number) {
    case 1:
      model->pieces.emplace_back();
      return field.wire_type == kBytes && model->pieces.size() <= kMostPieces &&
             ReadPiece(field.bytes, &model->pieces.back());
    case 2:
      return field.wire_type == kBytes && ReadTrainerSpec(field.bytes, model);
    case 3:
      return field.wire_type == kBytes &&
             ReadNormalizerSpec(field.bytes, model);
    default:
      return true;
  }
}

// Pieces that text can become have one table of names, the others another.
bool IsOrdinary(uint64_t type) {
  return type == SentencePieceModel::kNormal ||
         type == SentencePieceModel::kUserDefined ||
         type == SentencePieceModel::kUnused;
}

// "" or what is wrong with a piece.
std::string FaultOf(const SentencePieceModel::Piece& piece) {
  if (piece.text.empty() || piece.text.size() > kLongestPiece) {
    return absl::StrCat("of ", piece.text.size(), " bytes, expected 1 to ",
                        kLongestPiece);
  }
  if (WellFormedUtf8Prefix(piece.text) < piece.text.size() ||
      piece.text.find('\0') != std::string::npos) {
    return "that is not UTF-8 without zero bytes";
  }
  if (!std::isfinite(piece.score)) return "with a score that is not finite";
  if (piece.type < SentencePieceModel::kNormal ||
      piece.type > SentencePieceModel::kByte) {
    return absl::StrCat("of type ", piece.type, ", expected 1 to 6");
  }
  return "";
}

absl::Status CheckPieces(const SentencePieceModel& model,
                         const std::string& source) {
  absl::flat_hash_set<std::pair<bool, absl::string_view>> seen;
  absl::flat_hash_set<std::string> bytes;
  int unknown = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    std::string fault = FaultOf(piece);
    if (fault.empty() &&
        !seen.insert({IsOrdinary(piece.type), piece.text}).second) {
      fault = absl::StrCat("\"", piece.text, "\" that is there twice");
    }
    if (!fault.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": found a piece ", id, " ", fault));
    }
    if (piece.type == SentencePieceModel::kUnknown) ++unknown;
    if (piece.type == SentencePieceModel::kByte) bytes.insert(piece.text);
  }
  size_t expected_bytes = 0;
  for (int byte = 0; model.byte_fallback && byte < 256; ++byte) {
    expected_bytes += bytes.contains(absl::StrFormat("<0x%02X>", byte));
  }
  if (unknown != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": found ", unknown, " unknown pieces, expected one"));
  }
  if (expected_bytes != (model.byte_fallback ? 256 : 0) ||
      bytes.size() != expected_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": found ", bytes.size(), " pieces for bytes, expected ",
        model.byte_fallback ? "<0x00> to <0xFF>" : "none"));
  }
  return absl::OkStatus();
}

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) {
    out->push_back(static_cast<char>(value | 0x80));
  }
  out->push_back(static_cast<char>(value));
}

void AppendNumber(int field, uint64_t value, std::string* out) {
  AppendVarint(field << 3 | kVarint, out);
  AppendVarint(value, out);
}

void AppendBytes(int field, absl::string_view value, std::string* out) {
  AppendVarint(field << 3 | kBytes, out);
  AppendVarint(value.size(), out);
  absl::StrAppend(out, value);
}

}  // namespace

absl::StatusOr<SentencePieceModel> SentencePieceModel::Parse(
    absl::string_view bytes, const std::string& source) {
  SentencePieceModel model;
  size_t offset = 0;
  if (!ReadMessage(bytes, &offset, [&model](const Field& field) {
        return ReadField(field, &model);
      })) {
    return absl::DataLossError(
        absl::StrCat(source, ": the field at byte ", offset,
                     " is damaged, expected a SentencePiece model"));
  }
  if (model.model_type < 1 || model.model_type > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": model_type is ", model.model_type,
                     ", expected 1 (unigram) to 4 (character)"));
  }
  KODISTIL_RETURN_IF_ERROR(CheckPieces(model, source));
  if (!model.precompiled_charsmap.empty()) {
    KODISTIL_RETURN_IF_ERROR(
        Charsmap::Parse(model.precompiled_charsmap, source).status());
  }
  return model;
}

std::string SentencePieceModel::Serialize() const {
  std::string out;
  for (const Piece& piece : pieces) {
    std::string message;
    AppendBytes(1, piece.text, &message);
    AppendVarint(2 << 3 | kFixed32, &message);
    message.append(reinterpret_cast<const char*>(&piece.score),
                   sizeof(piece.score));
    AppendNumber(3, piece.type, &message);
    AppendBytes(1, message, &out);
  }
  std::string trainer;
  AppendNumber(3, model_type, &trainer);
  AppendNumber(24, treat_whitespace_as_suffix, &trainer);
  AppendNumber(35, byte_fallback, &trainer);
  AppendBytes(2, trainer, &out);
  std::string normalizer;
  AppendBytes(2, precompiled_charsmap, &normalizer);
  AppendNumber(3, add_dummy_prefix, &normalizer);
  AppendNumber(4, remove_extra_whitespaces, &normalizer);
  AppendNumber(5, escape_whitespaces, &normalizer);
  AppendBytes(3, normalizer, &out);
  return out;
}

PieceIds SentencePieceModel::Ids() const {
  PieceIds ids;
  // A name that both tables have is the second's: those are asked first.
  for (const bool ordinary : {true, false}) {
    for (size_t id = 0; id < pieces.size(); ++id) {
      if (IsOrdinary(pieces[id].type) == ordinary) {
        ids[pieces[id].text] = static_cast<int32_t>(id);
      }
    }
  }
  return ids;
}

int32_t SentencePieceModel::unk_id() const {
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].type == kUnknown) return static_cast<int32_t>(id);
  }
  return -1;
}

}  // namespace kodistil
