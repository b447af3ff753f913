#include "corpus/tokenizer_loader.h"

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "corpus/mecab_dictionary_for_test.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kTestData[] = "corpus/testdata/tokenizers";
constexpr char kVocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n영화\n##가\n가\nA\na\n재미있\n다\n";

// A folder that files are put into.
class Folder {
 public:
  Folder() : path_(NewTestDir()) {}

  Folder& Write(const std::string& name, const std::string& content) {
    EXPECT_OK(WriteFileAtomically(JoinPath(path_, name), content));
    return *this;
  }
  // A file of the test data under another name.
  Folder& Copy(const std::string& from, const std::string& name) {
    const auto bytes = ReadFile(JoinPath(kTestData, from));
    EXPECT_OK(bytes);
    return Write(name, *bytes);
  }

  absl::StatusOr<LoadedTokenizer> TryLoad(const std::string& mecab = "") const {
    return LoadTokenizer(path_, {mecab});
  }
  LoadedTokenizer Load(const std::string& mecab = "") const {
    auto loaded = TryLoad(mecab);
    EXPECT_OK(loaded);
    return loaded.ok() ? *std::move(loaded) : LoadedTokenizer();
  }
  std::vector<int32_t> Encode(const std::string& text) const {
    return Load().tokenizer->Encode(text, 0);
  }
  std::string Fingerprint(const std::string& mecab = "") const {
    Sha256 hash;
    Load(mecab).UpdateFingerprint(&hash);
    return hash.FinishHex();
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

constexpr char kConfig[] = "tokenizer_config.json";
constexpr char kCased[] = R"({"do_lower_case": false, "model_max_length": 9})";

TEST(TokenizerLoaderTest, AVocabularyAloneIsWordPiece) {
  Folder folder;
  folder.Write("vocab.txt", kVocab).Write(kConfig, kCased);
  const LoadedTokenizer loaded = folder.Load();
  EXPECT_THAT(loaded.tokenizer->Encode("영화가 A[MASK]", 0),
              ElementsAre(2, 5, 6, 8, 4, 3));
  EXPECT_EQ(loaded.model_max_length, 9);
  EXPECT_EQ(loaded.tokenizer->vocab_size(), 12);
  EXPECT_THAT(loaded.path, ::testing::EndsWith("/vocab.txt"));
}

// Teachers that were labelled with before must stay what they were.
TEST(TokenizerLoaderTest, APlainVocabularysFingerprintStays) {
  Folder folder;
  folder.Write("vocab.txt", kVocab).Write(kConfig, kCased);
  Sha256 hash;
  hash.UpdateField(kVocab);
  hash.UpdateUint64(0);  // lower_case
  hash.UpdateUint64(0);  // strip_accents follows it
  hash.UpdateUint64(1);  // tokenize_chinese_chars
  EXPECT_EQ(folder.Fingerprint(), hash.FinishHex());
}

TEST(TokenizerLoaderTest, FingerprintsFollowWhatDecidesIds) {
  Folder folder;
  folder.Copy("t5/tokenizer.json", "tokenizer.json");
  const std::string first = folder.Fingerprint();
  folder.Write(kConfig, R"({"model_max_length": 7, "chat_template": "x"})");
  EXPECT_EQ(folder.Fingerprint(), first);
  folder.Write(kConfig, R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_NE(folder.Fingerprint(), first);
  folder.Write(kConfig, "{}").Copy("mt5/tokenizer.json", "tokenizer.json");
  EXPECT_NE(folder.Fingerprint(), first);
  Folder model;
  model.Write("config.json", R"({"model_type": "t5"})")
      .Copy("models/t5.model", "spiece.model");
  EXPECT_NE(model.Fingerprint(), first);
}

TEST(TokenizerLoaderTest, TokenizerJsonComesFirst) {
  Folder folder;
  folder.Write("vocab.txt", kVocab)
      .Copy("gpt2/tokenizer.json", "tokenizer.json");
  EXPECT_THAT(folder.Load().path, ::testing::EndsWith("/tokenizer.json"));
}

TEST(TokenizerLoaderTest, KoBertsModelComesBeforeItsVocabulary) {
  Folder folder;
  folder.Copy("models/kobert.model", "tokenizer_78b3253a26.model");
  const int32_t unk = folder.Load().tokenizer->unk_id();
  folder.Write("vocab.txt", "[PAD]\n[CLS]\n[SEP]\n[MASK]\n[UNK]\n\u2581\n.\n");
  EXPECT_EQ(unk, 0);
  EXPECT_EQ(folder.Load().tokenizer->unk_id(), 4);
  EXPECT_THAT(folder.Encode(". [MASK]"), ElementsAre(1, 5, 6, 3, 2));
  folder.Write("vocab.txt", "");
  EXPECT_THAT(folder.TryLoad(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("vocab.txt: is empty")));
}

TEST(TokenizerLoaderTest, SpieceModelIsOfItsModelType) {
  const auto last = [](const char* model, const char* type) {
    Folder folder;
    folder.Copy(absl::StrCat("models/", model, ".model"), "spiece.model")
        .Write("config.json", absl::StrCat(R"({"model_type": ")", type, "\"}"));
    const LoadedTokenizer loaded = folder.Load();
    const std::vector<int32_t> ids = loaded.tokenizer->Encode("a", 0);
    const SpecialTokenIds& special = loaded.tokenizer->special_ids();
    return ids.back() == special.eos   ? "eos"
           : ids.back() == special.sep ? "sep"
                                       : "cls";
  };
  EXPECT_STREQ(last("t5", "t5"), "eos");
  EXPECT_STREQ(last("t5", "mt5"), "eos");
  EXPECT_STREQ(last("xlnet", "xlnet"), "cls");
  EXPECT_STREQ(last("kobert", "bert"), "sep");
  Folder folder;
  folder.Copy("models/t5.model", "spiece.model")
      .Write("config.json", R"({"model_type": "big_bird"})");
  EXPECT_THAT(folder.TryLoad(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("\"big_bird\"")));
}

// vocab.json and merges.txt of a tokenizer.json.
void WriteBpeFiles(const char* kind, Folder* folder) {
  const auto text =
      ReadFile(absl::StrCat(kTestData, "/", kind, "/tokenizer.json"));
  ASSERT_OK(text);
  const nlohmann::json file = nlohmann::json::parse(*text);
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : file["model"]["merges"]) {
    if (merge.is_string()) {
      absl::StrAppend(&merges, merge.get<std::string>(), "\n");
    } else {
      absl::StrAppend(&merges, merge[0].get<std::string>(), " ",
                      merge[1].get<std::string>(), "\n");
    }
  }
  folder->Write("vocab.json", file["model"]["vocab"].dump());
  folder->Write("merges.txt", merges);
  folder->Copy(absl::StrCat(kind, "/tokenizer_config.json"), kConfig);
}

TEST(TokenizerLoaderTest, Gpt2sFilesGiveTheIdsOfItsTokenizerJson) {
  for (const char* kind : {"gpt2", "roberta"}) {
    Folder files;
    WriteBpeFiles(kind, &files);
    Folder json;
    json.Copy(absl::StrCat(kind, "/tokenizer.json"), "tokenizer.json")
        .Copy(absl::StrCat(kind, "/tokenizer_config.json"), kConfig);
    const LoadedTokenizer one = files.Load(), other = json.Load();
    EXPECT_THAT(one.path, ::testing::EndsWith("/vocab.json"));
    for (const char* text :
         {"", "영화가 정말 재미있어요!", " a  b\n", "I'll <mask> go</s>",
          "<|endoftext|>a", "a <mask>", "\U0001f600"}) {
      EXPECT_EQ(one.tokenizer->Encode(text, 0),
                other.tokenizer->Encode(text, 0))
          << kind << " " << text;
      EXPECT_EQ(one.tokenizer->EncodePair(text, "영화", 9, nullptr),
                other.tokenizer->EncodePair(text, "영화", 9, nullptr));
    }
    EXPECT_EQ(one.tokenizer->vocab_size(), other.tokenizer->vocab_size());
    EXPECT_EQ(one.tokenizer->unk_id(), other.tokenizer->unk_id());
  }
}

TEST(TokenizerLoaderTest, BadBpeFilesAreNamed) {
  const auto fault = [](const char* vocab, const char* merges) {
    Folder folder;
    folder.Write(kConfig, R"({"tokenizer_class": "RobertaTokenizer"})")
        .Write("vocab.json", vocab)
        .Write("merges.txt", merges);
    return folder.TryLoad().status();
  };
  const auto invalid = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
  };
  constexpr char kGood[] = R"({"a": 0, "b": 1, "<s>": 2, "</s>": 3})";
  EXPECT_THAT(fault(kGood, "a b\n"), invalid("merges.txt:1: found \"a b\""));
  EXPECT_THAT(fault(kGood, "#version: 0.2\na b c\n"),
              invalid("merges.txt:2: found \"a b c\""));
  EXPECT_THAT(fault(kGood, "#version: 0.2\na b\n"),
              invalid("merges.txt: merge 0 is \"a b\""));
  EXPECT_THAT(fault(R"({"a": "b"})", "#version: 0.2\n"),
              invalid("vocab.json: /a is \"b\""));
  EXPECT_THAT(fault(R"({"a": 0})", "#version: 0.2\n"),
              invalid("no piece for cls_token \"<s>\""));
  EXPECT_THAT(fault("[", "#version: 0.2\n"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("vocab.json")));
}

