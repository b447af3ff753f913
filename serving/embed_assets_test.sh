#!/usr/bin/env bash
# What serving/embed_assets.py refuses, and that it takes the page as it is.
#   embed_assets_test.sh EMBED_ASSETS FILE...
set -uo pipefail
embed=$1
shift
cd "$TEST_TMPDIR" || exit 1
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# Runs the script on ./page/* and leaves what it said in `said`.
embeds() {
  said=$("$TEST_SRCDIR/kodistil/$embed" --function F --output out.cc \
    page/* 2>&1)
}

# refuses NAME CONTENT WHAT: a page with that file in it is refused, in words
# that name the file, the line and the finding.
refuses() {
  rm -rf page && mkdir page
  printf '<!doctype html>\n<p>fine</p>\n' >page/index.html
  printf '%s\n' "$2" >"page/$1"
  rm -f out.cc
  if embeds; then fail "took $1 with: $2"; return; fi
  [[ $said == "page/$1:"*"$3"* ]] || fail "said of $1: $said; expected $3"
  [[ ! -e out.cc ]] || fail "wrote its output although it refused $1"
}

takes() {
  rm -rf page && mkdir page
  printf '<!doctype html>\n<p>fine</p>\n' >page/index.html
  printf '%s\n' "$2" >"page/$1"
  embeds || fail "refused $1 with: $2: $said"
}

refuses a.js 'e.innerHTML = text;' '1: found'
refuses a.js $'let a;\ne.insertAdjacentHTML("x", y);' '2: found'
refuses a.js 'eval (text)' 'code made from a string'
refuses a.js 'setTimeout("go()", 1)' 'code made from a string'
refuses a.js 'fetch("https://example.org/")' 'another place'
refuses a.js 'import("//example.org/x.js")' 'another place'
refuses b.html '<script>go()</script>' 'a script inside'
refuses b.html '<p style="color: red">' 'a style attribute'
refuses b.html '<style>p {}</style>' 'style inside'
refuses b.html '<p id="a" onclick="go()">' 'an event attribute'
refuses b.html '<iframe src="x.html"></iframe>' 'the policy refuses'
refuses a.css '@import "b.css";' 'style loads nothing'
refuses a.css 'p { background: url(a.png); }' 'style loads nothing'
refuses a.svg '<svg onload="go()"></svg>' 'an event attribute'
refuses a.txt 'text' 'unknown kind'
refuses a.js $'let a;\n\xff' 'not UTF-8'
rm -rf page && mkdir page && : >page/index.html
embeds && fail "took an empty file"
rm -rf page && mkdir page && echo "let a;" >page/a.js
embeds && fail "took a page without index.html"

takes a.js 'e.textContent = text; setTimeout(go, 1);'
takes b.html '<script src="a.js" defer></script>'
takes a.svg '<svg xmlns="http://www.w3.org/2000/svg"></svg>'

# The bytes survive: digits after an escape, quotes, backslashes, trigraphs.
rm -rf page && mkdir page
printf '가1"\\n??=\t끝' >page/index.html
embeds || fail "refused plain text: $said"
{
  echo 'namespace absl { template <class T> struct Span { template <int N>'
  echo 'Span(T (&a)[N]) : data(a) {} T* data; }; }'
  echo 'struct Text { const char* data; unsigned long size; };'
  echo 'namespace kodistil { struct WebAsset { const char* path; const char*'
  echo 'content_type; Text bytes; }; }'
  grep -v '#include' out.cc
  echo '#include <cstdio>'
  echo 'int main() { auto a = kodistil::F().data[0];'
  echo 'std::fwrite(a.bytes.data, 1, a.bytes.size, stdout); }'
} >bytes.cc
if ! g++ -std=c++17 bytes.cc -o bytes; then
  fail "the output does not compile"
elif ! cmp <(./bytes) page/index.html; then
  fail "the bytes are not those of the file"
fi

rm -rf page && mkdir page
for file in "$@"; do cp "$TEST_SRCDIR/kodistil/$file" page/; done
embeds || fail "refused the page itself: $said"

if ((failures > 0)); then
  echo "$failures failures"
  exit 1
fi
echo "passed"
