#!/usr/bin/env bash
# What every program promises on its command line.
#   cli_contract_test.sh PROGRAM LABEL FLAG...
# PROGRAM is the binary, LABEL its name for `bazel run`, and the FLAGs are those
# that documents name.
set -uo pipefail

readonly program=$1 label=$2
shift 2
readonly flags=("$@")
readonly out=$TEST_TMPDIR/out err=$TEST_TMPDIR/err

failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# Runs the program away from a terminal; sets `code`.
run() {
  TERM=xterm timeout 60 "$program" "$@" </dev/null >"$out" 2>"$err"
  code=$?
  if grep -q $'\x1b' "$out" "$err"; then
    fail "$* writes terminal escapes into a file"
  fi
}

run --help
((code == 0)) || fail "--help exits $code, expected 0"
[[ -s $err ]] && fail "--help writes to stderr: $(cat "$err")"
grep -qF "Usage: bazel run $label --" "$out" ||
  fail "--help does not say: Usage: bazel run $label --"
examples=$(grep -cE "^  bazel run $label( |\$)" "$out")
((examples >= 2)) || fail "--help shows $examples examples, expected 2"
for flag in "${flags[@]}"; do
  grep -qE "^  --$flag \(default: .*\)\$" "$out" ||
    fail "--help does not name --$flag with its default"
done

run --version
((code == 0)) || fail "--version exits $code, expected 0"
grep -qE '^kodistil [0-9]+\.[0-9]+\.[0-9]+$' "$out" ||
  fail "--version prints '$(cat "$out")'"

# A letter too many at the end leaves the flag itself the nearest.
readonly wrong=${flags[0]}q
run "--$wrong=1"
((code == 2)) || fail "--$wrong exits $code, expected 2"
grep -qF "did you mean --${flags[0]}?" "$err" ||
  fail "--$wrong prints '$(cat "$err")', expected --${flags[0]} to be named"
[[ -s $out ]] && fail "--$wrong writes to stdout: $(cat "$out")"

run --log_format=xml
((code == 2)) || fail "--log_format=xml exits $code, expected 2"
grep -qF "found 'xml', expected text or json" "$err" ||
  fail "--log_format=xml prints '$(cat "$err")'"

# What is said on stderr is JSON too, line by line.
run --log_format=json "--$wrong=1"
((code == 2)) || fail "--log_format=json --$wrong exits $code, expected 2"
if grep -qvE '^\{"ts":"[^"]+","severity":"ERROR","service":.*\}$' "$err"; then
  fail "--log_format=json prints '$(cat "$err")'"
fi

((failures == 0)) || exit 1
echo "$label: ${#flags[@]} flags are there"