TEST(TokenizerLoaderTest, AClassWantsItsFiles) {
  const auto fault = [](const char* name) {
    Folder folder;
    folder.Write("unrelated", "")
        .Write(kConfig, absl::StrCat(R"({"tokenizer_class": ")", name, "\"}"));
    return folder.TryLoad().status();
  };
  const auto not_found = [](const char* what) {
    return StatusIs(absl::StatusCode::kNotFound, HasSubstr(what));
  };
  EXPECT_THAT(fault("BertTokenizer"), not_found("tokenizer.json or vocab.txt"));
  EXPECT_THAT(fault("BartTokenizer"), not_found("vocab.json and merges.txt"));
  EXPECT_THAT(fault("T5TokenizerFast"), not_found("spiece.model"));
  EXPECT_THAT(fault("PreTrainedTokenizerFast"), not_found("nothing else"));
  EXPECT_THAT(Folder().Write("x", "").TryLoad(),
              not_found("expected one of tokenizer.json"));
  // Another family's files do not do.
  Folder folder;
  folder.Write("vocab.txt", kVocab)
      .Write(kConfig, R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_THAT(folder.TryLoad(), not_found("vocab.json"));
}

TEST(TokenizerLoaderTest, BertsSpecialTokensMayHaveOtherNames) {
  Folder folder;
  folder
      .Write("vocab.txt", "<pad>\n<unk>\n<s>\n</s>\na\n##b\n<x>\n영화\n[SEP]\n")
      .Write(kConfig,
             R"({"do_lower_case": false, "pad_token": "<pad>",
                 "unk_token": "<unk>", "cls_token": "<s>",
                 "sep_token": "</s>",
                 "added_tokens_decoder": {"6": {"content": "<x>"}}})");
  EXPECT_THAT(folder.Encode("ab<x>영화z [SEP]"),
              ElementsAre(2, 4, 5, 6, 1, 1, 1, 1, 3));
  EXPECT_THAT(folder.Encode("</s>영화"), ElementsAre(2, 3, 7, 3));
  folder.Write(kConfig, R"({"do_lower_case": false, "pad_token": "<p>"})");
  EXPECT_THAT(folder.TryLoad(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("unk_token is \"[UNK]\"")));
}

