#!/usr/bin/env bash
# Remedies of docs/operations.md that no other test tries, as an operator takes
# them: each function breaks a store that holds labels, expects to see what the
# guide says, does what it says is to be done, and expects every row to be
# there. The programs are those of the runfiles.
set -euo pipefail

readonly rows=20000
scratch=$(mktemp -d -p "${TEST_TMPDIR:-${TMPDIR:-/tmp}}")
server=''

leave() {
  stop_store
  rm -rf "$scratch"
}
trap leave EXIT

fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$scratch"/*.log >&2
  exit 1
}

# expect FILE PATTERN
expect() {
  grep -qE "$2" "$scratch/$1" || fail "$1 does not say '$2'"
}

# On its folder of now; false when it has ended instead of serving.
start_store() {
  rm -f "$scratch/port"
  logit_store/logit_store --db_path="$scratch/store" --port=0 \
    --port_file="$scratch/port" >"$scratch/store.log" 2>&1 &
  server=$!
  until [[ -s $scratch/port ]]; do
    if ! kill -0 "$server" 2>/dev/null; then
      server=''
      return 1
    fi
    sleep 0.05
  done
}

stop_store() {
  [[ -n $server ]] || return 0
  kill "$server"
  wait "$server" || fail "the store ended with $?"
  server=''
}

# label NUMBER: the sweep labels as many rows, and all is sound then.
label() {
  local server_flag
  start_store || fail "the store does not start"
  server_flag=127.0.0.1:$(<"$scratch/port")
  coordinator/coordinator --label_only --work_dir="$scratch/work" \
    --dataset=sample --sample_rows=$rows --logit_store="$server_flag" \
    >"$scratch/sweep.log" 2>&1 || fail "the coordinator ended with $?"
  sed -i 's/,//g' "$scratch/sweep.log" # 20,000 rows are 20000
  if (($1 == 0)); then
    expect sweep.log "^labels: all $rows rows are in the store"
  else
    expect sweep.log "^labels: $1 rows in"
  fi
  query --server="$server_flag" --missing
  expect query.log '^none missing'
  query --server="$server_flag" --verify
  expect query.log " $rows records checked, 0 corrupt"
  stop_store
}

query_fails() {
  if logit_store/query "$@" >"$scratch/query.log" 2>&1; then
    fail "query $* found nothing"
  fi
}

query() {
  logit_store/query "$@" >"$scratch/query.log" 2>&1 ||
    fail "query $* ended with $?"
}

# A store of now with every row, in table files ("tables") or in its log.
filled_store() {
  rm -rf "$scratch"/store*
  cp -r "$scratch/$1" "$scratch/store"
}

admin() {
  logit_store/admin --store="$scratch/store" "$@" >"$scratch/admin.log" 2>&1
}

# The only file of the store that matches.
file_of_store() {
  local -a files
  mapfile -t files < <(find "$scratch/store" -name "$1")
  ((${#files[@]} == 1)) || fail "expected one $1, found ${files[*]}"
  echo "${files[0]}"
}

# damage FILE PERCENT: changes the byte so far into the file.
damage() {
  local at byte
  at=$(($(stat -c %s "$1") * $2 / 100))
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\x$(printf %x $((byte ^ 255)))" |
    dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# refused PATTERN: the store does not start, and says so.
refused() {
  if start_store; then fail "the damaged store has started"; fi
  expect store.log "$1"
}

salvage() { admin --salvage || fail "admin --salvage ended with $?"; }

# Logits are gone: the sweep labels as many rows as --salvage says.
damaged_log() {
  local missing
  filled_store log
  damage "$(file_of_store '*.log')" 90
  refused 'error: logit store .*: Corruption'
  salvage
  missing=$(sed -nE 's/.* ([0-9]+) rows missing$/\1/p' "$scratch/admin.log")
  ((missing > 0 && missing < rows)) || fail "'$missing' rows are missing"
  label "$missing"
}

# Texts or their hashes are gone: the sweep registers them, and labels nothing.
damaged_texts() {
  local percent
  for percent in 10 50; do
    filled_store log
    damage "$(file_of_store '*.log')" $percent
    refused 'error: logit store .*: Corruption'
    salvage
    expect admin.log '^sample: some of its texts are gone'
    label 0
  done
}

damaged_manifest() {
  filled_store tables
  damage "$(file_of_store 'MANIFEST-*')" 50
  refused 'Corruption.* MANIFEST|Corruption.*/MANIFEST'
  salvage
  label 0
  filled_store tables
  rm "$(file_of_store 'MANIFEST-*')"
  refused 'No such file.*/MANIFEST'
  salvage
  label 0
}

missing_current() {
  filled_store tables
  rm "$(file_of_store CURRENT)"
  refused 'has .*\.sst but no file CURRENT'
  salvage
  label 0
}

# The only table: the sweep labels everything.
missing_table() {
  filled_store tables
  rm "$(file_of_store '*.sst')"
  refused 'Corruption.*No such file'
  salvage
  label $rows
}

# Its first block holds the format's record.
damaged_table() {
  filled_store tables
  damage "$(file_of_store '*.sst')" 0
  refused 'format record: Corruption.*\.sst'
  salvage
  label $rows
}

# Further in it holds logits: the store starts, and who reads them is told.
damaged_block() {
  local percent
  for percent in 20 50; do
    filled_store tables
    damage "$(file_of_store '*.sst')" $percent
    start_store || fail "the store does not start"
    query_fails --server="127.0.0.1:$(<"$scratch/port")" --verify
    expect query.log 'block checksum mismatch|corrupt rows'
    stop_store
    if admin --verify; then fail "admin --verify found nothing"; fi
    salvage
    expect admin.log '\.sst is left out: Corruption'
    label $rows
  done
}

folder_is_gone() {
  rm -rf "$scratch/store"
  label $rows
}

label $rows
cp -r "$scratch/store" "$scratch/log"
admin --compact || fail "admin --compact ended with $?"
cp -r "$scratch/store" "$scratch/tables"
for case in damaged_log damaged_texts damaged_manifest missing_current \
  missing_table damaged_table damaged_block folder_is_gone; do
  "$case"
  echo "$case: seen, mended, and all $rows rows are there"
done
