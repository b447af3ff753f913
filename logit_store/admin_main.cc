// Takes care of a logit store's files.

#include <cstdint>
#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "base/command_line.h"
#include "logit_store/admin.h"

ABSL_FLAG(std::string, store, "work/logit_store", "folder of the store");
ABSL_FLAG(std::string, backup, "",
          "add a backup to this folder; also while a server runs");
ABSL_FLAG(std::string, restore, "",
          "make the store what it was at a backup in this folder; the store of "
          "before stays beside it");
ABSL_FLAG(std::string, list, "", "show and check the backups in this folder");
ABSL_FLAG(std::string, checkpoint, "",
          "make this new folder a store like this one; also while a server "
          "runs");
ABSL_FLAG(bool, verify, false,
          "read and check everything; exit code 1 when something is damaged");
ABSL_FLAG(bool, compact, false, "give back the space of replaced rows");
ABSL_FLAG(bool, salvage, false,
          "make a damaged store open again; what cannot be read is missing "
          "afterwards; the store of before stays beside it");
ABSL_FLAG(uint32_t, backup_id, kodistil::AdminOptions().backup_id,
          "which backup to restore; 0 is the newest");
ABSL_FLAG(uint32_t, keep, kodistil::AdminOptions().keep,
          "with --backup: how many backups stay; 0 for all");

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(
      argc, argv,
      {"bazel run //logit_store:admin --",
       "Backs up, restores, copies, checks, compacts and salvages a logit "
       "store.",
       {"bazel run //logit_store:admin -- --store=work/logit_store "
        "--backup=backups --keep=7",
        "bazel run //logit_store:admin -- --store=work/logit_store "
        "--restore=backups",
        "bazel run //logit_store:admin -- --store=work/logit_store "
        "--verify"}});
  kodistil::AdminOptions options;
  options.store = absl::GetFlag(FLAGS_store);
  options.backup = absl::GetFlag(FLAGS_backup);
  options.restore = absl::GetFlag(FLAGS_restore);
  options.list = absl::GetFlag(FLAGS_list);
  options.checkpoint = absl::GetFlag(FLAGS_checkpoint);
  options.verify = absl::GetFlag(FLAGS_verify);
  options.compact = absl::GetFlag(FLAGS_compact);
  options.salvage = absl::GetFlag(FLAGS_salvage);
  options.backup_id = absl::GetFlag(FLAGS_backup_id);
  options.keep = absl::GetFlag(FLAGS_keep);
  return kodistil::ExitCodeOf(kodistil::RunAdmin(options, &std::cout));
}