TEST(TokenizerLoaderTest, AddedTokensMayExtendAVocabulary) {
  Folder folder;
  folder.Write("vocab.txt", kVocab)
      .Write(kConfig, kCased)
      .Write("added_tokens.json", R"({"<new>": 12})");
  EXPECT_THAT(folder.Encode("A<new>A"), ElementsAre(2, 8, 12, 8, 3));
  EXPECT_EQ(folder.Load().tokenizer->vocab_size(), 13);
  folder.Write("added_tokens.json", R"({"A": 12})");
  EXPECT_THAT(folder.TryLoad(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the piece \"A\" has the id 8, expected 12")));
}

TEST(TokenizerLoaderTest, MecabSplitsWordsFirst) {
  ASSERT_OK_AND_ASSIGN(const std::string mecab, MakeMecabDictionary("utf-8"));
  Folder folder;
  folder.Write("vocab.txt", kVocab).Write(kConfig, kCased);
  const std::string text = "영화가 재미있다[MASK]";
  EXPECT_THAT(folder.Encode(text), ElementsAre(2, 5, 6, 1, 4, 3));
  const LoadedTokenizer loaded = folder.Load(mecab);
  EXPECT_THAT(loaded.tokenizer->Encode(text, 0),
              ElementsAre(2, 5, 7, 10, 11, 4, 3));
  EXPECT_NE(folder.Fingerprint(mecab), folder.Fingerprint());
  // In a tokenizer.json too.
  Folder json;
  json.Copy("bert_cased/tokenizer.json", "tokenizer.json")
      .Copy("bert_cased/tokenizer_config.json", kConfig);
  EXPECT_NE(json.Load(mecab).tokenizer->Encode("영화가", 0),
            json.Load().tokenizer->Encode("영화가", 0));
}

TEST(TokenizerLoaderTest, MecabIsForWordPieceAlone) {
  ASSERT_OK_AND_ASSIGN(const std::string mecab, MakeMecabDictionary("utf-8"));
  Folder spiece;
  spiece.Copy("models/t5.model", "spiece.model")
      .Write("config.json", R"({"model_type": "t5"})");
  EXPECT_THAT(spiece.TryLoad(mecab),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("spiece.model"), HasSubstr(mecab))));
  Folder json;
  json.Copy("gpt2/tokenizer.json", "tokenizer.json");
  EXPECT_THAT(json.TryLoad(mecab),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("/model/type is \"BPE\"")));
  Folder vocab;
  vocab.Write("vocab.txt", kVocab);
  EXPECT_THAT(
      vocab.TryLoad("/nonexistent"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/dicrc")));
}

TEST(TokenizerLoaderTest, HugeFilesAreRefused) {
  Folder folder;
  folder.Write("tokenizer.json", std::string((64 << 20) + 1, ' '));
  EXPECT_THAT(folder.TryLoad(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("67108865 bytes, expected at most 67108864")));
}

}  // namespace
}  // namespace kodistil
