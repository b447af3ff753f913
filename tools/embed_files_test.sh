#!/usr/bin/env bash
# What tools/embed_files.py refuses, and that the bytes survive.
#   embed_files_test.sh EMBED_FILES
set -uo pipefail
embed=$TEST_SRCDIR/kodistil/$1
cd "$TEST_TMPDIR" || exit 1
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# Embeds page/index.html and page/$1, with the options that follow, and leaves
# what was said in `said`.
embeds() {
  local name=$1
  shift
  rm -f out.h out.cc
  said=$("$embed" --include out.h --header out.h --source out.cc "$@" \
    "kPage=page/index.html,page/$name" 2>&1)
}

# write NAME CONTENT: a page with that file in it.
write() {
  rm -rf page && mkdir page
  printf '<!doctype html>\n<p>fine</p>\n' >page/index.html
  printf '%s\n' "$2" >"page/$1"
}

# refuses NAME CONTENT WHAT: that is refused, in words that name the file, the
# line and the finding.
refuses() {
  write "$1" "$2"
  if embeds "$1"; then fail "took $1 with: $2"; return; fi
  [[ $said == "page/$1:"*"$3"* ]] || fail "said of $1: $said; expected $3"
  [[ ! -e out.cc && ! -e out.h ]] || fail "wrote although it refused $1"
}

takes() {
  write "$1" "$2"
  embeds "$1" || fail "refused $1 with: $2: $said"
}

refuses a.js 'e.innerHTML = text;' '1: found'
refuses a.js $'let a;\ne.insertAdjacentHTML("x", y);' '2: found'
refuses a.js 'eval (text)' 'code made from a string'
refuses a.js 'setTimeout("go()", 1)' 'code made from a string'
refuses a.js 'fetch("https://example.org/")' 'another place'
refuses a.js 'import("//example.org/x.js")' 'another place'
refuses b.html '<script>go()</script>' 'a script inside'
refuses b.html '<script>{{SCRIPT}} go()</script>' 'a script inside'
refuses b.html '<p style="color: red">' 'a style attribute'
refuses b.html '<style>p {}</style>' 'style inside'
refuses b.html '<p id="a" onclick="go()">' 'an event attribute'
refuses b.html '<iframe src="x.html"></iframe>' 'the policy refuses'
refuses a.css '@import "b.css";' 'style loads nothing'
refuses a.css 'p { background: url(a.png); }' 'style loads nothing'
refuses a.svg '<svg onload="go()"></svg>' 'an event attribute'
refuses a.txt 'text' 'unknown kind'
refuses a.js $'let a;\n\xff' 'not UTF-8'
write a.js ''
: >page/a.js
embeds a.js && fail "took an empty file"

takes a.js 'e.textContent = text; setTimeout(go, 1);'
takes b.html '<script src="a.js" defer></script>'
takes b.html '<style>{{STYLE}}</style><script>{{SCRIPT}}</script>'
takes a.svg '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
# A library of others, named one by one.
write a.js 'e.innerHTML = text;'
embeds a.js --unchecked page/a.js || fail "refused an unchecked file: $said"
embeds a.js --unchecked page/index.html && fail "--unchecked is for all files"

# Digits after an escape, quotes, backslashes, trigraphs, a zero byte, and more
# than one literal holds.
write a.js ''
printf '가1"\\n??=\t끝' >page/index.html
{ printf 'x\0y'; head -c 9000 /dev/zero | tr '\0' '?'; } >page/a.js
embeds a.js --unchecked page/a.js || fail "refused plain text: $said"
mkdir -p absl/strings
echo '#include <string_view>
namespace absl { using std::string_view; }' >absl/strings/string_view.h
echo '#include "out.h"
#include <cstdio>
int main() {
  std::fwrite(kodistil::kPage.data(), 1, kodistil::kPage.size(), stdout);
}' >main.cc
if ! g++ -std=c++17 -I. main.cc out.cc -o bytes; then
  fail "the output does not compile"
elif ! cmp <(./bytes) <(cat page/index.html page/a.js); then
  fail "the bytes are not those of the files"
fi

if ((failures > 0)); then
  echo "$failures failures"
  exit 1
fi
echo "passed"
