#!/usr/bin/env bash
# Downloads published datasets into a folder for --data_dir, and checks each
# file against the git blob id under which it was published.
#   deploy/fetch_data.sh nsmc|naver_shopping|steam|all DIR
# What is there already stays; an interrupted download goes on where it was.
#   --base_url=URL   another server with the same paths (a mirror); also
#                    KODISTIL_DATA_URL
# Needs curl. Exits 0, 1 when a file could not be had, 2 for a usage error.
set -euo pipefail

readonly ATTEMPTS=5
base_url=${KODISTIL_DATA_URL:-https://raw.githubusercontent.com}

# dataset, path on the server, git blob id.
readonly FILES=(
  "nsmc e9t/nsmc/master/ratings_train.txt
    ac0dba272895dc1d0b3dd5f11afbeaeb7abe7876"
  "nsmc e9t/nsmc/master/ratings_test.txt
    b6cfcd8cd1557bcd9bf06617b0e429ed73e9a367"
  "naver_shopping bab2min/corpus/master/sentiment/naver_shopping.txt
    25afff322fd86ee54d7813acedafe4990d83b18c"
  "steam bab2min/corpus/master/sentiment/steam.txt
    358da9142ab212ed3018e5bf53d099a166a31395"
)

readonly NSMC_LICENCE="Naver sentiment movie corpus v1.0 (NSMC), by Lucy Park.
Source: https://github.com/e9t/nsmc
Licence: CC0 1.0 Universal, https://creativecommons.org/publicdomain/zero/1.0/
The author has dedicated the work to the public domain by waiving all rights to
it worldwide under copyright law, to the extent allowed by law."

readonly CORPUS_LICENCE="Source: https://github.com/bab2min/corpus (sentiment)
Licence: public domain, as the source's README says (\"Public Domain\")."

usage_error() {
  echo "error: $1" >&2
  sed -n '4s/^#  */usage: /p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

say() { echo "$*" >&2; }

# As `git hash-object`, which need not be installed.
blob_id() {
  { printf 'blob %d\0' "$(stat -c %s "$1")" && cat "$1"; } |
    sha1sum | cut -d' ' -f1
}

size_of() { if [[ -f $1 ]]; then stat -c %s "$1"; else echo 0; fi; }

# Tests serve files of their own from this machine; nobody else can have other
# ids believed.
expected_id() {
  local path=$1 id=$2 known
  if [[ -n ${KODISTIL_FETCH_TEST_IDS:-} &&
    $base_url == http://127.0.0.1:* ]]; then
    known=$(awk -v path="$path" '$1 == path { print $2 }' \
      "$KODISTIL_FETCH_TEST_IDS")
    id=${known:-$id}
  fi
  echo "$id"
}

download() {
  local url=$1 part=$2 quiet=(--silent --show-error)
  if [[ -t 2 ]]; then quiet=(--progress-bar); fi
  curl "${quiet[@]}" --fail --location --proto "=https,http" \
    --connect-timeout 20 --speed-limit 1 --speed-time 60 \
    --continue-at - --output "$part" "$url"
}

# One file, whole and right, or an error that says what was found.
fetch() {
  local url=$1 file=$2 id=$3
  local part=$file.part attempt code before found
  if [[ -e $file ]]; then
    found=$(blob_id "$file")
    if [[ $found == "$id" ]]; then
      say "$file: is there"
      return
    fi
    say "error: $file is another file than the published one: found git blob" \
      "id $found, expected $id; move it away to fetch the published one"
    return 1
  fi
  for ((attempt = 1; attempt <= ATTEMPTS; ++attempt)); do
    before=$(size_of "$part")
    if ((before > 0)); then
      # It was interrupted between its last byte and its name.
      if [[ $(blob_id "$part") == "$id" ]]; then break; fi
      say "$file: goes on after $before bytes"
    fi
    code=0
    download "$url" "$part" || code=$?
    found=$(size_of "$part")
    if ((code == 0)); then
      found=$(blob_id "$part")
      if [[ $found == "$id" ]]; then break; fi
      rm -f "$part"
      if ((before == 0)); then
        say "error: $url is not the published file: found git blob id $found," \
          "expected $id; nothing was kept"
        return 1
      fi
      say "$file: what was there was of another file; begins anew"
    elif ((code == 33 || (code == 22 && before > 0))); then
      # The server cannot or will not go on from there.
      rm -f "$part"
    elif ((code == 22 || code == 1 || code == 3)); then
      say "error: $url cannot be fetched (curl exits $code)"
      return 1
    else
      say "$file: broken off at $found bytes (curl exits $code)"
      sleep "${KODISTIL_FETCH_PAUSE:-2}"
    fi
  done
  if ((attempt > ATTEMPTS)); then
    say "error: $url: $ATTEMPTS attempts failed, $(size_of "$part") bytes are" \
      "kept in $part; run this again to go on"
    return 1
  fi
  mv "$part" "$file" || return
  say "$file: fetched and checked ($(size_of "$file") bytes)"
}

write_licence() {
  local text
  case $1 in
    nsmc) text=$NSMC_LICENCE ;;
    naver_shopping) text="Reviews of Naver Shopping with their ratings.
$CORPUS_LICENCE" ;;
    steam) text="Korean reviews of games on Steam.
$CORPUS_LICENCE" ;;
  esac
  printf '%s\n' "$text" >"$2/LICENCE.$1"
}

main() {
  local arguments=() argument
  for argument in "$@"; do
    case $argument in
      --base_url=*) base_url=${argument#--base_url=} ;;
      --help | -h)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      -*) usage_error "unknown flag $argument" ;;
      *) arguments+=("$argument") ;;
    esac
  done
  ((${#arguments[@]} == 2)) ||
    usage_error "expected a dataset and a folder, found ${#arguments[@]} words"
  local wanted=${arguments[0]} folder=${arguments[1]}
  case $wanted in
    nsmc | naver_shopping | steam | all) ;;
    *) usage_error "unknown dataset '$wanted'" ;;
  esac
  base_url=${base_url%/}
  command -v curl >/dev/null || {
    say "error: curl was not found; sudo deploy/install.sh installs it"
    exit 1
  }
  mkdir -p "$folder"
  local entry dataset path id failures=0
  for entry in "${FILES[@]}"; do
    read -r dataset path id <<<"${entry//$'\n'/ }"
    [[ $wanted == all || $wanted == "$dataset" ]] || continue
    if fetch "$base_url/$path" "$folder/${path##*/}" \
      "$(expected_id "$path" "$id")"; then
      write_licence "$dataset" "$folder"
    else
      failures=$((failures + 1))
    fi
  done
  ((failures == 0)) || exit 1
  say "next: --dataset=NAME --data_dir=$folder"
}

main "$@"
