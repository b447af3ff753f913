#include "corpus/mecab_splitter.h"

#include <glog/logging.h>
#include <mecab.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/unicode.h"

namespace kodistil {
namespace {

constexpr const char* kDictionaryFiles[] = {"dicrc", "sys.dic", "matrix.bin",
                                            "char.bin", "unk.dic"};

absl::Status CheckFiles(const std::string& dir) {
  for (const char* name : kDictionaryFiles) {
    const std::string path = JoinPath(dir, name);
    if (!FileExists(path)) {
      return absl::NotFoundError(absl::StrCat(
          path, " is not there: expected a folder of a MeCab dictionary"));
    }
  }
  return absl::OkStatus();
}

bool IsUtf8(absl::string_view charset) {
  return absl::EqualsIgnoreCase(charset, "utf-8") ||
         absl::EqualsIgnoreCase(charset, "utf8") ||
         absl::EqualsIgnoreCase(charset, "utf_8");
}

class MecabSplitter final : public PreTokenizer {
 public:
  MecabSplitter(std::unique_ptr<MeCab::Model> model,
                std::unique_ptr<MeCab::Tagger> tagger)
      : model_(std::move(model)), tagger_(std::move(tagger)) {}

  void Apply(std::vector<PreToken>* words) const override {
    // Model and Tagger are thread-safe, a lattice is not.
    const std::unique_ptr<MeCab::Lattice> lattice(model_->createLattice());
    std::vector<PreToken> out;
    for (const PreToken& word : *words) {
      size_t begin = 0;  // of what no white space is in
      for (size_t pos = 0; pos < word.text.size();) {
        const size_t start = pos;
        if (!IsWhiteSpace(NextCodePoint(word.text, &pos))) continue;
        AppendMorphemes(word, begin, start, lattice.get(), &out);
        begin = pos;
      }
      AppendMorphemes(word, begin, word.text.size(), lattice.get(), &out);
    }
    words->swap(out);
  }

 private:
  void AppendMorphemes(const PreToken& word, size_t begin, size_t end,
                       MeCab::Lattice* lattice,
                       std::vector<PreToken>* out) const {
    if (begin == end) return;
    const char* text = word.text.data() + begin;
    lattice->set_sentence(text, end - begin);
    if (!tagger_->parse(lattice)) {
      // Only for words too long for it (65,535 bytes).
      LOG_EVERY_N(WARNING, 1000) << "MeCab leaves a word of " << end - begin
                                 << " bytes as it is: " << lattice->what();
      out->push_back(
          {word.text.substr(begin, end - begin), word.at_start && begin == 0});
      return;
    }
    for (const MeCab::Node* node = lattice->bos_node(); node != nullptr;
         node = node->next) {
      if (node->length == 0) continue;  // the sentence's beginning and end
      const bool at_start = word.at_start && node->surface == word.text.data();
      out->push_back({std::string(node->surface, node->length), at_start});
    }
    lattice->clear();
  }

  const std::unique_ptr<MeCab::Model> model_;
  const std::unique_ptr<MeCab::Tagger> tagger_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PreTokenizer>> NewMecabSplitter(
    const std::string& dictionary_dir) {
  KODISTIL_RETURN_IF_ERROR(CheckFiles(dictionary_dir));
  // Without a resource file: the system's would name another dictionary.
  std::string program = "mecab", rc_flag = "-r", rc = "/dev/null";
  std::string dir_flag = "-d", dir = dictionary_dir;
  char* arguments[] = {program.data(), rc_flag.data(), rc.data(),
                       dir_flag.data(), dir.data()};
  std::unique_ptr<MeCab::Model> model(MeCab::Model::create(5, arguments));
  std::unique_ptr<MeCab::Tagger> tagger(
      model == nullptr ? nullptr : model->createTagger());
  if (tagger == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        dictionary_dir,
        ": MeCab cannot read the dictionary: ", MeCab::getLastError()));
  }
  for (const MeCab::DictionaryInfo* info = model->dictionary_info();
       info != nullptr; info = info->next) {
    if (!IsUtf8(info->charset)) {
      return absl::InvalidArgumentError(
          absl::StrCat(info->filename, ": the character set is ", info->charset,
                       ", expected UTF-8"));
    }
  }
  return std::unique_ptr<PreTokenizer>(
      std::make_unique<MecabSplitter>(std::move(model), std::move(tagger)));
}

absl::StatusOr<std::string> MecabDictionaryDigest(
    const std::string& dictionary_dir) {
  KODISTIL_RETURN_IF_ERROR(CheckFiles(dictionary_dir));
  Sha256 hash;
  for (const char* name : kDictionaryFiles) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string digest,
                              Sha256HexOfFile(JoinPath(dictionary_dir, name)));
    hash.UpdateField(digest);
  }
  return hash.FinishHex();
}

}  // namespace kodistil
