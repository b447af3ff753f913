#!/usr/bin/env bash
# Runs deploy/fetch_data.sh against a server of this machine that serves files
# of the test, whole, cut off, changed.
#   fetch_data_test.sh FETCH_DATA RANGE_SERVER
set -uo pipefail

readonly fetch=$PWD/$1 server=$PWD/$2
readonly root=$TEST_TMPDIR/root
readonly train=e9t/nsmc/master/ratings_train.txt
readonly test=e9t/nsmc/master/ratings_test.txt
readonly steam=bab2min/corpus/master/sentiment/steam.txt
readonly shopping=bab2min/corpus/master/sentiment/naver_shopping.txt
export KODISTIL_FETCH_PAUSE=0 no_proxy='*'
export KODISTIL_FETCH_TEST_IDS=$TEST_TMPDIR/ids

failures=0
fail() {
  echo "FAILED ($step): $*"
  failures=$((failures + 1))
}

blob_id() {
  { printf 'blob %d\0' "$(stat -c %s "$1")" && cat "$1"; } |
    sha1sum | cut -d' ' -f1
}

# Publishes a file of `lines` lines, of which the script is told.
publish() {
  local path=$1 lines=$2
  mkdir -p "$root/$(dirname "$path")"
  seq 1 "$lines" >"$root/$path"
  echo "$path $(blob_id "$root/$path")" >>"$KODISTIL_FETCH_TEST_IDS"
}

# Runs the script; sets `code` and `out`.
run() {
  out=$("$fetch" "$@" 2>&1)
  code=$?
}

expect_code() { ((code == $1)) || fail "exit $code, expected $1: $out"; }
expect_text() { [[ $out == *"$1"* ]] || fail "'$out' does not say '$1'"; }
expect_same() { cmp -s "$1" "$2" || fail "$1 is not $2"; }
expect_absent() { [[ ! -e $1 ]] || fail "$1 is there"; }
requests() { grep -c "^/$1 " "$TEST_TMPDIR/log"; }

for path in "$train" "$test" "$shopping" "$steam"; do
  publish "$path" 20000
done
python3 "$server" "$root" "$TEST_TMPDIR/port" "$TEST_TMPDIR/log" &
server_pid=$!
trap 'kill "$server_pid"' EXIT
until [[ -s $TEST_TMPDIR/port ]]; do
  kill -0 "$server_pid" || exit 1
  read -rt 0.02 <> <(:) || true
done
base=http://127.0.0.1:$(cat "$TEST_TMPDIR/port")
export KODISTIL_DATA_URL=$base

step="good files"
data=$TEST_TMPDIR/good
run nsmc "$data"
expect_code 0
expect_same "$data/ratings_train.txt" "$root/$train"
expect_same "$data/ratings_test.txt" "$root/$test"
expect_absent "$data/steam.txt"
grep -q "CC0 1.0" "$data/LICENCE.nsmc" || fail "no licence"
expect_text "--data_dir=$data"
run nsmc "$data"
expect_code 0
expect_text "is there"
[[ $(requests "$train") == 1 ]] || fail "fetched again what was there"

step="all"
run all "$data"
expect_code 0
expect_same "$data/naver_shopping.txt" "$root/$shopping"
expect_same "$data/steam.txt" "$root/$steam"
grep -q "public domain" "$data/LICENCE.steam" || fail "no licence"

step="ids of the published files without the test's"
KODISTIL_FETCH_TEST_IDS='' run steam "$TEST_TMPDIR/published"
expect_code 1
expect_text "expected 358da9142ab212ed3018e5bf53d099a166a31395"

step="changed file"
data=$TEST_TMPDIR/changed
cp "$root/$steam" "$TEST_TMPDIR/steam.right"
sed -i '100s/.*/altered/' "$root/$steam"
run steam "$data"
expect_code 1
expect_text "is not the published file"
expect_text "expected $(blob_id "$TEST_TMPDIR/steam.right")"
expect_text "found git blob id $(blob_id "$root/$steam")"
expect_absent "$data/steam.txt"
expect_absent "$data/steam.txt.part"
expect_absent "$data/LICENCE.steam"
cp "$TEST_TMPDIR/steam.right" "$root/$steam"

step="truncated file"
data=$TEST_TMPDIR/truncated
echo 1000 >"$root/$steam.cut"
run steam "$data"
expect_code 1
expect_text "broken off at 1000 bytes"
expect_text "5000 bytes are kept in $data/steam.txt.part"
expect_absent "$data/steam.txt"

step="resumed file"
rm "$root/$steam.cut"
: >"$TEST_TMPDIR/log"
run steam "$data"
expect_code 0
expect_text "goes on after 5000 bytes"
grep -qxF "/$steam bytes=5000-" "$TEST_TMPDIR/log" || fail "no range was asked"
[[ $(requests "$steam") == 1 ]] || fail "more than one request"
expect_same "$data/steam.txt" "$root/$steam"
expect_absent "$data/steam.txt.part"

step="the same part when the file is of other bytes"
data=$TEST_TMPDIR/other
mkdir -p "$data"
printf 'x%.0s' {1..500} >"$data/steam.txt.part"
run steam "$data"
expect_code 0
expect_text "begins anew"
expect_same "$data/steam.txt" "$root/$steam"

step="a part that is whole"
data=$TEST_TMPDIR/whole
mkdir -p "$data"
cp "$root/$steam" "$data/steam.txt.part"
: >"$TEST_TMPDIR/log"
run steam "$data"
expect_code 0
expect_same "$data/steam.txt" "$root/$steam"
[[ $(requests "$steam") == 0 ]] || fail "a whole part was fetched again"

step="a part that is longer than the file"
data=$TEST_TMPDIR/long
mkdir -p "$data"
cat "$root/$steam" "$root/$steam" >"$data/steam.txt.part"
run steam "$data"
expect_code 0
expect_same "$data/steam.txt" "$root/$steam"

step="a server without ranges"
data=$TEST_TMPDIR/plain
mkdir -p "$data"
head -c 700 "$root/$steam" >"$data/steam.txt.part"
: >"$root/$steam.plain"
run steam "$data"
expect_code 0
expect_same "$data/steam.txt" "$root/$steam"
rm "$root/$steam.plain"

step="another file of that name"
data=$TEST_TMPDIR/occupied
mkdir -p "$data"
echo mine >"$data/steam.txt"
run steam "$data"
expect_code 1
expect_text "is another file than the published one"
[[ $(cat "$data/steam.txt") == mine ]] || fail "the user's file was replaced"

step="one of two is missing"
data=$TEST_TMPDIR/missing
mv "$root/$test" "$root/$test.away"
run nsmc "$data"
expect_code 1
expect_text "$base/$test cannot be fetched"
expect_same "$data/ratings_train.txt" "$root/$train"
mv "$root/$test.away" "$root/$test"

step="usage"
run nsmc
expect_code 2
expect_text "nsmc|naver_shopping|steam|all DIR"
run imdb "$data"
expect_code 2
expect_text "unknown dataset 'imdb'"
run --help
expect_code 0
expect_text "--base_url"

((failures == 0)) || exit 1
echo "fetch_data.sh: good, changed, truncated and resumed files"
