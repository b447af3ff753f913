#!/usr/bin/env bash
# Makes the pictures of docs/images/ anew: runs the test that takes them in a
# browser and copies what the documents show.
#   tools/update_pictures.sh
# BAZEL names another command to run Bazel with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
read -ra bazel <<<"${BAZEL:-bazel}"

# Bytes of a picture, at most: a clone brings them all.
readonly MOST_BYTES=150000
readonly PICTURES=(
  page-1280 page-390
  report-table report-parameters report-curves report-parallel report-gains
  report-ties
)
readonly TEST=report_browser_test

# A result from the cache would bring no pictures.
"${bazel[@]}" test --nocache_test_results "//tests:$TEST"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m zipfile -e "bazel-testlogs/tests/$TEST/test.outputs/outputs.zip" \
  "$scratch"
mkdir -p docs/images
for picture in "${PICTURES[@]}"; do
  bytes=$(stat -c %s "$scratch/$picture.png")
  if ((bytes > MOST_BYTES)); then
    echo "error: $picture.png has $bytes bytes; at most $MOST_BYTES" >&2
    exit 1
  fi
  cp "$scratch/$picture.png" docs/images/
  echo "docs/images/$picture.png: $bytes bytes"
done
