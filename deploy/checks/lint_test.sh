#!/usr/bin/env bash
# Runs shellcheck and yamllint on all of deploy/, and on what they must refuse.
set -uo pipefail

failures=0
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# Whatever is a script of a shell, by its name or its first line.
scripts() {
  find -L deploy -type f | sort | while read -r file; do
    if [[ $file == *.sh ]] || head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b'
    then
      echo "$file"
    fi
  done
}

for program in shellcheck yamllint; do
  command -v "$program" >/dev/null ||
    fail "$program was not found; sudo deploy/install.sh installs it"
done

mapfile -t files < <(scripts)
((${#files[@]} > 3)) || fail "found ${#files[@]} scripts: ${files[*]}"
shellcheck -f gcc "${files[@]}" || fail "shellcheck"
yamllint -c deploy/.yamllint --strict -f parsable deploy || fail "yamllint"
manifests=$(find -L deploy -name '*.yaml' | wc -l)
((manifests > 30)) || fail "found $manifests YAML files"

# shellcheck disable=SC2016
printf '#!/bin/sh\nrm $1\n' >"$TEST_TMPDIR/planted.sh"
! shellcheck "$TEST_TMPDIR/planted.sh" >/dev/null ||
  fail "shellcheck likes a variable without quotes"
printf 'a: 1\na: 2\n' >"$TEST_TMPDIR/planted.yaml"
! yamllint -c deploy/.yamllint --strict "$TEST_TMPDIR/planted.yaml" \
  >/dev/null || fail "yamllint likes a key twice"

((failures == 0)) && echo "${#files[@]} scripts, $manifests YAML files"
exit $((failures > 0))
