#!/usr/bin/env bash
# Checks the house rules of CONTRIBUTING.md and prints "file:line: what" for
# each finding.
#   tools/presubmit.sh --fast   formatting, text and shell: seconds
#   tools/presubmit.sh          and what needs Bazel or a compiler
# BAZEL names another command to run Bazel with.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

fast=false
case "${1:-}" in
  --fast) fast=true ;;
  "") ;;
  --help | -h)
    sed -n '2,6s/^# //p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "error: unknown argument $1; expected --fast or nothing" >&2
    exit 2
    ;;
esac
read -ra bazel <<<"${BAZEL:-bazel}"

failed=()

# Runs a check and remembers whether it failed.
check() {
  local name=$1 begin=$SECONDS
  shift
  if "$@"; then
    echo "ok      $name ($((SECONDS - begin)) s)"
  else
    echo "FAILED  $name ($((SECONDS - begin)) s)"
    failed+=("$name")
  fi
}

# The project's files, new ones included, that exist.
project_files() {
  local file
  git ls-files -co --exclude-standard -- "$@" | while read -r file; do
    if [[ -f $file ]]; then echo "$file"; fi
  done
}

need() {
  command -v "$1" >/dev/null && return
  echo "error: $1 was not found; sudo deploy/install.sh installs it" >&2
  return 1
}

check_format() {
  need clang-format || return
  # One line for each file is enough: clang-format -i mends it whole.
  project_files '*.cc' '*.h' |
    xargs -r -P "$(nproc)" -n 16 clang-format --dry-run -Werror 2>&1 |
    awk -F: '/: (error|warning):/ && !seen[$1]++ {
               print $1 ":" $2 ": not as clang-format -i writes it"; bad = 1 }
             END { exit bad }'
}

check_sources() {
  local files
  mapfile -t files < <(project_files)
  tools/check_sources.py "${files[@]}"
}

check_shell() {
  need shellcheck || return
  local files
  mapfile -t files < <(project_files '*.sh' '*.sbatch' .ci/run)
  shellcheck -f gcc "${files[@]}"
}

check_edges() {
  # By folder: //... would also enter the links that Bazel leaves behind.
  local folders
  folders=$(project_files '*/BUILD' | cut -d / -f 1 | sort -u |
    sed 's|.*|//&/...|' | paste -s -d +)
  "${bazel[@]}" query --noshow_progress --output=xml --noimplicit_deps \
    "$folders" | tools/check_edges.py
}

# The .cc files without LibTorch that guard members, or whose header does.
guarded_files() {
  local file header
  project_files '*.cc' | while read -r file; do
    header=${file%.cc}.h
    [[ -f $header ]] || header=
    # shellcheck disable=SC2086
    grep -q 'ABSL_GUARDED_BY\|ABSL_EXCLUSIVE_LOCKS' "$file" $header || continue
    grep -q '#include [<"]\(torch\|ATen\|c10\)/' "$file" || echo "$file"
  done
}

check_threads() {
  need clang++ || return
  # The generated headers of the protos.
  "${bazel[@]}" build --noshow_progress --ui_event_filters=-info //proto/... ||
    return
  local generated flags
  generated=$("${bazel[@]}" info bazel-bin 2>/dev/null)/proto
  read -ra flags < <(pkg-config --cflags absl_base protobuf grpc++ rocksdb)
  guarded_files | xargs -r -P "$(nproc)" -n 1 clang++ -std=c++17 \
    -fsyntax-only -Wno-everything -Wthread-safety -Werror=thread-safety -I. \
    -isystem "$generated" "${flags[@]}"
}

check "clang-format" check_format
check "house rules" check_sources
check "shellcheck" check_shell
if ! $fast; then
  check "edges between folders" check_edges
  check "clang's thread safety" check_threads
fi
if ((${#failed[@]} > 0)); then
  (IFS=,; echo "presubmit: ${failed[*]} failed")
  exit 1
fi
echo "presubmit: no findings"
