#include "corpus/mecab_dictionary_for_test.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/testing.h"

namespace kodistil {

absl::StatusOr<std::string> MakeMecabDictionary(const std::string& charset) {
  const std::string dir = NewTestDir();
  const std::pair<const char*, std::string> files[] = {
      {"dicrc",
       "cost-factor = 800\nbos-feature = BOS/EOS\neval-size = 1\n"
       "unk-eval-size = 1\nconfig-charset = UTF-8\n"},
      {"char.def",
       "DEFAULT 0 1 0\nSPACE 0 1 0\nALPHA 1 1 0\n"
       "0x0020 SPACE\n0x0061..0x007A ALPHA\n"},
      {"unk.def",
       "DEFAULT,0,0,9000,UNK\nSPACE,0,0,9000,UNK\n"
       "ALPHA,0,0,9000,UNK\n"},
      {"matrix.def", "1 1\n0 0 0\n"},
      {"words.csv",
       "영화,0,0,100,NNG\n가,0,0,100,JKS\n재미있,0,0,100,VA\n"
       "다,0,0,100,EF\n"},
      {"left-id.def", "0 BOS/EOS\n"},
      {"right-id.def", "0 BOS/EOS\n"}};
  for (const auto& [name, content] : files) {
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(JoinPath(dir, name), content));
  }
  const std::string log = JoinPath(dir, "log");
  const std::string command =
      absl::StrCat("/usr/lib/mecab/mecab-dict-index -d '", dir, "' -o '", dir,
                   "' -f utf-8 -t ", charset, " > '", log, "' 2>&1");
  if (std::system(command.c_str()) != 0 ||
      !FileExists(JoinPath(dir, "sys.dic"))) {
    const absl::StatusOr<std::string> text = ReadFile(log);
    return absl::InternalError(
        absl::StrCat("mecab-dict-index (Debian's mecab-utils) failed: ",
                     text.ok() ? *text : ""));
  }
  return dir;
}

}  // namespace kodistil
